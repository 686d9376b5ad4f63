//! Servers that fail: nothing is lost, nothing comes twice, and the samples are those of servers that do not.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use cdpo_sample::server::{ServerSampler, ServerSettings};
use cdpo_sample::{Error, Sampler as _};

use crate::stub::{Stub, Trick};
use crate::tokenizer::{EOS, tokenizer};
use crate::{Samples, draw, params, requests, sample, settings};

/// A trick that is played on every third request for tokens.
type Third = fn() -> Trick;

fn each_third(trick: Third) -> Stub {
    Stub::with(move |n, _| if n % 3 == 1 { trick() } else { Trick::None })
}

fn with(settings: ServerSettings) -> Result<Samples, Error> {
    let tokenizer = tokenizer();
    let mut sampler = ServerSampler::new(settings, &tokenizer, 256)?.with_eos(vec![EOS]);
    draw(&mut sampler, &requests(6, 4))
}

#[test]
fn every_fault_that_passes_is_got_over() {
    let expected = sample("vllm", &[&Stub::good()], &requests(6, 4)).unwrap();
    let tricks: [(&str, Third); 9] = [
        ("reset", || Trick::Reset),
        ("half an answer", || Trick::Half),
        ("no JSON", || Trick::Garbage),
        ("429", || {
            Trick::Status("429 Too Many Requests", "retry-after: 0\r\n", "slow down")
        }),
        ("503", || {
            Trick::Status("503 Service Unavailable", "", "loading")
        }),
        ("502", || Trick::Status("502 Bad Gateway", "", "")),
        ("500", || {
            Trick::Status("500 Internal Server Error", "", "out of memory")
        }),
        ("no tokens", || {
            Trick::Change(|answer| answer["choices"][0]["token_ids"] = serde_json::json!([]))
        }),
        ("a log-probability too few", || {
            Trick::Change(|answer| {
                answer["choices"][0]["logprobs"]["token_logprobs"]
                    .as_array_mut()
                    .unwrap()
                    .pop();
            })
        }),
    ];
    for (name, trick) in tricks {
        let (one, other) = (each_third(trick), each_third(trick));
        let mut patient = settings("vllm", &[&one, &other]);
        patient.retries = 20;
        assert_eq!(with(patient).unwrap(), expected, "{name}");
        assert!(one.asked() + other.asked() > 24, "{name}");
    }
}

#[test]
fn a_response_on_which_the_connection_always_ends_fails_the_call() {
    let tricks: [(&str, Third); 3] = [
        ("reset", || Trick::Reset),
        ("502", || Trick::Status("502 Bad Gateway", "", "")),
        ("504", || {
            Trick::Status("504 Gateway Timeout", "", "too long")
        }),
    ];
    for (name, trick) in tricks {
        // Every other response is answered.
        let stub = Stub::with(move |_, body| {
            let last = body["prompt"].as_array().unwrap().last().unwrap().clone();
            if last == u32::from(b'3') {
                trick()
            } else {
                Trick::None
            }
        });
        let mut few = settings("vllm", &[&stub]);
        few.in_flight = 1;
        few.retries = 2;
        let error = with(few).unwrap_err();
        assert!(
            matches!(error, Error::ServerFailed { tries: 3, .. })
                && error.to_string().contains("q/3"),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_server_that_says_nothing_holds_up_no_other() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let good = Stub::good();
    let mut both = settings("vllm", &[&good]);
    both.urls
        .push(format!("http://{}", silent.local_addr().unwrap()));
    both.timeout = 30.0;
    both.connect_timeout = 0.5;
    let begun = Instant::now();
    with(both).unwrap();
    assert_eq!(good.asked(), 24);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn responses_that_came_before_the_call_was_ended_are_handed_over() {
    let stub = Stub::good();
    let tokenizer = tokenizer();
    let mut sampler = ServerSampler::new(settings("vllm", &[&stub]), &tokenizer, 256)
        .unwrap()
        .with_eos(vec![EOS]);
    let mut handed = 0;
    let flow = sampler.sample(
        &requests(6, 4),
        &params(),
        &mut |_, _, _| {
            handed += 1;
            // The others of the four under way come meanwhile.
            std::thread::sleep(Duration::from_millis(300));
            ControlFlow::Break(())
        },
        &mut |_| ControlFlow::Continue(()),
    );
    assert!(flow.unwrap().is_break());
    assert_eq!(handed, 4);
}

#[test]
fn a_request_without_an_answer_in_time_is_asked_elsewhere() {
    let slow = Stub::with(|_, _| Trick::Slow(Duration::from_secs(30)));
    let good = Stub::good();
    let mut quick = settings("vllm", &[&slow, &good]);
    quick.timeout = 0.4;
    let expected = sample("vllm", &[&Stub::good()], &requests(6, 4)).unwrap();
    let begun = Instant::now();
    assert_eq!(with(quick).unwrap(), expected);
    assert!(slow.asked() > 0 && begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn retry_after_is_kept() {
    let busy = Stub::with(|n, _| match n {
        0 => Trick::Status("429 Too Many Requests", "retry-after: 1\r\n", ""),
        _ => Trick::None,
    });
    let begun = Instant::now();
    let mut one = settings("vllm", &[&busy]);
    one.in_flight = 1;
    with(one).unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_server_that_always_answers_wrongly_fails_the_call_with_the_reason() {
    let broken = Stub::with(|_, _| Trick::Status("500 Internal Server Error", "", "CUDA error"));
    let mut few = settings("vllm", &[&broken]);
    few.retries = 2;
    let error = with(few).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, Error::ServerFailed { tries: 3, .. }),
        "{text}"
    );
    assert!(
        text.contains("CUDA error") && text.contains(&broken.url) && text.contains("q/"),
        "{text}"
    );
    // Beside one that works it costs tries, and no sample.
    let good = Stub::good();
    with(settings("vllm", &[&broken, &good])).unwrap();
    assert!(good.asked() >= 24);
}

#[test]
fn a_server_that_will_not_fails_the_call_at_once() {
    let strict = Stub::with(|_, _| Trick::Status("400 Bad Request", "", "top_k must be -1"));
    let error = with(settings("vllm", &[&strict])).unwrap_err().to_string();
    assert!(
        error.contains("top_k must be -1") && error.contains("refuses question"),
        "{error}"
    );
    // One request under way each at most, and none again.
    assert!(strict.asked() <= 4, "{}", strict.asked());
}

#[test]
fn a_server_that_goes_away_and_comes_back_is_used_again_with_its_adapter() {
    let slow = |_: usize, _: &serde_json::Value| Trick::Slow(Duration::from_millis(4));
    let (one, other) = (Stub::with(slow), Stub::with(slow));
    let tokenizer = tokenizer();
    let mut patient = settings("vllm", &[&one, &other]);
    patient.give_up = 60.0;
    let mut sampler = ServerSampler::new(patient, &tokenizer, 256)
        .unwrap()
        .with_eos(vec![EOS])
        .with_adapter("cdpo-77", std::path::Path::new("/a"))
        .unwrap();
    let (mut done, mut asked_before) = (0, 0);
    let mut samples = Samples::new();
    let flow = sampler
        .sample(
            &requests(30, 10),
            &params(),
            &mut |request, sample, completion| {
                let key = (request.problem_id.clone(), sample);
                assert!(samples.insert(key, completion).is_none());
                done += 1;
                match done {
                    40 => other.go_down(),
                    100 => {
                        asked_before = other.asked();
                        other.come_back();
                        // The rest is its to answer.
                        one.go_down();
                    }
                    _ => {}
                }
                ControlFlow::Continue(())
            },
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap();
    assert!(flow.is_continue());
    assert_eq!(samples.len(), 300);
    assert!(
        other.asked() > asked_before + 150,
        "{} after {asked_before}",
        other.asked()
    );
    // It has the adapter again: its requests were answered.
    assert!(other.state.adapters.lock().unwrap().contains("cdpo-77"));
    // A stub does not look at the adapter, so the samples are the base's.
    assert_eq!(
        samples,
        sample("vllm", &[&Stub::good()], &requests(30, 10)).unwrap()
    );
}

#[test]
fn an_adapter_that_a_restarted_server_forgot_is_given_to_it_again() {
    let stub = Stub::with(|_, _| Trick::Slow(Duration::from_millis(2)));
    let tokenizer = tokenizer();
    let mut sampler = ServerSampler::new(settings("vllm", &[&stub]), &tokenizer, 256)
        .unwrap()
        .with_adapter("cdpo-77", std::path::Path::new("/a"))
        .unwrap();
    let mut done = 0;
    let flow = sampler.sample(
        &requests(10, 6),
        &params(),
        &mut |_, _, _| {
            done += 1;
            if done == 20 {
                stub.state.adapters.lock().unwrap().clear();
            }
            ControlFlow::Continue(())
        },
        &mut |_| ControlFlow::Continue(()),
    );
    assert!(flow.unwrap().is_continue());
    assert_eq!(done, 60);
}

#[test]
fn a_server_that_comes_back_with_another_model_is_refused() {
    let stub = Stub::with(|_, _| Trick::Slow(Duration::from_millis(2)));
    let tokenizer = tokenizer();
    let mut sampler = ServerSampler::new(settings("vllm", &[&stub]), &tokenizer, 256).unwrap();
    let mut done = 0;
    let error = sampler
        .sample(
            &requests(20, 10),
            &params(),
            &mut |_, _, _| {
                done += 1;
                if done == 20 {
                    stub.go_down();
                    *stub.state.root.lock().unwrap() = "owner/other".into();
                    stub.come_back();
                }
                ControlFlow::Continue(())
            },
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("owner/other") && error.contains("owner/model"),
        "{error}"
    );
}

#[test]
fn without_any_server_the_call_fails_after_the_stated_time_and_the_rest_can_be_drawn_later() {
    let stub = Stub::with(|_, _| Trick::Slow(Duration::from_millis(2)));
    let tokenizer = tokenizer();
    let mut short = settings("vllm", &[&stub]);
    short.give_up = 0.7;
    let mut sampler = ServerSampler::new(short, &tokenizer, 256)
        .unwrap()
        .with_eos(vec![EOS]);
    let wanted = requests(10, 6);
    let mut samples = Samples::new();
    let begun = Instant::now();
    let error = sampler
        .sample(
            &wanted,
            &params(),
            &mut |request, sample, completion| {
                samples.insert((request.problem_id.clone(), sample), completion);
                if samples.len() == 25 {
                    stub.go_down();
                }
                ControlFlow::Continue(())
            },
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap_err();
    assert!(matches!(&error, Error::ServersGone { .. }), "{error}");
    assert!(
        error.to_string().contains("0.7 seconds") && error.to_string().contains(&stub.url),
        "{error}"
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
    stub.come_back();
    let mut rest = wanted.clone();
    for request in &mut rest {
        request
            .samples
            .retain(|&sample| !samples.contains_key(&(request.problem_id.clone(), sample)));
    }
    samples.extend(draw(&mut sampler, &rest).unwrap());
    assert_eq!(samples, sample("vllm", &[&Stub::good()], &wanted).unwrap());
}

#[test]
fn a_server_that_is_away_from_the_start_is_done_without() {
    let (away, good) = (Stub::good(), Stub::good());
    away.go_down();
    with(settings("vllm", &[&away, &good])).unwrap();
    assert_eq!(good.asked(), 24);
}

#[test]
fn a_caller_that_breaks_off_waits_for_no_answer() {
    let slow = Stub::with(|n, _| Trick::Slow(Duration::from_secs(if n == 0 { 0 } else { 20 })));
    let tokenizer = tokenizer();
    let mut sampler = ServerSampler::new(settings("vllm", &[&slow]), &tokenizer, 256)
        .unwrap()
        .with_eos(vec![EOS]);
    let begun = Instant::now();
    let flow = sampler.sample(
        &requests(6, 4),
        &params(),
        &mut |_, _, _| ControlFlow::Break(()),
        &mut |_| ControlFlow::Continue(()),
    );
    assert!(flow.unwrap().is_break() && begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_key_is_sent_and_shown_nowhere() {
    const KEY: &str = "sk-very-secret";
    let stub = Stub::of(|_, _| Trick::None, Some(KEY), 256, None);
    let tokenizer = tokenizer();
    let sampler = |key: &str| {
        let sampler = ServerSampler::new(settings("vllm", &[&stub]), &tokenizer, 256).unwrap();
        sampler.with_key(key).unwrap()
    };
    draw(&mut sampler(KEY), &requests(2, 2)).unwrap();
    assert!(!format!("{:?}", sampler(KEY)).contains(KEY));
    // This server repeats the key that it was given.
    let mut wrong = sampler("sk-not-so-secret");
    let error = draw(&mut wrong, &requests(2, 2)).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("401") && !text.contains("sk-not-so-secret"),
        "{text}"
    );
    let error = ServerSampler::new(settings("vllm", &[&stub]), &tokenizer, 256)
        .unwrap()
        .with_key("two words\n")
        .unwrap_err();
    assert!(!error.to_string().contains("two words"), "{error}");
}
