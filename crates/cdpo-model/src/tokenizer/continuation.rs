//! How text is encoded where other text stands before it.
//!
//! Goes in: a tokenizer that puts a mark before a text's first word: SentencePiece's `▁`, or the space of a byte-level one with
//! `add_prefix_space`. Comes out: its ids of text that continues other text, which are those that the joint text has there, but for
//! a token that would reach over the border.

use serde_json::Value;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{AddedToken, TokenizerBuilder};

use super::failed;
use super::steps::{kind, steps};
use crate::error::Result;

/// Where, in the joint text, the mark stands again behind an added token (`<s>`, `</s>`, ..).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Nowhere: Metaspace's `first`.
    Never,
    /// Behind one that is matched in the text as it was written: the normaliser Prepend.
    BehindUnnormalized,
    /// Behind each.
    Always,
}

/// The tokenizer without the mark at the beginning.
#[derive(Debug)]
pub(super) struct Continuation {
    unmarked: tokenizers::Tokenizer,
    again: Again,
}

impl Continuation {
    /// `None` if the tokenizer puts no mark before a text.
    ///
    /// # Errors
    /// The reason why texts cannot be continued: two steps that put a mark each.
    pub(super) fn of(
        tokenizer: &tokenizers::Tokenizer,
    ) -> std::result::Result<Option<Self>, String> {
        let mut marks = Vec::new();
        let normalizers: Vec<Value> = steps(tokenizer.get_normalizer())
            .into_iter()
            .filter(|step| {
                let marking = kind(step) == "Prepend";
                marks.extend(marking.then_some(Again::BehindUnnormalized));
                !marking
            })
            .collect();
        let mut pre_tokenizers = steps(tokenizer.get_pre_tokenizer());
        for step in &mut pre_tokenizers {
            marks.extend(take_mark(step));
        }
        let again = match marks.as_slice() {
            [] => return Ok(None),
            [one] => *one,
            _ => {
                return Err(
                    "two steps put a mark before the first word (Prepend, Metaspace or add_prefix_space): only one can be taken \
                     back where text continues other text"
                        .to_owned(),
                );
            }
        };
        let read = |name: &str, e: serde_json::Error| format!("its {name} cannot be rebuilt: {e}");
        let normalizer: Option<NormalizerWrapper> = sequence("normalizers", normalizers)
            .map(serde_json::from_value)
            .transpose()
            .map_err(|e| read("normaliser", e))?;
        let pre_tokenizer: Option<PreTokenizerWrapper> = sequence("pretokenizers", pre_tokenizers)
            .map(serde_json::from_value)
            .transpose()
            .map_err(|e| read("pre-tokenizer", e))?;
        // The added tokens as they are: one that is matched in normalised text keeps the mark in its spelling, as in the joint text.
        let unmarked = TokenizerBuilder::new()
            .with_model(tokenizer.get_model().clone())
            .with_normalizer(normalizer)
            .with_pre_tokenizer(pre_tokenizer)
            .with_post_processor(tokenizer.get_post_processor().cloned())
            .with_decoder(tokenizer.get_decoder().cloned())
            .with_added_vocabulary(tokenizer.get_added_vocabulary().clone())
            .build()
            .map_err(|e| format!("it cannot be rebuilt: {e}"))?;
        Ok(Some(Self {
            unmarked: unmarked.into(),
            again,
        }))
    }

    /// The ids of `text` behind the token `before`; `marked` is the tokenizer as it is.
    pub(super) fn encode(
        &self,
        marked: &tokenizers::Tokenizer,
        before: u32,
        text: &str,
    ) -> Result<Vec<u32>> {
        let cannot = |e: tokenizers::Error| failed("cannot encode", &e);
        let added = self
            .unmarked
            .get_added_vocabulary()
            .get_added_tokens_decoder();
        if added
            .get(&before)
            .is_some_and(|token| self.marks_again_behind(token))
        {
            let encoding = marked.encode_fast(text, false).map_err(cannot)?;
            return Ok(encoding.get_ids().to_vec());
        }
        let encoding = self.unmarked.encode(text, false).map_err(cannot)?;
        let ids = encoding.get_ids();
        // A character without a token may have the id of an added token without being it.
        let found = ids
            .iter()
            .zip(encoding.get_offsets())
            .position(|(id, &(from, to))| {
                added.get(id).is_some_and(|token| {
                    self.marks_again_behind(token)
                        && text.get(from..to).map(str::trim) == Some(token.content.trim())
                })
            });
        let Some(found) = found else {
            return Ok(ids.to_vec());
        };
        let from = encoding.get_offsets()[found].0;
        let rest = marked
            .encode_fast(text.get(from..).unwrap_or_default(), false)
            .map_err(cannot)?;
        Ok([&ids[..found], rest.get_ids()].concat())
    }

    fn marks_again_behind(&self, token: &AddedToken) -> bool {
        match self.again {
            Again::Never => false,
            Again::BehindUnnormalized => !token.normalized,
            Again::Always => true,
        }
    }
}

/// Takes the mark out of a pre-tokenizer's step, if it puts one.
fn take_mark(step: &mut Value) -> Option<Again> {
    match kind(step) {
        "Metaspace" => {
            let scheme = step.get_mut("prepend_scheme")?;
            let again = match scheme.as_str() {
                Some("never") => return None,
                Some("first") => Again::Never,
                _ => Again::Always,
            };
            *scheme = "never".into();
            Some(again)
        }
        "ByteLevel" if step["add_prefix_space"] == true => {
            step["add_prefix_space"] = false.into();
            Some(Again::Always)
        }
        _ => None,
    }
}

/// Steps as one; `None` without any.
fn sequence(list: &str, mut steps: Vec<Value>) -> Option<Value> {
    match steps.len() {
        0 => None,
        1 => steps.pop(),
        _ => Some(serde_json::json!({"type": "Sequence", list: steps})),
    }
}
