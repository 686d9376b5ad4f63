//! Where a model comes from: a Hugging Face folder, a hub name, one GGUF file, or the program itself.
//!
//! Goes in: a [`ModelSource`]. Comes out: a [`Checkpoint`]: the checked configuration, the tokenizer, and a
//! [`TensorSource`] that hands out the weights by their Hugging Face names as f32, decoded from a file mapping.

use std::path::{Path, PathBuf};

use candle_core::DType;

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::inventory;
use crate::tokenizer::Tokenizer;

mod content;
mod embedded;
pub(crate) mod encoded;
pub(crate) mod encoding;
mod files;
mod folder;
pub(crate) mod gguf;
mod hub;
mod mapping;
mod outline;
mod safetensors;

pub use embedded::Embedded;
pub use encoded::EncodedMatrix;
pub use files::{ModelFiles, StoredWeights, WeightFiles};
pub use gguf::GgufFile;
pub use hub::Download;
pub use outline::{Outline, open_outline};
pub use safetensors::SafetensorsFolder;
pub(crate) use safetensors::{INDEX, SINGLE};

/// Weights by their Hugging Face names, in Hugging Face row order, as f32.
pub trait TensorSource: Sync {
    /// Whether the tensor `name` is there.
    fn contains(&self, name: &str) -> bool;

    /// The tensor `name`, row-major, decoded in parallel on the current rayon pool.
    ///
    /// # Errors
    /// [`Error::Tensor`] for a missing tensor, a shape other than `shape`, an encoding that is not known, and a value
    /// that is not finite.
    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>>;

    /// The matrix `name` as its file has it, for use where it lies; `None` if it can only be [read](TensorSource::read).
    ///
    /// # Errors
    /// As [`TensorSource::read`], but for values.
    fn encoded(&self, name: &str, shape: &[usize]) -> Result<Option<EncodedMatrix>> {
        let _ = (name, shape);
        Ok(None)
    }

    /// How most of the values are stored, where that is one of f32, f16 and bf16.
    fn stored_dtype(&self) -> Option<DType> {
        None
    }

    /// The stored name of a tensor that no model of this configuration has and that would change what it computes, if there is one.
    fn foreign(&self, config: &ModelConfig) -> Option<String> {
        let _ = config;
        None
    }

    /// Gives back memory that reading took, such as the pages of a mapped file; tensors can be read again.
    fn release(&self) {}
}

/// What the user named as the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// A Hugging Face folder, or a GGUF file.
    Path(PathBuf),
    /// A model on a Hugging Face hub; its files are kept in `cache` and used from there once they are complete.
    Hub {
        /// `owner/name`, or `owner/name:file.gguf` for one GGUF file of a repository.
        repo: String,
        /// Branch, tag or commit; usually `main`. The first download of a branch fixes its commit in the cache.
        revision: String,
        /// Address of the hub; `None` for `https://huggingface.co`.
        endpoint: Option<String>,
        /// Access token for private or gated models.
        token: Option<String>,
        /// The hub cache folder, laid out as Python's `huggingface_hub` does (`models--owner--name/...`).
        cache: PathBuf,
        /// Use only what is in the cache.
        offline: bool,
    },
    /// Files that are part of the program.
    Embedded(Embedded),
}

/// A model's files, opened and checked; the weights are read when the model is built.
pub struct Checkpoint {
    /// Shapes and constants.
    pub config: ModelConfig,
    /// The tokenizer that belongs to the weights.
    pub tokenizer: Tokenizer,
    /// The weights.
    pub weights: Box<dyn TensorSource + Send + Sync>,
    /// Where the model came from, for people: a path, or `owner/name@revision`.
    pub origin: String,
    /// Identifies weights and configuration for cache keys: a BLAKE3 hash over every byte of the weight files (and of
    /// `config.json` and `generation_config.json`), and over no path and no time. The tokenizer has its own,
    /// [`Tokenizer::content_id`].
    pub content_id: String,
}

/// Opens a model: reads headers, configuration and tokenizer, hashes the weights, and checks that every tensor the
/// configuration asks for is there.
///
/// # Errors
/// Missing, truncated or malformed files and unsupported models, with the file or tensor concerned and the remedy.
pub fn open(source: &ModelSource) -> Result<Checkpoint> {
    open_observed(source, &mut |_| {})
}

/// As [`open`], reporting to `observer` how downloads from a hub go on.
///
/// # Errors
/// As [`open`].
pub fn open_observed(
    source: &ModelSource,
    observer: &mut dyn FnMut(Download<'_>),
) -> Result<Checkpoint> {
    let files = open_files(source, observer)?;
    let weights = files.open_weights()?;
    Ok(Checkpoint {
        config: files.config,
        tokenizer: files.tokenizer,
        weights: weights.tensors,
        origin: files.origin,
        content_id: weights.content_id,
    })
}

/// Opens what is needed to turn text into ids: configuration and tokenizer. The weights stay closed until
/// [`ModelFiles::open_weights`]. A model on a hub is downloaded whole.
///
/// # Errors
/// As [`open`], but for what is wrong with the weights.
pub fn open_files(
    source: &ModelSource,
    observer: &mut dyn FnMut(Download<'_>),
) -> Result<ModelFiles> {
    let files = match located(source, |request| hub::fetch(request, observer))? {
        Located::Program(files) => embedded::open(&files),
        Located::Disk { path, origin } => open_path(&path, origin),
    }?;
    if files.tokenizer.vocab_size() > files.config.vocab_size {
        return Err(Error::Tokenizer(format!(
            "{}: the tokenizer has {} tokens but the model only {} embedding rows; they do not belong together",
            files.origin,
            files.tokenizer.vocab_size(),
            files.config.vocab_size
        )));
    }
    Ok(files)
}

/// Where a source's files lie.
enum Located {
    Program(Embedded),
    Disk {
        path: PathBuf,
        /// For people.
        origin: String,
    },
}

/// Finds a source's files; those of a hub are brought by `fetch`.
fn located(
    source: &ModelSource,
    fetch: impl FnOnce(&hub::Request<'_>) -> Result<PathBuf>,
) -> Result<Located> {
    Ok(match source {
        ModelSource::Path(path) => Located::Disk {
            path: path.clone(),
            origin: path.display().to_string(),
        },
        ModelSource::Embedded(files) => Located::Program(*files),
        ModelSource::Hub {
            repo,
            revision,
            endpoint,
            token,
            cache,
            offline,
        } => Located::Disk {
            path: fetch(&hub::Request {
                repo,
                revision,
                endpoint: endpoint.as_deref(),
                token: token.as_deref(),
                cache,
                offline: *offline,
            })?,
            origin: format!("{repo}@{revision}"),
        },
    })
}

fn open_path(path: &Path, origin: String) -> Result<ModelFiles> {
    let kind = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    if kind.is_dir() {
        folder::open(path, origin)
    } else {
        gguf::open(path, origin)
    }
}

/// Every tensor a model of this configuration has, with its shape, in file order.
pub fn expected_tensors(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let tensors = inventory::tensors(config).into_iter();
    tensors.map(|tensor| (tensor.name, tensor.shape)).collect()
}

/// Reports all missing tensors at once, and one that has no place, before any is read.
fn require_tensors(config: &ModelConfig, weights: &dyn TensorSource, origin: &str) -> Result<()> {
    let missing: Vec<String> = inventory::tensors(config)
        .into_iter()
        .map(|tensor| tensor.name)
        .filter(|name| !weights.contains(name))
        .collect();
    let Some(first) = missing.first() else {
        return match weights.foreign(config) {
            None => Ok(()),
            Some(name) => Err(Error::tensor(
                name,
                format!(
                    "is in {origin}, but a {} model of this configuration has no such tensor: what it would change is not computed",
                    config.family.model_type()
                ),
            )),
        };
    };
    let others = match missing.len() - 1 {
        0 => String::new(),
        n => format!(", and so are {n} others up to `{}`", missing[n]),
    };
    Err(Error::tensor(
        first,
        format!(
            "missing from {origin}{others}; the files do not fit their configuration or are incomplete"
        ),
    ))
}

/// The error for a tensor whose shape is not the one asked for.
fn shape_error(name: &str, file: &Path, found: &[usize], expected: &[usize]) -> Error {
    Error::tensor(
        name,
        format!(
            "has shape {found:?} in {}, expected {expected:?} from the model's configuration",
            file.display()
        ),
    )
}
