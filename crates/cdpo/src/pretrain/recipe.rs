//! The pre-training recipe.

use std::path::Path;

use anyhow::Context as _;
use cdpo_model::{ModelConfig, Tokenizer};
use cdpo_train::{Method, Parameters, TrainSettings};
use serde::Deserialize;
use serde_json::json;

use crate::outcome::Usage;
use crate::paths;
use crate::recipe::{RunSection, apply};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipe {
    #[serde(default)]
    pub(super) run: RunSection,
    pub(super) corpus: Corpus,
    pub(super) model: Shape,
    pub(super) train: TrainSettings,
    pub(super) eval: Eval,
}

/// What to train on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Corpus {
    /// Seed of the generator, also of the held-out questions.
    pub(super) seed: u64,
    /// Examples of an epoch.
    pub(super) examples: u64,
}

/// The model's shape, and how its values begin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    layers: usize,
    hidden_size: usize,
    intermediate_size: usize,
    heads: usize,
    kv_heads: usize,
    max_positions: usize,
    pub(super) init_std: f64,
}

/// The look at held-out questions at every checkpoint.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Eval {
    pub(super) questions: usize,
    pub(super) max_new_tokens: usize,
}

impl Shape {
    /// The configuration of a LLaMA with tied embeddings over the tokenizer's vocabulary.
    pub(super) fn config(&self, tokenizer: &Tokenizer) -> anyhow::Result<ModelConfig> {
        let config = json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": tokenizer.vocab_size(),
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "tie_word_embeddings": true,
            "max_position_embeddings": self.max_positions,
            "eos_token_id": tokenizer.eos().first(),
        });
        let origin = "the recipe's [model]";
        let config = ModelConfig::from_hf_json(&config.to_string(), origin)?;
        config.validate(origin)?;
        Ok(config)
    }
}

/// Reads the recipe at `path`, changed by `sets`.
pub(super) fn read(path: &Path, sets: &[String]) -> anyhow::Result<Recipe> {
    let fault = |text: String| Usage(format!("the recipe {}: {text}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| fault(format!("cannot be read: {e}")))?;
    let mut table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| fault(e.to_string()))?;
    for set in sets {
        apply(&mut table, set).map_err(&fault)?;
    }
    let mut faults = Vec::new();
    paths::expand(&mut table, &["run.dir"], &mut faults);
    if let Some(first) = faults.pop() {
        return Err(fault(first).into());
    }
    let mut recipe: Recipe = table
        .try_into()
        .map_err(|e: toml::de::Error| fault(e.to_string()))?;
    if recipe.run.name.is_empty() {
        let stem = path.file_stem().context("the recipe's file has no name")?;
        recipe.run.name = stem.to_string_lossy().into_owned();
    }
    recipe.train.method = Method::SFT;
    recipe.train.parameters = Some(Parameters::All);
    recipe.train.seed.get_or_insert(recipe.run.seed);
    recipe.train.validate().map_err(|e| fault(e.to_string()))?;
    Ok(recipe)
}
