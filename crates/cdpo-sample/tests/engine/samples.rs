//! Samples: the same whatever the batch, the cache and the threads; greedy is the argmax.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use cdpo_model::{AdapterStack, Device, Key, Model, TokenForest};
use cdpo_sample::{Completion, Error, Finish, LocalSampler, Request, SampleParams, Sampler};

use crate::setup::{Random, ids, model, model_ending, with_threads};
use crate::tokenizer::{EOS, tokenizer};

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
                let row = &logits[prompt.len() + position - 1][..tokenizer.vocab_size()];
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

/// The model has 300 rows, the tokenizer 258 ids. Without the check a draw in seven was such a row, and vanished from the text. An end
/// token that only the model's configuration knows is such a row too.
#[test]
fn rows_after_the_tokenizers_last_id_are_never_drawn() {
    let (model, tokenizer) = (model_ending("llama", &[EOS, 299]), tokenizer());
    let last = tokenizer.vocab_size();
    assert!(last < model.config().vocab_size);
    let params = SampleParams {
        temperature: 1.0,
        top_p: 1.0,
        stop: Vec::new(),
        ..params()
    };
    let samples = sample(
        &mut LocalSampler::new(&model, &tokenizer),
        &requests(),
        &params,
    );
    let mut drawn = 0;
    for completion in samples.values() {
        let ids = completion.ids.as_deref().unwrap();
        assert!(ids.iter().all(|&id| (id as usize) < last), "{ids:?}");
        drawn += ids.len();
    }
    assert!(drawn > 300, "{drawn} tokens show too little");
}
