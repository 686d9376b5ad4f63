//! How much memory merging takes: its own process, so that nothing else counts.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::path::Path;

use cdpo_model::merge::SHARD_BYTES;
use cdpo_model::source::{SafetensorsFolder, TensorSource as _, expected_tensors};
use cdpo_model::{Adapter, Arena, DType, Device, Key, LoraConfig, Merge, Model, ModelConfig};

/// 24 layers of 1.6 million values each: 150 MiB in f32.
const CONFIG: &str = r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":1024,"hidden_size":384,
    "intermediate_size":896,"num_hidden_layers":24,"num_attention_heads":6,"num_key_value_heads":6,"rms_norm_eps":1e-5,
    "rope_theta":10000.0,"max_position_embeddings":64,"eos_token_id":0,"tie_word_embeddings":true}"#;

/// A line of what the system knows of this process, in bytes.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|l| l.strip_prefix(line));
    let kib = found
        .unwrap()
        .trim_start_matches(':')
        .trim_end_matches("kB");
    kib.trim().parse::<u64>().unwrap() << 10
}

/// Writes a base whose values are small whole numbers.
fn base(config: &ModelConfig, dir: &Path) -> u64 {
    let mut tensors = std::collections::HashMap::new();
    let mut total = 0;
    for (name, shape) in expected_tensors(config) {
        let count: usize = shape.iter().product();
        total += count as u64;
        let values: Vec<f32> = (0..count).map(|i| (i % 7) as f32 * 0.01).collect();
        let tensor = candle_core::Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        tensors.insert(name, tensor);
    }
    candle_core::safetensors::save(&tensors, dir.join("model.safetensors")).unwrap();
    std::fs::write(dir.join("config.json"), CONFIG).unwrap();
    4 * total
}

#[test]
fn merging_holds_a_part_of_a_tensor_at_a_time() {
    let config = ModelConfig::from_hf_json(CONFIG, "test").unwrap();
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let whole = base(&config, dir.path());
    let fresh = Adapter::init(&config, &LoraConfig::default(), Key::new(1), &Device::Cpu).unwrap();
    let mut params: Arena = fresh.arena().clone();
    params.data.iter_mut().for_each(|x| *x += 0.001);
    let adapter = Adapter::from_params(&config, fresh.config(), &params, &Device::Cpu).unwrap();
    let weights = SafetensorsFolder::open(dir.path()).unwrap();
    weights.release();
    // The peak from here on.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS");
    let merge = Merge {
        config: &config,
        weights: &weights,
        adapter: &adapter,
        dtype: DType::BF16,
        shard_bytes: SHARD_BYTES,
    };
    let done = merge.write(out.path(), &mut |_| ControlFlow::Continue(()));
    let rounding = done.unwrap().unwrap();
    let peak = memory("VmHWM").saturating_sub(before);
    println!(
        "merging {} MiB of f32 took {} MiB at its peak ({rounding:?})",
        whole >> 20,
        peak >> 20
    );
    assert!(peak < whole / 4, "{} MiB of {}", peak >> 20, whole >> 20);
    let written = ModelConfig::from_hf_json(
        &std::fs::read_to_string(out.path().join("config.json")).unwrap(),
        "written",
    );
    let back = SafetensorsFolder::open(out.path()).unwrap();
    Model::load(&written.unwrap(), &back, &Device::Cpu).unwrap();
}
