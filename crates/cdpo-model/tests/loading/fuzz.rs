//! Damaged configurations, adapters, tokenizers and GGUF headers: an error or a reading, never a panic.
//!
//! Each case is a whole file with one to four changes that its number alone decides: bytes flipped, cut out, doubled or written over, and
//! in JSON whole values replaced. The normal run does a few hundred of each kind; `CDPO_FUZZ_CASES=250000` does so many of each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use cdpo_model::source::{ModelSource, open};
use cdpo_model::{Adapter, Device, Key, ModelConfig, Tokenizer};
use serde_json::{Value, json};

use crate::writer::{saved, tiny};
use crate::{TINY_TOKENIZER, fixture};

/// Cases of each kind.
fn cases() -> u64 {
    let asked = std::env::var("CDPO_FUZZ_CASES").ok();
    asked.map_or(300, |n| n.parse().expect("CDPO_FUZZ_CASES is a number"))
}

/// Numbers that are asked of one key in order.
struct Dice(Key, u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.1 += 1;
        self.0.with(self.1).below(n.max(1))
    }
}

/// Values that readers are wrong about.
fn odd(dice: &mut Dice) -> Value {
    let all = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(7),
        json!(1e308),
        json!(u64::MAX),
        json!(0.5),
        json!(""),
        json!("(.*a|b)*[^c]{2,9}$"),
        json!("\u{1f600}"),
        json!([]),
        json!([[0, -1], "x"]),
        json!({}),
        json!({"type": "yarn", "factor": -0.0}),
        json!({"a": {"b": [1e-320]}}),
    ];
    all[dice.below(all.len())].clone()
}

/// Replaces, adds or removes one value somewhere in `value`.
fn change_value(value: &mut Value, dice: &mut Dice) {
    let deeper = dice.below(4) > 0;
    match value {
        Value::Object(map) if !map.is_empty() => {
            let keys: Vec<String> = map.keys().cloned().collect();
            let key = &keys[dice.below(keys.len())];
            match dice.below(8) {
                0 => drop(map.remove(key)),
                1 => drop(map.insert(format!("{key}_"), odd(dice))),
                _ if deeper => change_value(&mut map[key], dice),
                _ => drop(map.insert(key.clone(), odd(dice))),
            }
        }
        Value::Array(list) if !list.is_empty() => {
            let at = dice.below(list.len());
            match dice.below(6) {
                0 => drop(list.remove(at)),
                1 => list.push(list[at].clone()),
                _ if deeper => change_value(&mut list[at], dice),
                _ => list[at] = odd(dice),
            }
        }
        other => *other = odd(dice),
    }
}

fn change_bytes(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(bytes.len());
    let length = 1 + dice.below(9).min(bytes.len().saturating_sub(at + 1));
    match dice.below(6) {
        0 if bytes.len() > length => drop(bytes.drain(at..at + length)),
        1 => {
            let again = bytes[at..at + length].to_vec();
            bytes.splice(at..at, again);
        }
        2 => bytes[at..at + length].fill([0x00, 0xff, 0x7f, 0x80][dice.below(4)]),
        3 => bytes.truncate(at + 1),
        4 => bytes[at] = b"0-9\"{}[]:,.e"[dice.below(12)],
        _ => bytes[at] ^= 1 << dice.below(8),
    }
}

/// Reads `cases()` copies of `whole` with changes in the first `front` bytes with `read`, which says whether it took one.
fn fuzz(name: &str, whole: &[u8], front: usize, json: bool, read: impl Fn(&[u8]) -> bool) {
    assert!(read(whole), "{name}: the whole file is read");
    let value: Option<Value> = json.then(|| serde_json::from_slice(whole).expect("JSON"));
    let mut refused = 0;
    for case in 0..cases() {
        let mut dice = Dice(Key::new(11).with_str(name).with(case), 0);
        let mut bytes = whole[..front].to_vec();
        let times = 1 + dice.below(4);
        match &value {
            Some(value) if dice.below(3) > 0 => {
                let mut value = value.clone();
                (0..times).for_each(|_| change_value(&mut value, &mut dice));
                bytes = value.to_string().into_bytes();
            }
            _ => (0..times).for_each(|_| change_bytes(&mut bytes, &mut dice)),
        }
        bytes.extend_from_slice(&whole[front..]);
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&bytes)));
        let taken = outcome.unwrap_or_else(|_| {
            panic!(
                "{name}, case {case}: a panic on {}",
                String::from_utf8_lossy(&bytes)
            )
        });
        refused += u64::from(!taken);
    }
    // Changes that show are refused; those that do not (another name, a harmless key) are not.
    assert!(
        refused > cases() / 4,
        "{name}: {refused} of {} were refused",
        cases()
    );
}

#[test]
fn damaged_configurations_never_panic() {
    for name in ["llama", "qwen2"] {
        let whole = std::fs::read(fixture(name).join("config.json")).expect("there");
        fuzz(
            &format!("config.json of {name}"),
            &whole,
            whole.len(),
            true,
            |bytes| {
                let text = String::from_utf8_lossy(bytes);
                let Ok(mut config) = ModelConfig::from_hf_json(&text, "config.json") else {
                    return false;
                };
                let _ = config.add_generation_config(&text, "generation_config.json");
                if config.head_dim < 1 << 12 {
                    assert!(
                        config.rope_inv_freq().iter().all(|f| f.is_finite()),
                        "{text}"
                    );
                    assert!(config.rope_attention_factor().is_finite(), "{text}");
                }
                let _ = config.to_hf_json();
                true
            },
        );
    }
}

#[test]
fn damaged_adapter_configurations_never_panic() {
    let text = std::fs::read_to_string(fixture("adapters/base/config.json")).expect("there");
    let config = ModelConfig::from_hf_json(&text, "base").expect("parses");
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["patterns", "layers", "regex", "saved"] {
        let from = fixture("adapters").join(name);
        let tensors = "adapter_model.safetensors";
        std::fs::copy(from.join(tensors), dir.path().join(tensors)).expect("copied");
        let whole = std::fs::read(from.join("adapter_config.json")).expect("there");
        fuzz(
            &format!("adapter_config.json of {name}"),
            &whole,
            whole.len(),
            true,
            |bytes| {
                std::fs::write(dir.path().join("adapter_config.json"), bytes).expect("written");
                Adapter::load(dir.path(), &config, &Device::Cpu).is_ok()
            },
        );
    }
}

#[test]
fn damaged_tokenizers_never_panic() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("tokenizer.json");
    fuzz(
        "tokenizer.json",
        TINY_TOKENIZER.as_bytes(),
        TINY_TOKENIZER.len(),
        true,
        |bytes| {
            std::fs::write(&path, bytes).expect("written");
            let tokenizer = Tokenizer::from_file(&path);
            let Ok(tokenizer) = tokenizer else {
                return false;
            };
            let _ = tokenizer.encode("ab é 1");
            let _ = tokenizer.decode(&[3, 4, 6, 9]);
            true
        },
    );
}

#[test]
fn damaged_gguf_headers_never_panic() {
    let whole = tiny("llama").bytes();
    let file = saved(&whole);
    // Embedding, three norms, q, k, v, o, gate, up, down: what is behind the header.
    let values = 8 * 16 + 3 * 16 + 4 * 16 * 16 + 3 * 8 * 16;
    let header = whole.len() - 4 * values;
    let read = |path: &Path| open(&ModelSource::Path(path.to_path_buf())).is_ok();
    fuzz("GGUF", &whole, header, false, |bytes| {
        std::fs::write(file.path(), bytes).expect("written");
        read(file.path())
    });
}
