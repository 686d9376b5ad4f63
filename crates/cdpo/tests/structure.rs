//! The shape of the code, seen in its text: modules that need each other, and functions that are too long to read.
#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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

/// A module by its names below the crate's root.
type Module = Vec<String>;

/// A crate's modules, with the text of each: comments, literals and tests are blank.
struct Crate {
    name: String,
    texts: BTreeMap<Module, (PathBuf, String)>,
}

impl Crate {
    fn read(dir: &Path) -> Self {
        let mut texts = BTreeMap::new();
        let root = ["lib.rs", "main.rs"].map(|file| dir.join("src").join(file));
        let root = root.iter().find(|file| file.is_file()).unwrap();
        add(&mut texts, Vec::new(), root, &dir.join("src"));
        Self {
            name: dir.file_name().unwrap().to_string_lossy().into_owned(),
            texts,
        }
    }

    /// The module that a path names or takes an item from, as seen from `from`.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let mut at = from.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                at = Vec::new();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    at.pop()?;
                    rest = &rest[1..];
                }
            }
            first => {
                // Another crate, or a child by its bare name.
                at.push(first.to_owned());
                self.texts.get(&at)?;
                rest = &path[1..];
            }
        }
        for (i, name) in rest.iter().enumerate() {
            at.push(name.clone());
            if self.texts.contains_key(&at) {
                continue;
            }
            at.pop();
            // A name that the module has from elsewhere.
            let imported = self.imports(&at).find(|path| path.last() == Some(name));
            if depth > 0
                && let Some(mut path) = imported
            {
                path.extend_from_slice(&rest[i + 1..]);
                return self.resolve(&at, &path, depth - 1).or(Some(at));
            }
            break;
        }
        Some(at)
    }

    fn imports(&self, module: &Module) -> impl Iterator<Item = Vec<String>> {
        let text = self.texts.get(module).map_or("", |(_, text)| text);
        let uses = starts(text, "use").into_iter();
        uses.flat_map(|at| tree(&text[at + "use".len()..]).0)
    }

    /// Every module that the text of `module` names.
    fn named(&self, module: &Module) -> BTreeSet<Module> {
        let (_, text) = &self.texts[module];
        let mut paths: Vec<Vec<String>> = self.imports(module).collect();
        for keyword in ["crate", "super"] {
            for at in starts(text, keyword) {
                paths.extend(tree(&text[at..]).0);
            }
        }
        let found = paths.iter().filter_map(|p| self.resolve(module, p, 4));
        found.collect()
    }

    /// Groups of siblings that need each other, at every level of the tree.
    fn circles(&self) -> Vec<Circle> {
        let mut needs: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for from in self.texts.keys() {
            for to in self.named(from) {
                let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                // A module and one around it are no siblings.
                if shared < from.len() && shared < to.len() {
                    let sibling = |module: &Module| module[..=shared].to_vec();
                    needs.entry(sibling(from)).or_default().insert(sibling(&to));
                }
            }
        }
        let reached = |from: &Module| {
            let mut seen = BTreeSet::new();
            let mut pending = vec![from.clone()];
            while let Some(module) = pending.pop() {
                for next in needs.get(&module).into_iter().flatten() {
                    if seen.insert(next.clone()) {
                        pending.push(next.clone());
                    }
                }
            }
            seen
        };
        let mut circles = BTreeSet::new();
        for module in needs.keys() {
            let own = reached(module);
            if own.contains(module) {
                let circle = own.iter().filter(|other| reached(other).contains(module));
                circles.insert(circle.cloned().collect::<BTreeSet<Module>>());
            }
        }
        let arrows = |circle: BTreeSet<Module>| Circle {
            needs: circle
                .iter()
                .map(|m| (m.clone(), needs[m].intersection(&circle).cloned().collect()))
                .collect(),
        };
        circles.into_iter().map(arrows).collect()
    }
}

/// Siblings that need each other, each with those that it needs.
struct Circle {
    needs: BTreeMap<Module, Vec<Module>>,
}

impl Circle {
    /// Whether it is the one of `names` in `parent`, a crate with the module's path.
    fn is(&self, name: &str, parent: &str, names: &[&str]) -> bool {
        let own = self.needs.keys().map(|m| {
            let (last, above) = m.split_last().unwrap();
            let above = above
                .iter()
                .fold(name.to_owned(), |path, m| format!("{path}::{m}"));
            (above, last.as_str())
        });
        own.eq(names.iter().map(|n| (parent.to_owned(), *n)))
    }
}

impl std::fmt::Display for Circle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (module, needed) in &self.needs {
            let needed: Vec<&str> = needed.iter().map(|m| m.last().unwrap().as_str()).collect();
            write!(f, "\n  {} -> {}", module.join("::"), needed.join(", "))?;
        }
        Ok(())
    }
}

/// Reads a module's file and those of its modules outside tests; `dir` is where theirs lie.
fn add(texts: &mut BTreeMap<Module, (PathBuf, String)>, module: Module, file: &Path, dir: &Path) {
    let text = without_tests(&code(&std::fs::read_to_string(file).unwrap()));
    for at in starts(&text, "mod") {
        let name = word(text[at + "mod".len()..].trim_start());
        let child = dir.join(format!("{name}.rs"));
        if child.is_file() {
            let path = [module.as_slice(), &[name.to_owned()]].concat();
            add(texts, path, &child, &dir.join(name));
        }
    }
    texts.insert(module, (file.to_path_buf(), text));
}

/// The text with comments and the contents of literals blank; lines stay.
fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(len) = raw_string(rest) {
            len
        } else if rest.starts_with('"') {
            quoted(rest)
        } else if rest.starts_with('\'') {
            character(rest).unwrap_or(0)
        } else {
            0
        };
        for byte in &mut out[at..at + len] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at += len.max(1);
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}

fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest.strip_prefix('r')?;
    let count = hashes.len() - hashes.trim_start_matches('#').len();
    hashes[count..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(count));
    let open = 1 + count + 1;
    Some(open + rest[open..].find(&end)? + end.len())
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character's literal, which a lifetime is not.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        chars.next()?;
        return chars.find(|(_, c)| *c == '\'').map(|(i, _)| i + 1);
    }
    let (i, close) = chars.next()?;
    (close == '\'').then_some(i + 1)
}

/// Blanks what stands under `#[cfg(test)]`.
fn without_tests(text: &str) -> String {
    let mut out = text.to_owned();
    let mark = "#[cfg(test)]";
    while let Some(at) = out.find(mark) {
        let len = item(&out[at..]);
        let blank: String = out[at..at + len]
            .chars()
            .map(|c| if c == '\n' { c } else { ' ' })
            .collect();
        out.replace_range(at..at + len, &blank);
    }
    out
}

/// The length of an item: to its semicolon or closing brace.
fn item(text: &str) -> usize {
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        match c {
            ';' if depth == 0 => return i + 1,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return i + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// Where a word stands by itself, followed by a blank or `::`.
fn starts(text: &str, keyword: &str) -> Vec<usize> {
    let found = text.match_indices(keyword).map(|(at, _)| at);
    found
        .filter(|&at| {
            let before = text[..at].chars().next_back();
            let after = &text[at + keyword.len()..];
            // `pub(super)` and `super::super` are no starts of a path.
            !before.is_some_and(|c| is_word(c) || c == ':')
                && (after.starts_with("::") || after.starts_with(char::is_whitespace))
        })
        .collect()
}

/// The paths of a use tree at the text's start, and the text after it.
fn tree(text: &str) -> (Vec<Vec<String>>, &str) {
    let mut rest = text.trim_start();
    let mut path = Vec::new();
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            let mut paths = Vec::new();
            rest = group.trim_start();
            while !rest.is_empty() && !rest.starts_with('}') {
                let (inner, after) = tree(rest);
                paths.extend(
                    inner
                        .into_iter()
                        .map(|tail| [path.as_slice(), &tail].concat()),
                );
                let stop = after.find([',', '}']).unwrap_or(after.len());
                rest = after[stop..].trim_start_matches(',').trim_start();
            }
            return (paths, rest.strip_prefix('}').unwrap_or(rest));
        }
        let name = word(rest);
        rest = &rest[name.len()..];
        if !name.is_empty() {
            path.push(name.to_owned());
        }
        match rest.strip_prefix("::") {
            Some(after) => rest = after,
            None => return (vec![path], rest),
        }
    }
}

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
