//! A Hugging Face folder: config.json, generation_config.json, tokenizer.json and safetensors weights.

use std::path::Path;

use super::files::{Location, ModelFiles, StoredWeights, WeightFiles};
use super::{SafetensorsFolder, content};
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

pub(super) fn open(folder: &Path, origin: String) -> Result<ModelFiles> {
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
    SafetensorsFolder::expect(folder)?;
    let mut tokenizer = Tokenizer::from_file(&folder.join("tokenizer.json"))?;
    tokenizer.compare("config.json", config.bos, &config.eos);
    if let Some(text) = &generation {
        let origin = folder.join("generation_config.json").display().to_string();
        let (bos, eos) = ModelConfig::generation_ids(text, &origin)?;
        tokenizer.compare("generation_config.json", bos, &eos);
        config.add_generation_config(text, &origin)?;
    }
    tokenizer.complete(&mut config);
    config.validate(&origin)?;
    let mut texts = vec![("config.json", config_text)];
    texts.extend(generation.map(|text| ("generation_config.json", text)));
    Ok(ModelFiles {
        config,
        tokenizer,
        origin,
        weights: WeightFiles(Location::Folder(folder.to_path_buf(), texts)),
    })
}

/// Opens the folder's weights; `texts` belong to their content.
pub(super) fn weights(folder: &Path, texts: &[(&'static str, String)]) -> Result<StoredWeights> {
    let weights = SafetensorsFolder::open(folder)?;
    let mut parts: Vec<(&str, &[u8])> = texts
        .iter()
        .map(|(name, text)| (*name, text.as_bytes()))
        .collect();
    parts.extend(weights.parts());
    let content_id = content::id(&parts);
    Ok(StoredWeights {
        tensors: Box::new(weights),
        content_id,
    })
}
