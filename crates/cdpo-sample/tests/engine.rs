//! The sampler on the real engine, with small random models: the same bits whatever the batch, the branch and the threads.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use cdpo_model::source::TensorSource;
use cdpo_model::{
    AdapterStack, Device, Extend, Key, KvCache, KvPath, Model, ModelConfig, TokenForest, Tokenizer,
};
use cdpo_sample::{Completion, Error, Finish, LocalSampler, Request, SampleParams, Sampler};

const VOCABULARY: usize = 300;
const EOS: u32 = 257;

/// Normal-like weights keyed by tensor name and element.
struct Random(f64);

impl TensorSource for Random {
    fn contains(&self, _: &str) -> bool {
        true
    }

    fn read(&self, name: &str, shape: &[usize]) -> cdpo_model::Result<Vec<f32>> {
        let key = Key::new(5).with_str(name);
        let value = |i: u64| {
            (0..3)
                .map(|part| key.with(i).with(part).unit() - 0.5)
                .sum::<f64>()
        };
        let n = shape.iter().product::<usize>() as u64;
        let (scale, shift) = match name {
            "model.embed_tokens.weight" => (1.0, 0.0),
            "lm_head.weight" => (self.0, 0.0),
            name if name.ends_with("norm.weight") => (0.2, 1.0),
            _ => (0.3, 0.0),
        };
        Ok((0..n).map(|i| (scale * value(i) + shift) as f32).collect())
    }
}

/// A packed model of two layers: 4 query and 2 key heads of width 16, hidden 64; `max_positions` 256.
fn model(family: &str) -> Model {
    let architecture = if family == "qwen2" {
        "Qwen2ForCausalLM"
    } else {
        "LlamaForCausalLM"
    };
    let config = format!(
        r#"{{"architectures": ["{architecture}"], "model_type": "{family}", "vocab_size": {VOCABULARY}, "hidden_size": 64,
        "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "hidden_act": "silu", "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": false, "bos_token_id": 256, "eos_token_id": {EOS}}}"#
    );
    let config = ModelConfig::from_hf_json(&config, "test").unwrap();
    let mut model = Model::load(&config, &Random(1.0), &Device::Cpu).unwrap();
    model.pack(true).unwrap();
    model
}

/// One token a byte, spelled as GPT-2 does, and two special tokens.
fn tokenizer() -> Tokenizer {
    let mut next = 256u32;
    let vocabulary: BTreeMap<String, u32> = (0..256u32)
        .map(|byte| {
            let printable = matches!(byte, 33..=126 | 161..=172 | 174..=255);
            let spelled = if printable {
                byte
            } else {
                {
                    next += 1;
                    next - 1
                }
            };
            (char::from_u32(spelled).unwrap().to_string(), byte)
        })
        .collect();
    let special = |id: u32, content: &str| {
        serde_json::json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false})
    };
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": [special(256, "<s>"), special(257, "</s>")],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": []},
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, json.to_string()).unwrap();
    Tokenizer::from_file(&path).unwrap()
}

fn with_threads<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(run)
}

fn ids(key: Key, n: usize) -> Vec<u32> {
    (0..n as u64)
        .map(|i| key.with(i).below(256) as u32)
        .collect()
}

/// Bits of the logits after each path's last new token.
fn extend(
    model: &Model,
    cache: &mut KvCache,
    steps: &mut [(&mut KvPath, &[u32])],
) -> Vec<Vec<u32>> {
    let mut steps: Vec<Extend<'_>> = steps
        .iter_mut()
        .map(|(path, ids)| Extend { path, ids })
        .collect();
    let hidden = model.extend(cache, &mut steps).unwrap();
    let logits = model.logits(&hidden).unwrap().to_vec2::<f32>().unwrap();
    logits
        .into_iter()
        .map(|row| row.into_iter().map(f32::to_bits).collect())
        .collect()
}

/// Logits after 1, 2, .. tokens of `sequence`, each from one prefill of its own.
fn prefill_logits(model: &Model, sequence: &[u32]) -> Vec<Vec<u32>> {
    (1..=sequence.len())
        .map(|end| {
            let mut cache = KvCache::new(model.config(), 4096, &Device::Cpu);
            let mut path = cache.root();
            extend(model, &mut cache, &mut [(&mut path, &sequence[..end])]).remove(0)
        })
        .collect()
}

#[test]
fn logits_have_the_same_bits_from_prefill_decoding_and_every_branch_point() {
    for family in ["llama", "qwen2"] {
        let model = model(family);
        let sequence = ids(Key::new(1), 75);
        let want = with_threads(1, || prefill_logits(&model, &sequence));
        for threads in [1, 2] {
            with_threads(threads, || {
                if threads == 2 {
                    assert_eq!(
                        prefill_logits(&model, &sequence),
                        want,
                        "{family}: prefill, two threads"
                    );
                }
                // Token by token, and at every point a branch that takes the rest at once.
                let mut cache = KvCache::new(model.config(), 4096, &Device::Cpu);
                let mut trunk = cache.root();
                for at in 0..sequence.len() {
                    let mut branch = cache.fork(&trunk).unwrap();
                    let rest = extend(&model, &mut cache, &mut [(&mut branch, &sequence[at..])]);
                    assert_eq!(
                        rest[0],
                        want[sequence.len() - 1],
                        "{family}: branch at {at}, {threads} threads"
                    );
                    cache.release(branch);
                    let one = extend(&model, &mut cache, &mut [(&mut trunk, &sequence[at..=at])]);
                    assert_eq!(
                        one[0], want[at],
                        "{family}: decoding token {at}, {threads} threads"
                    );
                }
            });
        }
    }
}

#[test]
fn logits_have_the_same_bits_in_batches_of_1_2_6_7_64() {
    for family in ["llama", "qwen2"] {
        let model = model(family);
        let shared = ids(Key::new(2), 45);
        let tails: Vec<Vec<u32>> = (0..64).map(|row| ids(Key::new(3).with(row), 6)).collect();
        let run = |batch: usize| {
            let mut cache = KvCache::new(model.config(), 8192, &Device::Cpu);
            let mut trunk = cache.root();
            let mut got = extend(&model, &mut cache, &mut [(&mut trunk, &shared)]);
            for group in tails.chunks(batch) {
                let mut paths: Vec<KvPath> =
                    group.iter().map(|_| cache.fork(&trunk).unwrap()).collect();
                // Steps of one and of several tokens side by side.
                let mut at = vec![0; group.len()];
                while at.iter().any(|&at| at < 6) {
                    let mut rows: Vec<usize> = Vec::new();
                    let mut steps: Vec<(&mut KvPath, &[u32])> = Vec::new();
                    for (row, path) in paths.iter_mut().enumerate() {
                        if at[row] == 6 {
                            continue;
                        }
                        let take = if row % 3 == 1 { 3 } else { 1 };
                        steps.push((path, &group[row][at[row]..at[row] + take]));
                        at[row] += take;
                        rows.push(row);
                    }
                    let logits = extend(&model, &mut cache, &mut steps);
                    let finished = rows.iter().zip(logits).filter(|(row, _)| at[**row] == 6);
                    got.extend(finished.map(|(_, logits)| logits));
                }
                for path in paths {
                    cache.release(path);
                }
            }
            got.sort();
            got
        };
        let want = with_threads(1, || run(1));
        for threads in [1, 2] {
            for batch in [1, 2, 6, 7, 64] {
                let got = with_threads(threads, || run(batch));
                assert!(got == want, "{family}: batch {batch}, {threads} threads");
            }
        }
    }
}

type Samples = BTreeMap<(String, u32), Completion>;

fn params() -> SampleParams {
    SampleParams {
        temperature: 0.6,
        top_p: 0.95,
        max_new_tokens: 70,
        stop: vec!["a".into(), "\u{e9}".into()],
        logps: true,
        seed: 3,
        ..SampleParams::default()
    }
}

/// Four questions with two prefixes, 5 samples each.
fn requests() -> Vec<Request> {
    (0..4u64)
        .map(|question| Request {
            problem_id: format!("q/{question}"),
            prefix_ids: ids(Key::new(10 + question % 2), 40),
            prompt_ids: ids(Key::new(20 + question), 7 + question as usize),
            samples: (0..5).collect(),
        })
        .collect()
}

fn sample(sampler: &mut LocalSampler<'_>, requests: &[Request], params: &SampleParams) -> Samples {
    let mut samples = Samples::new();
    let ended = sampler
        .sample(
            requests,
            params,
            &mut |request, sample, completion| {
                samples.insert((request.problem_id.clone(), sample), completion);
                ControlFlow::Continue(())
            },
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap();
    assert!(ended.is_continue());
    samples
}

#[test]
fn samples_have_the_same_bits_whatever_the_batch_the_cache_and_the_threads() {
    for family in ["llama", "qwen2"] {
        let (model, tokenizer) = (model(family), tokenizer());
        let want = with_threads(1, || {
            sample(
                &mut LocalSampler::new(&model, &tokenizer).with_max_batch(1),
                &requests(),
                &params(),
            )
        });
        assert_eq!(want.len(), 20);
        let count = |finish: Finish| {
            want.values()
                .filter(|completion| completion.finish == finish)
                .count()
        };
        let counts = [Finish::Eos, Finish::Stop, Finish::Length].map(count);
        assert!(
            counts[1] > 0 && counts[2] > 0,
            "{family}: ends {counts:?}: the test shows too little"
        );
        for threads in [1, 2] {
            for max_batch in [1, 2, 6, 7, 64] {
                let mut sampler = LocalSampler::new(&model, &tokenizer).with_max_batch(max_batch);
                let got = with_threads(threads, || sample(&mut sampler, &requests(), &params()));
                assert_eq!(got, want, "{family}: batch {max_batch}, {threads} threads");
                // Again, with the prefixes kept from the first call.
                assert_eq!(
                    sample(&mut sampler, &requests(), &params()),
                    want,
                    "{family}: second call"
                );
            }
        }
        for cache in [256, 320, 512] {
            let mut sampler = LocalSampler::new(&model, &tokenizer)
                .with_max_batch(16)
                .with_max_cache_tokens(cache);
            assert_eq!(
                sample(&mut sampler, &requests(), &params()),
                want,
                "{family}: cache of {cache}"
            );
        }
        let mut missing = requests();
        missing.reverse();
        for request in &mut missing {
            request.samples.retain(|sample| sample % 2 == 1);
        }
        for (key, completion) in sample(
            &mut LocalSampler::new(&model, &tokenizer),
            &missing,
            &params(),
        ) {
            assert_eq!(completion, want[&key], "{family}: resumed {key:?}");
        }
    }
}

#[test]
fn text_is_what_the_ids_decode_to_and_log_probabilities_are_the_models() {
    let (model, tokenizer) = (model("llama"), tokenizer());
    let requests = requests();
    for ((id, index), completion) in sample(
        &mut LocalSampler::new(&model, &tokenizer),
        &requests,
        &params(),
    ) {
        let ids = completion.ids.unwrap();
        // One byte a token: no token carries both text and a stop string's beginning but within a character.
        if completion.finish != Finish::Stop {
            assert_eq!(
                completion.text,
                tokenizer.decode(&ids).unwrap(),
                "{id} {index}"
            );
        }
        let request = requests
            .iter()
            .find(|request| request.problem_id == id)
            .unwrap();
        let mut forest = TokenForest::new();
        let prompt = forest.push(
            &[request.prefix_ids.clone(), request.prompt_ids.clone()].concat(),
            None,
            0,
        );
        let response = forest.push(&ids, Some(prompt), 0);
        let want = model
            .score(&forest, &AdapterStack::base(), &forest.targets(response))
            .unwrap();
        let got = completion.token_logps.unwrap();
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(&want) {
            assert!(
                (got - want).abs() < 1e-4,
                "{id} {index}: {got} against {want}"
            );
        }
    }
}

#[test]
fn greedy_is_the_argmax_of_a_full_forward() {
    for family in ["llama", "qwen2"] {
        let (model, tokenizer) = (model(family), tokenizer());
        let params = SampleParams::greedy(48);
        for ((id, _), completion) in sample(
            &mut LocalSampler::new(&model, &tokenizer),
            &requests(),
            &params,
        ) {
            let requests = requests();
            let request = requests
                .iter()
                .find(|request| request.problem_id == id)
                .unwrap();
            let prompt = [request.prefix_ids.clone(), request.prompt_ids.clone()].concat();
            let ids = completion.ids.unwrap();
            let mut forest = TokenForest::new();
            forest.push(&[prompt.clone(), ids.clone()].concat(), None, 0);
            let logits = model
                .forest_logits(&forest, &AdapterStack::base())
                .unwrap()
                .to_vec2::<f32>()
                .unwrap();
            let ended = completion.finish == Finish::Eos;
            for (position, token) in ids.iter().copied().chain(ended.then_some(EOS)).enumerate() {
                let row = &logits[prompt.len() + position - 1];
                let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                assert!(
                    best - row[token as usize] < 1e-4,
                    "{family}, {id}, position {position}"
                );
            }
        }
    }
}

#[test]
fn a_model_that_is_not_packed_is_refused() {
    let packed = model("llama");
    let model = Model::load(packed.config(), &Random(1.0), &Device::Cpu).unwrap();
    let tokenizer = tokenizer();
    let error = LocalSampler::new(&model, &tokenizer).sample(
        &requests(),
        &params(),
        &mut |_, _, _| ControlFlow::Continue(()),
        &mut |_| ControlFlow::Continue(()),
    );
    assert!(matches!(error, Err(Error::NotPacked)));
}

#[test]
fn the_end_tokens_are_the_models_and_the_tokenizers() {
    let (model, tokenizer) = (model("llama"), tokenizer());
    let sampler = LocalSampler::new(&model, &tokenizer);
    assert!(sampler.eos().contains(&EOS));
    assert_eq!(
        LocalSampler::new(&model, &tokenizer)
            .with_eos(vec![7])
            .eos(),
        [7]
    );
}
