//! What the environment says of the model hub: a recipe's model goes in, a source with cache, endpoint and token comes out.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cdpo_model::source::{Download, ModelSource};

use crate::builtin;
use crate::messages;
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
    let home = variable("HF_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache/huggingface")));
    let below_home = |name: &str| home.as_ref().map(|home| home.join(name));
    let cache = variable("HF_HUB_CACHE")
        .map(PathBuf::from)
        .or_else(|| below_home("hub"))
        .context("there is no place for downloads: set HF_HOME")?;
    let token_file = variable("HF_TOKEN_PATH")
        .map(PathBuf::from)
        .or_else(|| below_home("token"));
    let token = match (variable("HF_TOKEN"), token_file) {
        (None, Some(file)) => token_in(&file)?,
        (token, _) => token,
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
