//! A page of the documentation: its links, headings and blocks of commands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A Markdown file.
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    text: String,
}

/// The project's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The pages in the project's folder and in each crate's, and those in `.github/`, `docs/`, `recipes/` and `scripts/` and below.
pub(crate) fn pages() -> Vec<Page> {
    let root = root();
    let mut paths = Vec::new();
    let mut pending = vec![
        root.join(".github"),
        root.join("docs"),
        root.join("recipes"),
        root.join("scripts"),
    ];
    let mut found = |dir: &Path, pending: &mut Vec<PathBuf>, deeper: bool| {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && deeper {
                pending.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                paths.push(path);
            }
        }
    };
    found(&root, &mut pending, false);
    for entry in std::fs::read_dir(root.join("crates")).unwrap() {
        found(&entry.unwrap().path(), &mut pending, false);
    }
    while let Some(dir) = pending.pop() {
        found(&dir, &mut pending, true);
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| Page {
            text: std::fs::read_to_string(&path).unwrap(),
            path,
        })
        .collect()
}

/// The project's Rust files by their paths below `crates/`.
pub(crate) fn sources() -> BTreeMap<String, String> {
    let crates = root().join("crates");
    let mut sources = BTreeMap::new();
    let mut pending = vec![crates.clone()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    pending.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&crates).unwrap().display().to_string();
                sources.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    sources
}

/// Whether `text` has `word` with no letter, digit or underscore beside it.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        !inside(text[..at].chars().next_back()) && !inside(text[at + word.len()..].chars().next())
    })
}

/// A command as shown: the line it stands in, the command, and what is shown below it.
type Shown = (usize, String, String);

impl Page {
    /// The path from the project's folder.
    pub(crate) fn name(&self) -> String {
        let name = self.path.strip_prefix(root()).unwrap_or(&self.path);
        name.display().to_string()
    }

    /// Lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    /// Lines outside of fenced and indented blocks, without what stands in back ticks.
    fn prose(&self) -> Vec<(usize, String)> {
        let mut fenced = false;
        let mut lines = Vec::new();
        for (number, line) in self.lines() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if !fenced && !line.starts_with("    ") {
                let mut outside = String::new();
                for (i, part) in line.split('`').enumerate() {
                    outside.push_str(if i % 2 == 0 { part } else { "code" });
                }
                lines.push((number, outside));
            }
        }
        lines
    }

    /// Targets of links and pictures, with their lines.
    pub(crate) fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (number, line) in self.prose() {
            for (at, _) in line.match_indices("](") {
                let target = line[at + 2..].split(')').next().unwrap_or("");
                links.push((number, target.to_owned()));
            }
            for attribute in ["src=\"", "srcset=\"", "href=\""] {
                for (at, _) in line.match_indices(attribute) {
                    let target = line[at + attribute.len()..].split('"').next().unwrap_or("");
                    links.push((number, target.to_owned()));
                }
            }
        }
        links
    }

    /// Places in the code: what stands in back ticks and is `file.rs` or `file.rs::item`.
    pub(crate) fn places(&self) -> Vec<(usize, String)> {
        let mut places = Vec::new();
        for (number, line) in self.lines() {
            for code in line.split('`').skip(1).step_by(2) {
                let path = |c: char| c.is_alphanumeric() || "/_.-:".contains(c);
                let file = code.split_once(".rs");
                let file = file.is_some_and(|(_, item)| item.is_empty() || item.starts_with("::"));
                if file && code.chars().all(path) {
                    places.push((number, code.to_owned()));
                }
            }
        }
        places
    }

    /// The anchors of its headings, as GitHub makes them.
    pub(crate) fn anchors(&self) -> BTreeSet<String> {
        let mut fenced = false;
        let mut anchors = BTreeSet::new();
        for (_, line) in self.lines() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            let Some(title) = line.strip_prefix('#').filter(|_| !fenced) else {
                continue;
            };
            let title = title.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            anchors.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
        anchors
    }

    /// The blocks fenced as commands: whether marked as tested, the first line's number, the lines.
    fn blocks(&self) -> Vec<(bool, usize, Vec<&str>)> {
        let mut blocks: Vec<(bool, usize, Vec<&str>)> = Vec::new();
        let (mut marked, mut open) = (false, false);
        let mut fenced = false;
        for (number, line) in self.lines() {
            if line.starts_with("```") {
                fenced = !fenced;
                open = fenced && ["```console", "```sh"].contains(&line.trim());
                if open {
                    blocks.push((marked, number + 1, Vec::new()));
                }
                marked = false;
            } else if open {
                if let Some(block) = blocks.last_mut() {
                    block.2.push(line);
                }
            } else if !line.trim().is_empty() {
                marked = line.trim() == "<!-- tested -->";
            }
        }
        blocks
    }

    /// The arguments of every `cdpo ...` shown, with its line and whether it is marked as tested.
    pub(crate) fn commands(&self) -> Vec<(usize, bool, Vec<String>)> {
        let mut commands = Vec::new();
        for (tested, first, lines) in self.blocks() {
            let prompts = lines.iter().any(|line| line.starts_with("$ "));
            let mut i = 0;
            while i < lines.len() {
                let number = first + i;
                let mut command = lines[i].trim().to_owned();
                while command.ends_with('\\') && i + 1 < lines.len() {
                    i += 1;
                    command.pop();
                    command.push_str(lines[i].trim());
                }
                i += 1;
                // Without a prompt before any of them, every line is a command.
                let command = match command.strip_prefix("$ ") {
                    Some(command) => command,
                    None if prompts => continue,
                    None => &command,
                };
                let arguments = command
                    .strip_prefix("cargo run --release -- ")
                    .or_else(|| command.strip_prefix("cdpo "));
                if let Some(arguments) = arguments {
                    let mut words = words(arguments);
                    let end = words
                        .iter()
                        .position(|word| ["|", ">", "2>", "&&", "&", "<"].contains(&word.as_str()));
                    words.truncate(end.unwrap_or(words.len()));
                    commands.push((number, tested, words));
                }
            }
        }
        commands
    }

    /// The blocks marked as tested.
    pub(crate) fn tested_blocks(&self) -> Vec<Vec<Shown>> {
        let mut tested = Vec::new();
        for (_, first, lines) in self.blocks().into_iter().filter(|(marked, ..)| *marked) {
            let mut shown: Vec<Shown> = Vec::new();
            let mut continued = false;
            for (i, line) in lines.into_iter().enumerate() {
                if let Some(command) = line.strip_prefix("$ ") {
                    shown.push((first + i, command.to_owned(), String::new()));
                    continued = command.ends_with('\\');
                } else if let Some((_, command, output)) = shown.last_mut() {
                    let text = if continued { command } else { output };
                    text.push('\n');
                    text.push_str(line);
                    continued = continued && line.ends_with('\\');
                }
            }
            tested.push(shown);
        }
        tested
    }
}

/// Words as a shell would split them; a comment ends the line.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Whether what is shown is what was printed, with `...` for any text of a line, and alone on a line for any lines. Empty lines do not
/// count.
pub(crate) fn matches(shown: &str, printed: &str) -> bool {
    let shown: Vec<&str> = lines_of(shown);
    let printed = lines_of(printed);
    let parts: Vec<&[&str]> = shown.split(|line| line.trim() == "...").collect();
    let at = |part: &[&str], start: usize| {
        let lines = printed.get(start..start + part.len());
        lines.is_some_and(|lines| part.iter().zip(lines).all(|(a, b)| line_matches(a, b)))
    };
    in_order(&parts, printed.len(), <[&str]>::len, at)
}

fn lines_of(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim_end);
    lines.filter(|line| !line.is_empty()).collect()
}

fn line_matches(shown: &str, line: &str) -> bool {
    let parts: Vec<&str> = shown.split("...").collect();
    let at = |part: &str, start: usize| line.as_bytes()[start..].starts_with(part.as_bytes());
    in_order(&parts, line.len(), str::len, at)
}

/// Whether `parts` stand in order in something of `length`, the first at its start, the last at its end, anything between them: each as
/// early as it can be.
fn in_order<P: Copy>(
    parts: &[P],
    length: usize,
    size: impl Fn(P) -> usize,
    at: impl Fn(P, usize) -> bool,
) -> bool {
    let (Some((&last, others)), Some(&first)) = (parts.split_last(), parts.first()) else {
        return length == 0;
    };
    if others.is_empty() {
        return size(first) == length && at(first, 0);
    }
    let mut start = 0;
    for (i, &part) in others.iter().enumerate() {
        let mut places = start..=if i == 0 { 0 } else { length };
        let Some(found) = places.find(|&place| place + size(part) <= length && at(part, place))
        else {
            return false;
        };
        start = found + size(part);
    }
    start + size(last) <= length && at(last, length - size(last))
}
