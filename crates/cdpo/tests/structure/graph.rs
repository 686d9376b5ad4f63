//! A crate's modules, and which of them need each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::source::{code, starts, tree, without_tests, word};

/// A module by its names below the crate's root.
pub(super) type Module = Vec<String>;

/// A crate's modules, with the text of each: comments, literals and tests are blank.
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) texts: BTreeMap<Module, (PathBuf, String)>,
}

impl Crate {
    pub(super) fn read(dir: &Path) -> Self {
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
    pub(super) fn circles(&self) -> Vec<Circle> {
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
pub(super) struct Circle {
    needs: BTreeMap<Module, Vec<Module>>,
}

impl Circle {
    /// Whether it is the one of `names` in `parent`, a crate with the module's path.
    pub(super) fn is(&self, name: &str, parent: &str, names: &[&str]) -> bool {
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
