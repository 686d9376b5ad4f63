//! A Hugging Face folder: config.json, generation_config.json, tokenizer.json and safetensors weights.

use std::path::Path;

use super::files::{Location, ModelFiles, StoredWeights, WeightFiles};
use super::safetensors::{INDEX, SINGLE, indexed_files};
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
    let texts = Texts::read(folder)?;
    SafetensorsFolder::expect(folder)?;
    let mut tokenizer = Tokenizer::from_file(&folder.join(TOKENIZER))?;
    let config = texts.complete(&mut tokenizer, &origin)?;
    let mut named = vec![("config.json", texts.config)];
    named.extend(
        texts
            .generation
            .map(|text| ("generation_config.json", text)),
    );
    Ok(ModelFiles {
        config,
        tokenizer,
        origin,
        weights: WeightFiles(Location::Folder(folder.to_path_buf(), named)),
    })
}

/// Configuration, and the tokenizer if there is one, of a folder that need have no weights.
pub(super) fn outline(folder: &Path, origin: &str) -> Result<(ModelConfig, Option<Tokenizer>)> {
    let texts = Texts::read(folder)?;
    let path = folder.join(TOKENIZER);
    if !path.exists() {
        let config = texts.parsed.clone();
        config.validate(origin)?;
        return Ok((config, None));
    }
    let mut tokenizer = Tokenizer::from_file(&path)?;
    let config = texts.complete(&mut tokenizer, origin)?;
    Ok((config, Some(tokenizer)))
}

const TOKENIZER: &str = "tokenizer.json";

/// The texts that configure a folder's model.
struct Texts<'f> {
    folder: &'f Path,
    config: String,
    parsed: ModelConfig,
    generation: Option<String>,
}

impl<'f> Texts<'f> {
    fn read(folder: &'f Path) -> Result<Self> {
        let Some(config) = optional_text(folder, "config.json")? else {
            return Err(Error::file(
                folder,
                "no config.json in this folder; name a Hugging Face model folder, a GGUF file or a hub model",
            ));
        };
        let name = folder.join("config.json").display().to_string();
        Ok(Self {
            folder,
            parsed: ModelConfig::from_hf_json(&config, &name)?,
            generation: optional_text(folder, "generation_config.json")?,
            config,
        })
    }

    /// The configuration with what tokenizer and generation settings add; what they say against each other is noted.
    fn complete(&self, tokenizer: &mut Tokenizer, origin: &str) -> Result<ModelConfig> {
        let mut config = self.parsed.clone();
        tokenizer.compare("config.json", config.bos, &config.eos);
        if let Some(text) = &self.generation {
            let origin = self.folder.join("generation_config.json");
            let origin = origin.display().to_string();
            let (bos, eos) = ModelConfig::generation_ids(text, &origin)?;
            tokenizer.compare("generation_config.json", bos, &eos);
            config.add_generation_config(text, &origin)?;
        }
        tokenizer.complete(&mut config);
        config.validate(origin)?;
        Ok(config)
    }
}

/// Bytes of the files that [`weights`] would open; `None` if one of them is not there.
pub(super) fn bytes(folder: &Path) -> Option<u64> {
    let of = |name: &str| Some(std::fs::metadata(folder.join(name)).ok()?.len());
    if let Some(bytes) = of(SINGLE) {
        return Some(bytes);
    }
    let files = indexed_files(&folder.join(INDEX)).ok()?;
    files.iter().map(|name| of(name)).sum()
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
