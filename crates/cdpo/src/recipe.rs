//! The recipe: a TOML file and `--set` changes go in; checked settings, or all faults together, come out.

mod check;
mod keys;
mod parse;
mod rollout;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use cdpo_critical::SelectionSettings;
use cdpo_data::OnBadRow;
use cdpo_data::chat::Variable;
use cdpo_data::problems::{Columns, Format};
use cdpo_grade::GradeOptions;
use cdpo_model::{KvForm, LoraConfig, Products};
use cdpo_sample::ServerSettings;
use cdpo_train::{Method, TrainSettings};
use serde::{Deserialize, Serialize};

pub(crate) use parse::{apply, from_text, read, read_changed};
pub(crate) use rollout::{Of, RolloutSection};

/// Everything a run is set by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Recipe {
    pub(crate) methods: Vec<Method>,
    pub(crate) run: RunSection,
    pub(crate) model: ModelSection,
    pub(crate) data: DataSection,
    pub(crate) prompt: PromptSection,
    pub(crate) sample: SampleSection,
    pub(crate) grade: GradeOptions,
    pub(crate) select: SelectionSettings,
    pub(crate) ce: CeSection,
    pub(crate) train: TrainSection,
    pub(crate) rollout: RolloutSection,
    pub(crate) eval: EvalSection,
    /// An adapter to evaluate that no stage made; no part of the recipe's file.
    #[serde(skip)]
    pub(crate) given_adapter: Option<PathBuf>,
    /// The part of the training questions to sample; no part of the recipe's file.
    #[serde(skip)]
    pub(crate) shard: Option<Shard>,
}

/// One of several parts, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) number: u32,
    pub(crate) of: u32,
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(number, of)| {
            let (number, of) = (number.parse().ok()?, of.parse().ok()?);
            (1 <= number && number <= of).then_some(Self { number, of })
        });
        parsed.ok_or_else(|| format!("{text:?} is no part: 2/8, the second of eight, is one"))
    }
}

impl Recipe {
    /// The seeds to train with, the run's own first.
    pub(crate) fn seeds(&self) -> Vec<u64> {
        let first = self.run.seed;
        (0..u64::from(self.run.seeds))
            .map(|i| first.wrapping_add(i))
            .collect()
    }

    /// What is trained: the methods, and before them the fine-tuned model that some of them start from.
    pub(crate) fn trainings(&self) -> Vec<Method> {
        let mut trainings = self.methods.clone();
        let starts = self.methods.iter().any(|method| method.starts_from_sft());
        if starts {
            trainings.retain(|method| *method != Method::SFT);
            trainings.insert(0, Method::SFT);
        }
        trainings
    }

    /// The rows of the table of methods: the base and every method.
    pub(crate) fn rows(&self) -> Vec<Option<Method>> {
        std::iter::once(None)
            .chain(self.methods.iter().copied().map(Some))
            .collect()
    }

    /// What every method is compared with: the base, and DPO if it is among several methods.
    pub(crate) fn baselines(&self) -> Vec<&'static str> {
        let mut baselines = vec!["base"];
        if self.methods.contains(&Method::DPO) && self.methods.len() > 1 {
            baselines.push(Method::DPO.name());
        }
        baselines
    }

    /// Whether rollouts may end before they would by themselves: if the extraction rule can settle a response.
    pub(crate) fn stops_early(&self) -> bool {
        self.rollout.early_stop && self.grade.extraction.settles()
    }

    /// The same recipe with another seed for all that comes after the samples. A training whose seed is its own keeps it.
    pub(crate) fn with_seed(&self, seed: u64) -> Self {
        let mut other = self.clone();
        other.run.seed = seed;
        let trainings = other.train.methods.values_mut();
        for settings in trainings.chain([&mut other.ce.train]) {
            if settings.seed == Some(self.run.seed) {
                settings.seed = Some(seed);
            }
        }
        other
    }

    /// The recipe with every value that applies written out; it can be run again.
    pub(crate) fn to_toml(&self) -> anyhow::Result<String> {
        let mut table = toml::Table::try_from(self)?;
        // The method is the section's name.
        if let Some(train) = table.get_mut("ce").and_then(|ce| ce.get_mut("train")) {
            forget_method(train);
        }
        if let Some(train) = table.get_mut("train").and_then(|v| v.as_table_mut()) {
            train
                .iter_mut()
                .for_each(|(_, section)| forget_method(section));
        }
        Ok(toml::to_string(&table)?)
    }
}

fn forget_method(section: &mut toml::Value) {
    if let Some(section) = section.as_table_mut() {
        section.remove("method");
    }
}

/// Where the run's files go, and what it draws on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RunSection {
    /// Name of the run's folder.
    pub(crate) name: String,
    /// Folder of all runs.
    pub(crate) dir: PathBuf,
    /// Seed of every draw.
    pub(crate) seed: u64,
    /// How many seeds to train with, from `seed` on; the samples are shared.
    pub(crate) seeds: u32,
    /// Threads; 0 for one on each core.
    pub(crate) threads: usize,
    /// How exact products with frozen weights are.
    pub(crate) products: Products,
}

impl Default for RunSection {
    fn default() -> Self {
        Self {
            name: String::new(),
            dir: "runs".into(),
            seed: 0,
            seeds: 1,
            threads: 0,
            products: Products::Exact,
        }
    }
}

/// Whether a beginning-of-sequence token stands in front of every prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bos {
    /// As the model's files say.
    #[default]
    Auto,
    /// Always.
    True,
    /// Never.
    False,
}

/// How a model's weights are held in memory, which changes no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WeightMemory {
    /// As f32 up to 4 GiB of it, else as stored.
    #[default]
    Auto,
    /// Decoded once, as f32.
    F32,
    /// As the model's file has them, decoded a tile at a time when they are used.
    Stored,
}

/// Which model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ModelSection {
    /// A Hugging Face folder or a GGUF file.
    pub(crate) path: Option<PathBuf>,
    /// A hub name, `owner/name` or `owner/name:file.gguf`.
    pub(crate) hub: Option<String>,
    /// Branch, tag or commit on the hub; `main` if left out.
    pub(crate) revision: Option<String>,
    /// Beginning-of-sequence token.
    pub(crate) bos: Bos,
    /// How weights are held in memory.
    pub(crate) weights: WeightMemory,
}

/// Which questions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DataSection {
    /// Questions to sample and train on.
    pub(crate) train: PathBuf,
    /// Held-out questions.
    pub(crate) test: PathBuf,
    /// Preference pairs to train on instead of sampling: TRL's columns, or a run's own `pairs.jsonl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pairs: Option<PathBuf>,
    /// Form of both files.
    pub(crate) format: Format,
    /// Take the first so many training questions.
    pub(crate) train_limit: Option<usize>,
    /// What to do with a row that cannot be used.
    pub(crate) on_bad_row: OnBadRow,
    /// Column names of a generic file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) columns: Option<Columns>,
}

/// How a question becomes a prompt.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PromptSection {
    /// `none`, `chat`, or a template's file.
    pub(crate) template: Template,
    /// `gsm8k`, `math` or `custom`.
    pub(crate) framing: FramingName,
    /// Exemplars in front of the question when sampling and evaluating; all of the set if left out.
    pub(crate) shots: Option<usize>,
    /// A file of exemplars instead of the framing's own.
    pub(crate) exemplars: Option<PathBuf>,
    /// Custom framing: stands before the question.
    pub(crate) question_prefix: Option<String>,
    /// Custom framing: stands between question and response.
    pub(crate) answer_prefix: Option<String>,
    /// Custom framing: stands behind each exemplar.
    pub(crate) separator: Option<String>,
    /// Texts that end a response; the framing's own if left out.
    pub(crate) stop: Option<Vec<String>>,
    /// Chat: the system's message; none if left out.
    pub(crate) system: Option<String>,
    /// Chat: stands behind the question, on a line of its own.
    pub(crate) instruction: Option<String>,
    /// Chat: what every response begins with; part of the prompt.
    pub(crate) assistant_prefix: Option<String>,
    /// Chat: what the template takes for today.
    pub(crate) date: Option<String>,
    /// Chat: further variables of the template.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) variables: BTreeMap<String, Variable>,
}

/// Whether questions are asked as turns of a chat, and by which template.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(crate) enum Template {
    /// As plain text, in the recipe's framing.
    #[default]
    None,
    /// By the model's own template.
    Chat,
    /// By the template in a file.
    File(PathBuf),
}

impl From<String> for Template {
    fn from(text: String) -> Self {
        match text.as_str() {
            "none" => Self::None,
            "chat" => Self::Chat,
            _ => Self::File(text.into()),
        }
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        match template {
            Template::None => "none".into(),
            Template::Chat => "chat".into(),
            Template::File(path) => path.to_string_lossy().into_owned(),
        }
    }
}

/// The framings known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FramingName {
    /// `Question: ..\nAnswer:`.
    #[default]
    Gsm8k,
    /// `Problem: ..\nSolution:`.
    Math,
    /// The recipe's own.
    Custom,
}

/// How the training questions are sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SampleSection {
    /// Samples of each question.
    pub(crate) n: u32,
    /// Softmax temperature.
    pub(crate) temperature: f64,
    /// Nucleus mass.
    pub(crate) top_p: f64,
    /// Keep the `k` most probable tokens.
    pub(crate) top_k: Option<usize>,
    /// Most tokens of a response.
    pub(crate) max_new_tokens: usize,
    /// Seed of the samples; `run.seed` if left out.
    pub(crate) seed: Option<u64>,
    /// Sequences decoded together; never changes a sample.
    pub(crate) max_batch: usize,
    /// Memory for keys and values in MiB; never changes a sample.
    pub(crate) cache_mib: usize,
    /// How keys and values are held, in the evaluation and in rollouts too.
    pub(crate) kv: KvForm,
    /// Servers that draw the samples instead of the local engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<ServerSettings>,
}

impl Default for SampleSection {
    fn default() -> Self {
        Self {
            n: 64,
            temperature: 0.5,
            top_p: 0.95,
            top_k: None,
            max_new_tokens: 1024,
            seed: None,
            max_batch: 64,
            cache_mib: 2048,
            kv: KvForm::F32,
            server: None,
        }
    }
}

/// The contrastive models and their scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct CeSection {
    /// Weight of the negative model in Eq. 1.
    pub(crate) ce_beta: f64,
    /// Tokens of one scoring call.
    pub(crate) max_tokens: usize,
    /// LoRA of both contrastive models.
    pub(crate) lora: LoraConfig,
    /// Their fine-tuning.
    pub(crate) train: TrainSettings,
}

/// The preference methods.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TrainSection {
    /// Whether the exemplars stand before every prompt in training and scoring, too; the paper trains without them.
    pub(crate) few_shot: bool,
    /// LoRA of every method.
    pub(crate) lora: LoraConfig,
    /// Each method's own settings, completed and checked.
    #[serde(flatten)]
    pub(crate) methods: BTreeMap<String, TrainSettings>,
}

/// The evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EvalSection {
    /// Leave out the first so many held-out questions: those that settings were chosen on.
    pub(crate) skip: usize,
    /// Take the first so many held-out questions.
    pub(crate) limit: Option<usize>,
    /// Most tokens of a response; `sample.max_new_tokens` if left out.
    pub(crate) max_new_tokens: Option<usize>,
    /// Samples of each held-out question beside the greedy answer, for Pass@k and maj@k; none if 0.
    pub(crate) samples: u32,
    /// Sequences decoded together; never changes a response.
    pub(crate) max_batch: usize,
    /// Servers that answer the held-out questions instead of the local engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<ServerSettings>,
}

impl Default for EvalSection {
    fn default() -> Self {
        Self {
            skip: 0,
            limit: None,
            max_new_tokens: None,
            samples: 0,
            max_batch: 64,
            server: None,
        }
    }
}
