//! How text becomes ids: the model's tokenizer, with what was resolved about its special tokens. Needs no weights.

use cdpo_model::{ModelConfig, Tokenizer};

use crate::messages;
use crate::outcome::Usage;
use crate::recipe::Bos;

/// The tokenizer and the special tokens that stand around texts.
pub(crate) struct Vocabulary {
    pub(crate) tokenizer: Tokenizer,
    /// Stands before every prompt.
    pub(crate) bos: Option<u32>,
    /// Appended to a response that came to its own end.
    pub(crate) eos: u32,
    /// Ends a response when sampled.
    pub(crate) stops: Vec<u32>,
    /// Rows of the model after the tokenizer's last id, which are never drawn.
    pub(crate) padding: usize,
}

impl Vocabulary {
    /// Resolves the special tokens of the model from `origin` and says what was resolved.
    pub(crate) fn resolve(
        tokenizer: Tokenizer,
        config: &ModelConfig,
        origin: &str,
        wanted: Bos,
    ) -> anyhow::Result<Self> {
        let (bos, why) = match wanted {
            Bos::False => (None, "model.bos = false".to_owned()),
            Bos::True => {
                let Some(bos) = tokenizer.bos().or(config.bos) else {
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
        let mut stops: Vec<u32> = config.eos.clone();
        stops.extend(tokenizer.eos());
        let eos = tokenizer.eos().first().or(stops.first()).copied();
        let Some(eos) = eos else {
            return Err(Usage(format!(
                "{origin}: the model's files name no end-of-sequence token"
            ))
            .into());
        };
        stops.sort_unstable();
        stops.dedup();
        let text = |id: u32| {
            let text = tokenizer.decode(&[id]).unwrap_or_default();
            format!("{id} {text:?}")
        };
        messages::say(format_args!(
            "model   {} ({} layers, hidden {}, vocabulary {}, context {})",
            origin, config.layers, config.hidden_size, config.vocab_size, config.max_positions
        ));
        messages::say(format_args!(
            "BOS     {} ({why})",
            bos.map_or_else(|| "none".to_owned(), text)
        ));
        messages::say(format_args!(
            "EOS     {}; trained: {}",
            stops
                .iter()
                .map(|&id| text(id))
                .collect::<Vec<_>>()
                .join(", "),
            text(eos)
        ));
        Ok(Self {
            padding: config.vocab_size.saturating_sub(tokenizer.vocab_size()),
            tokenizer,
            bos,
            eos,
            stops,
        })
    }

    /// The prompt's ids, with BOS where it is resolved so.
    pub(crate) fn encode(&self, text: &str) -> cdpo_model::Result<Vec<u32>> {
        let mut ids: Vec<u32> = self.bos.into_iter().collect();
        ids.extend(self.tokenizer.encode(text)?);
        Ok(ids)
    }

    /// A training prompt as it stands after the exemplars: without its BOS, which is theirs. Without exemplars, as it is.
    pub(crate) fn after_exemplars(&self, prompt_ids: &[u32], few_shot: bool) -> Vec<u32> {
        let bos = usize::from(few_shot && self.bos.is_some());
        prompt_ids.get(bos..).unwrap_or_default().to_vec()
    }
}
