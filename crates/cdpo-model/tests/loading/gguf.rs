//! GGUF files against the values of the `gguf` package and `transformers` (`scripts/make_gguf_fixtures.py`).

use std::path::Path;

use cdpo_model::config::{Family, RopeScaling};
use cdpo_model::source::{Checkpoint, ModelSource, expected_tensors, open};

use crate::writer::{File, Value, tiny};
use crate::{assert_says, fixture, message};

fn open_file(path: &Path) -> Checkpoint {
    open(&ModelSource::Path(path.to_path_buf())).expect("opens")
}

#[test]
fn the_configuration_is_read_from_metadata_and_tensors() {
    let llama = open_file(&fixture("gguf/tiny-llama.gguf")).config;
    assert_eq!(llama.family, Family::Llama);
    assert_eq!(
        (llama.hidden_size, llama.intermediate_size, llama.layers),
        (64, 96, 1)
    );
    assert_eq!((llama.heads, llama.kv_heads, llama.head_dim), (4, 2, 16));
    assert_eq!(
        (llama.tie_embeddings, llama.qkv_bias, llama.max_positions),
        (true, false, 256)
    );
    // Written as f32; the decimal that was meant comes back.
    assert_eq!((llama.rms_norm_eps, llama.rope_theta), (1e-5, 100_000.0));
    assert_eq!(llama.rope_scaling, RopeScaling::None);
    let qwen = open_file(&fixture("gguf/tiny-qwen2.gguf")).config;
    assert_eq!(
        (qwen.family, qwen.tie_embeddings, qwen.qkv_bias),
        (Family::Qwen2, false, true)
    );
    // The declared EOS first, then what ends a plain text; BOS as declared.
    for config in [llama, qwen] {
        assert_eq!(
            (config.eos.as_slice(), config.bos),
            ([2, 0].as_slice(), Some(1))
        );
    }
}

#[test]
fn rotary_rows_are_back_in_hugging_face_order() {
    for name in ["tiny-llama", "tiny-qwen2"] {
        let checkpoint = open_file(&fixture(&format!("gguf/{name}.gguf")));
        let bytes = std::fs::read(fixture(&format!("gguf/{name}.safetensors")))
            .expect("the fixture is there");
        let reference = safetensors::SafeTensors::deserialize(&bytes).expect("whole");
        let mut compared = 0;
        for (key, view) in reference.tensors() {
            let Some(tensor) = key.strip_prefix("weights.") else {
                continue;
            };
            let expected: Vec<f32> = view
                .data()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect();
            assert_eq!(
                checkpoint
                    .weights
                    .read(tensor, view.shape())
                    .expect("reads"),
                expected,
                "{name} {tensor}"
            );
            compared += 1;
        }
        assert_eq!(compared, 2, "{name}: q and k");
    }
}

#[test]
fn every_tensor_of_every_block_type_is_read() {
    for name in ["gguf/tiny-llama.gguf", "gguf/tiny-qwen2.gguf"] {
        let checkpoint = open_file(&fixture(name));
        for (tensor, shape) in expected_tensors(&checkpoint.config) {
            let values = checkpoint.weights.read(&tensor, &shape).expect(&tensor);
            let square: f32 = values.iter().map(|x| x * x).sum();
            assert!(square > 0.0, "{name} {tensor}");
        }
    }
}

#[test]
fn a_separate_head_is_used_where_the_file_has_one() {
    let checkpoint = open_file(&fixture("gguf/tiny-qwen2.gguf"));
    let shape = [checkpoint.config.vocab_size, 64];
    let head = checkpoint
        .weights
        .read("lm_head.weight", &shape)
        .expect("reads");
    assert_ne!(
        head,
        checkpoint
            .weights
            .read("model.embed_tokens.weight", &shape)
            .expect("reads")
    );
    assert!(
        !open_file(&fixture("gguf/tiny-llama.gguf"))
            .weights
            .contains("lm_head.weight")
    );
}

#[test]
fn llama_biases_are_unpermuted_with_their_rows_and_qwen2_biases_are_not() {
    // Four heads of two pairs: bias element = its place in the file.
    for (arch, expected) in [
        ("llama", [0.0, 2.0, 1.0, 3.0]),
        ("qwen2", [0.0, 1.0, 2.0, 3.0]),
    ] {
        let mut file = tiny(arch);
        file.tensors.retain(|t| !t.name.ends_with("attn_q.bias"));
        let values: Vec<f32> = (0..16).map(|i| i as f32).collect();
        file.tensor_f32("blk.0.attn_q.bias", &[16], &values);
        for name in ["attn_k", "attn_v"] {
            file.tensors
                .retain(|t| t.name != format!("blk.0.{name}.bias"));
            file.tensor_f32(&format!("blk.0.{name}.bias"), &[16], &values);
        }
        let saved = file.save();
        let checkpoint = open_file(saved.path());
        assert!(checkpoint.config.qkv_bias);
        let read = |name: &str| {
            checkpoint
                .weights
                .read(&format!("model.layers.0.self_attn.{name}.bias"), &[16])
                .expect("reads")
        };
        assert_eq!(&read("q_proj")[..4], expected, "{arch}");
        assert_eq!(&read("q_proj")[4..8], expected.map(|x| x + 4.0), "{arch}");
        assert_eq!(read("v_proj"), values, "{arch}");
    }
}

#[test]
fn rope_divisors_become_llama_3_scaling_when_they_are_its_and_stay_divisors_when_not() {
    // Divisors as a converter writes them, from the definition.
    let (theta, head_dim) = (500_000.0f64, 4);
    let scaling = RopeScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position: 8192,
    };
    let mut config = open_file(tiny("llama").save().path()).config;
    config.rope_theta = theta;
    let plain = config.rope_inv_freq();
    config.rope_scaling = scaling.clone();
    let divisors: Vec<f32> = plain
        .iter()
        .zip(config.rope_inv_freq())
        .map(|(p, s)| (p / s) as f32)
        .collect();
    assert_eq!(divisors.len(), head_dim / 2);
    let with_divisors = |divisors: &[f32]| {
        let mut file = tiny("llama");
        file.set("llama.rope.freq_base", Value::F32(theta as f32));
        file.tensor_f32("rope_freqs.weight", &[divisors.len()], divisors);
        open_file(file.save().path()).config.rope_scaling
    };
    assert_eq!(with_divisors(&divisors), scaling);
    assert_eq!(with_divisors(&[1.0, 1.0]), RopeScaling::None);
    assert_eq!(
        with_divisors(&[1.0, 3.5]),
        RopeScaling::Divisors(vec![1.0, 3.5])
    );
}

#[test]
fn linear_scaling_is_read_in_both_spellings() {
    for keys in [
        vec![
            ("llama.rope.scaling.type", Value::Text("linear".into())),
            ("llama.rope.scaling.factor", Value::F32(2.0)),
        ],
        vec![("llama.rope.scale_linear", Value::F32(2.0))],
    ] {
        let mut file = tiny("llama");
        for (key, value) in keys {
            file.set(key, value);
        }
        assert_eq!(
            open_file(file.save().path()).config.rope_scaling,
            RopeScaling::Linear { factor: 2.0 }
        );
    }
    let mut file = tiny("llama");
    file.set("llama.rope.scaling.type", Value::Text("none".into()));
    assert_eq!(
        open_file(file.save().path()).config.rope_scaling,
        RopeScaling::None
    );
}

#[test]
fn special_ids_and_bos_follow_the_metadata() {
    let mut file = tiny("llama");
    file.set("tokenizer.ggml.eot_token_id", Value::U32(5));
    file.set("tokenizer.ggml.add_bos_token", Value::Flag(true));
    let checkpoint = open_file(file.save().path());
    assert_eq!(checkpoint.tokenizer.eos(), [1, 5]);
    assert_eq!(checkpoint.config.eos, [1, 5]);
    assert_eq!(
        (checkpoint.tokenizer.bos(), checkpoint.tokenizer.adds_bos()),
        (Some(0), Some(true))
    );

    // Without the key: the convention of Llama 3's pre-tokenizer, and no opinion elsewhere.
    for (pre, expected) in [("llama-bpe", Some(true)), ("gpt-2", None)] {
        let mut file = tiny("llama");
        file.set("tokenizer.ggml.pre", Value::Text(pre.into()));
        assert_eq!(
            open_file(file.save().path()).tokenizer.adds_bos(),
            expected,
            "{pre}"
        );
    }
}

#[test]
fn alignment_and_version_2_are_honoured() {
    let expected = open_file(tiny("qwen2").save().path());
    for (version, alignment) in [(2, None), (3, Some(64)), (3, Some(8))] {
        let mut file = File {
            version,
            ..tiny("qwen2")
        };
        if let Some(alignment) = alignment {
            file.set("general.alignment", Value::U32(alignment));
        }
        let found = open_file(file.save().path());
        for (name, shape) in expected_tensors(&expected.config) {
            let read = |c: &Checkpoint| c.weights.read(&name, &shape).expect("reads");
            assert_eq!(
                read(&found),
                read(&expected),
                "{name} {version} {alignment:?}"
            );
        }
    }
}

#[test]
fn the_content_identifier_sees_every_byte_of_the_file() {
    let file = tiny("llama").save();
    let id = open_file(file.path()).content_id;
    assert_eq!(id, open_file(tiny("llama").save().path()).content_id);
    let mut bytes = std::fs::read(file.path()).expect("there");
    let last = bytes.len() - 4;
    bytes[last] ^= 1;
    std::fs::write(file.path(), bytes).expect("written");
    assert_ne!(id, open_file(file.path()).content_id);
}

/// The tiny llama in three parts: metadata alone in the first, as `llama-gguf-split --no-tensor-first-split` writes it.
pub(crate) fn split(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let whole = tiny("llama");
    let count = whole.tensors.len();
    let half = count / 2;
    let ranges = [0..0, 0..half, half..count];
    let mut paths = Vec::new();
    for (no, range) in ranges.into_iter().enumerate() {
        let mut part = File {
            version: 3,
            metadata: if no == 0 {
                whole.metadata.clone()
            } else {
                Vec::new()
            },
            tensors: whole.tensors[range].to_vec(),
        };
        part.set("split.no", Value::U32(no as u32));
        part.set("split.count", Value::U32(3));
        part.set("split.tensors.count", Value::U32(count as u32));
        let path = dir.join(format!("tiny-{:05}-of-00003.gguf", no + 1));
        std::fs::write(&path, part.bytes()).expect("written");
        paths.push(path);
    }
    paths
}

#[test]
fn a_split_file_is_read_from_any_of_its_parts() {
    let whole = tiny("llama").save();
    let whole = open(&ModelSource::Path(whole.path().to_path_buf())).expect("opens");
    let dir = tempfile::tempdir().expect("a folder");
    let mut ids = Vec::new();
    for path in split(dir.path()) {
        let split = open(&ModelSource::Path(path)).expect("opens");
        assert_eq!(split.config, whole.config);
        for (name, shape) in expected_tensors(&whole.config) {
            let (one, other) = (
                split.weights.read(&name, &shape),
                whole.weights.read(&name, &shape),
            );
            assert_eq!(one.expect("reads"), other.expect("reads"), "{name}");
        }
        ids.push(split.content_id);
    }
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[test]
fn parts_that_are_missing_or_do_not_belong_together_are_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let paths = split(dir.path());
    let said = || message(open(&ModelSource::Path(paths[2].clone())));
    let second = std::fs::read(&paths[1]).expect("there");
    std::fs::remove_file(&paths[1]).expect("removed");
    assert_says(
        &said(),
        &["tiny-00002-of-00003.gguf", "part 2 of 3", "one folder"],
    );
    std::fs::copy(&paths[2], &paths[1]).expect("copied");
    assert_says(&said(), &["tiny-00002-of-00003.gguf", "split.no Some(2)"]);
    std::fs::write(&paths[1], &second[..second.len() - 40]).expect("written");
    assert_says(&said(), &["tiny-00002-of-00003.gguf", "truncated"]);
    std::fs::write(&paths[1], &second).expect("written");
    let renamed = dir.path().join("renamed.gguf");
    std::fs::copy(&paths[0], &renamed).expect("copied");
    assert_says(
        &message(open(&ModelSource::Path(renamed))),
        &["renamed.gguf", "one of 3 parts", "NAME-00001-of-00003.gguf"],
    );
}
