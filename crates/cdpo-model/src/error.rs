//! The crate's one error type. Every message names the file, tensor or row concerned, what was expected and what to do.

use std::path::PathBuf;

/// Result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between a model file and a gradient.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor operation failed in the tensor library.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A model file or folder is damaged or not of the expected form.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The model configuration is incomplete or not supported.
    #[error("model configuration: {0}")]
    Config(String),
    /// A tensor is missing, has the wrong shape or holds values that are not finite.
    #[error("tensor `{name}`: {reason}")]
    Tensor {
        /// The tensor's Hugging Face name.
        name: String,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// The tokenizer could not be built or applied.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// An adapter's configuration or tensors do not fit the model.
    #[error("adapter: {0}")]
    Adapter(String),
    /// A model hub could not be reached or refused.
    #[error("hub: {0}")]
    Hub(String),
    /// A sequence does not fit the model's context or the cache.
    #[error("context: {0}")]
    Context(String),
    /// A computed value is not finite.
    #[error("not finite: {0}")]
    NotFinite(String),
    /// The caller broke a documented condition.
    #[error("invalid call: {0}")]
    Invalid(String),
}

impl Error {
    /// An I/O error on `path`.
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            source,
        }
    }

    /// A damaged or unexpected file.
    pub(crate) fn file(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::File {
            path: path.into(),
            reason: reason.into(),
        }
    }

    /// A tensor that does not fit.
    pub(crate) fn tensor(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Tensor {
            name: name.into(),
            reason: reason.into(),
        }
    }
}
