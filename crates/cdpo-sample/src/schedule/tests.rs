//! The scheduler on a fake model: what is sampled never depends on how it was batched, and the cache's limit holds.

use std::collections::BTreeMap;

use super::fake::{EOS, Fake, VOCABULARY};
use super::*;

type Samples = BTreeMap<(String, u32), Completion>;

fn params() -> SampleParams {
    SampleParams {
        temperature: 0.9,
        top_p: 0.95,
        max_new_tokens: 40,
        stop: vec!["\nQ".into()],
        logps: true,
        seed: 17,
        ..SampleParams::default()
    }
}

/// Six questions on two prefixes and on none, 1 to 9 samples each.
fn requests() -> Vec<Request> {
    let ids = |key: Key, n: usize| {
        (0..n as u64)
            .map(|i| 1 + key.with(i).below(VOCABULARY - 1) as u32)
            .collect::<Vec<_>>()
    };
    (0..6u64)
        .map(|question| Request {
            problem_id: format!("q{question}"),
            prefix_ids: ids(
                Key::new(100 + question % 3),
                [0, 13, 16][(question % 3) as usize],
            ),
            prompt_ids: ids(Key::new(200 + question), 1 + 3 * question as usize),
            samples: (0..[9, 1, 5, 3, 8, 2][question as usize])
                .map(|sample| sample * 2)
                .collect(),
        })
        .collect()
}

/// Everything sampled, with the progress at the end. Checks that no page is lost and that all logps match the ids.
fn run_on(
    fake: &mut Fake,
    requests: &[Request],
    params: &SampleParams,
    max_batch: usize,
) -> (Samples, Progress) {
    let (mut samples, mut last) = (Samples::new(), Progress::default());
    let mut prefixes = Vec::new();
    let settings = Settings {
        params,
        eos: &[EOS],
        max_batch,
    };
    let ended = Scheduler::new(fake, &mut prefixes, requests, settings)
        .unwrap()
        .run(
            &mut |request, sample, completion| {
                let ids = completion.ids.as_ref().unwrap();
                assert_eq!(
                    completion.token_logps.as_ref().map(Vec::len),
                    params.logps.then_some(ids.len())
                );
                let twice = samples.insert((request.problem_id.clone(), sample), completion);
                assert!(twice.is_none(), "a sample was handed out twice");
                ControlFlow::Continue(())
            },
            &mut |progress| {
                assert!(progress.active <= max_batch);
                last = *progress;
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    assert!(ended.is_continue());
    assert_eq!(
        (last.done, last.total),
        (
            samples.len(),
            requests.iter().map(|request| request.samples.len()).sum()
        )
    );
    for prefix in prefixes {
        assert_eq!(prefix.users, 0);
        prefix.path.into_iter().for_each(|path| fake.release(path));
    }
    assert_eq!(fake.free_pages(), fake.total_pages(), "pages were lost");
    (samples, last)
}

fn run(requests: &[Request], params: &SampleParams, max_batch: usize) -> Samples {
    run_on(&mut Fake::new(4000, 200), requests, params, max_batch).0
}

#[test]
fn samples_do_not_depend_on_the_batch() {
    let want = run(&requests(), &params(), 1);
    assert_eq!(want.len(), 28);
    let finishes: Vec<Finish> = want.values().map(|completion| completion.finish).collect();
    for finish in [Finish::Eos, Finish::Stop, Finish::Length] {
        assert!(
            finishes.contains(&finish),
            "no response ends by {finish:?}: the test shows too little"
        );
    }
    for max_batch in [2, 7, 64] {
        assert_eq!(
            run(&requests(), &params(), max_batch),
            want,
            "max_batch {max_batch}"
        );
    }
}

/// The same by hand: one sequence at a time, the whole sequence anew for each token.
#[test]
fn samples_equal_a_naive_loop() {
    let params = params();
    let mut fake = Fake::new(4000, 200);
    for request in requests() {
        for &index in &request.samples {
            let prompt = [request.prefix_ids.clone(), request.prompt_ids.clone()].concat();
            let (mut ids, mut text) = (Vec::new(), Vec::new());
            let finish = loop {
                let mut path = fake.root();
                let all = [prompt.clone(), ids.clone()].concat();
                let mut row = Vec::new();
                fake.step(
                    &mut [Step {
                        path: &mut path,
                        ids: &all,
                    }],
                    &[0],
                    &mut |logits| {
                        row = logits.to_vec();
                        Ok(())
                    },
                )
                .unwrap();
                fake.release(path);
                let key = Key::new(params.seed)
                    .with_str(&request.problem_id)
                    .with(u64::from(index))
                    .with(ids.len() as u64);
                let token = draw(&row, &params, &[key.unit()]).unwrap()[0].id;
                if token == EOS {
                    break Finish::Eos;
                }
                ids.push(token);
                text.extend(fake.piece(token).unwrap());
                if let Some(at) = text.windows(2).position(|pair| pair == b"\nQ") {
                    text.truncate(at);
                    break Finish::Stop;
                }
                if ids.len() == params.max_new_tokens {
                    break Finish::Length;
                }
            };
            let got = &run(std::slice::from_ref(&request), &params, 3)
                [&(request.problem_id.clone(), index)];
            assert_eq!(
                (got.finish, &got.text),
                (finish, &String::from_utf8_lossy(&text).into_owned())
            );
            let kept = got.ids.as_ref().unwrap();
            assert_eq!(kept[..], ids[..kept.len()]);
            assert!(finish == Finish::Stop || kept.len() == ids.len());
        }
    }
}

#[test]
fn samples_do_not_depend_on_the_order_of_requests() {
    let want = run(&requests(), &params(), 7);
    for shuffle in 0..5 {
        let order = cdpo_model::keyed::permutation(Key::new(shuffle), 6);
        let mut shuffled: Vec<Request> = order
            .iter()
            .map(|&question| requests()[question].clone())
            .collect();
        for request in &mut shuffled {
            request.samples.reverse();
        }
        assert_eq!(run(&shuffled, &params(), 7), want);
    }
}

#[test]
fn a_resumed_run_gives_the_missing_samples() {
    let want = run(&requests(), &params(), 7);
    let mut missing = requests();
    let mut rest = Samples::new();
    for (question, request) in missing.iter_mut().enumerate() {
        request
            .samples
            .retain(|sample| (sample + question as u32).is_multiple_of(3));
        for &sample in &request.samples {
            let key = (request.problem_id.clone(), sample);
            rest.insert(key.clone(), want[&key].clone());
        }
    }
    assert!(rest.len() > 5 && rest.len() < want.len());
    assert_eq!(run(&missing, &params(), 7), rest);
}

#[test]
fn where_the_prefix_ends_does_not_matter() {
    let want = run(&requests(), &params(), 7);
    let mut moved = requests();
    for request in &mut moved {
        request.prompt_ids.splice(..0, request.prefix_ids.drain(..));
    }
    assert_eq!(run(&moved, &params(), 7), want);
    for request in &mut moved {
        std::mem::swap(&mut request.prefix_ids, &mut request.prompt_ids);
    }
    assert_eq!(run(&moved, &params(), 7), want);
}

/// The smallest cache that the check lets through works, and every larger one, at any batch; setting samples aside shows
/// nowhere in the samples.
#[test]
fn a_small_cache_changes_no_sample() {
    let want = run(&requests(), &params(), 7);
    let smallest = (1..1000).find(|&pages| {
        let (mut fake, params, requests) = (Fake::new(pages, 200), params(), requests());
        let settings = Settings {
            params: &params,
            eos: &[EOS],
            max_batch: 1,
        };
        Scheduler::new(&mut fake, &mut Vec::new(), &requests, settings).is_ok()
    });
    let smallest = smallest.unwrap();
    let mut preempted = 0;
    for pages in (smallest..smallest + 24).chain([60, 100]) {
        for max_batch in [1, 2, 7, 64] {
            let mut fake = Fake::new(pages, 200);
            let (samples, progress) = run_on(&mut fake, &requests(), &params(), max_batch);
            assert_eq!(samples, want, "{pages} pages, max_batch {max_batch}");
            assert!(fake.most_pages <= pages);
            preempted += progress.preempted;
        }
    }
    assert!(
        preempted > 50,
        "only {preempted} samples were set aside: the test shows too little"
    );
}

#[test]
fn a_cache_that_cannot_hold_one_response_is_refused_at_the_start() {
    let (mut fake, params, requests) = (Fake::new(12, 200), params(), requests());
    let settings = Settings {
        params: &params,
        eos: &[EOS],
        max_batch: 4,
    };
    let error = Scheduler::new(&mut fake, &mut Vec::new(), &requests, settings)
        .err()
        .expect("refused");
    assert!(
        matches!(
            &error,
            Error::CacheTooSmall {
                new: 40,
                capacity: 48,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_shared_prefix_is_computed_once() {
    let requests: Vec<Request> = (0..8)
        .map(|question| Request {
            problem_id: question.to_string(),
            prefix_ids: (1..31).collect(),
            prompt_ids: vec![question + 1, 7],
            samples: (0..4).collect(),
        })
        .collect();
    let mut fake = Fake::new(4000, 200);
    let (_, progress) = run_on(&mut fake, &requests, &params(), 5);
    assert_eq!(progress.prompt_tokens, 30 + 8 * 2);
    // A response's last token is never extended.
    assert!(fake.tokens as u64 <= progress.prompt_tokens + progress.tokens - 32);
}

#[test]
fn a_prefix_is_kept_for_the_next_call_until_its_pages_are_needed() {
    let request = |prefix: u32| Request {
        problem_id: "p".into(),
        prefix_ids: vec![prefix; 20],
        prompt_ids: vec![1],
        samples: vec![0],
    };
    let (mut fake, params) = (Fake::new(18, 200), params());
    let mut prefixes = Vec::new();
    let mut prompt_tokens = |prefix: u32| {
        let settings = Settings {
            params: &params,
            eos: &[EOS],
            max_batch: 4,
        };
        let requests = [request(prefix)];
        let mut scheduler = Scheduler::new(&mut fake, &mut prefixes, &requests, settings).unwrap();
        let _ = scheduler
            .run(&mut |_, _, _| ControlFlow::Continue(()), &mut |_| {
                ControlFlow::Continue(())
            })
            .unwrap();
        scheduler.progress.prompt_tokens
    };
    assert_eq!(
        [prompt_tokens(1), prompt_tokens(1), prompt_tokens(2)],
        [21, 1, 21]
    );
    // 18 pages: two prefixes of 5, and the rest is too little for a third or, by then, for a long response.
    assert_eq!(
        [
            prompt_tokens(3),
            prompt_tokens(4),
            prompt_tokens(5),
            prompt_tokens(1)
        ],
        [21, 21, 21, 21]
    );
}

#[test]
fn finished_samples_free_their_places_at_once() {
    let mut fake = Fake::new(4000, 200);
    fake.end_logit = 2.0;
    let (_, progress) = run_on(&mut fake, &requests(), &params(), 4);
    // Were batches of four to wait for their slowest, this many steps would not do.
    let rows = progress.tokens as usize;
    assert!(
        fake.steps < rows / 4 + 60,
        "{} steps for {rows} tokens",
        fake.steps
    );
    assert!(fake.widest <= 4 + 4);
}

#[test]
fn a_prompt_longer_than_the_context_is_an_error_and_new_tokens_are_cut() {
    let attempt = |prompt: usize| {
        let request = Request {
            problem_id: "gsm8k/7".into(),
            prefix_ids: vec![1; 10],
            prompt_ids: vec![2; prompt],
            samples: vec![0],
        };
        let mut fake = Fake::new(4000, 32);
        fake.end_logit = -100.0;
        let params = SampleParams {
            stop: Vec::new(),
            ..params()
        };
        let settings = Settings {
            params: &params,
            eos: &[EOS],
            max_batch: 4,
        };
        let mut ended = None;
        let mut capped = 0;
        let _ = Scheduler::new(&mut fake, &mut Vec::new(), &[request], settings)?.run(
            &mut |_, _, completion| {
                ended = Some((completion.ids.unwrap().len(), completion.finish));
                ControlFlow::Continue(())
            },
            &mut |progress| {
                capped = progress.capped;
                ControlFlow::Continue(())
            },
        )?;
        Ok::<_, Error>((ended.unwrap(), capped))
    };
    assert_eq!(attempt(17).unwrap(), ((5, Finish::Length), 1));
    assert_eq!(attempt(21).unwrap(), ((1, Finish::Length), 1));
    let text = attempt(22).unwrap_err().to_string();
    assert!(
        text.contains("gsm8k/7") && text.contains("32 tokens (10 of few-shot prefix)"),
        "{text}"
    );
}

#[test]
fn bad_requests_are_refused_by_name() {
    let good = Request {
        problem_id: "p".into(),
        prefix_ids: vec![],
        prompt_ids: vec![1],
        samples: vec![0],
    };
    for (request, words) in [
        (
            Request {
                prompt_ids: vec![],
                ..good.clone()
            },
            "no tokens",
        ),
        (
            Request {
                prompt_ids: vec![1, VOCABULARY as u32],
                ..good.clone()
            },
            "outside the model's vocabulary",
        ),
        (
            Request {
                samples: vec![1, 2, 1],
                ..good.clone()
            },
            "asked for twice",
        ),
    ] {
        let (mut fake, params) = (Fake::new(4000, 200), params());
        let settings = Settings {
            params: &params,
            eos: &[EOS],
            max_batch: 4,
        };
        let requests = [good.clone(), request];
        let error = Scheduler::new(&mut fake, &mut Vec::new(), &requests, settings)
            .err()
            .expect("refused")
            .to_string();
        assert!(error.contains(words) && error.contains("`p`"), "{error}");
    }
}

#[test]
fn logits_that_are_not_finite_name_the_sample() {
    let request = Request {
        problem_id: "p".into(),
        prefix_ids: vec![],
        prompt_ids: vec![1; 5],
        samples: vec![8],
    };
    let (mut fake, params) = (
        Fake::new(4000, 200),
        SampleParams {
            stop: vec![],
            ..params()
        },
    );
    fake.end_logit = -100.0;
    fake.poison = Some(9);
    let settings = Settings {
        params: &params,
        eos: &[EOS],
        max_batch: 4,
    };
    let mut prefixes = Vec::new();
    let requests = [request];
    let mut scheduler = Scheduler::new(&mut fake, &mut prefixes, &requests, settings).unwrap();
    let error = scheduler
        .run(&mut |_, _, _| ControlFlow::Continue(()), &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap_err();
    assert!(
        matches!(
            &error,
            Error::NotFinite {
                sample: 8,
                position: 4,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_callback_ends_the_call_and_the_rest_can_be_asked_for() {
    let want = run(&requests(), &params(), 7);
    let mut got = Samples::new();
    let params = params();
    let mut fake = Fake::new(4000, 200);
    let settings = Settings {
        params: &params,
        eos: &[EOS],
        max_batch: 7,
    };
    let all = requests();
    let mut prefixes = Vec::new();
    let ended = Scheduler::new(&mut fake, &mut prefixes, &all, settings)
        .unwrap()
        .run(
            &mut |request, sample, completion| {
                got.insert((request.problem_id.clone(), sample), completion);
                if got.len() == 11 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
            &mut |_| ControlFlow::Continue(()),
        );
    assert!(ended.unwrap().is_break());
    assert_eq!(got.len(), 11);
    let mut missing = requests();
    for request in &mut missing {
        request
            .samples
            .retain(|&sample| !got.contains_key(&(request.problem_id.clone(), sample)));
    }
    got.extend(run(&missing, &params, 64));
    assert_eq!(got, want);
    // The observer can end it too, before any sample is finished.
    let settings = Settings {
        params: &params,
        eos: &[EOS],
        max_batch: 7,
    };
    let mut fake = Fake::new(4000, 200);
    let mut prefixes = Vec::new();
    let ended = Scheduler::new(&mut fake, &mut prefixes, &all, settings)
        .unwrap()
        .run(&mut |_, _, _| ControlFlow::Continue(()), &mut |_| {
            ControlFlow::Break(())
        });
    assert!(ended.unwrap().is_break());
}

#[test]
fn greedy_samples_are_the_highest_logits() {
    let request = Request {
        problem_id: "p".into(),
        prefix_ids: vec![],
        prompt_ids: vec![3, 9],
        samples: vec![0, 1],
    };
    let samples = run(std::slice::from_ref(&request), &SampleParams::greedy(12), 2);
    let (first, second) = (&samples[&("p".into(), 0)], &samples[&("p".into(), 1)]);
    assert_eq!(first, second);
    assert_eq!(first.token_logps, None);
    let mut fake = Fake::new(4000, 200);
    let mut all = request.prompt_ids.clone();
    for &id in first.ids.as_ref().unwrap() {
        let mut path = fake.root();
        fake.step(
            &mut [Step {
                path: &mut path,
                ids: &all,
            }],
            &[0],
            &mut |row| {
                assert!(row.iter().all(|&logit| logit <= row[id as usize]));
                Ok(())
            },
        )
        .unwrap();
        all.push(id);
    }
}
