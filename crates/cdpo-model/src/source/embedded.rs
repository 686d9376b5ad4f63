//! A model whose files are part of the program: the same files as a Hugging Face folder's, without a folder.

use super::files::{Location, ModelFiles, StoredWeights, WeightFiles};
use super::{SafetensorsFolder, content};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::tokenizer::{Beside, Tokenizer};

/// The files' content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedded {
    /// What the model is called, for people.
    pub name: &'static str,
    /// `config.json`.
    pub config: &'static str,
    /// `tokenizer.json`.
    pub tokenizer: &'static str,
    /// `tokenizer_config.json`.
    pub tokenizer_config: &'static str,
    /// `model.safetensors`.
    pub weights: &'static [u8],
}

/// Opens configuration and tokenizer.
pub(super) fn open(files: &Embedded) -> Result<ModelFiles> {
    let mut config = ModelConfig::from_hf_json(files.config, &files.file("config.json"))?;
    let mut tokenizer = Tokenizer::from_texts(
        files.tokenizer.as_bytes(),
        Beside {
            config: Some(files.tokenizer_config),
            ..Beside::default()
        },
        files.file("tokenizer.json").as_ref(),
    )?;
    tokenizer.complete(&mut config);
    config.validate(files.name)?;
    Ok(ModelFiles {
        config,
        tokenizer,
        origin: files.name.to_owned(),
        weights: WeightFiles(Location::Embedded(*files)),
    })
}

/// Opens the weights; the content id is the one that a folder of the same files has.
pub(super) fn weights(files: &Embedded) -> Result<StoredWeights> {
    let weights = SafetensorsFolder::embedded(&files.file("model.safetensors"), files.weights)?;
    let mut parts = vec![("config.json", files.config.as_bytes())];
    parts.extend(weights.parts());
    let content_id = content::id(&parts);
    Ok(StoredWeights {
        tensors: Box::new(weights),
        content_id,
    })
}

impl Embedded {
    /// A file's name, for messages.
    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }
}
