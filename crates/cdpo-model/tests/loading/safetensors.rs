//! Hugging Face folders: whole, and damaged in every way that a download or a wrong conversion damages them.

use std::path::Path;

use cdpo_model::source::{
    Checkpoint, ModelSource, SafetensorsFolder, TensorSource, expected_tensors, open,
};
use safetensors::tensor::{Dtype, TensorView};

use crate::{assert_says, fixture, folder, message};

fn open_folder(path: &Path) -> cdpo_model::Result<Checkpoint> {
    open(&ModelSource::Path(path.to_path_buf()))
}

fn write(path: &Path, tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) {
    let views: Vec<(&str, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, dtype, shape, data)| {
            (
                *name,
                TensorView::new(*dtype, shape.clone(), data).expect("fits"),
            )
        })
        .collect();
    safetensors::serialize_to_file(views, None, path).expect("written");
}

#[test]
fn every_tensor_of_single_and_sharded_folders_is_read_in_its_shape() {
    for name in ["llama", "llama-tied", "llama-linear", "qwen2"] {
        let dir = folder(name);
        let checkpoint = open_folder(dir.path()).expect(name);
        for (tensor, shape) in expected_tensors(&checkpoint.config) {
            let values = checkpoint.weights.read(&tensor, &shape).expect(&tensor);
            assert_eq!(
                values.len(),
                shape.iter().product::<usize>(),
                "{name} {tensor}"
            );
            assert!(values.iter().any(|x| *x != 0.0), "{name} {tensor}");
        }
        assert_eq!(
            checkpoint.config.tie_embeddings,
            !checkpoint.weights.contains("lm_head.weight"),
            "{name}"
        );
    }
}

/// A bias that the configuration does not speak of would be left out of every sum. Stored frequencies are computed anew.
#[test]
fn tensors_without_a_place_are_refused_by_name() {
    let dir = folder("llama");
    let path = dir.path().join("model.safetensors");
    let with = |name: &str| {
        let bytes = std::fs::read(fixture("llama").join("model.safetensors")).expect("there");
        let whole = safetensors::SafeTensors::deserialize(&bytes).expect("whole");
        let zeros = vec![0u8; 16];
        let extra = TensorView::new(Dtype::F32, vec![4], &zeros).expect("fits");
        let all = whole
            .tensors()
            .into_iter()
            .chain([(name.to_owned(), extra)]);
        safetensors::serialize_to_file(all, None, &path).expect("written");
        open_folder(dir.path())
    };
    assert!(with("model.layers.0.self_attn.rotary_emb.inv_freq").is_ok());
    assert_says(
        &message(with("model.layers.0.self_attn.o_proj.bias")),
        &["model.layers.0.self_attn.o_proj.bias", "no such tensor"],
    );
}

#[test]
fn values_are_the_files_bytes() {
    let path = fixture("llama");
    let bytes = std::fs::read(path.join("model.safetensors")).expect("the fixture is there");
    let direct = safetensors::SafeTensors::deserialize(&bytes).expect("whole");
    let weights = SafetensorsFolder::open(&path).expect("opens");
    for (name, view) in direct.tensors() {
        let expected: Vec<f32> = view
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect();
        assert_eq!(
            weights.read(&name, view.shape()).expect("reads"),
            expected,
            "{name}"
        );
    }
}

#[test]
fn half_precisions_are_widened_and_other_types_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    // 1.5 and -2 in F16 and in BF16.
    let half = vec![0x00, 0x3e, 0x00, 0xc0];
    let brain = vec![0xc0, 0x3f, 0x00, 0xc0];
    write(
        &dir.path().join("model.safetensors"),
        &[
            ("half", Dtype::F16, vec![2], half),
            ("brain", Dtype::BF16, vec![1, 2], brain),
            ("whole", Dtype::I32, vec![2], vec![0; 8]),
        ],
    );
    let weights = SafetensorsFolder::open(dir.path()).expect("opens");
    assert_eq!(weights.read("half", &[2]).expect("reads"), [1.5, -2.0]);
    assert_eq!(weights.read("brain", &[1, 2]).expect("reads"), [1.5, -2.0]);
    assert_says(
        &message(weights.read("whole", &[2])),
        &["`whole`", "I32", "BF16"],
    );
}

#[test]
fn a_file_cut_anywhere_is_found_when_it_is_opened() {
    let dir = folder("llama");
    let path = dir.path().join("model.safetensors");
    let whole = std::fs::read(&path).expect("the fixture is there");
    for keep in [0, 3, 7, 8, 100, 2000, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..keep]).expect("written");
        let said = message(open_folder(dir.path()));
        assert_says(&said, &["model.safetensors", "again"]);
    }
    // Bytes too many mean that header and data do not belong together.
    std::fs::write(&path, [&whole[..], b"more"].concat()).expect("written");
    assert_says(
        &message(open_folder(dir.path())),
        &["model.safetensors", "again"],
    );
    // A header length beyond all memory.
    std::fs::write(&path, [&u64::MAX.to_le_bytes()[..], &whole[8..]].concat()).expect("written");
    assert_says(
        &message(open_folder(dir.path())),
        &["model.safetensors", "again"],
    );
}

#[test]
fn a_wrong_shape_names_the_tensor_the_file_and_both_shapes() {
    let dir = folder("llama");
    let config = std::fs::read_to_string(dir.path().join("config.json")).expect("there");
    let changed = config.replace("\"intermediate_size\": 96", "\"intermediate_size\": 80");
    assert_ne!(config, changed);
    std::fs::write(dir.path().join("config.json"), changed).expect("written");
    let checkpoint = open_folder(dir.path()).expect("only reading compares shapes");
    let said = message(
        checkpoint
            .weights
            .read("model.layers.0.mlp.up_proj.weight", &[80, 64]),
    );
    assert_says(
        &said,
        &[
            "model.layers.0.mlp.up_proj.weight",
            "model.safetensors",
            "[96, 64]",
            "[80, 64]",
        ],
    );
}

#[test]
fn missing_tensors_are_counted_when_the_folder_is_opened() {
    let dir = folder("llama");
    let path = dir.path().join("config.json");
    let config = std::fs::read_to_string(&path).expect("there");
    std::fs::write(
        &path,
        config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
    )
    .expect("written");
    assert_says(
        &message(open_folder(dir.path())),
        &["model.layers.2.input_layernorm.weight", "8 others"],
    );
}

#[test]
fn nan_weights_are_an_error_with_the_element() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut values = [0.5f32; 6];
    values[4] = f32::NAN;
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    write(
        &dir.path().join("model.safetensors"),
        &[("w", Dtype::F32, vec![2, 3], bytes)],
    );
    let weights = SafetensorsFolder::open(dir.path()).expect("opens");
    assert_says(
        &message(weights.read("w", &[2, 3])),
        &["`w`", "[1, 1]", "NaN"],
    );
    assert_says(&message(weights.read("v", &[1])), &["`v`", "missing"]);
}

#[test]
fn a_broken_index_or_shard_is_named() {
    let dir = folder("llama-tied");
    let index = dir.path().join("model.safetensors.index.json");
    let text = std::fs::read_to_string(&index).expect("there");
    let mut value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let shard = value["weight_map"]["model.norm.weight"]
        .as_str()
        .expect("a file")
        .to_string();

    for (bad, part) in [
        ("../model.safetensors", "plain file name"),
        ("gone.safetensors", "incomplete"),
    ] {
        value["weight_map"]["model.norm.weight"] = bad.into();
        std::fs::write(&index, value.to_string()).expect("written");
        assert_says(&message(open_folder(dir.path())), &[bad, part]);
    }
    value["weight_map"]["model.norm.weight"] = shard.clone().into();
    value["weight_map"]["model.extra.weight"] = shard.clone().into();
    std::fs::write(&index, value.to_string()).expect("written");
    assert_says(
        &message(open_folder(dir.path())),
        &["model.extra.weight", &shard, "does not have it"],
    );

    std::fs::write(&index, "{}").expect("written");
    assert_says(
        &message(open_folder(dir.path())),
        &["index.json", "weight_map"],
    );
    std::fs::remove_file(&index).expect("removed");
    assert_says(
        &message(open_folder(dir.path())),
        &["shards but no", "index.json"],
    );
}

#[test]
fn a_folder_that_is_no_model_says_what_is_missing() {
    let dir = tempfile::tempdir().expect("a folder");
    assert_says(&message(open_folder(dir.path())), &["config.json", "GGUF"]);
    assert_says(
        &message(open_folder(&dir.path().join("nowhere"))),
        &["nowhere"],
    );

    let dir = folder("llama");
    std::fs::remove_file(dir.path().join("tokenizer.json")).expect("removed");
    assert_says(
        &message(open_folder(dir.path())),
        &["tokenizer.json", "missing"],
    );
    let dir = folder("llama");
    std::fs::remove_file(dir.path().join("model.safetensors")).expect("removed");
    std::fs::write(dir.path().join("pytorch_model.bin"), "x").expect("written");
    assert_says(
        &message(open_folder(dir.path())),
        &["pytorch_model.bin", "safetensors"],
    );
}

#[test]
fn the_content_identifier_follows_contents_and_not_places() {
    let (one, two) = (folder("llama"), folder("llama"));
    let id = |dir: &Path| open_folder(dir).expect("opens").content_id;
    assert_eq!(id(one.path()), id(two.path()));
    let weights = two.path().join("model.safetensors");
    let mut bytes = std::fs::read(&weights).expect("there");
    let last = bytes.len() - 1;
    bytes[last - 1] ^= 1;
    std::fs::write(&weights, &bytes).expect("written");
    let changed = id(two.path());
    assert_ne!(id(one.path()), changed);
    std::fs::write(
        two.path().join("generation_config.json"),
        r#"{"eos_token_id": 3}"#,
    )
    .expect("written");
    assert_ne!(id(two.path()), changed);
}

#[test]
fn a_tokenizer_larger_than_the_embedding_does_not_belong_to_the_model() {
    let dir = folder("llama");
    let path = dir.path().join("tokenizer.json");
    let text = std::fs::read_to_string(&path).expect("there");
    std::fs::write(&path, text.replace("\"1\": 9", "\"1\": 9, \"c\": 10")).expect("written");
    assert!(open_folder(dir.path()).is_ok());
    let many: Vec<String> = (10..300).map(|i| format!("\"x{i}\": {i}")).collect();
    std::fs::write(
        &path,
        text.replace("\"1\": 9", &format!("\"1\": 9, {}", many.join(", "))),
    )
    .expect("written");
    assert_says(
        &message(open_folder(dir.path())),
        &["300 tokens", "256 embedding rows"],
    );
}
