//! A Hugging Face folder: config.json, generation_config.json, tokenizer.json and safetensors weights.

use std::path::Path;

use super::{Checkpoint, SafetensorsFolder, content};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::tokenizer::Tokenizer;

/// The text of `folder/name`; `None` if there is no such file.
pub(super) fn optional_text(folder: &Path, name: &str) -> Result<Option<String>> {
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(path, e)),
    }
}

pub(super) fn open(folder: &Path, origin: String) -> Result<Checkpoint> {
    let Some(config_text) = optional_text(folder, "config.json")? else {
        return Err(Error::file(
            folder,
            "no config.json in this folder; name a Hugging Face model folder, a GGUF file or a hub model",
        ));
    };
    let mut config = ModelConfig::from_hf_json(
        &config_text,
        &folder.join("config.json").display().to_string(),
    )?;
    let generation = optional_text(folder, "generation_config.json")?;
    if let Some(text) = &generation {
        config.add_generation_config(
            text,
            &folder.join("generation_config.json").display().to_string(),
        )?;
    }
    let weights = SafetensorsFolder::open(folder)?;
    let mut parts = vec![("config.json", config_text.as_bytes())];
    if let Some(text) = &generation {
        parts.push(("generation_config.json", text.as_bytes()));
    }
    parts.extend(weights.parts());
    let (tokenizer, content_id) = rayon::join(
        || Tokenizer::from_file(&folder.join("tokenizer.json")),
        || content::id(&parts),
    );
    let mut tokenizer = tokenizer?;
    tokenizer.complete(&mut config);
    config.validate(&origin)?;
    Ok(Checkpoint {
        config,
        tokenizer,
        weights: Box::new(weights),
        origin,
        content_id,
    })
}
