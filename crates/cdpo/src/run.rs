//! A run: its recipe, folder and seed, what was opened for it, and which of its stages are done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cdpo_data::artifact::{Manifest, hash_json};
use cdpo_model::source::open_files;
use cdpo_model::{KvCache, Products};

use crate::base_model::BaseModel;
use crate::prompt::Prompt;
use crate::recipe::{ModelSection, Recipe};
use crate::vocabulary::Vocabulary;
use crate::{files, hub};

/// Which stage: by its name, which is its folder's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StageId {
    pub(crate) name: String,
    /// Whether every seed of a run has the same outcome, so that it is done once for all.
    pub(crate) shared: bool,
}

impl StageId {
    /// A stage that is done once for all seeds.
    pub(crate) fn shared(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            shared: true,
        }
    }

    /// A stage that each seed has of its own.
    pub(crate) fn of_seed(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            shared: false,
        }
    }
}

/// A run under way.
pub(crate) struct Run {
    pub(crate) recipe: Recipe,
    pub(crate) dir: PathBuf,
    /// The seeds of the run; the recipe's is the one at hand.
    pub(crate) seeds: Vec<u64>,
    /// Folder of the stages that depend on the seed at hand.
    pub(crate) home: PathBuf,
    /// Folders of runs whose finished stages are taken over where they are the same.
    pub(crate) siblings: Vec<PathBuf>,
    /// What text becomes ids.
    pub(crate) vocabulary: Vocabulary,
    /// How a question becomes a prompt.
    pub(crate) prompt: Prompt,
    /// What gives log-probabilities.
    pub(crate) base: BaseModel,
    done: BTreeMap<StageId, Manifest>,
}

/// Opens a recipe's model, its weights still closed, and says what was resolved of its special tokens.
pub(crate) fn open_model(
    section: &ModelSection,
    products: Products,
) -> anyhow::Result<(Vocabulary, BaseModel)> {
    let source = hub::source(section)?;
    let files = open_files(&source, &mut hub::downloads()).context("the model cannot be opened")?;
    let (tokenizer, base) = BaseModel::of(files, section.weights, products);
    let vocabulary = Vocabulary::resolve(tokenizer, &base.config, &base.origin, section.bos)?;
    Ok((vocabulary, base))
}

impl Run {
    /// Opens the tokenizer and the prompt; nothing is written, and no weights are opened.
    pub(crate) fn new(recipe: Recipe) -> anyhow::Result<Self> {
        let (mut vocabulary, base) = open_model(&recipe.model, recipe.run.products)?;
        let prompt = Prompt::new(&recipe.prompt, &mut vocabulary, recipe.model.bos)?;
        if recipe.train.few_shot {
            prompt.check_few_shot()?;
        }
        let dir = recipe.run.dir.join(&recipe.run.name);
        Ok(Self {
            seeds: recipe.seeds(),
            home: dir.clone(),
            dir,
            siblings: Vec::new(),
            recipe,
            vocabulary,
            prompt,
            base,
            done: BTreeMap::new(),
        })
    }

    /// Tokens whose keys and values the cache of a decoding stage has room for.
    pub(crate) fn cache_tokens(&self) -> usize {
        let sample = &self.recipe.sample;
        // A model that draws is open.
        let form = self
            .base
            .device()
            .map_or(sample.kv, |device| sample.kv.on(device));
        let bytes = KvCache::bytes_per_token(&self.base.config, form);
        (sample.cache_mib << 20) / bytes.max(1)
    }

    /// Goes over to another seed of the run; what does not depend on it stays done.
    pub(crate) fn turn_to(&mut self, seed: u64) {
        if seed == self.recipe.run.seed {
            return;
        }
        self.done.retain(|id, _| id.shared);
        self.recipe = self.recipe.with_seed(seed);
        self.home = self.home_of(seed);
    }

    /// Folder of the stages that depend on a seed: the run's own for its first seed, `seed-N` in it for another.
    pub(crate) fn home_of(&self, seed: u64) -> PathBuf {
        if self.seeds.first() == Some(&seed) {
            self.dir.clone()
        } else {
            self.dir.join(format!("seed-{seed}"))
        }
    }

    /// The folder that a stage's own folder lies in.
    pub(crate) fn folder(&self, id: &StageId) -> &Path {
        if id.shared { &self.dir } else { &self.home }
    }

    /// The path of a finished or coming output.
    pub(crate) fn path(&self, id: &StageId, file: &str) -> PathBuf {
        self.folder(id).join(&id.name).join(file)
    }

    /// The hash of a finished stage's output (for a folder, of its files); `None` as long as it is not done.
    pub(crate) fn output(&self, id: &StageId, file: &str) -> Option<String> {
        let manifest = self.done.get(id)?;
        if let Some(hash) = manifest.outputs.get(file) {
            return Some(hash.clone());
        }
        let folder = format!("{file}/");
        let files: BTreeMap<&String, &String> = manifest
            .outputs
            .iter()
            .filter(|(name, _)| name.starts_with(&folder))
            .collect();
        (!files.is_empty()).then(|| hash_json(&serde_json::json!(files)))
    }

    /// A finished stage's manifest.
    pub(crate) fn manifest(&self, id: &StageId) -> Option<&Manifest> {
        self.done.get(id)
    }

    /// A stage is done.
    pub(crate) fn finished(&mut self, id: StageId, manifest: Manifest) {
        self.done.insert(id, manifest);
    }

    /// Writes the resolved recipe into the run's folder; by it, other commands know the folder.
    pub(crate) fn keep_recipe(&self) -> anyhow::Result<()> {
        let resolved = self.recipe.to_toml()?;
        files::write(&self.dir.join("recipe.toml"), resolved.as_bytes())
    }
}
