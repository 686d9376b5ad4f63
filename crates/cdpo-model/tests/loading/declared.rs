//! What the files beside a tokenizer.json say of special tokens, against transformers' values.

use cdpo_model::Tokenizer;
use cdpo_model::source::{ModelSource, open};
use serde_json::{Value, json};

use crate::{assert_says, fixture, folder, message};

fn base() -> Value {
    let text = std::fs::read_to_string(fixture("tokenizers/prefix/tokenizer.json"));
    serde_json::from_str(&text.expect("there")).expect("JSON")
}

/// A folder of tokenizer.json (with `changes`) and `files`.
fn written(changes: &Value, files: &Value) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let mut tokenizer = base();
    for (key, value) in changes.as_object().expect("an object") {
        tokenizer[key] = value.clone();
    }
    let write = |name: &str, value: &Value| {
        std::fs::write(dir.path().join(name), value.to_string()).expect("written");
    };
    write("tokenizer.json", &tokenizer);
    for (name, content) in files.as_object().expect("an object") {
        write(name, content);
    }
    dir
}

fn read(dir: &tempfile::TempDir) -> cdpo_model::Result<Tokenizer> {
    Tokenizer::from_file(&dir.path().join("tokenizer.json"))
}

#[test]
fn special_tokens_are_those_of_transformers() {
    let text = std::fs::read_to_string(fixture("tokenizers/declared.json")).expect("there");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    assert!(cases.len() > 10);
    let own = read(&written(&json!({}), &json!({})))
        .expect("reads")
        .content_id();
    for case in cases {
        let name = &case["name"];
        let dir = written(&case["tokenizer"], &case["files"]);
        let tokenizer = read(&dir).expect("reads");
        let ids =
            |key: &str| -> Vec<u32> { serde_json::from_value(case[key].clone()).expect("ids") };
        let found = tokenizer
            .encode(case["text"].as_str().expect("text"))
            .expect("encodes");
        assert_eq!(found, ids("ids"), "{name}");
        assert_eq!(json!(tokenizer.eos().first()), case["eos"], "{name}");
        let with_special = ids("with_special");
        let begins = with_special.first() != found.first();
        assert_eq!(tokenizer.adds_bos(), Some(begins), "{name}");
        if begins {
            assert_eq!(tokenizer.bos(), with_special.first().copied(), "{name}");
        } else {
            assert_eq!(json!(tokenizer.bos()), case["bos"], "{name}");
        }
        // What is saved reads back the same.
        let again = tempfile::tempdir().expect("a folder");
        tokenizer.save(again.path()).expect("saves");
        let again = read(&again).expect("reads");
        assert_eq!(
            again
                .encode(case["text"].as_str().expect("text"))
                .expect("encodes"),
            found
        );
        assert_eq!(
            (again.eos(), again.bos()),
            (tokenizer.eos(), tokenizer.bos()),
            "{name}"
        );
        if tokenizer.id_of("<|im_end|>").is_some() {
            assert_ne!(
                tokenizer.content_id(),
                own,
                "{name}: other tokens, other ids"
            );
        }
    }
}

#[test]
fn disagreements_are_noted_with_files_and_values() {
    let both = json!({"bos_token": "<s>", "eos_token": "</s>"});
    let notes = |files: Value| {
        read(&written(&json!({}), &files))
            .expect("reads")
            .notes()
            .join("\n")
    };
    assert_eq!(notes(json!({"tokenizer_config.json": both})), "");
    let map =
        json!({"tokenizer_config.json": both, "special_tokens_map.json": {"eos_token": "<unk>"}});
    assert_says(
        &notes(map),
        &[
            "eos_token is \"</s>\" in tokenizer_config.json but \"<unk>\" in special_tokens_map.json: special_tokens_map.json's is taken",
        ],
    );
    let added = json!({"tokenizer_config.json": both, "added_tokens.json": {"</s>": 5}});
    assert_says(&notes(added), &["\"</s>\" has the id 5", "but 2 in that"]);
}

#[test]
fn a_listed_token_that_cannot_have_its_id_is_refused() {
    let listed = json!({"tokenizer_config.json": {"added_tokens_decoder": {"999": {"content": "<new>", "special": true}}}});
    let told = message(read(&written(&json!({}), &listed)));
    assert_says(
        &told,
        &[
            "tokenizer_config.json",
            "\"<new>\" has the id 999",
            "do not belong together",
        ],
    );
    let listed = json!({"added_tokens.json": {"<new>": 999}});
    let told = message(read(&written(&json!({}), &listed)));
    assert_says(&told, &["added_tokens.json", "\"<new>\" has the id 999"]);
    let broken =
        json!({"tokenizer_config.json": {"added_tokens_decoder": {"x": {"content": "<new>"}}}});
    let told = message(read(&written(&json!({}), &broken)));
    assert_says(&told, &["added_tokens_decoder: x"]);
}

#[test]
fn configurations_that_name_other_ids_are_noted() {
    let dir = folder("llama");
    let config = dir.path().join("config.json");
    let text = std::fs::read_to_string(&config).expect("there");
    let mut config_json: Value = serde_json::from_str(&text).expect("JSON");
    (config_json["bos_token_id"], config_json["eos_token_id"]) = (json!(7), json!(2));
    std::fs::write(&config, config_json.to_string()).expect("written");
    let settings = json!({"bos_token": "<s>", "eos_token": "</s>"});
    std::fs::write(
        dir.path().join("tokenizer_config.json"),
        settings.to_string(),
    )
    .expect("written");
    let generation = json!({"bos_token_id": 1, "eos_token_id": [5, 6]});
    std::fs::write(
        dir.path().join("generation_config.json"),
        generation.to_string(),
    )
    .expect("written");
    let checkpoint = open(&ModelSource::Path(dir.path().to_path_buf())).expect("opens");
    let notes = checkpoint.tokenizer.notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert_says(
        &notes[0],
        &["bos_token_id is", "(7) in config.json", "\"<s>\" (1)"],
    );
    assert_says(
        &notes[1],
        &["(5)", "(6) in generation_config.json", "\"</s>\" (2)"],
    );
    assert_eq!(checkpoint.tokenizer.eos(), [2, 5, 6]);
    assert_eq!(checkpoint.tokenizer.bos(), Some(1));
}

/// The post-processor is looked at with a text; one without tokens would show BOS after it.
#[test]
fn bos_is_seen_where_the_vocabulary_has_no_letters() {
    let tokenizer = |vocabulary: Value| {
        let token = |id: u32, text: &str| {
            json!({"id": id, "content": text, "special": true, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false})
        };
        let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
        let piece = |kind: &str, id: &str| json!({kind: {"id": id, "type_id": 0}});
        json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": bytes, "decoder": bytes,
            "added_tokens": [token(0, "<s>"), token(1, "</s>")],
            "post_processor": {"type": "TemplateProcessing",
                "single": [piece("SpecialToken", "<s>"), piece("Sequence", "A")],
                "pair": [piece("Sequence", "A"), piece("Sequence", "B")],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocabulary, "merges": []},
        })
    };
    for vocabulary in [
        json!({"<s>": 0, "</s>": 1, "7": 2}),
        json!({"<s>": 0, "</s>": 1, "a": 2}),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("tokenizer.json");
        std::fs::write(&file, tokenizer(vocabulary).to_string()).expect("written");
        let read = Tokenizer::from_file(&file).expect("reads");
        assert_eq!((read.adds_bos(), read.bos()), (Some(true), Some(0)));
        assert!(read.notes().is_empty(), "{:?}", read.notes());
    }
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("tokenizer.json");
    let none = tokenizer(json!({"<s>": 0, "</s>": 1}));
    std::fs::write(&file, none.to_string()).expect("written");
    assert_says(
        &message(Tokenizer::from_file(&file)),
        &["cannot be seen what stands"],
    );
}
