//! The steps that a tokenizer file is made of, and which of them are refused.
//!
//! Goes in: a tokenizer. Comes out: its normaliser's, pre-tokenizer's or decoder's steps as JSON, or the reason why ids would not be
//! the text.

use serde::Serialize;
use serde_json::Value;
use tokenizers::models::ModelWrapper;

/// A step's kind: its `type` in tokenizer.json.
pub(super) fn kind(step: &Value) -> &str {
    step.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// The steps of a normaliser, pre-tokenizer or decoder, in order; a sequence gives those in it.
pub(super) fn steps(component: Option<&impl Serialize>) -> Vec<Value> {
    let value = component.and_then(|c| serde_json::to_value(c).ok());
    let mut found = Vec::new();
    if let Some(value) = value {
        take_apart(value, &mut found);
    }
    found
}

fn take_apart(component: Value, into: &mut Vec<Value>) {
    let inner = ["normalizers", "pretokenizers", "decoders"]
        .into_iter()
        .find_map(|list| component.get(list).and_then(Value::as_array).cloned());
    match inner {
        Some(inner) => inner.into_iter().for_each(|step| take_apart(step, into)),
        None => into.push(component),
    }
}

/// Normalisers that lose characters of every other text.
const LOSSY: [&str; 5] = [
    "Strip",
    "StripAccents",
    "Lowercase",
    "BertNormalizer",
    "Nmt",
];
/// Pre-tokenizers that drop blanks, or cut by the place in the text.
const BREAKING: [&str; 5] = [
    "BertPreTokenizer",
    "Whitespace",
    "WhitespaceSplit",
    "CharDelimiterSplit",
    "FixedLength",
];
/// Decoders whose tokens have no bytes of their own.
const MERGING: [&str; 3] = ["WordPiece", "BPEDecoder", "CTC"];

/// Why ids of this tokenizer would not spell the text, or its tokens have no bytes of their own.
pub(super) fn fault(tokenizer: &tokenizers::Tokenizer) -> Option<String> {
    for step in steps(tokenizer.get_normalizer()) {
        if LOSSY.contains(&kind(&step)) {
            return Some(format!(
                "the normaliser {} changes what the text says, so that ids would not be the text's",
                kind(&step)
            ));
        }
    }
    for step in steps(tokenizer.get_pre_tokenizer()) {
        if BREAKING.contains(&kind(&step)) {
            return Some(format!(
                "the pre-tokenizer {} drops blanks or cuts by place, so that ids would not be the text's",
                kind(&step)
            ));
        }
        if step.get("behavior").and_then(Value::as_str) == Some("Removed") {
            return Some(format!(
                "the pre-tokenizer {} removes what it splits at, so that ids would not be the text's",
                kind(&step)
            ));
        }
    }
    let decoder = steps(tokenizer.get_decoder());
    if decoder.is_empty() {
        return Some("there is no decoder, so that its tokens' bytes are not known".to_owned());
    }
    if let Some(step) = decoder.iter().find(|step| MERGING.contains(&kind(step))) {
        return Some(format!(
            "with the decoder {} a token has no bytes of its own",
            kind(step)
        ));
    }
    match tokenizer.get_model() {
        ModelWrapper::BPE(bpe) => {
            let set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
            if bpe.dropout.is_some_and(|dropout| dropout > 0.0) {
                Some(
                    "model.dropout draws another encoding at every call; set it to null".to_owned(),
                )
            } else if set(&bpe.continuing_subword_prefix) || set(&bpe.end_of_word_suffix) {
                Some("with continuing_subword_prefix or end_of_word_suffix a token has no bytes of its own".to_owned())
            } else {
                None
            }
        }
        ModelWrapper::Unigram(_) => None,
        ModelWrapper::WordPiece(_) => {
            Some("a WordPiece model's tokens have no bytes of their own".to_owned())
        }
        ModelWrapper::WordLevel(_) => {
            Some("a WordLevel model cannot represent every text".to_owned())
        }
    }
}
