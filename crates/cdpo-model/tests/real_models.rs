//! Real models against transformers in f32 (`scripts/check_real_models.py` makes the references). Runs where the
//! environment variable `CDPO_TEST_MODELS` names a folder that holds them, and says that it skips otherwise.

#![allow(clippy::print_stderr)]

use std::path::PathBuf;

use candle_core::{Device, Tensor};
use cdpo_model::source::{ModelSource, open};
use cdpo_model::{AdapterStack, Extend, KvCache, Model, TokenForest};
use serde_json::Value;

fn present(file: &str, reference: &str) -> Option<(PathBuf, PathBuf)> {
    let found = std::env::var_os("CDPO_TEST_MODELS")
        .map(PathBuf::from)
        .and_then(|folder| {
            let (file, reference) = (folder.join(file), folder.join(reference));
            (file.exists() && reference.join("greedy.json").exists()).then_some((file, reference))
        });
    if found.is_none() {
        eprintln!("skipped: CDPO_TEST_MODELS does not hold {file} and {reference}");
    }
    found
}

fn argmax(row: &[f32]) -> u32 {
    (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best }) as u32
}

/// Logits within 1e-3 of the largest (seen: 1e-5), and greedy continuations identical but where the two best lie within
/// 1e-3 of each other.
fn equals_transformers(file: &str, reference: &str) {
    let Some((file, reference)) = present(file, reference) else {
        return;
    };
    let checkpoint = open(&ModelSource::Path(file)).unwrap();
    let mut model = Model::load(
        &checkpoint.config,
        checkpoint.weights.as_ref(),
        &Device::Cpu,
    )
    .unwrap();
    model.pack(false).unwrap();

    let tensors =
        candle_core::safetensors::load(reference.join("logits.safetensors"), &Device::Cpu).unwrap();
    for i in 0.. {
        let Some(ids) = tensors.get(&format!("ids.{i}")) else {
            break;
        };
        let ids: Vec<u32> = ids
            .to_vec1::<i64>()
            .unwrap()
            .iter()
            .map(|&id| id as u32)
            .collect();
        let rows: Vec<u32> = tensors[&format!("rows.{i}")]
            .to_vec1::<i64>()
            .unwrap()
            .iter()
            .map(|&row| row as u32)
            .collect();
        let mut forest = TokenForest::new();
        forest.push(&ids, None, 0);
        let got = model.forest_logits(&forest, &AdapterStack::base()).unwrap();
        let index = Tensor::from_slice(&rows, rows.len(), &Device::Cpu).unwrap();
        let got: Vec<f32> = got
            .index_select(&index, 0)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        let expected: Vec<f32> = tensors[&format!("logits.{i}")]
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        let scale = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let worst = got
            .iter()
            .zip(&expected)
            .fold(0.0f32, |m, (g, e)| m.max((g - e).abs()));
        eprintln!(
            "text {i}: {} tokens, max|difference| / max|logit| = {:e}",
            ids.len(),
            worst / scale
        );
        assert!(worst / scale < 1e-3);
    }

    let greedy: Value =
        serde_json::from_str(&std::fs::read_to_string(reference.join("greedy.json")).unwrap())
            .unwrap();
    let list = |v: &Value| -> Vec<u32> {
        v.as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_u64().unwrap() as u32)
            .collect()
    };
    let cases: Vec<(Vec<u32>, &Value)> = greedy
        .as_array()
        .unwrap()
        .iter()
        .map(|case| (list(&case["prompt_ids"]), case))
        .collect();
    let mut cache = KvCache::new(model.config(), 64 * 1024, &Device::Cpu);
    let mut paths: Vec<_> = cases.iter().map(|_| cache.root()).collect();
    let mut next: Vec<Vec<u32>> = cases.iter().map(|(prompt, _)| prompt.clone()).collect();
    let mut written: Vec<Vec<u32>> = vec![Vec::new(); cases.len()];
    for _ in 0..64 {
        let mut steps: Vec<Extend<'_>> = paths
            .iter_mut()
            .zip(&next)
            .map(|(path, ids)| Extend { path, ids })
            .collect();
        let hidden = model.extend(&mut cache, &mut steps).unwrap();
        let logits: Vec<Vec<f32>> = model.logits(&hidden).unwrap().to_vec2().unwrap();
        for ((row, next), written) in logits.iter().zip(&mut next).zip(&mut written) {
            *next = vec![argmax(row)];
            written.push(next[0]);
        }
    }
    let mut diverged = 0;
    for (written, (_, case)) in written.iter().zip(&cases) {
        let expected = list(&case["ids"]);
        let Some(at) = (0..expected.len()).find(|&t| written[t] != expected[t]) else {
            continue;
        };
        let gap = case["gap"][at].as_f64().unwrap();
        assert!(
            gap < 1e-3,
            "token {at} is {}, transformers has {} by {gap}",
            written[at],
            expected[at]
        );
        diverged += 1;
    }
    eprintln!(
        "{} greedy continuations, {diverged} part at a tie",
        cases.len()
    );
}

#[test]
fn smollm2_135m_equals_transformers() {
    equals_transformers("smollm2-135m-instruct-q4_1.gguf", "ref-smollm2-135m");
}

#[test]
fn qwen2_5_coder_0_5b_equals_transformers() {
    equals_transformers(
        "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        "ref-qwen2.5-0.5b",
    );
}
