//! Damaged and unsupported GGUF files.

use std::path::Path;

use cdpo_model::source::{Checkpoint, GgufFile, ModelSource, TensorSource, open};

use crate::writer::{File, Value, saved, tiny};
use crate::{assert_says, fixture, message};

fn open_file(path: &Path) -> cdpo_model::Result<Checkpoint> {
    open(&ModelSource::Path(path.to_path_buf()))
}

/// The message on opening a changed tiny llama.
fn said(change: impl FnOnce(&mut File)) -> String {
    let mut file = tiny("llama");
    change(&mut file);
    message(open_file(file.save().path()))
}

#[test]
fn a_file_cut_anywhere_is_an_error_that_names_it() {
    let whole = std::fs::read(fixture("gguf/tiny-llama.gguf")).expect("the fixture is there");
    let file = saved(b"");
    for keep in (0..whole.len()).step_by(61).chain([whole.len() - 1]) {
        std::fs::write(file.path(), &whole[..keep]).expect("written");
        let said = message(GgufFile::open(file.path()).map(|_| ()));
        assert_says(&said, &[&file.path().display().to_string()]);
        assert!(keep < 4 || said.contains("again"), "at {keep}: {said}");
    }
}

#[test]
fn damaged_headers_never_panic() {
    let whole = tiny("llama").bytes();
    let header = whole.len() - 16 * 16 * 4 * 5;
    let file = saved(b"");
    let mut refused = 0;
    for at in 4..header {
        for flip in [0xff, 0x01] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            std::fs::write(file.path(), &bytes).expect("written");
            refused += usize::from(open_file(file.path()).is_err());
        }
    }
    assert!(
        refused > header / 2,
        "{refused} of {} changes were noticed",
        2 * header
    );
}

#[test]
fn another_format_or_version_is_recognised() {
    let file = saved(b"PK\x03\x04 not a model");
    assert_says(
        &message(open_file(file.path())),
        &["not a GGUF file", "Hugging Face folder"],
    );
    let message_of = |version: u32| {
        message(open_file(
            File {
                version,
                ..tiny("llama")
            }
            .save()
            .path(),
        ))
    };
    assert_says(&message_of(1), &["version 1", "2 and 3"]);
    assert_says(
        &message_of(3u32.swap_bytes()),
        &["big-endian", "gguf-convert-endian"],
    );
}

#[test]
fn unsupported_models_say_what_is_not_supported() {
    let text = |text: &str| Value::Text(text.into());
    assert_says(
        &said(|f| f.set("general.architecture", text("gemma"))),
        &["`gemma`", "llama", "qwen2"],
    );
    assert_says(
        &said(|f| f.set("llama.expert_count", Value::U32(8))),
        &["mixture-of-experts"],
    );
    assert_says(
        &said(|f| f.set("split.count", Value::U32(3))),
        &["one of 3 parts", "llama-gguf-split --merge"],
    );
    assert_says(
        &said(|f| f.set("llama.rope.scaling.type", text("yarn"))),
        &["`yarn`", "linear"],
    );
    assert_says(
        &said(|f| f.set("llama.rope.dimension_count", Value::U32(2))),
        &["rotates 2 of 4"],
    );
    assert_says(
        &said(|f| f.tensor_f32("blk.0.ffn_down.bias", &[1], &[0.0])),
        &["blk.0.ffn_down.bias"],
    );
    assert_says(
        &said(|f| f.tensor_f32("blk.0.attn_q_norm.weight", &[1], &[0.0])),
        &["blk.0.attn_q_norm.weight", "no such tensor"],
    );
    assert_says(
        &said(|f| f.set("llama.rope.scaling.attn_factor", Value::F32(1.5))),
        &["attn_factor is 1.5"],
    );
    assert_says(
        &said(|f| f.set("tokenizer.ggml.model", text("bert"))),
        &["`bert`", "tokenizer.json"],
    );
    assert_says(
        &said(|f| f.set("tokenizer.ggml.pre", text("default"))),
        &["`default`", "qwen2", "smollm"],
    );
    assert_says(
        &said(|f| f.unset("tokenizer.ggml.pre")),
        &["none given", "qwen2"],
    );
}

#[test]
fn missing_and_mistyped_metadata_is_named() {
    for key in [
        "general.architecture",
        "llama.context_length",
        "llama.block_count",
        "llama.attention.head_count",
        "llama.attention.layer_norm_rms_epsilon",
        "tokenizer.ggml.model",
        "tokenizer.ggml.tokens",
        "tokenizer.ggml.merges",
    ] {
        assert_says(&said(|f| f.unset(key)), &[key, "convert the model again"]);
    }
    assert_says(
        &said(|f| f.set("llama.block_count", Value::F32(1.0))),
        &["llama.block_count", "a float", "integer"],
    );
    assert_says(
        &said(|f| f.set("llama.attention.head_count", Value::Ints(vec![4, 2]))),
        &["differs between layers"],
    );
    assert_says(
        &said(|f| f.set("llama.attention.head_count", Value::U32(0))),
        &["num_attention_heads is 0"],
    );
    assert_says(
        &said(|f| f.set("tokenizer.ggml.tokens", Value::Ints(vec![1]))),
        &["an array of strings"],
    );
    assert_says(
        &said(|f| f.set("tokenizer.ggml.token_type", Value::Ints(vec![1]))),
        &["8 tokens but 1"],
    );
    for (merge, part) in [
        ("ab", "`ab` is not two tokens"),
        ("a q", "`q` out of vocabulary"),
        ("aab aab", "`aab aab` makes no token"),
    ] {
        let merges = Value::Texts(vec![merge.into()]);
        assert_says(
            &said(|f| f.set("tokenizer.ggml.merges", merges)),
            &["damaged", part],
        );
    }
}

#[test]
fn missing_tensors_are_reported_before_any_is_read() {
    let text = said(|f| {
        f.tensors
            .retain(|t| !t.name.contains("ffn_up") && !t.name.contains("attn_k"));
    });
    assert_says(
        &text,
        &[
            "model.layers.0.self_attn.k_proj.weight",
            "1 others",
            "mlp.up_proj.weight",
        ],
    );
    assert_says(
        &said(|f| f.tensors.retain(|t| t.name != "token_embd.weight")),
        &["model.embed_tokens.weight"],
    );
}

#[test]
fn wrong_shapes_and_unknown_block_types_name_tensor_and_file() {
    let mut file = tiny("llama");
    for tensor in &mut file.tensors {
        if tensor.name == "blk.0.ffn_up.weight" {
            tensor.shape = vec![16, 8];
        }
        if tensor.name == "blk.0.ffn_gate.weight" {
            tensor.kind = 19;
        }
    }
    let saved = file.save();
    let model = open_file(saved.path()).expect("shapes are compared on reading");
    let read = |name: &str, shape: &[usize]| {
        message(
            model
                .weights
                .read(&format!("model.layers.0.mlp.{name}.weight"), shape),
        )
    };
    let path = saved.path().display().to_string();
    assert_says(
        &read("up_proj", &[8, 16]),
        &["mlp.up_proj.weight", &path, "[16, 8]", "[8, 16]"],
    );
    assert_says(
        &read("gate_proj", &[8, 16]),
        &["mlp.gate_proj.weight", &path, "block type 19", "Q6_K"],
    );
    assert_says(
        &message(model.weights.read("model.rotary.weight", &[1])),
        &["model.rotary.weight"],
    );
    // Rows that are no whole number of blocks (16 elements as Q8_0) do not get past the header.
    assert_says(
        &said(|f| f.tensors[0].kind = 8),
        &["token_embd.weight", "whole number of blocks"],
    );
}

#[test]
fn nan_weights_are_an_error_with_the_element() {
    let mut file = tiny("llama");
    for tensor in &mut file.tensors {
        if tensor.name == "blk.0.ffn_down.weight" {
            tensor.data[(3 * 8 + 5) * 4..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
        }
    }
    let model = GgufFile::open(file.save().path()).expect("values are checked on reading");
    let said = message(model.read("model.layers.0.mlp.down_proj.weight", &[16, 8]));
    assert_says(
        &said,
        &["model.layers.0.mlp.down_proj.weight", "[3, 5]", "NaN"],
    );
}
