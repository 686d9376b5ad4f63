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
