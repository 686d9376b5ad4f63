//! A byte-level BPE tokenizer rebuilt from GGUF metadata.
//!
//! Goes in: `tokenizer.ggml.{model, pre, tokens, token_type, merges, ..}`. Comes out: a [`Tokenizer`] that gives the
//! ids of the model's own tokenizer.json.

use std::sync::Arc;

use serde_json::Value;
use tokenizers::AddedToken;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::unicode::NFC;

use super::bytes::Spelling;
use super::pre::Pre;
use super::{Tokenizer, failed};
use crate::error::{Error, Result};
use crate::source::gguf::Metadata;

const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;
const UNUSED: u64 = 5;

/// Control tokens that end a text or a turn, whichever the file declares: a base-style prompt ends with one, a chat
/// with another.
const ENDINGS: [&str; 5] = [
    "<|endoftext|>",
    "<|im_end|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<｜end▁of▁sentence｜>",
];

pub(super) fn build(meta: &Metadata) -> Result<Tokenizer> {
    let origin = meta.path().display().to_string();
    let model = meta
        .text("tokenizer.ggml.model")?
        .ok_or_else(|| meta.missing("tokenizer.ggml.model"))?;
    if model != "gpt2" {
        let name = if model == "llama" {
            "`llama` (SentencePiece)".to_string()
        } else {
            format!("`{model}`")
        };
        return Err(Error::Tokenizer(format!(
            "{origin}: tokenizer.ggml.model is {name}; only byte-level BPE (`gpt2`) can be rebuilt from GGUF metadata: \
             use the model's Hugging Face folder with its tokenizer.json"
        )));
    }
    let pre_name = meta.text("tokenizer.ggml.pre")?.unwrap_or("(none given)");
    let pre = Pre::named(pre_name, &origin)?;
    let tokens = meta
        .texts("tokenizer.ggml.tokens")?
        .ok_or_else(|| meta.missing("tokenizer.ggml.tokens"))?;
    let merges = meta
        .texts("tokenizer.ggml.merges")?
        .ok_or_else(|| meta.missing("tokenizer.ggml.merges"))?;
    let kinds = meta
        .integers("tokenizer.ggml.token_type")?
        .unwrap_or_else(|| vec![1; tokens.len()]);
    if kinds.len() != tokens.len() {
        return Err(Error::Tokenizer(format!(
            "{origin}: {} tokens but {} token types; the file is damaged",
            tokens.len(),
            kinds.len()
        )));
    }

    let mut inner = tokenizers::Tokenizer::new(bpe(&origin, &tokens, &kinds, &merges, pre)?);
    if pre.nfc {
        inner
            .with_normalizer(Some(NFC))
            .map_err(|e| failed("cannot set the normaliser", &e))?;
    }
    inner.with_pre_tokenizer(Some(pre.build()?));
    inner.with_decoder(Some(ByteLevel::default()));
    let added = tokens
        .iter()
        .zip(&kinds)
        .filter_map(|(text, &kind)| match kind {
            CONTROL => Some(AddedToken::from(*text, true).normalized(false)),
            USER_DEFINED => Some(AddedToken::from(*text, false).normalized(false)),
            _ => None,
        });
    inner
        .add_tokens(added)
        .map_err(|e| failed("cannot add the special tokens", &e))?;

    let eos = ends(meta, &inner, &kinds)?;
    let (adds_bos, bos_note) = match meta.flag("tokenizer.ggml.add_bos_token")? {
        Some(adds) => (Some(adds), "tokenizer.ggml.add_bos_token".to_string()),
        None if pre.adds_bos.is_some() => (
            pre.adds_bos,
            format!("the convention of pre-tokenizer `{pre_name}`"),
        ),
        None => (None, "the GGUF metadata does not say".to_string()),
    };
    let mut tokenizer = Tokenizer {
        spelling: Spelling::ByteLevel,
        vocab_size: kinds
            .iter()
            .rposition(|&kind| kind != UNUSED)
            .map_or(0, |last| last + 1),
        bos: meta.id("tokenizer.ggml.bos_token_id")?,
        adds_bos,
        bos_note,
        eos,
        content_id: content_id(pre_name, &tokens, &kinds, &merges),
        settings: Value::Null,
        continuation: None,
        notes: Vec::new(),
        inner: Arc::new(inner),
    };
    let mut settings = tokenizer.plain_settings();
    if let Some(template) = meta.text("tokenizer.chat_template")? {
        settings["chat_template"] = template.into();
    }
    tokenizer.settings = settings;
    Ok(tokenizer)
}

/// The ids that end a response: those that the file declares first, then its control tokens among [`ENDINGS`].
fn ends(meta: &Metadata, inner: &tokenizers::Tokenizer, kinds: &[u64]) -> Result<Vec<u32>> {
    let mut eos = Vec::new();
    let declared = ["eos", "eot", "eom"].map(|kind| format!("tokenizer.ggml.{kind}_token_id"));
    for key in &declared {
        eos.extend(meta.id(key)?);
    }
    let is_control = |id: u32| kinds.get(id as usize) == Some(&CONTROL);
    eos.extend(
        ENDINGS
            .iter()
            .filter_map(|text| inner.token_to_id(text))
            .filter(|&id| is_control(id)),
    );
    let mut seen = Vec::new();
    eos.retain(|id| {
        let new = !seen.contains(id);
        seen.push(*id);
        new
    });
    Ok(eos)
}

fn bpe(origin: &str, tokens: &[&str], kinds: &[u64], merges: &[&str], pre: Pre) -> Result<BPE> {
    let damaged =
        |reason: String| Error::Tokenizer(format!("{origin}: {reason}; the file is damaged"));
    let mut vocab = Vocab::default();
    for (id, (&text, &kind)) in tokens.iter().zip(kinds).enumerate() {
        // Padding rows have invented names that no text should ever match.
        if kind != UNUSED && vocab.insert(text.to_string(), id as u32).is_some() {
            return Err(damaged(format!("token {id} `{text}` is there twice")));
        }
    }
    let longest = vocab.keys().map(String::len).max().unwrap_or(0);
    let mut pairs = Vec::with_capacity(merges.len());
    for &merge in merges {
        let (left, right) = merge
            .split_once(' ')
            .ok_or_else(|| damaged(format!("merge `{merge}` is not two tokens")))?;
        // The library requires the joined token to be in the vocabulary; a longer one than any it would not survive.
        if left.len() + right.len() > longest {
            return Err(damaged(format!("merge `{merge}` makes no token")));
        }
        pairs.push((left.to_string(), right.to_string()));
    }
    BPE::builder()
        .vocab_and_merges(vocab, pairs)
        .ignore_merges(pre.ignore_merges)
        .build()
        .map_err(|e| damaged(format!("the merges do not fit the tokens ({e})")))
}

fn content_id(pre: &str, tokens: &[&str], kinds: &[u64], merges: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut text = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    text(pre);
    for list in [tokens, merges] {
        text(&list.len().to_string());
        for item in list {
            text(item);
        }
    }
    for kind in kinds {
        text(&kind.to_string());
    }
    hasher.finalize().to_hex()[..32].to_string()
}
