//! A model without its weights: what can be said of it from its configuration.
//!
//! Goes in: a [`ModelSource`], of which the weights need not be there. Comes out: an [`Outline`].

use std::path::Path;

use super::{Download, Located, ModelFiles, ModelSource, embedded, folder, gguf, hub, located};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::tokenizer::Tokenizer;

/// A model's configuration and, where it is there, its tokenizer.
pub struct Outline {
    /// Shapes and constants.
    pub config: ModelConfig,
    /// The tokenizer, if there is one.
    pub tokenizer: Option<Tokenizer>,
    /// Where it came from, for people.
    pub origin: String,
    /// Bytes of the weight files, if they are there.
    pub stored_bytes: Option<u64>,
}

impl Outline {
    fn of(files: ModelFiles) -> Self {
        Self {
            stored_bytes: files.weights.bytes(),
            config: files.config,
            tokenizer: Some(files.tokenizer),
            origin: files.origin,
        }
    }
}

/// Reads a model's configuration and tokenizer. A folder needs `config.json` alone, and of a model on a hub the small files alone are
/// fetched. A path may also name a `config.json` itself.
///
/// # Errors
/// As [`super::open_files`], but for what is missing besides the configuration; a GGUF file of a hub that is not in the cache.
pub fn open_outline(
    source: &ModelSource,
    observer: &mut dyn FnMut(Download<'_>),
) -> Result<Outline> {
    let (path, origin) = match located(source, |request| hub::fetch_outline(request, observer))? {
        Located::Program(files) => return embedded::open(&files).map(Outline::of),
        Located::Disk { path, origin } => (path, origin),
    };
    let kind = std::fs::metadata(&path).map_err(|e| Error::io(&path, e))?;
    if kind.is_dir() {
        return of_folder(&path, origin);
    }
    if path.extension().is_some_and(|e| e == "json") {
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
        let config = ModelConfig::from_hf_json(&text, &origin)?;
        config.validate(&origin)?;
        return Ok(Outline {
            config,
            tokenizer: None,
            origin,
            stored_bytes: None,
        });
    }
    gguf::open(&path, origin).map(Outline::of)
}

fn of_folder(path: &Path, origin: String) -> Result<Outline> {
    let (config, tokenizer) = folder::outline(path, &origin)?;
    Ok(Outline {
        config,
        tokenizer,
        stored_bytes: folder::bytes(path),
        origin,
    })
}
