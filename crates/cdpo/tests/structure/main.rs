//! The shape of the code, seen in its text: modules that need each other, and functions that are too long to read.
#![allow(missing_docs)]

mod graph;
mod source;

use std::path::{Path, PathBuf};

use graph::{Crate, Module};
use source::{code, item, starts, without_tests, word};

/// Lines of a function, its signature included, that someone can still follow.
const LONGEST: usize = 100;

/// Modules that do need each other: what holds them, their names, and why. A new one is a fault, and so is one that is gone.
const KNOWN: [(&str, &[&str], &str); 9] = [
    (
        "cdpo-grade",
        &["eval", "form"],
        "a form's constants are evaluated, a value is that of a form",
    ),
    (
        "cdpo-grade::eval",
        &["scalar", "zero"],
        "to compare two values is to ask whether their difference is zero",
    ),
    (
        "cdpo-grade::extract",
        &["formula", "prose"],
        "formulas stand in prose, and prose in formulas",
    ),
    (
        "cdpo-grade::form",
        &["answer", "build", "inequality", "name"],
        "forms are built of forms",
    ),
    (
        "cdpo-grade::form",
        &["atom", "sum"],
        "an atom may hold a sum",
    ),
    (
        "cdpo-grade::syntax",
        &[
            "environment",
            "fence",
            "function",
            "group",
            "list",
            "numeral",
            "operator",
            "relation",
            "symbol",
            "unit",
        ],
        "a grammar calls itself",
    ),
    (
        "cdpo-model",
        &[
            "adapter",
            "block",
            "config",
            "inventory",
            "ops",
            "source",
            "tokenizer",
            "weight",
        ],
        "a configuration describes blocks, blocks list their tensors, and sources read both",
    ),
    (
        "cdpo-model::ops::head",
        &["composed", "divergence"],
        "the composed form is the divergence's oracle",
    ),
    (
        "cdpo-model::source",
        &["embedded", "files", "folder", "gguf"],
        "a location opens each kind of source, and each names its files by it",
    ),
];

fn crates() -> Vec<Crate> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(all)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|dir| dir.join("Cargo.toml").is_file())
        .collect();
    dirs.sort();
    assert!(dirs.len() >= 8, "{dirs:?}");
    dirs.iter().map(|dir| Crate::read(dir)).collect()
}

#[test]
fn no_two_modules_need_each_other() {
    let mut found = Vec::new();
    let mut known: Vec<&(&str, &[&str], &str)> = KNOWN.iter().collect();
    for one in crates() {
        assert!(one.texts.len() > 5, "{}", one.name);
        for circle in one.circles() {
            let before = known.len();
            known.retain(|(parent, names, _)| !circle.is(&one.name, parent, names));
            if known.len() == before {
                found.push(format!("{}:{circle}", one.name));
            }
        }
    }
    let gone = known
        .iter()
        .map(|(parent, names, _)| format!("no longer: {parent}: {names:?}"));
    found.extend(gone);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_function_is_too_long_to_follow() {
    let mut found = Vec::new();
    for one in crates() {
        for (file, text) in one.texts.values() {
            for at in starts(text, "fn") {
                let name = word(text[at + "fn".len()..].trim_start());
                let lines = text[at..at + item(&text[at..])].lines().count();
                if lines >= LONGEST {
                    found.push(format!("{}: {name}: {lines} lines", file.display()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_circle_is_seen_through_groups_and_imported_names() {
    let text = |s: &str| (PathBuf::new(), without_tests(&code(s)));
    let module = |s: &str| s.split("::").map(str::to_owned).collect::<Module>();
    let mut one = Crate {
        name: "example".into(),
        texts: [
            (
                Vec::new(),
                text("pub use b::deep::Item; mod a; mod b; mod c;"),
            ),
            (
                module("a"),
                text("use crate::{Item, c};\nfn f() { super::c::g() }"),
            ),
            (module("b"), text("mod deep; // crate::a is only named\n")),
            (
                module("b::deep"),
                text("pub struct Item;\n#[cfg(test)]\nmod tests { use crate::a; }"),
            ),
            (module("c"), text("const S: &str = \"crate::a\";")),
        ]
        .into(),
    };
    assert!(one.circles().is_empty());
    one.texts
        .insert(module("b::deep"), text("fn f() { crate::a::f() }"));
    let circles = one.circles();
    assert_eq!(circles.len(), 1);
    assert_eq!(circles[0].to_string(), "\n  a -> b\n  b -> a");
    assert!(circles[0].is("example", "example", &["a", "b"]));
    assert!(!circles[0].is("example", "example", &["a", "c"]));
}
