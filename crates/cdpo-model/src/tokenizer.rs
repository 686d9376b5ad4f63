//! Text to token ids and back, from a `tokenizer.json` or from GGUF metadata.
//!
//! Goes in: text, or ids. Comes out: ids without any added special token, text, or the raw bytes of one token.
//! Which ids begin and end a sequence is reported as the files say it; whether to use them is the caller's choice.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::ModelConfig;
use crate::error::{Error, Result};

mod bytes;
mod chat;
mod continuation;
mod declared;
mod gguf;
mod pre;
mod steps;

use bytes::Spelling;
pub use chat::ChatTemplates;
use continuation::Continuation;
pub(crate) use declared::Beside;

/// A tokenizer with the facts about its special tokens. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: Arc<tokenizers::Tokenizer>,
    /// How text is encoded that continues other text, if not as any text is.
    continuation: Option<Arc<Continuation>>,
    spelling: Spelling,
    vocab_size: usize,
    bos: Option<u32>,
    adds_bos: Option<bool>,
    bos_note: String,
    eos: Vec<u32>,
    notes: Vec<String>,
    chat: Option<ChatTemplates>,
    content_id: String,
    /// What to write as `tokenizer_config.json`.
    settings: Value,
}

/// The library's errors are opaque boxes; only their text is kept.
fn failed(what: &str, error: &tokenizers::Error) -> Error {
    Error::Tokenizer(format!("{what}: {error}"))
}

/// The part of a `tokenizer.json` whose reader in the tokenizers library panics at text that is no JSON: it is read as plain JSON
/// first.
#[derive(serde::Deserialize)]
struct Decoder {
    #[serde(default, rename = "decoder")]
    _any: Value,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`, and what is beside it of `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json` and
    /// `chat_template.jinja`.
    ///
    /// # Errors
    /// A missing or malformed file; a tokenizer whose ids would not be the text; files that do not belong together.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::file(
                    path,
                    "missing; a model needs its tokenizer.json (`AutoTokenizer.from_pretrained(..).save_pretrained(..)` writes it)",
                ));
            }
            Err(e) => return Err(Error::io(path, e)),
        };
        let beside = |name: &str| {
            let beside = path.with_file_name(name);
            match std::fs::read_to_string(&beside) {
                Ok(text) => Ok(Some(text)),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(Error::io(&beside, e)),
            }
        };
        let [config, special_map, added, chat_template] = [
            beside(declared::CONFIG)?,
            beside(declared::SPECIAL_MAP)?,
            beside(declared::ADDED)?,
            beside(chat::FILE)?,
        ];
        let files = Beside {
            config: config.as_deref(),
            special_map: special_map.as_deref(),
            added: added.as_deref(),
            chat_template: chat_template.as_deref(),
        };
        Self::from_texts(&text, files, path)
    }

    /// As [`Tokenizer::from_file`], from the content of `tokenizer.json` and of the files beside it; `path` is the former's name for
    /// messages.
    ///
    /// # Errors
    /// As [`Tokenizer::from_file`], but for a missing file.
    pub(crate) fn from_texts(text: &[u8], beside: Beside<'_>, path: &Path) -> Result<Self> {
        let faulty =
            |e: &dyn std::fmt::Display| Error::file(path, format!("not a tokenizer.json: {e}"));
        serde_json::from_slice::<Decoder>(text).map_err(|e| faulty(&e))?;
        let read = std::panic::catch_unwind(|| tokenizers::Tokenizer::from_bytes(text));
        let mut inner = read
            .map_err(|_| faulty(&"the tokenizers library panics at its content"))?
            .map_err(|e| faulty(&e))?;
        // Ids must be the whole text's, whatever the file was used for before.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|e| failed("cannot switch truncation off", &e))?;
        let refused = |reason: String| {
            Error::file(path, format!("{reason}; such a tokenizer is not supported"))
        };
        if let Some(reason) = steps::fault(&inner) {
            return Err(refused(reason));
        }
        let added = |inner: &tokenizers::Tokenizer| serde_json::json!(inner.get_added_vocabulary());
        let own = added(&inner);
        let mut found = declared::read(&mut inner, beside, &|name| path.with_file_name(name))?;
        let chat = ChatTemplates::read(&found.settings, beside.chat_template, &mut found.notes);
        let continuation = Continuation::of(&inner).map_err(refused)?.map(Arc::new);
        let mut hasher = blake3::Hasher::new();
        hasher.update(text);
        let all = added(&inner);
        if all != own {
            hasher.update(all.to_string().as_bytes());
        }
        let ids = inner.get_vocab(true).into_values();
        let vocab_size = ids.max().map_or(0, |id| id as usize + 1);
        Ok(Self {
            spelling: Spelling::of(&inner),
            vocab_size,
            bos: found.bos,
            adds_bos: Some(found.adds_bos),
            bos_note: found.bos_note,
            eos: found.eos.into_iter().collect(),
            notes: found.notes,
            chat,
            content_id: hasher.finalize().to_hex()[..32].to_string(),
            settings: found.settings,
            continuation,
            inner: Arc::new(inner),
        })
    }

    /// Rebuilds the tokenizer of a GGUF file from its metadata.
    ///
    /// # Errors
    /// Missing or inconsistent metadata, a tokenizer that is no BPE, an unknown pre-tokenizer (the
    /// message lists the known ones).
    pub(crate) fn from_gguf(metadata: &crate::source::gguf::Metadata) -> Result<Self> {
        gguf::build(metadata)
    }

    /// Makes the model's and the tokenizer's lists of special ids one: the tokenizer's EOS first, as it is the one
    /// responses are trained with, then the model configuration's; BOS from whichever names one.
    pub(crate) fn complete(&mut self, config: &mut ModelConfig) {
        for &id in &config.eos {
            if !self.eos.contains(&id) {
                self.eos.push(id);
            }
        }
        self.bos = self.bos.or(config.bos);
        config.eos.clone_from(&self.eos);
        config.bos = self.bos;
    }

    /// Notes where `file` (config.json, generation_config.json) names other special ids than the tokenizer's files; to be called before
    /// [`Self::complete`].
    pub(crate) fn compare(&mut self, file: &str, bos: Option<u32>, eos: &[u32]) {
        let written = |id: u32| {
            let text = self.inner.id_to_token(id).unwrap_or_default();
            format!("{text:?} ({id})")
        };
        let mut notes = Vec::new();
        if let (Some(own), Some(other)) = (self.bos, bos)
            && own != other
        {
            notes.push(format!(
                "bos_token_id is {} in {file}, but BOS is {} by the tokenizer's files: the latter is taken, as transformers' tokenizers do",
                written(other),
                written(own)
            ));
        }
        if let Some(&own) = self.eos.first()
            && !eos.is_empty()
            && !eos.contains(&own)
        {
            let others: Vec<String> = eos.iter().map(|&id| written(id)).collect();
            notes.push(format!(
                "eos_token_id is {} in {file}, but eos_token is {} by the tokenizer's files: the latter is trained, and sampling ends at \
                 each",
                others.join(", "),
                written(own)
            ));
        }
        self.notes.extend(notes);
    }

    /// Where the model's files disagree on special tokens, with files and values, and what is done: for the user to see.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The ids of `text` where nothing stands before it (but, perhaps, BOS). Special tokens written out in the text become their ids;
    /// none is added. For text that continues other text see [`Self::encode_after`].
    ///
    /// # Errors
    /// Text the tokenizer cannot represent (not with byte-level vocabularies).
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|e| failed("cannot encode", &e))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The ids of `text` where other text stands before it, whose last id is `before`: those that the joint text has there, but for a
    /// token that would reach over the border. They differ from [`Self::encode`]'s where the tokenizer marks a text's first word, as
    /// SentencePiece-style ones do with `▁`.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_after(&self, before: u32, text: &str) -> Result<Vec<u32>> {
        match &self.continuation {
            Some(continuation) => continuation.encode(&self.inner, before, text),
            None => self.encode(text),
        }
    }

    /// Whether the tokenizer marks a text's first word, so that text has other ids where it continues other text.
    pub fn marks_first_word(&self) -> bool {
        self.continuation.is_some()
    }

    /// The text of `ids`, special tokens included; ids without a token (a model's padding rows) give nothing. Bytes
    /// that are not UTF-8 become U+FFFD: see [`Self::token_bytes`] for exact bytes.
    ///
    /// # Errors
    /// A failing decoder of the tokenizer file.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner
            .decode(ids, false)
            .map_err(|e| failed("cannot decode", &e))
    }

    /// The raw bytes that token `id` stands for, which may be part of a UTF-8 character; empty for an id without a
    /// token. For byte-level vocabularies the bytes of a sequence, joined, are the bytes that [`Self::decode`] shows.
    /// In SentencePiece-style ones a leading `▁` is a space even where `decode` would strip it: that of [`Self::encode`]'s first token is
    /// the mark before the text, not part of it.
    ///
    /// # Errors
    /// Never for now; the signature leaves room for tokenizers whose tokens have no bytes of their own.
    pub fn token_bytes(&self, id: u32) -> Result<Vec<u8>> {
        if let Some(added) = self.inner.get_added_vocabulary().simple_id_to_token(id) {
            return Ok(added.into_bytes());
        }
        Ok(self
            .inner
            .id_to_token(id)
            .map_or_else(Vec::new, |token| self.spelling.bytes_of(&token)))
    }

    /// One more than the highest id that has a token. A model may have more embedding rows.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The id of the token written `token` (in the vocabulary's spelling), if there is one.
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Whether the id has a token.
    pub fn has(&self, id: u32) -> bool {
        self.inner.id_to_token(id).is_some()
    }

    /// Whether `id` is a special token: one that text spells out but that says nothing itself.
    pub fn is_special(&self, id: u32) -> bool {
        let added = self.inner.get_added_vocabulary().get_added_tokens_decoder();
        added.get(&id).is_some_and(|token| token.special)
    }

    /// The beginning-of-sequence id the files name.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Whether the files say that sequences begin with BOS; `None` if they do not say. `encode` never adds it.
    pub fn adds_bos(&self) -> Option<bool> {
        self.adds_bos
    }

    /// Where [`Self::adds_bos`] comes from, in words, for a message to the user.
    pub fn bos_note(&self) -> &str {
        &self.bos_note
    }

    /// The chat templates that the model's files bring.
    pub fn chat_templates(&self) -> Option<&ChatTemplates> {
        self.chat.as_ref()
    }

    /// The special tokens that the files name, as text, by their names there: `bos_token`, `eos_token`, ..
    pub fn special_tokens(&self) -> BTreeMap<String, String> {
        declared::named(&self.settings)
    }

    /// The ids that end a response; the first is the one to train with. Empty if the files name none.
    pub fn eos(&self) -> &[u32] {
        &self.eos
    }

    /// Identifies the tokenizer for cache keys: BLAKE3 of the `tokenizer.json`, or of everything in the GGUF metadata
    /// that the tokenizer was built from. Paths and times play no part.
    pub fn content_id(&self) -> String {
        self.content_id.clone()
    }

    /// Writes `tokenizer.json` and `tokenizer_config.json` into `folder`, for `transformers` and for [`Self::from_file`].
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let path = folder.join("tokenizer.json");
        let text = self
            .inner
            .to_string(false)
            .map_err(|e| failed("cannot be written as JSON", &e))?;
        std::fs::write(&path, text).map_err(|e| Error::io(path, e))?;
        let path = folder.join("tokenizer_config.json");
        let settings = if self.settings.is_object() {
            self.settings.clone()
        } else {
            self.plain_settings()
        };
        let mut settings = settings;
        if let Some(text) = self.chat.as_ref().and_then(ChatTemplates::default_one)
            && settings.get(chat::KEY).is_none_or(Value::is_string)
        {
            settings[chat::KEY] = text.into();
        }
        std::fs::write(&path, format!("{settings:#}\n")).map_err(|e| Error::io(path, e))
    }

    /// A `tokenizer_config.json` for a tokenizer that came without one.
    fn plain_settings(&self) -> Value {
        let text = |id: Option<u32>| id.and_then(|id| self.inner.id_to_token(id));
        json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": text(self.bos),
            "eos_token": text(self.eos.first().copied()),
            "add_bos_token": self.adds_bos,
            "clean_up_tokenization_spaces": false,
        })
    }
}
