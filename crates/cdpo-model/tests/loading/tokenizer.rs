//! Tokenizers from tokenizer.json and from GGUF metadata.

use std::path::Path;

use cdpo_model::Tokenizer;
use cdpo_model::source::{ModelSource, open};
use serde_json::{Value, json};

use crate::writer::Value::{Flag, Text, Texts};
use crate::writer::{File, tiny};
use crate::{TINY_TOKENIZER, assert_says, fixture, message};

/// The tiny tokenizer in a folder, with a `tokenizer_config.json` if one is given.
fn tiny_tokenizer(settings: Option<&Value>) -> (tempfile::TempDir, Tokenizer) {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("tokenizer.json"), TINY_TOKENIZER).expect("written");
    if let Some(settings) = settings {
        std::fs::write(
            dir.path().join("tokenizer_config.json"),
            settings.to_string(),
        )
        .expect("written");
    }
    let tokenizer = Tokenizer::from_file(&dir.path().join("tokenizer.json")).expect("reads");
    (dir, tokenizer)
}

#[test]
fn encoding_adds_no_special_token_and_decoding_gives_the_text_back() {
    let (_dir, tokenizer) = tiny_tokenizer(Some(&json!({"bos_token": "<s>"})));
    // The post-processor of this file would put <s> (1) in front.
    let ids = tokenizer.encode("ab é1").expect("encodes");
    assert_eq!(ids, [6, 5, 7, 8, 9]);
    assert_eq!(tokenizer.decode(&ids).expect("decodes"), "ab é1");
    // Written out in the text, a special token is itself.
    assert_eq!(tokenizer.encode("a</s>b").expect("encodes"), [3, 2, 4]);
    assert_eq!(tokenizer.decode(&[3, 2]).expect("decodes"), "a</s>");
}

#[test]
fn token_bytes_are_raw_bytes_even_within_a_character() {
    let (_dir, tokenizer) = tiny_tokenizer(None);
    let bytes = |id| tokenizer.token_bytes(id).expect("has bytes");
    assert_eq!(bytes(7), [0xc3]);
    assert_eq!([bytes(7), bytes(8)].concat(), "é".as_bytes());
    assert_eq!(bytes(5), b" ");
    assert_eq!(bytes(1), b"<s>");
    // Ids without a token: a model's padding rows.
    assert_eq!(bytes(200), b"");
    assert_eq!(tokenizer.decode(&[3, 200, 4]).expect("decodes"), "ab");
    assert_eq!(tokenizer.vocab_size(), 10);
    assert_eq!(
        (tokenizer.id_of("ab"), tokenizer.id_of("zz")),
        (Some(6), None)
    );
}

/// Some tokenizers leave ids unused, as Qwen's does before its added tokens; counting tokens would leave the last ids out.
#[test]
fn the_vocabulary_ends_after_the_highest_id() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut text: Value = serde_json::from_str(TINY_TOKENIZER).expect("JSON");
    text["model"]["vocab"]["zz"] = json!(40);
    let path = dir.path().join("tokenizer.json");
    std::fs::write(&path, text.to_string()).expect("written");
    let tokenizer = Tokenizer::from_file(&path).expect("reads");
    assert_eq!(tokenizer.vocab_size(), 41);
    assert_eq!(tokenizer.id_of("zz"), Some(40));
}

#[test]
fn bos_is_what_the_post_processor_puts_and_its_source_is_reported() {
    // The post-processor of this file puts <s> (1) in front, whatever else is said of BOS.
    let of = |settings: Option<Value>| {
        let (_dir, tokenizer) = tiny_tokenizer(settings.as_ref());
        assert_eq!(
            (tokenizer.bos(), tokenizer.adds_bos()),
            (Some(1), Some(true))
        );
        assert_says(tokenizer.bos_note(), &["post-processor"]);
        tokenizer
    };
    assert!(of(None).notes().is_empty());
    let tokenizer = of(Some(
        json!({"bos_token": "<s>", "eos_token": {"content": "</s>"}}),
    ));
    assert_eq!(
        (tokenizer.eos(), tokenizer.notes().len()),
        ([2].as_slice(), 0)
    );
    let tokenizer = of(Some(json!({"bos_token": "<s>", "add_bos_token": false})));
    assert_says(
        &tokenizer.notes().join("\n"),
        &["add_bos_token is false", "model.bos"],
    );
    let tokenizer = of(Some(json!({"bos_token": "</s>"})));
    assert_says(
        &tokenizer.notes().join("\n"),
        &["bos_token is \"</s>\" (2)", "puts \"<s>\" (1)"],
    );
}

#[test]
fn truncation_and_padding_of_the_file_do_not_apply() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut value: Value = serde_json::from_str(TINY_TOKENIZER).expect("JSON");
    value["truncation"] =
        json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    value["padding"] = json!({"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>"});
    let path = dir.path().join("tokenizer.json");
    std::fs::write(&path, value.to_string()).expect("written");
    let tokenizer = Tokenizer::from_file(&path).expect("reads");
    assert_eq!(tokenizer.encode("a a a").expect("encodes"), [3, 5, 3, 5, 3]);
}

#[test]
fn a_missing_or_damaged_file_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("tokenizer.json");
    assert_says(
        &message(Tokenizer::from_file(&path)),
        &["tokenizer.json", "missing"],
    );
    for keep in [0, 1, 200, TINY_TOKENIZER.len() - 2] {
        std::fs::write(&path, &TINY_TOKENIZER[..keep]).expect("written");
        assert_says(
            &message(Tokenizer::from_file(&path)),
            &["tokenizer.json", "not a tokenizer.json"],
        );
    }
    std::fs::write(&path, TINY_TOKENIZER).expect("written");
    std::fs::write(dir.path().join("tokenizer_config.json"), "{").expect("written");
    assert_says(
        &message(Tokenizer::from_file(&path)),
        &["tokenizer_config.json", "not valid JSON"],
    );
}

#[test]
fn a_gguf_tokenizer_gives_the_reference_ids_and_the_text_back() {
    for name in ["tiny-llama", "tiny-qwen2"] {
        let checkpoint =
            open(&ModelSource::Path(fixture(&format!("gguf/{name}.gguf")))).expect("opens");
        let text = std::fs::read_to_string(fixture(&format!("gguf/{name}.json"))).expect("there");
        let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        assert!(!cases.is_empty());
        for case in cases {
            let text = case["text"].as_str().expect("text");
            let expected: Vec<u32> = serde_json::from_value(case["ids"].clone()).expect("ids");
            let found = checkpoint.tokenizer.encode(text).expect("encodes");
            assert_eq!(found, expected, "{name}: {text:?}");
            assert_eq!(checkpoint.tokenizer.decode(&found).expect("decodes"), text);
        }
        // Padding rows are no tokens: neither text nor size knows them.
        let tokenizer = &checkpoint.tokenizer;
        assert_eq!(
            (tokenizer.vocab_size(), checkpoint.config.vocab_size),
            (270, 272)
        );
        assert!(!tokenizer.encode("[PAD0]").expect("encodes").contains(&270));
        assert_eq!(tokenizer.encode("a<tool>b").expect("encodes")[1], 269);
        assert_eq!(tokenizer.token_bytes(270).expect("empty"), b"");
    }
}

#[test]
fn unused_tokens_are_matched_by_no_text() {
    // Llama 3's models take a word that is a token whole; token 7, `aaa`, is unused.
    let mut file = tiny("llama");
    file.set("tokenizer.ggml.pre", Text("llama-bpe".into()));
    let checkpoint = open(&ModelSource::Path(file.save().path().to_path_buf())).expect("opens");
    let encode = |text: &str| checkpoint.tokenizer.encode(text).expect("encodes");
    assert_eq!(encode("aab"), [6]);
    assert_eq!(encode("aaa"), [2, 2, 2]);
    assert_eq!(checkpoint.tokenizer.vocab_size(), 7);
}

#[test]
fn text_in_another_normal_form_has_the_same_ids_where_the_model_normalises() {
    let encode = |name: &str, text: &str| {
        let checkpoint =
            open(&ModelSource::Path(fixture(&format!("gguf/{name}.gguf")))).expect("opens");
        checkpoint.tokenizer.encode(text).expect("encodes")
    };
    assert_eq!(encode("tiny-qwen2", "e\u{301}"), encode("tiny-qwen2", "é"));
    assert_ne!(encode("tiny-llama", "e\u{301}"), encode("tiny-llama", "é"));
}

#[test]
fn a_saved_tokenizer_reads_back_the_same() {
    let checkpoint = open(&ModelSource::Path(fixture("gguf/tiny-qwen2.gguf"))).expect("opens");
    let dir = tempfile::tempdir().expect("a folder");
    checkpoint.tokenizer.save(dir.path()).expect("saves");
    let again = Tokenizer::from_file(&dir.path().join("tokenizer.json")).expect("reads");
    for text in [
        "hello the 12 hens",
        "<|im_start|>a<tool>\n\n naïve – 😀",
        "  7 'S",
    ] {
        assert_eq!(
            again.encode(text).expect("encodes"),
            checkpoint.tokenizer.encode(text).expect("encodes")
        );
    }
    assert_eq!((again.bos(), again.adds_bos()), (Some(1), Some(false)));
    assert_eq!(again.eos().first(), checkpoint.tokenizer.eos().first());
    let (dir, tokenizer) = tiny_tokenizer(Some(&json!({"bos_token": "<s>", "chat_template": "x"})));
    tokenizer.save(dir.path()).expect("saves");
    let settings =
        std::fs::read_to_string(dir.path().join("tokenizer_config.json")).expect("there");
    assert_says(&settings, &["chat_template", "<s>"]);
    assert!(tokenizer.save(Path::new("/nowhere/at/all")).is_err());
}

#[test]
fn the_content_identifier_follows_the_vocabulary() {
    let id = |change: fn(&mut File)| {
        let mut file = tiny("llama");
        change(&mut file);
        open(&ModelSource::Path(file.save().path().to_path_buf()))
            .expect("opens")
            .tokenizer
            .content_id()
    };
    let base = id(|_| {});
    assert_eq!(base, id(|f| f.set("general.name", Text("other".into()))));
    assert_ne!(
        base,
        id(|f| f.set("tokenizer.ggml.pre", Text("smollm".into())))
    );
    assert_ne!(
        base,
        id(|f| f.set("tokenizer.ggml.merges", Texts(vec!["a b".into()])))
    );
    // BOS is resolved by the caller and part of its settings, not of the vocabulary.
    assert_eq!(
        base,
        id(|f| f.set("tokenizer.ggml.add_bos_token", Flag(true)))
    );
}
