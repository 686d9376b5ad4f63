//! What is asked for, and what is made of the answers.

use std::sync::atomic::Ordering;

use cdpo_sample::server::ServerSampler;
use cdpo_sample::{Completion, Error, Finish};
use serde_json::{Value, json};

use crate::stub::{Stub, Trick, logp, token};
use crate::tokenizer::{EOS, tokenizer, tokenizer_that_adds_bos};
use crate::{Samples, draw, params, requests, sample, settings};

/// What is done to a right answer.
type Change = fn(&mut Value);

const KINDS: [&str; 3] = ["vllm", "sglang", "llama_cpp"];

/// What the local engine's rule makes of the tokens that the stub draws, one by one.
fn by_rule(prompt: &[u32], seed: u64) -> Completion {
    let mut ids: Vec<u32> = Vec::new();
    let finish = loop {
        let id = token(prompt, seed, &ids);
        if id == EOS {
            break Finish::Eos;
        }
        ids.push(id);
        if ids.ends_with(&[10, 10]) {
            ids.truncate(ids.len() - 2);
            break Finish::Stop;
        }
        if ids.len() == 40 {
            break Finish::Length;
        }
    };
    Completion {
        text: ids.iter().map(|&id| char::from(id as u8)).collect(),
        token_logps: Some(ids.iter().map(|&id| logp(id) as f32).collect()),
        ids: Some(ids),
        finish,
        reencoded: false,
    }
}

/// The prompt and the seed of a request in each kind's words.
fn prompt_and_seed(kind: &str, body: &Value) -> (Vec<u32>, u64) {
    let (prompt, seed) = match kind {
        "sglang" => (
            &body["input_ids"],
            &body["sampling_params"]["sampling_seed"],
        ),
        _ => (&body["prompt"], &body["seed"]),
    };
    let prompt = prompt.as_array().unwrap().iter();
    (
        prompt.map(|id| id.as_u64().unwrap() as u32).collect(),
        seed.as_u64().unwrap(),
    )
}

#[test]
fn a_response_ends_at_the_same_token_whoever_drew_it() {
    for kind in KINDS {
        let stub = Stub::good();
        let samples = sample(kind, &[&stub], &requests(5, 8)).unwrap();
        let mut expected: Vec<Completion> = stub
            .bodies()
            .iter()
            .map(|body| prompt_and_seed(kind, body))
            .map(|(prompt, seed)| by_rule(&prompt, seed))
            .collect();
        let mut got: Vec<Completion> = samples.into_values().collect();
        let order = |a: &Completion, b: &Completion| a.text.cmp(&b.text).then(a.ids.cmp(&b.ids));
        expected.sort_by(order);
        got.sort_by(order);
        assert_eq!(got, expected, "{kind}");
        for finish in [Finish::Eos, Finish::Stop] {
            assert!(
                got.iter().any(|one| one.finish == finish),
                "{kind}: {finish:?}"
            );
        }
    }
}

#[test]
fn every_sample_has_a_request_and_a_seed_of_its_own() {
    for kind in KINDS {
        let stub = Stub::good();
        let all = sample(kind, &[&stub], &requests(3, 6)).unwrap();
        let mut seeds: Vec<u64> = stub
            .bodies()
            .iter()
            .map(|body| prompt_and_seed(kind, body).1)
            .collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 18, "{kind}");
        // A missing sample is drawn again alone, and is the same from a server whose numbers do not change.
        let mut missing = requests(3, 6);
        missing.retain(|request| request.problem_id == "q/1");
        missing[0].samples = vec![4];
        let again = sample(kind, &[&Stub::good()], &missing).unwrap();
        let key = ("q/1".to_owned(), 4);
        assert_eq!(again[&key], all[&key], "{kind}");
    }
}

#[test]
fn every_sampling_field_is_sent() {
    let fields = [
        (
            "vllm",
            vec![
                "temperature",
                "top_p",
                "top_k",
                "min_p",
                "repetition_penalty",
                "presence_penalty",
                "frequency_penalty",
                "max_tokens",
                "min_tokens",
                "stop",
                "stop_token_ids",
                "ignore_eos",
                "seed",
                "n",
            ],
        ),
        (
            "sglang",
            vec![
                "temperature",
                "top_p",
                "top_k",
                "min_p",
                "repetition_penalty",
                "presence_penalty",
                "frequency_penalty",
                "max_new_tokens",
                "min_new_tokens",
                "stop",
                "stop_token_ids",
                "ignore_eos",
                "sampling_seed",
                "n",
                "no_stop_trim",
            ],
        ),
        (
            "llama_cpp",
            vec![
                "temperature",
                "top_p",
                "top_k",
                "min_p",
                "typical_p",
                "repeat_penalty",
                "presence_penalty",
                "frequency_penalty",
                "n_predict",
                "stop",
                "seed",
                "samplers",
                "mirostat",
                "dry_multiplier",
                "xtc_probability",
                "dynatemp_range",
                "top_n_sigma",
            ],
        ),
    ];
    for (kind, fields) in fields {
        let stub = Stub::good();
        sample(kind, &[&stub], &requests(1, 1)).unwrap();
        let body = stub.bodies().remove(0);
        let at = if kind == "sglang" {
            &body["sampling_params"]
        } else {
            &body
        };
        for field in fields {
            assert!(!at[field].is_null(), "{kind}: {field} in {body}");
        }
        assert_eq!(at["temperature"], 1.0);
    }
}

#[test]
fn a_response_goes_on_where_the_server_knows_another_end() {
    // The line feed ends a response as this server sees it, and not as the recipe does.
    for kind in KINDS {
        let stub = Stub::of(|_, _| Trick::None, None, 256, Some(10));
        let samples = sample(kind, &[&stub], &requests(4, 6)).unwrap();
        assert!(stub.asked() > 24, "{kind}");
        let inner = |one: &&Completion| one.text.trim_end().contains('\n');
        assert!(samples.values().filter(inner).count() > 0, "{kind}");
        for one in samples.values() {
            let text = &one.text;
            assert!(!text.contains("\n\n"), "{kind}: {text:?}");
            let ids: Vec<u32> = text.bytes().map(u32::from).collect();
            assert_eq!(one.ids.as_ref(), Some(&ids), "{kind}");
            assert!(one.finish != Finish::Length || ids.len() == 40, "{kind}");
        }
    }
}

#[test]
fn the_shorter_of_both_contexts_bounds_a_response() {
    let stub = Stub::of(|_, _| Trick::None, None, 20, None);
    let samples = sample("vllm", &[&stub], &requests(1, 6)).unwrap();
    // 13 tokens of prompt.
    assert!(
        samples
            .values()
            .all(|one| one.ids.as_ref().unwrap().len() <= 7)
    );
    assert!(samples.values().any(|one| one.finish == Finish::Length));
    let stub = Stub::of(|_, _| Trick::None, None, 12, None);
    let error = sample("vllm", &[&stub], &requests(1, 1)).unwrap_err();
    assert!(
        matches!(error, Error::Request { .. }) && stub.asked() == 0,
        "{error}"
    );
}

#[test]
fn text_is_encoded_anew_and_says_so() {
    let stub = Stub::good();
    stub.state.adds_bos.store(true, Ordering::SeqCst);
    let tokenizer = tokenizer_that_adds_bos();
    let mut sampler = ServerSampler::new(settings("openai", &[&stub]), &tokenizer, 256)
        .unwrap()
        .with_eos(vec![EOS]);
    let samples = draw(&mut sampler, &requests(3, 4)).unwrap();
    for one in samples.values() {
        assert!(one.reencoded && one.token_logps.is_none());
        let ids: Vec<u32> = one.text.bytes().map(u32::from).collect();
        assert_eq!(one.ids.as_ref(), Some(&ids));
        assert!(!one.text.contains("\n\n"));
    }
    // The start token is the server's to add.
    assert!(
        stub.bodies()
            .iter()
            .all(|body| body["prompt"].as_str().unwrap().starts_with("ABquestion"))
    );
}

#[test]
fn a_start_token_that_is_put_twice_or_not_at_all_is_found_by_the_count() {
    for (files, server) in [(false, false), (false, true), (true, false), (true, true)] {
        let stub = Stub::good();
        stub.state.adds_bos.store(server, Ordering::SeqCst);
        let tokenizer = if files {
            tokenizer_that_adds_bos()
        } else {
            tokenizer()
        };
        let mut sampler = ServerSampler::new(settings("openai", &[&stub]), &tokenizer, 256)
            .unwrap()
            .with_eos(vec![EOS]);
        let drawn = draw(&mut sampler, &requests(1, 2));
        if files == server {
            drawn.unwrap();
            continue;
        }
        let error = drawn.unwrap_err().to_string();
        let read = if server { 14 } else { 12 };
        assert!(
            error.contains(&format!("read {read} prompt tokens where 13"))
                && error.contains("start token"),
            "{error}"
        );
        // The same where the recipe puts none before a prompt.
        let mut bare = requests(1, 2);
        bare[0].prefix_ids.remove(0);
        assert_eq!(draw(&mut sampler, &bare).is_err(), server);
    }
}

#[test]
fn text_is_the_servers_up_to_our_stop_string() {
    let stub = Stub::with(|_, _| {
        Trick::Change(|answer| answer["choices"][0]["text"] = json!("1 \u{2192} 2.\n\nmore"))
    });
    let samples = sample("openai", &[&stub], &requests(1, 1)).unwrap();
    let one = samples.values().next().unwrap();
    assert_eq!(
        (one.text.as_str(), one.finish),
        ("1 \u{2192} 2.", Finish::Stop)
    );
    let bytes: Vec<u32> = one.text.bytes().map(u32::from).collect();
    assert_eq!(one.ids, Some(bytes));
    let stub = Stub::with(|_, _| {
        Trick::Change(|answer| answer["choices"][0]["text"] = json!("12</s>3\n\nmore"))
    });
    let samples = sample("openai", &[&stub], &requests(1, 1)).unwrap();
    let one = samples.values().next().unwrap();
    assert_eq!((one.text.as_str(), one.finish), ("12", Finish::Eos));
    assert_eq!(one.ids, Some(vec![49, 50]));
}

#[test]
fn tokens_of_part_of_a_character_have_no_log_probability_and_cost_no_response() {
    // U+2192 is three tokens; llama.cpp gives a probability for the last one alone.
    let stub = Stub::with(|_, _| {
        Trick::Change(|answer| {
            answer["tokens"] = json!([65, 0xe2, 0x86, 0x92, 66, EOS]);
            let one = |id: u32| json!({"id": id, "logprob": -0.5});
            answer["completion_probabilities"] = json!([one(65), one(0x92), one(66), one(EOS)]);
        })
    });
    let samples = sample("llama_cpp", &[&stub], &requests(1, 1)).unwrap();
    let one = samples.values().next().unwrap();
    assert_eq!((one.text.as_str(), one.finish), ("A\u{2192}B", Finish::Eos));
    assert_eq!(one.token_logps, None);
    assert_eq!(stub.asked(), 1);
}

#[test]
fn llama_cpp_is_left_the_token_without_which_it_calls_a_response_cut() {
    let stub = Stub::of(|_, _| Trick::None, None, 20, None);
    sample("llama_cpp", &[&stub], &requests(1, 6)).unwrap();
    // 13 tokens of prompt.
    assert!(stub.bodies().iter().all(|body| body["n_predict"] == 6));
}

#[test]
fn a_response_is_drawn_on_from_before_an_id_without_a_token() {
    // 257 is the last token's id; the model has more rows.
    let stub = Stub::with(|n, _| match n {
        0 => Trick::Change(|answer| answer["choices"][0]["token_ids"][0] = json!(299)),
        1 => Trick::Change(|answer| {
            answer["choices"][0]["token_ids"] = json!([65, 66, 299, 67]);
            answer["choices"][0]["logprobs"]["token_logprobs"] = json!([-1.0, -1.0, -1.0, -1.0]);
        }),
        _ => Trick::Change(|answer| {
            answer["choices"][0]["token_ids"] = json!([68, EOS]);
            answer["choices"][0]["logprobs"]["token_logprobs"] = json!([-2.0, -1.0]);
        }),
    });
    let samples = sample("vllm", &[&stub], &requests(1, 1)).unwrap();
    let one = samples.values().next().unwrap();
    assert_eq!(one.ids, Some(vec![65, 66, 68]));
    assert_eq!(one.token_logps, Some(vec![-1.0, -1.0, -2.0]));
    let bodies = stub.bodies();
    assert_eq!(bodies.len(), 3);
    assert_ne!(bodies[0]["seed"], bodies[1]["seed"]);
    assert_eq!(bodies[0]["prompt"], bodies[1]["prompt"]);
    assert_eq!(bodies[2]["prompt"].as_array().unwrap().len(), 15);
}

#[test]
fn a_server_that_changes_the_prompt_is_refused() {
    let changes: [(&str, Change); 3] = [
        ("vllm", |answer| {
            answer["choices"][0]["prompt_token_ids"][1] = json!(1);
        }),
        ("sglang", |answer| {
            answer["meta_info"]["prompt_tokens"] = json!(14);
        }),
        ("llama_cpp", |answer| answer["tokens_evaluated"] = json!(14)),
    ];
    for (kind, change) in changes {
        let stub = Stub::with(move |_, _| Trick::Change(change));
        let error = sample(kind, &[&stub], &requests(2, 2))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("changes the prompt") && error.contains(&stub.url),
            "{error}"
        );
    }
}

#[test]
fn a_server_without_ids_is_refused_with_what_to_do() {
    let changes: [(&str, Change); 3] = [
        ("vllm", |answer| {
            answer["choices"][0]["token_ids"] = Value::Null;
        }),
        ("sglang", |answer| answer["output_ids"] = Value::Null),
        ("llama_cpp", |answer| answer["tokens"] = Value::Null),
    ];
    for (kind, change) in changes {
        let stub = Stub::with(move |_, _| Trick::Change(change));
        let error = sample(kind, &[&stub], &requests(1, 1))
            .unwrap_err()
            .to_string();
        assert!(error.contains("later"), "{error}");
    }
}

#[test]
fn a_token_that_the_tokenizer_has_not_is_another_models() {
    let stub = Stub::with(|_, _| {
        Trick::Change(|answer| answer["choices"][0]["token_ids"][0] = json!(299))
    });
    let error = sample("vllm", &[&stub], &requests(1, 1))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("299") && error.contains("another model"),
        "{error}"
    );
}

#[test]
fn an_unknown_model_is_refused_with_those_there_are() {
    let stub = Stub::good();
    let mut wrong = settings("vllm", &[&stub]);
    wrong.model = "bass".into();
    let tokenizer = tokenizer();
    let mut sampler = ServerSampler::new(wrong, &tokenizer, 256).unwrap();
    let error = draw(&mut sampler, &requests(1, 1)).unwrap_err().to_string();
    assert!(
        error.contains("\"bass\"") && error.contains("it has base"),
        "{error}"
    );
}

#[test]
fn what_a_server_says_it_is_can_be_kept() {
    let (one, other) = (Stub::good(), Stub::good());
    let tokenizer = tokenizer();
    let mut sampler =
        ServerSampler::new(settings("vllm", &[&one, &other]), &tokenizer, 256).unwrap();
    draw(&mut sampler, &requests(2, 2)).unwrap();
    // Both are the same, and say so once.
    let said = serde_json::to_value(sampler.identities()).unwrap();
    assert_eq!(
        said,
        json!([{"kind": "vllm", "version": "1.2.3", "model": "base", "root": "owner/model", "max_tokens": 256}])
    );
}

#[test]
fn an_adapter_is_loaded_asked_for_by_its_name_and_taken_away() {
    for kind in ["vllm", "sglang"] {
        let (one, other) = (Stub::good(), Stub::good());
        let tokenizer = tokenizer();
        let mut sampler = ServerSampler::new(settings(kind, &[&one, &other]), &tokenizer, 256)
            .unwrap()
            .with_adapter("cdpo-0123", std::path::Path::new("/adapters/a"))
            .unwrap();
        let _: Samples = draw(&mut sampler, &requests(4, 4)).unwrap();
        for stub in [&one, &other] {
            assert!(stub.state.adapters.lock().unwrap().contains("cdpo-0123"));
            let field = if kind == "vllm" { "model" } else { "lora_path" };
            assert!(
                stub.bodies().iter().all(|body| body[field] == "cdpo-0123"),
                "{kind}"
            );
        }
        assert_eq!(sampler.release(), Vec::new());
        assert!(
            [&one, &other]
                .iter()
                .all(|stub| stub.state.adapters.lock().unwrap().is_empty())
        );
    }
    let tokenizer = tokenizer();
    let sampler =
        ServerSampler::new(settings("llama_cpp", &[&Stub::good()]), &tokenizer, 256).unwrap();
    let error = sampler
        .with_adapter("a", std::path::Path::new("/a"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("cdpo merge"), "{error}");
}

#[test]
fn settings_out_of_range_reach_no_server() {
    let stub = Stub::good();
    let tokenizer = tokenizer();
    let mut sampler = ServerSampler::new(settings("vllm", &[&stub]), &tokenizer, 256).unwrap();
    let mut wrong = params();
    wrong.top_p = 0.0;
    let none = &mut |_: &_, _, _: Completion| std::ops::ControlFlow::Continue(());
    let error =
        cdpo_sample::Sampler::sample(&mut sampler, &requests(1, 1), &wrong, none, &mut |_| {
            std::ops::ControlFlow::Continue(())
        });
    assert!(matches!(error, Err(Error::Params(_))) && stub.connections() == 0);
}
