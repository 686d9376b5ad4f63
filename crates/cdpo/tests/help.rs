//! What `--help` says, command by command, held to the files in `tests/help`.
//!
//! Completions and manual pages are made of the same arguments, and name every command.
//!
//! After a wanted change: `CDPO_UPDATE_HELP=1 cargo test -p cdpo --test help`, and read the difference.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

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

#[test]
fn completions_of_every_shell_name_every_command() {
    let place = Place::new();
    let commands: Vec<String> = helps().into_iter().skip(1).map(|(name, _)| name).collect();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.cdpo(&["completions", shell]).succeeded().stdout;
        for word in commands.iter().map(String::as_str).chain(["dry-run"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    place
        .cdpo(&["completions", "tcsh"])
        .failed(2, &["tcsh", "bash", "zsh"]);
}

/// Where bash is, it takes the script, and completes a command's name by it.
#[test]
fn bash_completes_by_its_script() {
    let place = Place::new();
    let script = place.cdpo(&["completions", "bash"]).succeeded().stdout;
    std::fs::write(place.dir.join("cdpo.bash"), script).unwrap();
    let ask = "source ./cdpo.bash; COMP_WORDS=(cdpo quick); COMP_CWORD=1; _cdpo cdpo quick cdpo; echo \"${COMPREPLY[@]}\"";
    let mut bash = std::process::Command::new("bash");
    let Ok(output) = bash
        .args(["--norc", "-c", ask])
        .current_dir(&place.dir)
        .output()
    else {
        eprintln!("skipped: no bash");
        return;
    };
    let outcome = binary::Outcome::of(&output);
    assert_eq!(outcome.stdout.trim(), "quickstart", "{outcome:#?}");
}

#[test]
fn every_command_has_a_manual_page() {
    let place = Place::new();
    let told = place.cdpo(&["man", "share/man1"]).succeeded().stdout;
    assert_eq!(told, "share/man1\n");
    let read = |name: &str| std::fs::read_to_string(place.dir.join("share/man1").join(name));
    let whole = read("cdpo.1").unwrap();
    for (name, _) in helps().into_iter().skip(1) {
        let page = read(&format!("cdpo-{name}.1")).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
        assert!(page.contains("Example"), "{name}");
        assert!(whole.contains(&format!("cdpo\\-{name}(1)")), "{name}");
    }
    assert!(read("cdpo-run.1").unwrap().contains("\\-\\-seeds"));
    // Pages are replaced; a file is no folder.
    place.cdpo(&["man", "share/man1"]).succeeded();
    place
        .cdpo(&["man", "share/man1/cdpo.1"])
        .failed(1, &["share/man1/cdpo.1"]);
}
