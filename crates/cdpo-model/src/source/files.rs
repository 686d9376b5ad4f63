//! A model's files in two steps: what turns text into ids first, what gives log-probabilities when it is asked for.
//!
//! Goes in: a place that configuration and tokenizer were read from. Comes out: its weights, checked against the configuration, with
//! the hash of their content.

use std::path::{Path, PathBuf};

use super::{Embedded, TensorSource, embedded, folder, gguf, require_tensors};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::tokenizer::Tokenizer;

/// A model whose weights are still closed.
pub struct ModelFiles {
    /// Shapes and constants.
    pub config: ModelConfig,
    /// The tokenizer that belongs to the weights.
    pub tokenizer: Tokenizer,
    /// Where the model came from, for people: a path, or `owner/name@revision`.
    pub origin: String,
    /// Where its weights are.
    pub weights: WeightFiles,
}

impl ModelFiles {
    /// Opens the weights: see [`WeightFiles::open`].
    ///
    /// # Errors
    /// As [`WeightFiles::open`].
    pub fn open_weights(&self) -> Result<StoredWeights> {
        self.weights.open(&self.config, &self.origin)
    }
}

/// Where a model's weights are; none of their bytes has been read.
pub struct WeightFiles(pub(super) Location);

pub(super) enum Location {
    /// A Hugging Face folder, with the texts that belong to the content as they were read: name and text.
    Folder(PathBuf, Vec<(&'static str, String)>),
    Gguf(PathBuf),
    Embedded(Embedded),
}

/// A model's weights, opened and checked; a tensor is read when the model is built.
pub struct StoredWeights {
    /// The tensors by name.
    pub tensors: Box<dyn TensorSource + Send + Sync>,
    /// Identifies weights and configuration for cache keys: see [`super::Checkpoint::content_id`].
    pub content_id: String,
}

impl WeightFiles {
    /// The Hugging Face folder that they lie in, if they lie in one.
    pub fn folder(&self) -> Option<&Path> {
        match &self.0 {
            Location::Folder(path, _) => Some(path),
            Location::Gguf(_) | Location::Embedded(_) => None,
        }
    }

    /// Bytes of the files, which stay on the disk until they are opened; `None` if there are none there, as of a model that is part of
    /// the program.
    pub fn bytes(&self) -> Option<u64> {
        match &self.0 {
            Location::Folder(path, _) => folder::bytes(path),
            Location::Gguf(path) => gguf::bytes(path),
            Location::Embedded(_) => None,
        }
    }

    /// Opens the files, hashes every byte of them, and checks that every tensor that `config` asks for is there; `origin` is for
    /// messages.
    ///
    /// # Errors
    /// Missing, truncated or malformed files, with the file or tensor concerned and the remedy.
    pub fn open(&self, config: &ModelConfig, origin: &str) -> Result<StoredWeights> {
        let weights = match &self.0 {
            Location::Folder(path, texts) => folder::weights(path, texts)?,
            Location::Gguf(path) => gguf::weights(path)?,
            Location::Embedded(files) => embedded::weights(files)?,
        };
        require_tensors(config, weights.tensors.as_ref(), origin)?;
        Ok(weights)
    }
}
