//! Opening models: configurations, safetensors folders, GGUF files, hub names and tokenizers, whole and damaged.
//!
//! Tests of the real models run where the environment variables `CDPO_TEST_MODELS` (a folder of models) and
//! `CDPO_TEST_DATA` (a folder of question files) point, and say that they skip elsewhere.

mod bad_gguf;
mod borders;
mod config;
mod declared;
mod fuzz;
mod gguf;
mod gguf_tokenizers;
mod hub;
mod outline;
mod real;
mod safetensors;
mod tokenizer;
mod writer;

use std::path::{Path, PathBuf};

/// A committed fixture.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// The message of an error that must happen.
fn message<T>(result: cdpo_model::Result<T>) -> String {
    match result {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.to_string(),
    }
}

/// Asserts that a message has every part.
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

/// A Hugging Face folder made of a weights fixture and the tiny tokenizer; the tokenizer fits its vocabulary of 256.
fn folder(weights: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for entry in std::fs::read_dir(fixture(weights))
        .expect("the fixture is there")
        .flatten()
    {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), dir.path().join(entry.file_name())).expect("copied");
        }
    }
    std::fs::write(dir.path().join("tokenizer.json"), TINY_TOKENIZER).expect("written");
    dir
}

/// A byte-level tokenizer of a few tokens, with a BOS and an EOS token.
const TINY_TOKENIZER: &str = r#"{
  "version": "1.0", "truncation": null, "padding": null,
  "added_tokens": [
    {"id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 2, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
  ],
  "normalizer": null,
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
  "post_processor": {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}
  },
  "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
  "model": {
    "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
    "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
    "vocab": {"<pad>": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4, "Ġ": 5, "ab": 6, "Ã": 7, "©": 8, "1": 9},
    "merges": [["a", "b"]]
  }
}"#;
