//! A tokenizer rebuilt from GGUF metadata.
//!
//! Goes in: `tokenizer.ggml.{model, pre, tokens, token_type, merges, scores, ..}`. Comes out: a [`Tokenizer`] that gives the
//! ids of the model's own tokenizer.json.

use std::sync::Arc;

use serde_json::Value;
use tokenizers::AddedToken;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::unicode::NFC;

use super::bytes::Spelling;
use super::continuation::Continuation;
use super::pre::Pre;
use super::{ChatTemplates, Tokenizer, failed};
use crate::error::{Error, Result};
use crate::source::gguf::Metadata;

mod sentencepiece;

/// The chat template of a file's metadata.
const TEMPLATE: &str = "tokenizer.chat_template";

const UNKNOWN: u64 = 2;
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

/// The tokens of a file, with what each is.
struct Tokens<'a> {
    texts: Vec<&'a str>,
    /// GGML's token types.
    kinds: Vec<u64>,
}

impl<'a> Tokens<'a> {
    fn read(meta: &'a Metadata) -> Result<Self> {
        let texts = meta
            .texts("tokenizer.ggml.tokens")?
            .ok_or_else(|| meta.missing("tokenizer.ggml.tokens"))?;
        let kinds = meta
            .integers("tokenizer.ggml.token_type")?
            .unwrap_or_else(|| vec![1; texts.len()]);
        if kinds.len() != texts.len() {
            return Err(damaged(
                meta,
                &format!("{} tokens but {} token types", texts.len(), kinds.len()),
            ));
        }
        Ok(Self { texts, kinds })
    }

    /// Ids by text. Padding rows are left out: they have invented names that no text should ever match.
    fn vocab(&self, meta: &Metadata) -> Result<Vocab> {
        let mut vocab = Vocab::default();
        for (id, (&text, &kind)) in self.texts.iter().zip(&self.kinds).enumerate() {
            if kind != UNUSED && vocab.insert(text.to_string(), id as u32).is_some() {
                return Err(damaged(
                    meta,
                    &format!("token {id} `{text}` is there twice"),
                ));
            }
        }
        Ok(vocab)
    }
}

fn damaged(meta: &Metadata, reason: &str) -> Error {
    let origin = meta.path().display();
    Error::Tokenizer(format!("{origin}: {reason}; the file is damaged"))
}

/// A tokenizer without its added tokens, and what its kind says where the file does not.
struct Core {
    inner: tokenizers::Tokenizer,
    spelling: Spelling,
    /// Whether BOS stands before a text, and who says so.
    adds_bos: Option<(bool, String)>,
    /// What is said of how the file was read.
    notes: Vec<String>,
    /// Identifies what is not in tokens and types.
    content: Vec<String>,
}

pub(super) fn build(meta: &Metadata) -> Result<Tokenizer> {
    let model = meta
        .text("tokenizer.ggml.model")?
        .ok_or_else(|| meta.missing("tokenizer.ggml.model"))?;
    let core = match model {
        "gpt2" => byte_level,
        "llama" => sentencepiece::build,
        other => {
            return Err(Error::Tokenizer(format!(
                "{}: tokenizer.ggml.model is `{other}`; byte-level BPE (`gpt2`) and SentencePiece's BPE (`llama`) can be rebuilt \
                 from GGUF metadata: use the model's Hugging Face folder with its tokenizer.json",
                meta.path().display()
            )));
        }
    };
    let tokens = Tokens::read(meta)?;
    complete(meta, &tokens, core(meta, &tokens)?)
}

/// Adds the special tokens, and what the file says of them.
fn complete(meta: &Metadata, tokens: &Tokens<'_>, core: Core) -> Result<Tokenizer> {
    let mut inner = core.inner;
    let added = tokens
        .texts
        .iter()
        .zip(&tokens.kinds)
        .filter_map(|(text, &kind)| match kind {
            CONTROL | UNKNOWN => Some(AddedToken::from(*text, true).normalized(false)),
            USER_DEFINED => Some(AddedToken::from(*text, false).normalized(false)),
            _ => None,
        });
    inner
        .add_tokens(added)
        .map_err(|e| failed("cannot add the special tokens", &e))?;
    let eos = ends(meta, &inner, &tokens.kinds)?;
    let (adds_bos, bos_note) = match (meta.flag("tokenizer.ggml.add_bos_token")?, core.adds_bos) {
        (Some(adds), _) => (Some(adds), "tokenizer.ggml.add_bos_token".to_string()),
        (None, Some((adds, why))) => (Some(adds), why),
        (None, None) => (None, "the GGUF metadata does not say".to_string()),
    };
    let bos = meta.id("tokenizer.ggml.bos_token_id")?;
    if adds_bos == Some(true) && bos.is_none() {
        return Err(Error::Tokenizer(format!(
            "{}: a beginning-of-sequence token stands before a text ({bos_note}), but tokenizer.ggml.bos_token_id does not say which; \
             convert the model again with a current converter",
            meta.path().display()
        )));
    }
    let continuation = Continuation::of(&inner).map_err(|reason| damaged(meta, &reason))?;
    let mut tokenizer = Tokenizer {
        spelling: core.spelling,
        vocab_size: tokens
            .kinds
            .iter()
            .rposition(|&kind| kind != UNUSED)
            .map_or(0, |last| last + 1),
        bos,
        adds_bos,
        bos_note,
        eos,
        content_id: content_id(&core.content, tokens),
        settings: Value::Null,
        continuation: continuation.map(Arc::new),
        notes: core.notes,
        chat: meta
            .text(TEMPLATE)?
            .map(|text| ChatTemplates::one(TEMPLATE, text)),
        inner: Arc::new(inner),
    };
    tokenizer.settings = tokenizer.plain_settings();
    Ok(tokenizer)
}

/// Byte-level BPE, cut into words by a named pre-tokenizer.
fn byte_level(meta: &Metadata, tokens: &Tokens<'_>) -> Result<Core> {
    let mut notes = Vec::new();
    let name = if let Some(name) = meta.text("tokenizer.ggml.pre")? {
        name
    } else {
        let name = unnamed(meta, tokens)?;
        notes.push(format!(
            "the file names no pre-tokenizer (tokenizer.ggml.pre); its architecture and its tokens are those of `{name}`, which is taken"
        ));
        name
    };
    let pre = Pre::named(name, &meta.path().display().to_string())?;
    let merges = meta
        .texts("tokenizer.ggml.merges")?
        .ok_or_else(|| meta.missing("tokenizer.ggml.merges"))?;
    let mut inner = tokenizers::Tokenizer::new(bpe(meta, tokens, &merges, pre)?);
    if pre.nfc {
        inner
            .with_normalizer(Some(NFC))
            .map_err(|e| failed("cannot set the normaliser", &e))?;
    }
    inner.with_pre_tokenizer(Some(pre.build()?));
    inner.with_decoder(Some(ByteLevel::default()));
    let mut content = vec![name.to_owned(), tokens.texts.len().to_string()];
    content.extend(tokens.texts.iter().map(|&text| text.to_owned()));
    content.push(merges.len().to_string());
    content.extend(merges.iter().map(|&merge| merge.to_owned()));
    Ok(Core {
        inner,
        spelling: Spelling::ByteLevel,
        adds_bos: pre
            .adds_bos
            .map(|adds| (adds, format!("the convention of pre-tokenizer `{name}`"))),
        notes,
        content,
    })
}

/// The pre-tokenizer of a file from before they were named, where its tokens leave no doubt.
fn unnamed(meta: &Metadata, tokens: &Tokens<'_>) -> Result<&'static str> {
    let has = |text: &str| tokens.texts.contains(&text);
    match meta.text("general.architecture")? {
        Some("llama") if has("<|begin_of_text|>") && has("<|eot_id|>") => Ok("llama-bpe"),
        Some("qwen2") if has("<|im_start|>") && has("<|endoftext|>") => Ok("qwen2"),
        _ => Err(Error::Tokenizer(format!(
            "{}: no pre-tokenizer is given (tokenizer.ggml.pre: none given), and the tokens are neither Llama 3's nor Qwen2's; known are \
             {}; use the model's Hugging Face folder instead",
            meta.path().display(),
            Pre::known()
        ))),
    }
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

fn bpe(meta: &Metadata, tokens: &Tokens<'_>, merges: &[&str], pre: Pre) -> Result<BPE> {
    let vocab = tokens.vocab(meta)?;
    let longest = vocab.keys().map(String::len).max().unwrap_or(0);
    let mut pairs = Vec::with_capacity(merges.len());
    for &merge in merges {
        let (left, right) = merge
            .split_once(' ')
            .ok_or_else(|| damaged(meta, &format!("merge `{merge}` is not two tokens")))?;
        // The library requires the joined token to be in the vocabulary; a longer one than any it would not survive.
        if left.len() + right.len() > longest {
            return Err(damaged(meta, &format!("merge `{merge}` makes no token")));
        }
        pairs.push((left.to_string(), right.to_string()));
    }
    BPE::builder()
        .vocab_and_merges(vocab, pairs)
        .ignore_merges(pre.ignore_merges)
        .build()
        .map_err(|e| damaged(meta, &format!("the merges do not fit the tokens ({e})")))
}

fn content_id(content: &[String], tokens: &Tokens<'_>) -> String {
    let mut hasher = blake3::Hasher::new();
    let kinds = tokens.kinds.iter().map(u64::to_string);
    for text in content.iter().cloned().chain(kinds) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_string()
}
