//! Merging into a folder: its logits, its rounding, its shards.

use std::collections::BTreeSet;

use cdpo_model::source::{TensorSource, expected_tensors};

use super::*;

fn logits(model: &Model, adapters: &[&Adapter], sequence: &[u32]) -> Vec<f32> {
    let mut forest = TokenForest::new();
    forest.push(sequence, None, 0);
    let stack = AdapterStack::frozen(adapters);
    let logits = model.forest_logits(&forest, &stack).unwrap();
    logits.flatten_all().unwrap().to_vec1().unwrap()
}

fn f64s(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| v.into()).collect()
}

#[test]
fn a_folder_merged_in_bf16_is_the_f32_one_within_its_rounding() {
    for name in ADAPTED {
        let f = fixture(name);
        let lora = adapter(&f, "lora");
        let sequence = ids(&f.json["sequences"][0]);
        let unmerged = logits(&f.model, &[&lora], &sequence);
        let (whole, exact) = merged_as(&f.dir, &lora, DType::F32);
        close(&logits(&whole, &[], &sequence), &f64s(&unmerged), 1e-5);
        assert_eq!((exact.largest, exact.mean), (0.0, 0.0));
        assert!(exact.update > 0.0 && (exact.kept / exact.update - 1.0).abs() < 1e-5);
        let (half, lost) = merged_as(&f.dir, &lora, DType::BF16);
        // Seven bits of fraction: half a step is 2^-8 of a value just over a power of two.
        assert!(lost.largest <= 2f64.powi(-8) && lost.largest > 2f64.powi(-9));
        assert!(lost.mean > 0.0 && lost.mean < lost.largest);
        assert_eq!(lost.update, exact.update);
        assert!(lost.error > 0.0);
        let rounded = logits(&half, &[], &sequence);
        assert_ne!(rounded, logits(&whole, &[], &sequence), "{name}");
        close(&rounded, &f64s(&unmerged), 0.02);
    }
}

#[test]
fn shards_hold_what_one_file_holds_and_an_index_names_them() {
    let f = fixture("llama");
    let lora = adapter(&f, "lora");
    let (config, weights) = opened(&f.dir);
    let write = |shard_bytes: u64, dir: &Path| {
        let merge = Merge {
            config: &config,
            weights: &weights,
            adapter: &lora,
            dtype: DType::F32,
            shard_bytes,
        };
        let mut seen = Vec::new();
        let going_on = &mut |at: Progress<'_>| {
            seen.push((at.done, at.total));
            ControlFlow::Continue(())
        };
        merge.write(dir, going_on).unwrap().unwrap();
        let (last, total) = *seen.last().unwrap();
        assert_eq!(last, total);
        assert!(seen.is_sorted());
        4 * total
    };
    let dir = tempfile::tempdir().unwrap();
    let bytes = write(SHARD_BYTES, dir.path());
    let (config_of_one, one) = opened(dir.path());
    let expected: Vec<(String, Vec<f32>)> = expected_tensors(&config_of_one)
        .iter()
        .map(|(name, shape)| (name.clone(), one.read(name, shape).unwrap()))
        .collect();
    // Into the same folder: the single file would be read instead of the shards.
    assert_eq!(write(bytes / 3, dir.path()), bytes);
    let files: BTreeSet<String> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let shards = files.iter().filter(|name| name.ends_with(".safetensors"));
    let count = shards.clone().count();
    assert!(
        count > 2 && !files.contains("model.safetensors"),
        "{files:?}"
    );
    for shard in shards {
        assert!(
            shard.ends_with(&format!("-of-{count:05}.safetensors")),
            "{shard}"
        );
    }
    let index = std::fs::read_to_string(dir.path().join("model.safetensors.index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    assert_eq!(index["metadata"]["total_size"], bytes);
    let (config, back) = opened(dir.path());
    assert_eq!(config, config_of_one);
    for (name, values) in &expected {
        let (_, shape) = expected_tensors(&config)
            .into_iter()
            .find(|(other, _)| other == name)
            .unwrap();
        assert_eq!(&back.read(name, &shape).unwrap(), values, "{name}");
    }
    write(SHARD_BYTES, dir.path());
    assert!(!dir.path().join("model.safetensors.index.json").exists());
}

#[test]
fn merging_ends_where_the_observer_says() {
    let f = fixture("llama");
    let (config, weights) = opened(&f.dir);
    let merge = Merge {
        config: &config,
        weights: &weights,
        adapter: &adapter(&f, "lora"),
        dtype: DType::F32,
        shard_bytes: SHARD_BYTES,
    };
    let out = tempfile::tempdir().unwrap();
    let ended = merge.write(out.path(), &mut |_| ControlFlow::Break(()));
    assert_eq!(ended.unwrap(), None);
    assert!(!out.path().join("model.safetensors").exists());
}
