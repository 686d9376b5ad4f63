//! Paths as users give them: a leading `~` is the home folder, as a shell has it, which leaves it alone within `--set key=~/x` and in
//! recipes.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use toml::{Table, Value};

/// The home folder: what HOME names, else the system's word of the user's.
pub(crate) fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// Reads a path of the command line.
pub(crate) fn parser() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|text| match text.to_str() {
        Some(text) => given(text),
        None => Ok(text.into()),
    })
}

/// The path that a user means by `text`. `~name` stays as it is: whose home that is, only a shell knows.
///
/// # Errors
/// If there is no home folder where the text needs one.
pub(crate) fn given(text: &str) -> Result<PathBuf, String> {
    expanded(text, home())
}

/// As [`given`], with the home folder.
///
/// # Errors
/// As [`given`].
pub(crate) fn expanded(text: &str, home: Option<PathBuf>) -> Result<PathBuf, String> {
    let rest = match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ => return Ok(text.into()),
    };
    let home =
        home.ok_or_else(|| format!("{text}: HOME names no home folder; write the path out"))?;
    let rest = rest.trim_start_matches('/');
    Ok(if rest.is_empty() {
        home
    } else {
        home.join(rest)
    })
}

/// Expands the texts at dotted `keys` of a recipe's table; a key that is absent or no text stays.
pub(crate) fn expand(table: &mut Table, keys: &[&str], faults: &mut Vec<String>) {
    for key in keys {
        let mut names = key.split('.');
        let first = names.next().and_then(|name| table.get_mut(name));
        let at = names
            .try_fold(first, |at, name| Some(at?.get_mut(name)))
            .flatten();
        let Some(Value::String(text)) = at else {
            continue;
        };
        match given(text) {
            Ok(path) => {
                if let Ok(path) = path.into_os_string().into_string() {
                    *text = path;
                }
            }
            Err(fault) => faults.push(format!("{key}: {fault}")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_tilde_is_the_home_folder_and_nothing_else_is() {
        let of = |text: &str| expanded(text, Some("/home/ada".into()));
        for (text, path) in [
            ("~", "/home/ada"),
            ("~/", "/home/ada"),
            ("~/runs/x", "/home/ada/runs/x"),
            ("~ada/x", "~ada/x"),
            ("a/~/x", "a/~/x"),
            ("./~", "./~"),
            ("/x", "/x"),
        ] {
            assert_eq!(of(text).unwrap(), PathBuf::from(path), "{text}");
        }
        assert!(expanded("~/x", None).unwrap_err().contains("HOME"));
        assert_eq!(expanded("x", None).unwrap(), PathBuf::from("x"));
    }
}
