//! What gives log-probabilities: the base model's weights on a device, opened when the first stage needs them and loaded as each one
//! does.

use std::cell::{Cell, OnceCell};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cdpo_model::source::{
    ModelFiles, ModelSource, StoredWeights, TensorSource, WeightFiles, open_observed,
};
use cdpo_model::{
    Adapter, DType, Device, Model, ModelConfig, ModelCost, Products, Tokenizer, WeightForm,
    WeightOptions,
};

use crate::device::device;
use crate::messages;
use crate::recipe::WeightMemory;

/// What a training made of the base.
pub(crate) enum Trained {
    /// An adapter on it.
    Adapter(Adapter),
    /// A model of its own, in this folder.
    Model(PathBuf),
}

/// The base model; its weights stay closed until something asks for them.
pub(crate) struct BaseModel {
    /// Shapes and constants.
    pub(crate) config: ModelConfig,
    /// Where it came from, for people.
    pub(crate) origin: String,
    /// How its matrices are held in memory and multiplied by.
    options: WeightOptions,
    files: WeightFiles,
    weights: OnceCell<Opened>,
    loaded: Option<Model>,
    /// Whether it was said that the weights have a head of their own against the configuration.
    told: Cell<bool>,
}

/// Weights that are open, and where they are computed with.
struct Opened {
    stored: StoredWeights,
    device: Device,
}

impl BaseModel {
    /// Takes a model's files apart: its tokenizer, and the rest.
    pub(crate) fn of(
        files: ModelFiles,
        memory: WeightMemory,
        products: Products,
    ) -> (Tokenizer, Self) {
        let base = Self {
            options: WeightOptions {
                form: form(&files.config, memory),
                products,
            },
            config: files.config,
            origin: files.origin,
            files: files.weights,
            weights: OnceCell::new(),
            loaded: None,
            told: Cell::new(false),
        };
        (files.tokenizer, base)
    }

    /// Opens the weights unless they are open, and says where they are computed with.
    fn opened(&self) -> anyhow::Result<&Opened> {
        if let Some(opened) = self.weights.get() {
            return Ok(opened);
        }
        let stored = self
            .files
            .open(&self.config, &self.origin)
            .context("the model cannot be opened")?;
        let device = device()?;
        messages::say(format_args!(
            "device  {}, {} threads",
            if device.is_cpu() {
                "CPU".to_owned()
            } else {
                format!("{:?}", device.location())
            },
            rayon::current_num_threads()
        ));
        if self.options.form == WeightForm::Stored && device.is_cpu() {
            messages::say(format_args!(
                "weights as their file has them; as f32 they would take {:.1} GB (model.weights)",
                ModelCost::of(&self.config).f32_bytes() as f64 / 1e9
            ));
        }
        if self.options.products == Products::Fast {
            messages::say(match self.options.products.unit() {
                Some(unit) if device.is_cpu() => {
                    format!("products of bf16 by {unit}, sums in f32 (run.products)")
                }
                _ => "run.products is \"fast\", but nothing here multiplies bf16 faster: products are exact".to_owned(),
            });
        }
        Ok(self.weights.get_or_init(|| Opened { stored, device }))
    }

    /// Opens the weights before the first stage that needs them: what is wrong with them shows at once.
    pub(crate) fn open(&self) -> anyhow::Result<()> {
        self.opened().map(|_| ())
    }

    /// Identifies weights and configuration.
    pub(crate) fn content_id(&self) -> anyhow::Result<String> {
        Ok(self.opened()?.stored.content_id.clone())
    }

    /// What else than weights and configuration its numbers depend on: the unit that multiplies, if it is not the f32 kernel.
    pub(crate) fn unit(&self) -> anyhow::Result<Option<&'static str>> {
        let on_host = self.device()?.is_cpu();
        Ok(self.options.products.unit().filter(|_| on_host))
    }

    /// Identifies the numbers that it gives.
    pub(crate) fn numbers_id(&self) -> anyhow::Result<String> {
        let content = self.content_id()?;
        Ok(match self.unit()? {
            Some(unit) => format!("{content} by {unit}"),
            None => content,
        })
    }

    /// Where it is computed with.
    pub(crate) fn device(&self) -> anyhow::Result<&Device> {
        Ok(&self.opened()?.device)
    }

    /// The model for training and scoring: kept until [`BaseModel::decoder`] needs the memory.
    pub(crate) fn loaded(&mut self) -> anyhow::Result<&Model> {
        if self.loaded.is_none() {
            self.loaded = Some(self.load()?);
        }
        self.loaded.as_ref().context("the model is loaded")
    }

    /// A model for decoding: the base, or what a training made of it.
    pub(crate) fn decoder(&mut self, trained: Option<&Trained>) -> anyhow::Result<Model> {
        self.loaded = None;
        let mut model = match trained {
            None => self.load()?,
            Some(Trained::Adapter(adapter)) => {
                let mut model = self.load()?;
                model.attach(adapter.clone())?;
                model
            }
            Some(Trained::Model(folder)) => self.load_from(folder)?,
        };
        model.pack(false)?;
        Ok(model)
    }

    fn load(&self) -> anyhow::Result<Model> {
        self.load_as(self.options)
    }

    /// The base with weights of its own in f32, which can be changed.
    pub(crate) fn load_f32(&self) -> anyhow::Result<Model> {
        self.load_as(WeightOptions::default())
    }

    fn load_as(&self, options: WeightOptions) -> anyhow::Result<Model> {
        let Opened { stored, device } = self.opened()?;
        let weights: &dyn TensorSource = stored.tensors.as_ref();
        let model = Model::load_as(&self.config, weights, device, options)?;
        if model.config().tie_embeddings != self.config.tie_embeddings && !self.told.replace(true) {
            messages::say(format_args!(
                "note    {}: tie_word_embeddings is true, but lm_head.weight is not the embedding; it is used, and nothing is tied",
                self.origin
            ));
        }
        Ok(model)
    }

    /// The weights of a folder that a training of all parameters left, in f32.
    pub(crate) fn load_from(&self, folder: &Path) -> anyhow::Result<Model> {
        let source = ModelSource::Path(folder.to_path_buf());
        let trained = open_observed(&source, &mut |_| {})
            .with_context(|| format!("the trained model {} cannot be opened", folder.display()))?;
        Ok(Model::load(
            &trained.config,
            trained.weights.as_ref(),
            self.device()?,
        )?)
    }

    /// How its matrices are held, where it is not trained as a whole.
    pub(crate) fn form(&self) -> WeightForm {
        self.options.form
    }

    /// Bytes of its weight files, if it has some on the disk.
    pub(crate) fn stored_bytes(&self) -> Option<u64> {
        self.files.bytes()
    }

    /// The Hugging Face folder that it lies in, if it lies in one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.files.folder()
    }

    /// The weights, to be read tensor by tensor.
    pub(crate) fn weights(&self) -> anyhow::Result<&dyn TensorSource> {
        Ok(self.opened()?.stored.tensors.as_ref())
    }

    /// How most of its values are stored; f32 where they are quantised.
    pub(crate) fn stored_dtype(&self) -> anyhow::Result<DType> {
        Ok(self
            .opened()?
            .stored
            .tensors
            .stored_dtype()
            .unwrap_or(DType::F32))
    }

    /// An adapter that fits the model.
    pub(crate) fn adapter(&self, folder: &Path) -> anyhow::Result<Adapter> {
        Ok(Adapter::load(folder, &self.config, self.device()?)?)
    }
}

/// A model of at most so many bytes in f32 is held in f32.
const SMALL: u64 = 4 << 30;

/// How the matrices of a model are held.
pub(crate) fn form(config: &ModelConfig, memory: WeightMemory) -> WeightForm {
    let f32 = match memory {
        WeightMemory::F32 => true,
        WeightMemory::Stored => false,
        WeightMemory::Auto => ModelCost::of(config).f32_bytes() <= SMALL,
    };
    if f32 {
        WeightForm::F32
    } else {
        WeightForm::Stored
    }
}
