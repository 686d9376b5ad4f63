//! The tokenizer of the built-in base model: a token a word, a token a digit, and all bytes, so that every text can be encoded.
//!
//! Byte-level BPE without merges: a piece of the pre-tokenizer's that is in the vocabulary is one token, any other one is its bytes.

use std::collections::BTreeSet;
use std::path::Path;

use cdpo_data::{Framing, jsonl, wordmath};
use serde_json::json;

const EOS: &str = "<|end|>";

/// Words with the space before them, digits one by one, what is left in runs, white space character by character.
const PIECES: &str = r" ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]|\s";

/// Problems whose words make the vocabulary: enough that each of the generator's words is seen many times.
const PROBLEMS: u64 = 20_000;

/// Writes `tokenizer.json` and `tokenizer_config.json` into `dir`. The same files every time.
pub(super) fn write(dir: &Path) -> anyhow::Result<()> {
    let framing = Framing::gsm8k();
    let mut words = BTreeSet::new();
    for index in 0..PROBLEMS {
        let worked = wordmath::worked(0, index);
        let text = framing.prompt(&worked.question) + &worked.response;
        words.extend(pieces(&text).into_iter().filter(|p| p.chars().count() > 1));
    }
    for digit in 0..10 {
        words.insert(format!(" {digit}"));
    }
    let mut vocab = serde_json::Map::new();
    for token in bytes() {
        let id = vocab.len();
        vocab.insert(token.to_string(), json!(id));
    }
    for word in &words {
        let id = vocab.len();
        vocab.insert(word.replace(' ', "\u{120}"), json!(id));
    }
    let eos = vocab.len();
    vocab.insert(EOS.to_owned(), json!(eos));
    let byte_level = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false,
    });
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [{
            "id": eos, "content": EOS, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        }],
        "normalizer": null,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                { "type": "Split", "pattern": { "Regex": PIECES }, "behavior": "Isolated", "invert": false },
                byte_level,
            ],
        },
        "post_processor": null,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": true,
            "vocab": vocab, "merges": [],
        },
    });
    jsonl::write_json(dir.join("tokenizer.json"), &tokenizer)?;
    let settings = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": EOS,
        "add_bos_token": false,
        "clean_up_tokenization_spaces": false,
    });
    jsonl::write_json(dir.join("tokenizer_config.json"), &settings)?;
    Ok(())
}

/// The pieces of a text of plain words, as the pre-tokenizer's pattern cuts them.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for c in text.chars() {
        let grows = pieces.last().is_some_and(|piece| {
            let after_space = piece == " " && !c.is_whitespace();
            let in_word =
                c.is_ascii_alphabetic() && piece.ends_with(|l: char| l.is_ascii_alphabetic());
            after_space || in_word
        });
        match pieces.last_mut() {
            Some(piece) if grows => piece.push(c),
            _ => pieces.push(c.to_string()),
        }
    }
    pieces
}

/// How byte-level tokenizers spell the bytes 0 to 255, in order: printable ones as themselves, the others as U+0100 and up.
fn bytes() -> Vec<char> {
    let mut shifted = 0x100u32;
    (0u32..256)
        .map(|byte| {
            let printable = (0x21..=0x7e).contains(&byte)
                || (0xa1..=0xac).contains(&byte)
                || (0xae..=0xff).contains(&byte);
            let code = if printable {
                byte
            } else {
                shifted += 1;
                shifted - 1
            };
            char::from_u32(code).unwrap_or('?')
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cdpo_data::wordmath::{Split, problems};
    use cdpo_model::Tokenizer;

    use super::*;

    /// The built-in model's tokenizer is what this file makes.
    #[test]
    fn the_same_files_are_made_every_time() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("embedded/wordmath-1m");
        for file in ["tokenizer.json", "tokenizer_config.json"] {
            let read = |dir: &Path| std::fs::read(dir.join(file)).unwrap();
            assert_eq!(read(dir.path()), read(&kept), "{file}");
        }
    }

    #[test]
    fn the_generators_words_are_one_token_each_and_any_text_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        let tokenizer = Tokenizer::from_file(&dir.path().join("tokenizer.json")).unwrap();
        for problem in problems(9, Split::Test, 300) {
            let text = Framing::gsm8k().prompt(&problem.question);
            let ids = tokenizer.encode(&text).unwrap();
            assert_eq!(ids.len(), pieces(&text).len(), "{text}");
            assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        }
        let strange = "Ünïcode 日本 x^2\t12345\n\n.. <|en";
        let ids = tokenizer.encode(strange).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), strange);
        assert_eq!(tokenizer.encode(" 17").unwrap().len(), 2);
    }
}
