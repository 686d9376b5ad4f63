//! The tree's bookkeeping, and both stores against the forest forward.

use candle_core::Device;

use super::{KvCache, KvForm, PAGE};
use crate::source::TensorSource;
use crate::{AdapterStack, Extend, Key, Model, ModelConfig, Result, Target, TokenForest};

fn config() -> ModelConfig {
    let text = r#"{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 50, "hidden_size": 32,
        "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "max_position_embeddings": 256, "tie_word_embeddings": true,
        "bos_token_id": 0, "eos_token_id": 1, "hidden_act": "silu"}"#;
    ModelConfig::from_hf_json(text, "test").unwrap()
}

/// Keyed random weights of about unit gain.
struct Random;

impl TensorSource for Random {
    fn contains(&self, _name: &str) -> bool {
        true
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let key = Key::new(1).with_str(name);
        let scale = 3.0 / (shape[shape.len() - 1] as f64).sqrt();
        Ok((0..shape.iter().product())
            .map(|i: usize| ((2.0 * key.with(i as u64).unit() - 1.0) * scale) as f32)
            .collect())
    }
}

#[test]
fn pages_are_shared_until_a_fork_and_come_back_when_released() {
    let mut cache = KvCache::new(&config(), 4 * PAGE, &Device::Cpu);
    assert_eq!(cache.free_tokens(), 4 * PAGE);
    let mut path = cache.root();
    cache.grow(&mut path, PAGE + 5).unwrap();
    assert_eq!(cache.free_tokens(), 2 * PAGE);
    let fork = cache.fork(&path).unwrap();
    assert_eq!(fork.pages[0], path.pages[0], "a whole page is shared");
    assert_ne!(fork.pages[1], path.pages[1], "a partial page is copied");
    assert_eq!(cache.free_tokens(), PAGE);
    cache.release(path);
    assert_eq!(
        cache.free_tokens(),
        2 * PAGE,
        "the shared page is still held"
    );
    let error = cache.check_free(3).unwrap_err().to_string();
    assert!(error.contains("cache of 128 tokens is full"), "{error}");
    cache.release(fork);
    assert_eq!(cache.free_tokens(), 4 * PAGE);
}

/// Final hidden logits along a branching tree, by forest and by both stores.
#[test]
fn decoding_gives_the_forests_bits_on_the_host_and_its_values_from_tensors() {
    let config = config();
    let mut model = Model::load(&config, &Random, &Device::Cpu).unwrap();
    model.pack(true).unwrap();
    let ids: Vec<u32> = (0..75).map(|i| (i * 7 + 3) % 50).collect();
    let (prompt, left, right) = (&ids[..41], &ids[41..60], &ids[60..]);
    let mut forest = TokenForest::new();
    let root = forest.push(prompt, None, 0);
    forest.push(left, Some(root), 0);
    forest.push(right, Some(root), 0);
    let all = model
        .forest_logits(&forest, &AdapterStack::base())
        .unwrap()
        .to_vec2::<f32>()
        .unwrap();
    let expected = [&all[40], &all[59], &all[74]];

    let largest = all.iter().flatten().fold(0.0f32, |m, l| m.max(l.abs()));
    // The cache, and the least and the largest error it may give.
    for (mut cache, least, most) in [
        (KvCache::new(&config, 1024, &Device::Cpu), 0.0, 0.0),
        (KvCache::composed(&config, 1024, &Device::Cpu), 0.0, 2e-5),
        (
            KvCache::with_form(&config, 1024, &Device::Cpu, KvForm::Bf16),
            1e-6,
            0.01 * largest,
        ),
    ] {
        let mut a = cache.root();
        let mut got = vec![
            model
                .extend(
                    &mut cache,
                    &mut [Extend {
                        path: &mut a,
                        ids: prompt,
                    }],
                )
                .unwrap(),
        ];
        let mut b = cache.fork(&a).unwrap();
        // One path at once, the other token by token.
        let first = model.extend(
            &mut cache,
            &mut [
                Extend {
                    path: &mut b,
                    ids: &right[..1],
                },
                Extend {
                    path: &mut a,
                    ids: left,
                },
            ],
        );
        got.push(first.unwrap().narrow(0, 1, 1).unwrap());
        let mut last = None;
        for id in &right[1..] {
            last = Some(
                model
                    .extend(
                        &mut cache,
                        &mut [Extend {
                            path: &mut b,
                            ids: &[*id],
                        }],
                    )
                    .unwrap(),
            );
        }
        got.push(last.unwrap());
        for (hidden, expected) in got.iter().zip(expected) {
            let logits: Vec<f32> = model
                .logits(hidden)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap();
            let worst = logits
                .iter()
                .zip(expected)
                .fold(0.0f32, |m, (g, e)| m.max((g - e).abs()));
            assert!(
                (least..=most).contains(&worst),
                "{worst:e}, at most {most:e}"
            );
        }
    }
}

/// Rounding happens once, when a number is written: a path's bits do not depend on how its tokens came, as with f32.
#[test]
fn rounded_numbers_do_not_depend_on_the_batch() {
    let config = config();
    let mut model = Model::load(&config, &Random, &Device::Cpu).unwrap();
    model.pack(true).unwrap();
    let ids: Vec<u32> = (0..40).map(|i| (i * 7 + 3) % 50).collect();
    let last = |pieces: &[&[u32]]| {
        let mut cache = KvCache::with_form(&config, 1024, &Device::Cpu, KvForm::Bf16);
        let mut path = cache.root();
        let mut hidden = None;
        for ids in pieces {
            let step = Extend {
                path: &mut path,
                ids,
            };
            hidden = Some(model.extend(&mut cache, &mut [step]).unwrap());
        }
        crate::ops::oracle::bits(&hidden.unwrap())
    };
    let whole = last(&[&ids]);
    assert_eq!(last(&[&ids[..1], &ids[1..17], &ids[17..]]), whole);
    assert_eq!(
        KvCache::bytes_per_token(&config, KvForm::F32),
        2 * KvCache::bytes_per_token(&config, KvForm::Bf16)
    );
}

#[test]
fn a_step_beyond_the_context_or_the_cache_changes_no_path() {
    let config = config();
    let model = Model::load(&config, &Random, &Device::Cpu).unwrap();
    let mut cache = KvCache::new(&config, 2 * PAGE, &Device::Cpu);
    let (mut a, mut b) = (cache.root(), cache.root());
    let long = vec![1; 257];
    let error = model
        .extend(
            &mut cache,
            &mut [
                Extend {
                    path: &mut b,
                    ids: &[1],
                },
                Extend {
                    path: &mut a,
                    ids: &long,
                },
            ],
        )
        .unwrap_err()
        .to_string();
    assert!(error.contains("257") && error.contains("256"), "{error}");
    let error = model
        .extend(
            &mut cache,
            &mut [Extend {
                path: &mut a,
                ids: &long[..100],
            }],
        )
        .unwrap_err()
        .to_string();
    assert!(error.contains("full"), "{error}");
    let error = model
        .extend(
            &mut cache,
            &mut [Extend {
                path: &mut a,
                ids: &[50],
            }],
        )
        .unwrap_err()
        .to_string();
    assert!(error.contains("vocabulary of 50"), "{error}");
    assert_eq!((a.len(), b.len(), cache.free_tokens()), (0, 0, 2 * PAGE));
    let none: &[Target] = &[];
    assert!(
        model
            .score(&TokenForest::new(), &AdapterStack::base(), none)
            .unwrap()
            .is_empty()
    );
}
