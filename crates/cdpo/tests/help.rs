//! What `--help` says, command by command, held to the files in `tests/help`.
//!
//! After a wanted change: `CDPO_UPDATE_HELP=1 cargo test -p cdpo --test help`, and read the difference.
#![allow(missing_docs, clippy::unwrap_used)]

mod binary;

use std::path::Path;

use binary::Place;

/// The help of `cdpo`, and of each of its commands.
fn helps() -> Vec<(String, String)> {
    let place = Place::new();
    let whole = place.cdpo(&["--help"]).succeeded().stdout;
    let commands = whole.split_once("Commands:\n").unwrap().1;
    let commands = commands.split_once("\n\n").unwrap().0;
    let mut helps = vec![("cdpo".to_owned(), whole.clone())];
    for line in commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
    {
        let name = line.split_whitespace().next().unwrap();
        if name != "help" {
            let help = place.cdpo(&[name, "--help"]).succeeded().stdout;
            helps.push((name.to_owned(), help));
        }
    }
    helps
}

#[test]
fn every_help_is_as_it_was_read_last() {
    let folder = Path::new("tests/help");
    let update = std::env::var_os("CDPO_UPDATE_HELP").is_some();
    let helps = helps();
    assert!(helps.len() > 10, "{}", helps.len());
    let mut differing = Vec::new();
    for (name, help) in &helps {
        let path = folder.join(format!("{name}.txt"));
        if update {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(&path, help).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != *help {
            differing.push(format!("{name}:\n{help}"));
        }
    }
    let differing = differing.join("\n");
    assert!(
        differing.is_empty(),
        "CDPO_UPDATE_HELP=1 writes these anew:\n{differing}"
    );
}

#[test]
fn every_help_has_an_example() {
    for (name, help) in helps().into_iter().skip(1) {
        assert!(help.contains("Example"), "{name}:\n{help}");
    }
}
