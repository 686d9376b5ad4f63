//! What the documentation says is so: links and pictures are there, commands are taken by the program, and the runs that are marked
//! as tested give what the page shows.
//!
//! A block ```` ```console ```` holds lines `$ cdpo ...` with what they print. Under `<!-- tested -->` its commands are run, in the order of
//! the page and in one folder, and what they print has to match: `...` stands for any text, alone on a line for any lines.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../binary/mod.rs"]
mod binary;
mod page;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use binary::{Outcome, Place};
use page::{Page, pages};

/// Runs a line as a shell would, in the place's folder, with the program on the path.
fn shell(place: &Place, line: &str) -> Outcome {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_cdpo"));
    let mut path = program.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = std::process::Command::new("sh");
    command.current_dir(&place.dir).env("PATH", path);
    Outcome::of(&command.args(["-c", line]).output().unwrap())
}

#[test]
fn every_link_and_picture_leads_somewhere() {
    let pages = pages();
    assert!(pages.len() > 10, "{}", pages.len());
    let anchors: HashMap<PathBuf, BTreeSet<String>> = pages
        .iter()
        .map(|page| (page.path.clone(), page.anchors()))
        .collect();
    let mut broken = Vec::new();
    for page in &pages {
        for (line, link) in page.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() {
                page.path.clone()
            } else {
                page.path.parent().unwrap().join(file)
            };
            let place = format!("{}:{line}: {link}", page.name());
            let Ok(target) = target.canonicalize() else {
                broken.push(place);
                continue;
            };
            let known = anchors.get(&target);
            if !anchor.is_empty() && !known.is_some_and(|known| known.contains(anchor)) {
                broken.push(format!("{place} (no such heading)"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_page_of_the_book_is_in_its_contents() {
    let pages = pages();
    let contents = pages
        .iter()
        .find(|page| page.path.ends_with("docs/SUMMARY.md"))
        .unwrap();
    let listed: BTreeSet<PathBuf> = contents
        .links()
        .into_iter()
        .filter_map(|(_, link)| contents.path.parent()?.join(link).canonicalize().ok())
        .collect();
    let forgotten: Vec<String> = pages
        .iter()
        .filter(|page| page.name().starts_with("docs/") && page.path != contents.path)
        // A run's own table is not a page.
        .filter(|page| !page.path.ends_with("table.md"))
        .filter(|page| !listed.contains(&page.path))
        .map(Page::name)
        .collect();
    assert!(forgotten.is_empty(), "not in SUMMARY.md: {forgotten:?}");
}

#[test]
fn every_recipe_that_is_named_is_there() {
    let mut missing = Vec::new();
    for page in pages() {
        for (line, text) in page.lines() {
            for start in text.match_indices("recipes/").map(|(at, _)| at) {
                let name: &str = text[start..]
                    .split(|c: char| !(c.is_alphanumeric() || "/._-".contains(c)))
                    .next()
                    .unwrap();
                let recipe = page::root().join(name);
                if recipe.extension().is_some_and(|e| e == "toml") && !recipe.exists() {
                    missing.push(format!("{}:{line}: {name}", page.name()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// A place is written `file.rs` or `file.rs::item`, with a path below `crates/`, without `src` or with it, or as much of its end as tells it
/// from others.
#[test]
fn every_place_in_the_code_that_is_named_is_there() {
    let sources = page::sources();
    let mut missing = Vec::new();
    let mut named = 0;
    for page in pages() {
        for (line, place) in page.places() {
            named += 1;
            let place = place.trim_start_matches("crates/");
            let (file, item) = place.split_once(".rs::").unwrap_or((place, ""));
            let file = file.trim_end_matches(".rs");
            let whole = match file.split_once('/') {
                Some((krate, rest)) => format!("{krate}/src/{rest}.rs"),
                None => format!("{file}.rs"),
            };
            let (given, end) = (format!("{file}.rs"), format!("/{file}.rs"));
            let exact = |name: &&String| **name == given || **name == whole;
            let mut files: Vec<&String> = sources.keys().filter(exact).collect();
            if files.is_empty() {
                files = sources.keys().filter(|name| name.ends_with(&end)).collect();
            }
            let there = files.iter().any(|name| {
                item.split("::")
                    .all(|part| page::has_word(&sources[*name], part))
            });
            if !there {
                missing.push(format!("{}:{line}: {place}", page.name()));
            }
        }
    }
    assert!(named > 100, "{named}");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// `--help` at the end: what stands before it is parsed, and nothing is done.
#[test]
fn every_command_shown_is_one_that_the_program_takes() {
    let place = Place::new();
    let mut refused = Vec::new();
    let mut seen = BTreeSet::new();
    for page in pages() {
        for (line, _, words) in page.commands() {
            let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
            args.push("--help");
            if seen.insert(words.clone()) {
                let outcome = place.cdpo(&args);
                if outcome.code != Some(0) {
                    refused.push(format!(
                        "{}:{line}: {args:?}\n{}",
                        page.name(),
                        outcome.stderr
                    ));
                }
            }
        }
    }
    assert!(seen.len() > 10, "{}", seen.len());
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn every_key_that_is_set_in_a_command_is_a_key() {
    let place = Place::new();
    let mut sets: Vec<String> = Vec::new();
    for page in pages() {
        for (_, tested, words) in page.commands() {
            // What is marked as tested is run, and may show a fault on purpose. A pre-training's recipe has keys of its own.
            if tested || words[0] == "pretrain" {
                continue;
            }
            let values = words.iter().zip(words.iter().skip(1));
            sets.extend(
                values
                    .filter(|(flag, _)| *flag == "--set")
                    .map(|(_, set)| set.clone()),
            );
        }
    }
    assert!(!sets.is_empty());
    let mut args = vec!["demo", "--dry-run"];
    for set in &sets {
        args.extend(["--set", set]);
    }
    let outcome = place.cdpo(&args);
    assert!(!outcome.stderr.contains("no such key"), "{outcome:#?}");
}

#[test]
fn the_runs_marked_as_tested_print_what_the_page_shows() {
    let mut tested = 0;
    for page in pages() {
        let place = Place::new();
        for block in page.tested_blocks() {
            for (line, command, shown) in block {
                let outcome = shell(&place, &command);
                let printed = format!("{}{}", outcome.stderr, outcome.stdout);
                assert!(
                    page::matches(&shown, &printed),
                    "{}:{line}: {command}\nshown:\n{shown}\nprinted:\n{printed}",
                    page.name()
                );
                tested += 1;
            }
        }
    }
    assert!(tested > 5, "{tested}");
}

#[test]
fn what_is_shown_matches_what_was_printed_and_nothing_else() {
    let printed = "one\ntwo: 0.25 s\nthree\nfour\n";
    for shown in [
        "one\ntwo: 0.25 s\nthree\nfour",
        "one\n...\nfour",
        "...\nfour",
        "one\n...",
        "one\ntwo: ... s\nthree\nfour",
    ] {
        assert!(page::matches(shown, printed), "{shown}");
    }
    for shown in [
        "one\nfour",
        "one\n...\ntwo: 0.5 s\n...",
        "two\n...",
        "...\nthree",
    ] {
        assert!(!page::matches(shown, printed), "{shown}");
    }
}
