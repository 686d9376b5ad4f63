//! The scheduler on a fake model: what is sampled never depends on how it was batched, and the cache's limit holds.

use std::collections::BTreeMap;

use super::fake::{EOS, Fake, VOCABULARY};
use super::*;

mod limits;

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
) -> (Samples, SampleProgress) {
    let (mut samples, mut last) = (Samples::new(), SampleProgress::default());
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
                    &mut [PathStep {
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
                let token = draw(&row, row.len(), &params, &[key.unit()]).unwrap()[0].id;
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
