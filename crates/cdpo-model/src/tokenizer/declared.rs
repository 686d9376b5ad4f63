//! What a model's small files say of special tokens, brought together as transformers' fast tokenizers do.
//!
//! Goes in: a tokenizer.json and the files beside it. Comes out: the tokenizer with every token that any of them adds, its BOS and EOS,
//! and a note on each point where the files disagree. What decides, in order:
//! - which token is meant: `bos_token` and `eos_token` of tokenizer_config.json; special_tokens_map.json instead, where
//!   the former lists no `added_tokens_decoder`;
//! - whether BOS stands before a text, and which: the post-processor of tokenizer.json; `add_bos_token` is not read;
//! - which tokens there are: tokenizer.json's, those of `added_tokens_decoder` (or, without one, of added_tokens.json), and every token
//!   that is named special.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::failed;
use crate::error::{Error, Result};

/// The files beside a tokenizer.json, as text; absent ones are `None`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Beside<'a> {
    /// `tokenizer_config.json`.
    pub(crate) config: Option<&'a str>,
    /// `special_tokens_map.json`.
    pub(crate) special_map: Option<&'a str>,
    /// `added_tokens.json`.
    pub(crate) added: Option<&'a str>,
    /// `chat_template.jinja`.
    pub(crate) chat_template: Option<&'a str>,
}

pub(super) const CONFIG: &str = "tokenizer_config.json";
pub(super) const SPECIAL_MAP: &str = "special_tokens_map.json";
pub(super) const ADDED: &str = "added_tokens.json";

/// What was found.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) bos: Option<u32>,
    pub(super) adds_bos: bool,
    /// Where `adds_bos` comes from, in words.
    pub(super) bos_note: String,
    pub(super) eos: Option<u32>,
    /// What to write as tokenizer_config.json; null if there was nothing to read.
    pub(super) settings: Value,
    /// Where the files disagree, with names and values, and what is done.
    pub(super) notes: Vec<String>,
}

/// The names under which files give special tokens.
const NAMED: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];
const EXTRA: [&str; 2] = ["extra_special_tokens", "additional_special_tokens"];

/// Adds the files' tokens to the tokenizer and reads off what they say. `file` makes a file's name for messages.
pub(super) fn read(
    tokenizer: &mut tokenizers::Tokenizer,
    beside: Beside<'_>,
    file: &dyn Fn(&str) -> std::path::PathBuf,
) -> Result<Declared> {
    let parsed = |name: &str, text: Option<&str>| object(text, || file(name));
    let config = parsed(CONFIG, beside.config)?;
    let special_map = parsed(SPECIAL_MAP, beside.special_map)?;
    let added = parsed(ADDED, beside.added)?;
    let present = config.is_some() || special_map.is_some();
    let mut settings = config.unwrap_or_default();
    let mut notes = Vec::new();

    overlay(&mut settings, special_map.unwrap_or_default(), &mut notes);
    add_tokens(tokenizer, &settings, added.as_ref(), &mut notes).map_err(
        |reason| match reason {
            Fault::Library(e) => failed("cannot add the tokens that the files beside it list", &e),
            Fault::Token(name, reason) => Error::file(file(name), reason),
        },
    )?;

    let id_of = |name: &str| {
        let text = settings.get(name).and_then(text_of)?;
        tokenizer.token_to_id(text)
    };
    let (named_bos, eos) = (id_of("bos_token"), id_of("eos_token"));
    let (begins, ends) = post_processed(tokenizer)?;
    let adds_bos = !begins.is_empty();
    let flag = settings.get("add_bos_token").and_then(Value::as_bool);
    notes.extend(framing_notes(tokenizer, named_bos, &begins, &ends, flag));
    Ok(Declared {
        bos: begins.first().copied().or(named_bos),
        adds_bos,
        bos_note: if tokenizer.get_post_processor().is_some() {
            "the post-processor of tokenizer.json".to_owned()
        } else {
            "tokenizer.json has no post-processor".to_owned()
        },
        eos,
        settings: if present {
            Value::Object(settings)
        } else {
            Value::Null
        },
        notes,
    })
}

/// The object that a file holds, if it is there.
fn object(
    text: Option<&str>,
    file: impl Fn() -> std::path::PathBuf,
) -> Result<Option<Map<String, Value>>> {
    let Some(text) = text else { return Ok(None) };
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(_) => Err(Error::file(
            file(),
            "expected a JSON object; get the file again",
        )),
        Err(e) => Err(Error::file(
            file(),
            format!("not valid JSON: {e}; get the file again"),
        )),
    }
}

/// Lays the special tokens of `special_tokens_map.json` over the settings, unless these have a list of added tokens of their own.
fn overlay(
    settings: &mut Map<String, Value>,
    special: Map<String, Value>,
    notes: &mut Vec<String>,
) {
    let own_list = settings.contains_key("added_tokens_decoder");
    for (key, value) in special {
        let before = settings.get(&key);
        let named = NAMED.contains(&key.as_str());
        if let (true, Some(old), new) = (named, before.and_then(text_of), text_of(&value))
            && new != Some(old)
        {
            let used = if own_list { CONFIG } else { SPECIAL_MAP };
            notes.push(format!(
                "{key} is {old:?} in {CONFIG} but {:?} in {SPECIAL_MAP}: {used}'s is taken, as transformers does",
                new.unwrap_or_default()
            ));
        }
        if !own_list {
            settings.insert(key, value);
        }
    }
}

/// What is said of the tokens that the post-processor puts around a text: `flag` is `add_bos_token`.
fn framing_notes(
    tokenizer: &tokenizers::Tokenizer,
    named_bos: Option<u32>,
    begins: &[u32],
    ends: &[u32],
    flag: Option<bool>,
) -> Vec<String> {
    let mut notes = Vec::new();
    let written = |id: u32| tokenizer.id_to_token(id).unwrap_or_default();
    let list = |ids: &[u32]| {
        let each = ids.iter().map(|&id| format!("{:?} ({id})", written(id)));
        each.collect::<Vec<_>>().join(", ")
    };
    if let (Some(named), [put]) = (named_bos, begins)
        && named != *put
    {
        notes.push(format!(
            "bos_token is {} but the post-processor of tokenizer.json puts {} before a text: the latter is put, as transformers does",
            list(&[named]),
            list(&[*put])
        ));
    }
    if begins.len() > 1 {
        notes.push(format!(
            "the post-processor of tokenizer.json puts {} before a text: only the first is put",
            list(begins)
        ));
    }
    if !ends.is_empty() {
        notes.push(format!(
            "the post-processor of tokenizer.json puts {} after a text: here nothing stands after a prompt, and the end token after a \
             response that came to its end",
            list(ends)
        ));
    }
    let adds_bos = !begins.is_empty();
    if let Some(flag) = flag.filter(|&flag| flag != adds_bos) {
        let (puts, other) = if adds_bos {
            ("puts", "no")
        } else {
            ("puts no", "one")
        };
        notes.push(format!(
            "add_bos_token is {flag} in {CONFIG}, but tokenizer.json {puts} BOS before a text, and transformers goes by that; for {other}, \
             set model.bos"
        ));
    }
    notes
}

/// The special tokens that settings name, as text.
pub(super) fn named(settings: &Value) -> BTreeMap<String, String> {
    NAMED
        .iter()
        .filter_map(|name| {
            let text = text_of(settings.get(*name)?)?;
            Some(((*name).to_owned(), text.to_owned()))
        })
        .collect()
}

/// A special token of a file: a string, or an object with its `content`.
fn text_of(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

enum Fault {
    Library(tokenizers::Error),
    /// A file and what is wrong in it.
    Token(&'static str, String),
}

/// Adds what the files list beyond tokenizer.json, in order of id, then what they name.
fn add_tokens(
    tokenizer: &mut tokenizers::Tokenizer,
    settings: &Map<String, Value>,
    added: Option<&Map<String, Value>>,
    notes: &mut Vec<String>,
) -> std::result::Result<(), Fault> {
    let mut named: Vec<AddedToken> = NAMED
        .iter()
        .filter_map(|name| special(settings.get(*name)?))
        .collect();
    for key in EXTRA {
        let extra = settings.get(key).and_then(Value::as_array);
        named.extend(extra.into_iter().flatten().filter_map(special));
    }
    let (source, listed) = match settings.get("added_tokens_decoder") {
        Some(list) => (CONFIG, decoder(list)?),
        None => (ADDED, encoder(added, &named)?),
    };
    for (id, token) in listed {
        let text = token.content.clone();
        let known = tokenizer.token_to_id(&text);
        if source == ADDED && known.is_some() {
            // tokenizer.json's own account of it counts.
            note_other_id(&text, id, known, notes);
            continue;
        }
        tokenizer.add_tokens([token]).map_err(Fault::Library)?;
        let got = tokenizer.token_to_id(&text);
        if known.is_none() && got != Some(id) {
            return Err(Fault::Token(
                source,
                format!(
                    "the token {text:?} has the id {id}, but the next free one of tokenizer.json is {}: the files do not belong together",
                    got.unwrap_or_default()
                ),
            ));
        }
        note_other_id(&text, id, got, notes);
    }
    for token in named {
        let known = tokenizer.get_added_vocabulary().get_vocab();
        if !known.contains_key(&token.content) {
            tokenizer.add_tokens([token]).map_err(Fault::Library)?;
        }
    }
    Ok(())
}

fn note_other_id(text: &str, listed: u32, got: Option<u32>, notes: &mut Vec<String>) {
    if let Some(got) = got.filter(|&got| got != listed) {
        notes.push(format!(
            "the token {text:?} has the id {listed} in one of the files beside tokenizer.json but {got} in that: {got} is taken, as \
             transformers does"
        ));
    }
}

/// A token that is named special.
fn special(value: &Value) -> Option<AddedToken> {
    let text = text_of(value).filter(|text| !text.is_empty())?;
    let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
    Some(
        AddedToken::from(text, true)
            .lstrip(flag("lstrip"))
            .rstrip(flag("rstrip"))
            .single_word(flag("single_word"))
            .normalized(flag("normalized")),
    )
}

/// `added_tokens_decoder`: tokens with their flags by id.
fn decoder(list: &Value) -> std::result::Result<BTreeMap<u32, AddedToken>, Fault> {
    let fault = |id: &str| {
        Fault::Token(
            CONFIG,
            format!(
                "added_tokens_decoder: {id}: an id with a token's content and flags is expected"
            ),
        )
    };
    let entries = list.as_object().ok_or_else(|| fault("it"))?;
    let token = |(id, value): (&String, &Value)| {
        let number = id.parse().map_err(|_| fault(id))?;
        let mut token = special(value).ok_or_else(|| fault(id))?;
        let is_special = value
            .get("special")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        token.special = is_special;
        if value.get("normalized").is_none() {
            token.normalized = !is_special;
        }
        Ok((number, token))
    };
    entries.iter().map(token).collect()
}

/// `added_tokens.json`: ids by token; special are those that are named so.
fn encoder(
    list: Option<&Map<String, Value>>,
    named: &[AddedToken],
) -> std::result::Result<BTreeMap<u32, AddedToken>, Fault> {
    let token = |(text, id): (&String, &Value)| {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        let id = id.ok_or_else(|| Fault::Token(ADDED, format!("{text:?}: an id is expected")))?;
        let is_special = named.iter().any(|token| token.content == *text);
        Ok((
            id,
            AddedToken::from(text.as_str(), is_special).normalized(!is_special),
        ))
    };
    list.into_iter().flatten().map(token).collect()
}

/// Texts that are tried, at most, until one has a token.
const PROBES: usize = 1000;

/// The ids that the post-processor puts before and after a text, seen on the first text that has a token: a letter, or one out of the
/// vocabulary where that has no letters.
fn post_processed(tokenizer: &tokenizers::Tokenizer) -> Result<(Vec<u32>, Vec<u32>)> {
    if tokenizer.get_post_processor().is_none() {
        return Ok((Vec::new(), Vec::new()));
    }
    let ids = |text: &str, special: bool| {
        let encoding = tokenizer.encode_fast(text, special);
        let encoding = encoding.map_err(|e| failed("cannot encode", &e))?;
        Ok::<Vec<u32>, Error>(encoding.get_ids().to_vec())
    };
    let own = (0..PROBES as u32).filter_map(|id| tokenizer.id_to_token(id));
    let added = tokenizer.get_added_vocabulary().get_vocab();
    let own = own.filter(|text| !added.contains_key(text));
    for text in std::iter::once("a".to_owned()).chain(own) {
        let bare = ids(&text, false)?;
        if bare.is_empty() {
            continue;
        }
        let all = ids(&text, true)?;
        let at = all.windows(bare.len()).position(|part| part == bare);
        let at = at.unwrap_or_default();
        let behind = all.get(at + bare.len()..).unwrap_or_default();
        return Ok((all[..at].to_vec(), behind.to_vec()));
    }
    Err(Error::Tokenizer(
        "neither a letter nor one of the first tokens of its vocabulary is encoded to anything, so that it cannot be seen what stands \
         around a text; get tokenizer.json again"
            .into(),
    ))
}
