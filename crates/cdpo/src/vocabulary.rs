//! How text becomes ids: the model's tokenizer, with what was resolved about its special tokens. Needs no weights.
//!
//! A sequence is made of texts that are encoded apart: exemplars, prompt, response. The one rule for what stands around them: BOS once, at
//! the very beginning; one end token, at the end of a response that came to its own end. A text that brings either itself gets no
//! second one.

use std::cell::RefCell;

use anyhow::bail;
use cdpo_model::{ModelConfig, Tokenizer};

use crate::messages;
use crate::outcome::Usage;
use crate::recipe::Bos;

mod account;

use account::Account;

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
    account: RefCell<Account>,
}

/// The ids that end a response, ascending, and those that are named so but have no token.
fn ends(tokenizer: &Tokenizer, config: &ModelConfig) -> (Vec<u32>, Vec<u32>) {
    let mut named = [&config.eos[..], tokenizer.eos()].concat();
    named.sort_unstable();
    named.dedup();
    named.into_iter().partition(|&id| tokenizer.has(id))
}

/// A response as ids.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// What it says: without an end token, and what blanks may stand behind that.
    pub(crate) text: String,
    /// The ids of that.
    pub(crate) ids: Vec<u32>,
    /// The token that ends it: its own if its text brought one, else the trained one.
    pub(crate) end: u32,
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
        let (stops, tokenless) = ends(&tokenizer, config);
        let eos = tokenizer.eos().iter().find(|id| stops.contains(id));
        let Some(eos) = eos.or(stops.first()).copied() else {
            return Err(Usage(format!(
                "{origin}: the model's files name no end-of-sequence token that the tokenizer has"
            ))
            .into());
        };
        if !tokenless.is_empty() {
            messages::warn(format_args!(
                "{origin}: the ids {tokenless:?} are to end a response, but the tokenizer has no such tokens: they are never drawn, and \
                 end none"
            ));
        }
        let text = |id: u32| written(&tokenizer, id);
        for note in tokenizer.notes() {
            messages::warn(format_args!("{origin}: {note}"));
        }
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
            ..Self::of(tokenizer, bos, eos, stops)
        })
    }

    /// A vocabulary whose special tokens are known.
    pub(crate) fn of(tokenizer: Tokenizer, bos: Option<u32>, eos: u32, stops: Vec<u32>) -> Self {
        Self {
            tokenizer,
            bos,
            eos,
            stops,
            padding: 0,
            account: RefCell::default(),
        }
    }

    /// Leaves to a chat template what stands around texts: BOS, unless the recipe wants it whatever the template writes, and the token that
    /// ends a response, if the template writes one.
    pub(crate) fn leave_to_template(&mut self, wanted: Bos, end: Option<u32>) {
        if wanted == Bos::Auto {
            self.bos = None;
        }
        let Some(end) = end else {
            messages::warn(format_args!(
                "the chat template writes no special token after a response; {} is trained",
                self.written(self.eos)
            ));
            return;
        };
        self.eos = end;
        if !self.stops.contains(&end) {
            self.stops.push(end);
            self.stops.sort_unstable();
        }
    }

    /// A token for messages.
    pub(crate) fn written(&self, id: u32) -> String {
        written(&self.tokenizer, id)
    }

    /// The ids of a text that a sequence begins with: BOS where it is resolved so, unless the text begins with it itself.
    pub(crate) fn opening(&self, text: &str) -> cdpo_model::Result<Vec<u32>> {
        let ids = self.tokenizer.encode(text)?;
        self.account
            .borrow_mut()
            .text(&self.tokenizer, &ids, text)?;
        Ok(self.begun(ids))
    }

    /// As [`Self::opening`], of a text that nothing is drawn from or trained on.
    pub(crate) fn whole(&self, text: &str) -> cdpo_model::Result<Vec<u32>> {
        let ids = self.tokenizer.encode(text)?;
        Ok(self.begun(ids))
    }

    /// Ids with BOS before them, where it is resolved so and they do not begin with it.
    fn begun(&self, ids: Vec<u32>) -> Vec<u32> {
        let bos = self.bos.filter(|bos| ids.first() != Some(bos));
        bos.into_iter().chain(ids).collect()
    }

    /// The ids of a text behind the text `before`, whose ids are `before_ids`.
    pub(crate) fn continuing(
        &self,
        before: &str,
        before_ids: &[u32],
        text: &str,
    ) -> cdpo_model::Result<Vec<u32>> {
        let ids = match before_ids.last() {
            Some(&last) if !before.is_empty() => self.tokenizer.encode_after(last, text)?,
            _ => self.tokenizer.encode(text)?,
        };
        let mut account = self.account.borrow_mut();
        account.text(&self.tokenizer, &ids, text)?;
        account.border(&self.tokenizer, before, text, &ids)?;
        Ok(ids)
    }

    /// A response that came to its own end, behind its prompt.
    pub(crate) fn response(
        &self,
        prompt: &str,
        prompt_ids: &[u32],
        text: &str,
    ) -> anyhow::Result<Response> {
        let (content, own_end) = self.without_end(text)?;
        if let Some(bos) = self.bos
            && self.brings_bos(content.trim_start())?
        {
            bail!(
                "it begins with {:?}, which stands once, before the prompt: take it out of the response",
                self.tokenizer.decode(&[bos])?
            );
        }
        let ids = self.continuing(prompt, prompt_ids, content)?;
        let mut account = self.account.borrow_mut();
        account.end(&self.tokenizer, &ids, own_end);
        Ok(Response {
            text: content.to_owned(),
            ids,
            end: own_end.unwrap_or(self.eos),
        })
    }

    /// A response's text before its own end tokens and the blanks around them, and the first of them.
    fn without_end<'t>(&self, text: &'t str) -> cdpo_model::Result<(&'t str, Option<u32>)> {
        let (mut content, mut end) = (text, None);
        'ends: loop {
            for &stop in &self.stops {
                let written = String::from_utf8(self.tokenizer.token_bytes(stop)?);
                let written = written.unwrap_or_default();
                let before = content.trim_end().strip_suffix(written.as_str());
                // A token that no text spells (a plain piece of the vocabulary) ends none.
                if let Some(before) = before
                    && !written.is_empty()
                    && self.tokenizer.encode(&written)? == [stop]
                {
                    (content, end) = (before, Some(stop));
                    continue 'ends;
                }
            }
            return Ok((content, end));
        }
    }

    /// Reports what encoding has led to since the last report, and begins anew; `what` was encoded.
    pub(crate) fn report(&self, what: &str) {
        self.account.take().report(what, &self.tokenizer, self.eos);
    }

    /// Whether nothing was encoded since the last report.
    #[cfg(test)]
    pub(crate) fn is_reported(&self) -> bool {
        self.account.borrow().is_empty()
    }

    /// Whether a text's first token is the BOS that stands before every sequence.
    pub(crate) fn brings_bos(&self, text: &str) -> cdpo_model::Result<bool> {
        let Some(bos) = self.bos else {
            return Ok(false);
        };
        let written = self.tokenizer.token_bytes(bos)?;
        Ok(!written.is_empty()
            && text.as_bytes().starts_with(&written)
            && self.tokenizer.encode(text)?.first() == Some(&bos))
    }
}

/// A token's id and text.
fn written(tokenizer: &Tokenizer, id: u32) -> String {
    let text = tokenizer.decode(&[id]).unwrap_or_default();
    format!("{id} {text:?}")
}

#[cfg(test)]
mod tests;
