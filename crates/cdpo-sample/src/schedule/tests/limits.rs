//! What is computed once, what is released when, limits of context and cache, bad requests, and calls that are ended.

use super::*;

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
            &mut [PathStep {
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
