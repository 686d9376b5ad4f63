//! What the program writes: merged models, results on stdout, errors; and the paths it takes.
#![allow(missing_docs, clippy::unwrap_used)]

mod binary;

use std::path::Path;
use std::process::Stdio;

use binary::{Outcome, Place};
use serde_json::{Value, json};

/// The types of a safetensors file's values, by its header.
fn dtypes(file: &Path) -> Vec<String> {
    let bytes = std::fs::read(file).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let tensors = header.as_object().unwrap().iter();
    let mut types: Vec<String> = tensors
        .filter(|(name, _)| *name != "__metadata__")
        .map(|(_, info)| info["dtype"].as_str().unwrap().to_owned())
        .collect();
    types.sort();
    types.dedup();
    types
}

#[test]
fn merging_keeps_the_bases_files_and_its_type_of_values() {
    let place = Place::new();
    place
        .cdpo(&["demo", "--set", "methods=[\"dpo\"]"])
        .succeeded();
    let base = place.dir.join("demo/model");
    let kept = [
        ("chat_template.jinja", "{{ bos_token }}{{ messages }}\n"),
        ("generation_config.json", "{\"temperature\": 0.6}\n"),
        ("special_tokens_map.json", "{}\n"),
        ("tokenizer.model", "\u{1}\u{2}"),
        ("README.md", "of the base"),
        ("additional_chat_templates/rag.jinja", "{{ x }}"),
    ];
    let dropped = [
        "adapter_config.json",
        "pytorch_model.bin",
        "model.safetensors.index.json",
    ];
    std::fs::create_dir(base.join("additional_chat_templates")).unwrap();
    for (name, text) in kept {
        std::fs::write(base.join(name), text).unwrap();
    }
    for name in dropped {
        std::fs::write(base.join(name), "{}").unwrap();
    }
    let path = base.join("config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    (config["_name_or_path"], config["dtype"]) = (json!("kept"), json!("float32"));
    std::fs::write(&path, config.to_string()).unwrap();

    let adapter = "demo/runs/tiny/dpo/adapter";
    let merge = |model: &str, out: &str, more: &[&str]| {
        let told = place.cdpo(&[&["merge", model, adapter, out], more].concat());
        let told = told.succeeded();
        assert_eq!(told.stdout.trim(), out);
        let out = place.dir.join(out);
        let config = std::fs::read_to_string(out.join("config.json")).unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        (dtypes(&out.join("model.safetensors")), config)
    };
    for (out, more, dtype, name) in [
        ("plain", &[][..], "F32", "float32"),
        ("half", &["--dtype", "f16"], "F16", "float16"),
        ("brain", &["--dtype", "bf16"], "BF16", "bfloat16"),
    ] {
        let (types, config) = merge("demo/model", out, more);
        assert_eq!(types, [dtype]);
        assert_eq!(
            (&config["dtype"], &config["_name_or_path"]),
            (&json!(name), &json!("kept"))
        );
        assert_eq!(
            config["torch_dtype"],
            json!(name),
            "both keys that the base has"
        );
        for (name, text) in kept {
            let copy = std::fs::read_to_string(place.dir.join(out).join(name)).unwrap();
            assert_eq!(copy, text, "{name}");
        }
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            let read = |dir: &Path| std::fs::read(dir.join(name)).ok();
            assert_eq!(read(&place.dir.join(out)), read(&base), "{name}");
        }
        for name in dropped {
            assert!(!place.dir.join(out).join(name).exists(), "{name}");
        }
    }
    // Nothing is left beside the folder, and a folder that has something is not written to.
    assert!(!place.dir.join(".brain.partial").exists());
    place
        .cdpo(&["merge", "demo/model", adapter, "brain"])
        .failed(2, &["brain is not empty"]);
    let rounded = place.cdpo(&["merge", "demo/model", adapter, "told", "--dtype", "bf16"]);
    let said = &rounded.succeeded().stderr;
    assert!(
        said.contains("rounding to bf16 changes a value by")
            && said.contains("of the update's norm"),
        "{said}"
    );
    let shards = [
        "merge",
        "demo/model",
        adapter,
        "shards",
        "--shard-gb",
        "0.0001",
    ];
    place.cdpo(&shards).succeeded();
    let index = place.dir.join("shards/model.safetensors.index.json");
    let index: Value = serde_json::from_str(&std::fs::read_to_string(index).unwrap()).unwrap();
    let first = index["weight_map"]["model.embed_tokens.weight"]
        .as_str()
        .unwrap();
    assert!(first.starts_with("model-00001-of-"), "{first}");
    assert_eq!(merge("shards", "joined", &[]).0, ["F32"]);
    place
        .cdpo(&["merge", "demo/model", adapter, "x", "--shard-gb", "0"])
        .failed(2, &["above 0"]);
    let foreign = ["merge", "demo/model", "demo/model", "none"];
    assert_ne!(place.cdpo(&foreign).code, Some(0));
    assert!(!place.dir.join("none").exists() && !place.dir.join(".none.partial").exists());
    // Left out, the type is the base's.
    assert_eq!(merge("brain", "again", &[]).0, ["BF16"]);
    assert_eq!(merge("brain", "wide", &["--dtype", "f32"]).0, ["F32"]);
    place
        .cdpo(&["merge", "brain", adapter, "x", "--dtype", "q4"])
        .failed(2, &["q4", "bf16"]);
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_written_are_a_failure() {
    let place = Place::new();
    for args in [
        &["quickstart", "--print-recipe"][..],
        &["--help"],
        &["--version"],
        &["rollout", "--help"],
    ] {
        let full = || {
            std::fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .unwrap()
        };
        let mut command = place.command(args);
        let told = Outcome::of(&command.stdout(full()).output().unwrap());
        told.failed(1, &["cannot be written to stdout", "No space left"]);
        // Where messages cannot be written either, the exit code still says it.
        let mut command = place.command(args);
        let status = command.stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(1), "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_gone_away_ends_the_program_quietly() {
    let place = Place::new();
    for args in [&["quickstart", "--print-recipe"][..], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = place.command(args);
        let told = Outcome::of(&command.stdout(Stdio::from(writer)).output().unwrap());
        assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn an_error_names_its_cause_once() {
    let place = Place::new();
    place.cdpo(&["demo", "--dry-run"]).succeeded();
    let told = place
        .cdpo(&["demo", "--set", "model.path=nowhere"])
        .failed(1, &["nowhere"]);
    assert_eq!(
        told.stderr.matches("No such file").count(),
        1,
        "{}",
        told.stderr
    );
    let told = place
        .cdpo(&["merge", "nowhere", "x", "y"])
        .failed(1, &["nowhere"]);
    assert_eq!(
        told.stderr.matches("No such file").count(),
        1,
        "{}",
        told.stderr
    );
}

#[test]
fn a_tilde_is_the_home_folder_in_flags_and_recipes() {
    let place = Place::new();
    let cdpo = |args: &[&str]| {
        let mut command = place.command(args);
        Outcome::of(&command.env("HOME", &place.dir).output().unwrap())
    };
    cdpo(&["demo", "~/demo", "--dry-run"]).succeeded();
    assert!(place.dir.join("demo/model/config.json").is_file());
    let recipe = include_str!("../../../recipes/tiny.toml").replace("\"demo/", "\"~/demo/");
    std::fs::write(place.dir.join("own.toml"), recipe).unwrap();
    cdpo(&["sample", "~/own.toml", "--set", "run.name=\"at-home\""]).succeeded();
    let samples = place
        .dir
        .join("demo/runs/at-home/samples/trajectories.jsonl");
    assert!(samples.is_file());
    cdpo(&["sample", "~/own.toml", "--set", "data.train=~/none.jsonl"])
        .failed(1, &[place.dir.join("none.jsonl").to_str().unwrap()]);
    assert!(!place.dir.join("~").exists());
}
