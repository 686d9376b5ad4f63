//! A model whose files are part of the program: the same files as a Hugging Face folder's, without a folder.

use super::{Checkpoint, SafetensorsFolder, content};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::tokenizer::Tokenizer;

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

/// Opens the files; the content id is the one that a folder of them has.
pub(super) fn open(files: &Embedded) -> Result<Checkpoint> {
    let file = |name: &str| format!("{}/{name}", files.name);
    let mut config = ModelConfig::from_hf_json(files.config, &file("config.json"))?;
    let weights = SafetensorsFolder::embedded(&file("model.safetensors"), files.weights)?;
    let mut parts = vec![("config.json", files.config.as_bytes())];
    parts.extend(weights.parts());
    let content_id = content::id(&parts);
    let mut tokenizer = Tokenizer::from_texts(
        files.tokenizer.as_bytes(),
        Some(files.tokenizer_config),
        file("tokenizer.json").as_ref(),
    )?;
    tokenizer.complete(&mut config);
    config.validate(files.name)?;
    Ok(Checkpoint {
        config,
        tokenizer,
        weights: Box::new(weights),
        origin: files.name.to_owned(),
        content_id,
    })
}
