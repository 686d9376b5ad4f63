//! The base model: opened once, loaded as a stage needs it, with what was resolved about its special tokens.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cdpo_model::source::{Checkpoint, Download, ModelSource, open_observed};
use cdpo_model::{Adapter, Device, Model};

use crate::builtin;
use crate::outcome::Usage;
use crate::recipe::{Bos, ModelSection};
use crate::talk;

/// The first GPU if the binary was built for one, else the CPU.
pub(crate) fn device() -> anyhow::Result<Device> {
    if cfg!(feature = "cuda") {
        Device::new_cuda(0)
            .context("no CUDA device can be used; build without --features cuda for the CPU")
    } else if cfg!(feature = "metal") {
        Device::new_metal(0)
            .context("no Metal device can be used; build without --features metal for the CPU")
    } else {
        Ok(Device::Cpu)
    }
}

/// What a training made of the base.
pub(crate) enum Trained {
    /// An adapter on it.
    Adapter(Adapter),
    /// A model of its own, in this folder.
    Model(PathBuf),
}

/// The opened model.
pub(crate) struct Base {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) device: Device,
    /// Stands in front of every prompt.
    pub(crate) bos: Option<u32>,
    /// Appended to a response that came to its own end.
    pub(crate) eos: u32,
    /// Ends a response when sampled.
    pub(crate) stops: Vec<u32>,
    dense: Option<Model>,
}

impl Base {
    /// Opens the model and says what was resolved.
    pub(crate) fn open(section: &ModelSection) -> anyhow::Result<Self> {
        let source = source(section)?;
        let checkpoint =
            open_observed(&source, &mut downloads()).context("the model cannot be opened")?;
        let tokenizer = &checkpoint.tokenizer;
        let (bos, why) = match section.bos {
            Bos::False => (None, "model.bos = false".to_owned()),
            Bos::True => {
                let Some(bos) = tokenizer.bos().or(checkpoint.config.bos) else {
                    return Err(Usage(
                        "model.bos is true, but the model's files name no beginning-of-sequence token".into(),
                    )
                    .into());
                };
                (Some(bos), "model.bos = true".to_owned())
            }
            Bos::Auto => {
                let adds = tokenizer.adds_bos().unwrap_or(false);
                (
                    tokenizer.bos().filter(|_| adds),
                    format!("auto: {}", tokenizer.bos_note()),
                )
            }
        };
        let mut stops: Vec<u32> = checkpoint.config.eos.clone();
        stops.extend(tokenizer.eos());
        let eos = tokenizer.eos().first().or(stops.first()).copied();
        let Some(eos) = eos else {
            return Err(Usage(format!(
                "{}: the model's files name no end-of-sequence token",
                checkpoint.origin
            ))
            .into());
        };
        stops.sort_unstable();
        stops.dedup();
        let text = |id: u32| {
            let text = tokenizer.decode(&[id]).unwrap_or_default();
            format!("{id} {text:?}")
        };
        talk::say(format_args!(
            "model   {} ({} layers, hidden {}, vocabulary {}, context {})",
            checkpoint.origin,
            checkpoint.config.layers,
            checkpoint.config.hidden_size,
            checkpoint.config.vocab_size,
            checkpoint.config.max_positions
        ));
        talk::say(format_args!(
            "BOS     {} ({why})",
            bos.map_or_else(|| "none".to_owned(), text)
        ));
        talk::say(format_args!(
            "EOS     {}; trained: {}",
            stops
                .iter()
                .map(|&id| text(id))
                .collect::<Vec<_>>()
                .join(", "),
            text(eos)
        ));
        let device = device()?;
        talk::say(format_args!(
            "device  {}, {} threads",
            if device.is_cpu() {
                "CPU".to_owned()
            } else {
                format!("{:?}", device.location())
            },
            rayon::current_num_threads()
        ));
        Ok(Self {
            checkpoint,
            device,
            bos,
            eos,
            stops,
            dense: None,
        })
    }

    /// The model for training and scoring: kept until [`Base::decoder`] needs the memory.
    pub(crate) fn dense(&mut self) -> anyhow::Result<&Model> {
        if self.dense.is_none() {
            self.dense = Some(self.load()?);
        }
        self.dense.as_ref().context("the model is loaded")
    }

    /// A model for decoding: the base, or what a training made of it.
    pub(crate) fn decoder(&mut self, trained: Option<&Trained>) -> anyhow::Result<Model> {
        self.dense = None;
        let mut model = match trained {
            None => self.load()?,
            Some(Trained::Adapter(adapter)) => {
                let mut model = self.load()?;
                model.merge(adapter)?;
                model
            }
            Some(Trained::Model(folder)) => self.load_from(folder)?,
        };
        model.pack(false)?;
        Ok(model)
    }

    /// A fresh copy of the weights.
    pub(crate) fn load(&self) -> anyhow::Result<Model> {
        Ok(Model::load(
            &self.checkpoint.config,
            self.checkpoint.weights.as_ref(),
            &self.device,
        )?)
    }

    /// The weights of a folder that a training of all parameters left.
    pub(crate) fn load_from(&self, folder: &Path) -> anyhow::Result<Model> {
        let source = ModelSource::Path(folder.to_path_buf());
        let trained = open_observed(&source, &mut |_| {})
            .with_context(|| format!("the trained model {} cannot be opened", folder.display()))?;
        Ok(Model::load(
            &trained.config,
            trained.weights.as_ref(),
            &self.device,
        )?)
    }

    /// A training prompt as it stands behind the exemplars: without its BOS, which is theirs. Without exemplars, as it is.
    pub(crate) fn behind_exemplars(&self, prompt_ids: &[u32], few_shot: bool) -> Vec<u32> {
        let bos = usize::from(few_shot && self.bos.is_some());
        prompt_ids.get(bos..).unwrap_or_default().to_vec()
    }

    /// The prompt's ids, with BOS where it is resolved so.
    pub(crate) fn encode(&self, text: &str) -> cdpo_model::Result<Vec<u32>> {
        let mut ids: Vec<u32> = self.bos.into_iter().collect();
        ids.extend(self.checkpoint.tokenizer.encode(text)?);
        Ok(ids)
    }
}

/// Where the recipe's model is; the hub's settings come from the environment.
fn source(section: &ModelSection) -> anyhow::Result<ModelSource> {
    if let Some(path) = &section.path {
        if let Some(name) = builtin::name(path) {
            return Ok(ModelSource::Embedded(*builtin::model(name)?));
        }
        return Ok(ModelSource::Path(path.clone()));
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let home = variable("HF_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache/huggingface")));
    let below_home = |name: &str| home.as_ref().map(|home| home.join(name));
    let cache = variable("HF_HUB_CACHE")
        .map(PathBuf::from)
        .or_else(|| below_home("hub"))
        .context("there is no place for downloads: set HF_HOME")?;
    let token_file = variable("HF_TOKEN_PATH")
        .map(PathBuf::from)
        .or_else(|| below_home("token"));
    let token = match (variable("HF_TOKEN"), token_file) {
        (None, Some(file)) => token_in(&file)?,
        (token, _) => token,
    };
    Ok(ModelSource::Hub {
        repo: section.hub.clone().unwrap_or_default(),
        revision: section.revision.clone().unwrap_or_else(|| "main".into()),
        endpoint: variable("HF_ENDPOINT"),
        token,
        cache,
        offline: variable("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value)),
    })
}

/// Whether a variable's value switches its setting on, by the rule of Python's `huggingface_hub`.
fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str())
}

/// The token that `hf auth login` left, if any.
fn token_in(file: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| {
            format!(
                "the access token in {} cannot be read; set HF_TOKEN instead",
                file.display()
            )
        }),
    }
}

/// Says how a download goes on: at its begin, now and then, at its end.
fn downloads() -> impl FnMut(Download<'_>) {
    let mut bar: Option<(String, talk::Progress)> = None;
    move |download| {
        const MIB: u64 = 1 << 20;
        if bar.as_ref().is_none_or(|(file, _)| file != download.file) {
            talk::say(format_args!("fetching {}", download.file));
            let progress = talk::Progress::new("MiB", download.done / MIB, download.total / MIB);
            bar = Some((download.file.to_owned(), progress));
        }
        if let Some((file, progress)) = &mut bar {
            progress.at(download.done / MIB, || file.clone());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_true_by_the_hubs_rule() {
        assert!(["1", "on", "Yes", "TRUE"].into_iter().all(is_true));
        assert!(!["0", "false", "no", "off", "2"].into_iter().any(is_true));
    }

    #[test]
    fn the_token_file_holds_one_token_and_may_be_absent() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        assert_eq!(token_in(&file).unwrap(), None);
        std::fs::write(&file, "abc\n").unwrap();
        assert_eq!(token_in(&file).unwrap().as_deref(), Some("abc"));
        std::fs::write(&file, "\n").unwrap();
        assert_eq!(token_in(&file).unwrap(), None);
    }
}
