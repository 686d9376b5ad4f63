//! The real models, where `CDPO_TEST_MODELS` and `CDPO_TEST_DATA` point: ids of every question and solution against
//! the model's own tokenizer.json and against hashes dumped by `scripts/check_real_models.py`.

#![allow(clippy::print_stderr)]

use std::path::PathBuf;

use cdpo_model::Tokenizer;
use cdpo_model::source::{Checkpoint, ModelSource, SafetensorsFolder, TensorSource, open};
use rayon::prelude::*;

/// The path under an environment variable, or nothing and a word about it.
pub(crate) fn real(variable: &str, name: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(|folder| PathBuf::from(folder).join(name));
    match path {
        Some(path) if path.exists() => Some(path),
        Some(path) => {
            eprintln!("skipped: {} is not there", path.display());
            None
        }
        None => {
            eprintln!("skipped: {variable} is not set");
            None
        }
    }
}

/// Every text of the data files, in the order of the dumped hashes: question, then answer or solution, of each row.
pub(crate) fn texts() -> Option<Vec<(String, String)>> {
    let mut all = Vec::new();
    for (stem, second) in [
        ("gsm8k_train", "answer"),
        ("gsm8k_test", "answer"),
        ("math_train", "solution"),
        ("math500", "solution"),
    ] {
        let path = real("CDPO_TEST_DATA", &format!("{stem}.jsonl"))?;
        for (row, line) in std::fs::read_to_string(path)
            .expect("readable")
            .lines()
            .enumerate()
        {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            for field in ["question", second] {
                let text = value
                    .get(field)
                    .or_else(|| value.get("problem"))
                    .and_then(|v| v.as_str());
                all.push((
                    format!("{stem}\t{row}\t{field}"),
                    text.expect("a text").to_string(),
                ));
            }
        }
    }
    Some(all)
}

pub(crate) fn gguf(name: &str) -> Option<Checkpoint> {
    Some(open(&ModelSource::Path(real("CDPO_TEST_MODELS", name)?)).expect("opens"))
}

/// FNV-1a, 64 bits, over the ids as little-endian words.
fn hash(ids: &[u32]) -> u64 {
    ids.iter()
        .flat_map(|id| id.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
        })
}

/// Encodes every text, compares with the dumped hashes, and decodes back.
fn hold_to_dump(tokenizer: &Tokenizer, reference: &str) -> Option<usize> {
    let dump = std::fs::read_to_string(real(
        "CDPO_TEST_MODELS",
        &format!("{reference}/tokens.tsv"),
    )?)
    .expect("readable");
    let texts = texts()?;
    assert_eq!(dump.lines().count(), texts.len());
    let lines: Vec<&str> = dump.lines().collect();
    texts
        .par_iter()
        .zip(lines)
        .for_each(|((place, text), line)| {
            let ids = tokenizer.encode(text).expect("encodes");
            assert_eq!(format!("{place}\t{}\t{:016x}", ids.len(), hash(&ids)), line);
            assert_eq!(&tokenizer.decode(&ids).expect("decodes"), text, "{place}");
            let bytes: Vec<u8> = ids
                .iter()
                .flat_map(|id| tokenizer.token_bytes(*id).expect("bytes"))
                .collect();
            assert_eq!(bytes, text.as_bytes(), "{place}");
        });
    Some(texts.len())
}

#[test]
fn qwens_ids_from_gguf_are_its_tokenizer_files_ids_on_all_text() {
    let Some(checkpoint) = gguf("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf") else {
        return;
    };
    assert_eq!(checkpoint.tokenizer.eos(), [151645, 151643]);
    assert_eq!(checkpoint.tokenizer.adds_bos(), Some(false));
    let Some(path) = real("CDPO_TEST_MODELS", "tokenizer-qwen2_5/tokenizer.json") else {
        return;
    };
    let own = Tokenizer::from_file(&path).expect("reads");
    assert_eq!(checkpoint.tokenizer.vocab_size(), own.vocab_size());
    let extra = [
        "<|im_start|>user\n<tool_call>{}</tool_call>",
        "ﬁ e\u{301} 𝟏𝟐 ١٢ \u{3000}　",
        "\r\n \n\t x'LL",
        "",
    ];
    for text in extra {
        assert_eq!(
            checkpoint.tokenizer.encode(text).expect("encodes"),
            own.encode(text).expect("encodes"),
            "{text:?}"
        );
    }
    let Some(all) = texts() else { return };
    all.par_iter().for_each(|(place, text)| {
        let ids = checkpoint.tokenizer.encode(text).expect("encodes");
        assert_eq!(ids, own.encode(text).expect("encodes"), "{place}");
    });
    let compared = hold_to_dump(&checkpoint.tokenizer, "ref-qwen2.5-0.5b");
    eprintln!(
        "{} texts compared with tokenizer.json, {compared:?} with the dump",
        all.len()
    );
}

#[test]
fn smollms_ids_from_gguf_are_the_dumped_ones_on_all_text() {
    let Some(checkpoint) = gguf("smollm2-135m-instruct-q4_1.gguf") else {
        return;
    };
    let compared = hold_to_dump(&checkpoint.tokenizer, "ref-smollm2-135m");
    eprintln!("{compared:?} texts compared with the dump");
}

#[test]
fn llama_3s_tokenizer_file_reports_its_bos() {
    let Some(path) = real("CDPO_TEST_MODELS", "tokenizer-llama3/tokenizer.json") else {
        return;
    };
    let tokenizer = Tokenizer::from_file(&path).expect("reads");
    assert_eq!(tokenizer.bos(), Some(128_000));
    eprintln!(
        "adds_bos {:?} ({})",
        tokenizer.adds_bos(),
        tokenizer.bos_note()
    );
    let ids = tokenizer.encode("12345 apples").expect("encodes");
    assert_eq!(ids.len(), 3, "digits go in groups of three: {ids:?}");
}

#[test]
fn gguf_weights_are_those_of_the_dequantised_folder() {
    for (file, folder) in [
        ("smollm2-135m-instruct-q4_1.gguf", "hf-smollm2-135m"),
        ("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", "hf-qwen2.5-0.5b"),
    ] {
        let (Some(checkpoint), Some(path)) = (gguf(file), real("CDPO_TEST_MODELS", folder)) else {
            return;
        };
        let weights = SafetensorsFolder::open(&path).expect("opens");
        let last = checkpoint.config.layers - 1;
        let mut compared = 0;
        for (name, shape) in cdpo_model::source::expected_tensors(&checkpoint.config) {
            // The first and last block and everything outside blocks.
            let inside = name.starts_with("model.layers.");
            if inside && !name.contains("layers.0.") && !name.contains(&format!("layers.{last}.")) {
                continue;
            }
            let found = checkpoint.weights.read(&name, &shape).expect("reads");
            assert!(
                found == weights.read(&name, &shape).expect("reads"),
                "{file}: {name}"
            );
            compared += 1;
        }
        eprintln!("{file}: {compared} tensors bit-equal");
    }
}
