//! What the environment says of the model hub: a recipe's model goes in, a source with cache, endpoint and token comes out.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cdpo_model::source::{Download, ModelSource};

use crate::builtin;
use crate::messages;
use crate::paths;
use crate::progress::ProgressLine;
use crate::recipe::ModelSection;

/// Where the recipe's model is; the hub's settings come from the environment.
pub(crate) fn source(section: &ModelSection) -> anyhow::Result<ModelSource> {
    if let Some(path) = &section.path {
        if let Some(name) = builtin::name(path) {
            return Ok(ModelSource::Embedded(*builtin::model(name)?));
        }
        return Ok(ModelSource::Path(path.clone()));
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Places { cache, token_file } = places(&variable, paths::home().as_deref())?;
    let token = match variable("HF_TOKEN").or_else(|| variable("HUGGING_FACE_HUB_TOKEN")) {
        None => token_file.map_or(Ok(None), |file| token_in(&file))?,
        token => token,
    };
    Ok(ModelSource::Hub {
        repo: section.hub.clone().unwrap_or_default(),
        revision: section.revision.clone().unwrap_or_else(|| "main".into()),
        endpoint: variable("HF_ENDPOINT"),
        token,
        cache,
        offline: variable("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value)),
    })
}

/// Where the hub's files lie.
#[derive(Debug, PartialEq, Eq)]
struct Places {
    cache: PathBuf,
    /// Where there is a place for one.
    token_file: Option<PathBuf>,
}

/// The folders that Python's `huggingface_hub` takes, from the same variables: `HF_HUB_CACHE`, else `HUGGINGFACE_HUB_CACHE`, else `hub`
/// in `HF_HOME`, which is `huggingface` in `XDG_CACHE_HOME` unless it is set, and that `~/.cache`.
fn places(
    variable: &dyn Fn(&str) -> Option<String>,
    user: Option<&Path>,
) -> anyhow::Result<Places> {
    let given = |text: &str| paths::expanded(text, user.map(Path::to_path_buf));
    let path = |name: &str| variable(name).map(|text| given(&text)).transpose();
    let of = || -> Result<Places, String> {
        let home = || match (path("HF_HOME")?, path("XDG_CACHE_HOME")?) {
            (Some(home), _) => Ok(home),
            (None, Some(caches)) => Ok(caches.join("huggingface")),
            (None, None) => given("~/.cache/huggingface"),
        };
        let cache = match (path("HF_HUB_CACHE")?, path("HUGGINGFACE_HUB_CACHE")?) {
            (Some(cache), _) | (None, Some(cache)) => cache,
            (None, None) => home()?.join("hub"),
        };
        let token_file = match path("HF_TOKEN_PATH")? {
            Some(file) => Some(file),
            None => home().ok().map(|home| home.join("token")),
        };
        Ok(Places { cache, token_file })
    };
    of().map_err(|fault| {
        anyhow::anyhow!("there is no place for downloads: {fault}, or set HF_HOME")
    })
}

/// Whether a variable's value switches its setting on, by the rule of Python's `huggingface_hub`.
fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str())
}

/// The token that `hf auth login` left, if any.
fn token_in(file: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| {
            format!(
                "the access token in {} cannot be read; set HF_TOKEN instead",
                file.display()
            )
        }),
    }
}

/// Reports how a download goes on: at its start, now and then, at its end.
pub(crate) fn downloads() -> impl FnMut(Download<'_>) {
    let mut bar: Option<(String, ProgressLine)> = None;
    move |download| {
        const MIB: u64 = 1 << 20;
        if bar.as_ref().is_none_or(|(file, _)| file != download.file) {
            messages::say(format_args!("fetching {}", download.file));
            let progress = ProgressLine::new("MiB", download.done / MIB, download.total / MIB);
            bar = Some((download.file.to_owned(), progress));
        }
        if let Some((file, progress)) = &mut bar {
            progress.at(download.done / MIB, || file.clone());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_true_by_the_hubs_rule() {
        assert!(["1", "on", "Yes", "TRUE"].into_iter().all(is_true));
        assert!(!["0", "false", "no", "off", "2"].into_iter().any(is_true));
    }

    #[test]
    fn the_cache_is_where_huggingface_hub_has_it() {
        let all = [
            ("HF_HUB_CACHE", "/a", "/a"),
            ("HUGGINGFACE_HUB_CACHE", "/b", "/b"),
            ("HF_HOME", "/c", "/c/hub"),
            ("XDG_CACHE_HOME", "/d", "/d/huggingface/hub"),
        ];
        let home = PathBuf::from("/home/ada");
        for first in 0..=all.len() {
            let set = &all[first..];
            let variable = |name: &str| {
                let found = set.iter().find(|(known, ..)| *known == name);
                found.map(|(_, value, _)| (*value).to_owned())
            };
            let found = places(&variable, Some(&home)).unwrap();
            let cache = set
                .first()
                .map_or(home.join(".cache/huggingface/hub"), |(.., cache)| {
                    cache.into()
                });
            assert_eq!(found.cache, cache);
            let token = match first {
                0..=2 => "/c/token".into(),
                3 => "/d/huggingface/token".into(),
                _ => home.join(".cache/huggingface/token"),
            };
            assert_eq!(found.token_file, Some(token));
        }
        let of = |name: &'static str, value: &'static str, user: Option<&PathBuf>| {
            let variable = move |asked: &str| (asked == name).then(|| value.to_owned());
            places(&variable, user.map(PathBuf::as_path))
        };
        let tilde = of("HF_HOME", "~/hf", Some(&home)).unwrap();
        assert_eq!(tilde.cache, home.join("hf/hub"));
        let file = of("HF_TOKEN_PATH", "/t", Some(&home)).unwrap();
        assert_eq!(file.token_file, Some("/t".into()));
        // Without a home folder there is no usual place for a token, and none is needed.
        let cache = of("HF_HUB_CACHE", "/a", None).unwrap();
        assert_eq!((cache.cache, cache.token_file), ("/a".into(), None));
        let none = of("HF_HOME", "~/hf", None).unwrap_err().to_string();
        assert!(none.contains("~/hf"), "{none}");
    }

    #[test]
    fn the_token_file_holds_one_token_and_may_be_absent() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        assert_eq!(token_in(&file).unwrap(), None);
        std::fs::write(&file, "abc\n").unwrap();
        assert_eq!(token_in(&file).unwrap().as_deref(), Some("abc"));
        std::fs::write(&file, "\n").unwrap();
        assert_eq!(token_in(&file).unwrap(), None);
    }
}
