//! `cdpo plan`: every stage appears, figures are those of the formulas, and what does not fit is told with a remedy.
#![allow(missing_docs, clippy::unwrap_used)]

mod binary;

use binary::Place;
use serde_json::{Value, json};

/// Numbers instead of a measurement, so that the plan is the same everywhere.
const HARDWARE: [&str; 2] = ["--hardware", "2,100,20,16"];

fn root(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    path.join(name).to_string_lossy().into_owned()
}

fn plan(place: &Place, args: &[&str]) -> Value {
    let mut all = vec!["plan"];
    all.extend(args);
    all.push("--json");
    serde_json::from_str(&place.cdpo(&all).succeeded().stdout).unwrap()
}

fn stage<'p>(plan: &'p Value, name: &str) -> &'p Value {
    let stages = plan["stages"].as_array().unwrap();
    stages.iter().find(|s| s["stage"] == name).unwrap()
}

/// Llama-3-8B's shapes.
fn llama3_8b(place: &Place) -> String {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 128_256, "hidden_size": 4096,
        "intermediate_size": 14_336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "max_position_embeddings": 8192, "tie_word_embeddings": false,
        "bos_token_id": 128_000, "eos_token_id": 128_001, "hidden_act": "silu",
    });
    let path = place.dir.join("config.json");
    std::fs::write(&path, config.to_string()).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn every_stage_of_the_quickstart_appears() {
    let place = Place::new();
    let recipe = root("recipes/quickstart.toml");
    let dry = place.cdpo(&["run", &recipe, "--dry-run"]).succeeded();
    let planned = plan(&place, &[&[recipe.as_str()], &HARDWARE[..]].concat());
    let stages: Vec<&str> = planned["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["stage"].as_str().unwrap())
        .collect();
    let run: Vec<&str> = dry
        .stdout
        .lines()
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert_eq!(stages, run);
    assert!(stages.len() > 30, "{stages:?}");
    // 240 questions, 64 samples each; 400 held-out questions.
    let response = |s: &Value, n: f64| s["tokens_generated"].as_f64().unwrap() / n;
    let samples = response(stage(&planned, "samples"), 240.0 * 64.0);
    let greedy = response(stage(&planned, "eval-base"), 400.0);
    assert!((samples - greedy).abs() < 0.1, "{samples} {greedy}");
    assert!((20.0..120.0).contains(&samples), "{samples}");
    for (name, busy) in [
        ("problems", false),
        ("graded", false),
        ("samples", true),
        ("dpo", true),
        ("scored", true),
    ] {
        assert_eq!(stage(&planned, name)["seconds"].is_number(), busy, "{name}");
    }
    assert_eq!(planned["advice"], json!([]));
}

#[test]
fn the_reference_of_the_base_is_computed_once_for_all_methods() {
    let place = Place::new();
    let recipe = root("recipes/quickstart.toml");
    let planned = plan(
        &place,
        &[
            &[
                recipe.as_str(),
                "--set",
                "methods=[\"dpo\", \"rpo\", \"sft+dpo\"]",
            ],
            &HARDWARE[..],
        ]
        .concat(),
    );
    let flops = |name: &str| stage(&planned, name)["flops"].as_f64().unwrap();
    assert!(flops("dpo") > 1.05 * flops("rpo"));
    // Starts from another model, whose reference is its own.
    assert!(flops("sft+dpo") > 1.05 * flops("rpo"));
}

#[test]
fn each_seed_has_trainings_of_its_own() {
    let place = Place::new();
    let recipe = root("recipes/quickstart.toml");
    let of = |sets: &[&str]| plan(&place, &[&[recipe.as_str()], sets, &HARDWARE[..]].concat());
    let (one, three) = (of(&[]), of(&["--set", "run.seeds=3"]));
    let times = |name: &str, what: &str| {
        let number = |plan: &Value| stage(plan, name)[what].as_f64().unwrap();
        number(&three) / number(&one)
    };
    for (name, expected) in [("samples", 1.0), ("eval-base", 1.0), ("scored", 3.0)] {
        assert_eq!(times(name, "tokens_read"), expected, "{name}");
        assert!((times(name, "seconds") - expected).abs() < 1e-9, "{name}");
    }
    // The base's log-probabilities are computed once for all seeds.
    assert_eq!(times("dpo", "tokens_read"), 3.0);
    assert!((2.0..2.99).contains(&times("dpo", "flops")));
}

#[test]
fn what_servers_drew_takes_the_weights_to_compare() {
    let place = Place::new();
    let recipe = root("recipes/quickstart.toml");
    let server = |section: &str| {
        format!("{section}.server={{kind=\"vllm\", urls=[\"http://127.0.0.1:1\"], model=\"m\"}}")
    };
    let (sample, eval) = (server("sample"), server("eval"));
    let sets = [
        "--set",
        "methods=[\"dpo\"]",
        "--set",
        &sample,
        "--set",
        &eval,
    ];
    let planned = plan(
        &place,
        &[&[recipe.as_str()], &sets[..], &HARDWARE[..]].concat(),
    );
    for name in ["agreement", "eval-dpo"] {
        let stage = stage(&planned, name);
        assert!(
            stage["memory"].as_u64().unwrap() > 0 && stage["tokens_read"].as_u64().unwrap() > 0
        );
    }
    for name in ["samples", "eval-base"] {
        assert!(stage(&planned, name)["memory"].is_null(), "{name}");
    }
}

#[test]
fn a_configuration_alone_will_do() {
    let place = Place::new();
    let config = llama3_8b(&place);
    let recipe = root("recipes/gsm8k-llama3-8b.toml");
    let planned = plan(
        &place,
        &[&recipe, "--config", &config, "--hardware", "h100-80gb"],
    );
    assert_eq!(planned["model"]["parameters"], 8_030_261_248u64);
    // GSM8K by its framing: 7,473 questions, 64 samples of 79 tokens; 653 tokens of exemplars once, 62 a question.
    let samples = stage(&planned, "samples");
    assert_eq!(samples["tokens_generated"], 7473 * 64 * 79);
    assert_eq!(samples["tokens_read"], 653 + 7473 * 62);
    let operations = 15.0e9 * (7473 * 64 * 79) as f64;
    let flops = samples["flops"].as_f64().unwrap();
    assert!((1.0..1.1).contains(&(flops / operations)), "{flops}");
    assert_eq!(samples["bandwidth_bound"], true);
    // Half as many new tokens take half the steps.
    let half = plan(
        &place,
        &[
            &recipe,
            "--config",
            &config,
            "--hardware",
            "h100-80gb",
            "--response-tokens",
            "39.5",
        ],
    );
    let seconds = |plan: &Value| stage(plan, "samples")["seconds"].as_f64().unwrap();
    assert!((0.4..0.55).contains(&(seconds(&half) / seconds(&planned))));
    let eight = plan(
        &place,
        &[&recipe, "--config", &config, "--hardware", "8xh100-80gb"],
    );
    assert!((7.9..8.1).contains(&(seconds(&planned) / seconds(&eight))));
}

#[test]
fn a_chats_prompts_are_planned_without_exemplars_and_trained_with_what_opens_them() {
    let place = Place::new();
    let config = llama3_8b(&place);
    let text = std::fs::read_to_string(root("recipes/gsm8k-llama3-8b.toml")).unwrap();
    assert!(text.contains("\nshots = 8"));
    let recipe = place.dir.join("chat.toml");
    let text = text.replace("\nshots = 8", "\ntemplate = \"chat\" #");
    std::fs::write(&recipe, text).unwrap();
    let recipe = recipe.to_string_lossy().into_owned();
    let chat = [&recipe, "--config", &config, "--hardware", "h100-80gb"];
    // What the template writes around a question is not known.
    place
        .cdpo(&[&["plan"], &chat[..]].concat())
        .failed(2, &["--prompt-tokens"]);
    let asked = |more: &[&str]| {
        let planned = plan(
            &place,
            &[&chat[..], &["--prompt-tokens", "100"], more].concat(),
        );
        let read = |name: &str| stage(&planned, name)["tokens_read"].as_u64().unwrap();
        (read("samples"), read("scored"))
    };
    assert_eq!(asked(&[]), (7473 * 100, 2 * 7473 * (100 + 2 * 79)));
    // What all prompts begin with is sampled after once, and trained on with every example.
    let opened = asked(&["--exemplar-tokens", "20"]);
    assert_eq!(opened, (20 + 7473 * 100, 2 * 7473 * (120 + 2 * 79)));
}

#[test]
fn what_does_not_fit_is_told_with_what_to_do() {
    let place = Place::new();
    let config = llama3_8b(&place);
    let recipe = root("recipes/gsm8k-llama3-8b.toml");
    let told = |args: &[&str]| {
        let mut all = vec!["plan", &recipe, "--config", &config];
        all.extend(args);
        place.cdpo(&all).succeeded().stdout
    };
    let text = told(&["--hardware", "2,100,20,16"]);
    assert!(
        text.contains("stages do not fit in 16 GB: samples, "),
        "{text}"
    );
    assert!(text.contains("a file in Q8_0 has 8.5 GB"), "{text}");
    let text = told(&["--hardware", "2,100,20,24", "--set", "model.weights=f32"]);
    assert!(
        text.contains("model.weights = \"stored\" takes 16.1 GB instead of 32.1"),
        "{text}"
    );
    let text = told(&["--hardware", "2,100,20,20", "--set", "train.batch_size=64"]);
    assert!(text.contains("train smaller batches"), "{text}");
    let text = told(&["--hardware", "2,100,20,64"]);
    assert!(!text.contains("do not fit"), "{text}");
    assert!(text.contains("8.03 G parameters"), "{text}");
}

/// A processor without such products holds f32.
#[test]
fn a_bf16_file_stays_mapped_for_fast_products() {
    let place = Place::new();
    let config = llama3_8b(&place);
    let recipe = root("recipes/gsm8k-llama3-8b.toml");
    let peaks = |hardware: &str, products: &str| {
        let products = format!("run.products={products}");
        let sets = ["--set", "model.weights=f32", "--set", &products];
        let args = [&recipe, "--config", &config, "--hardware", hardware];
        let planned = plan(&place, &[&args[..], &sets].concat());
        ["samples", "positive"].map(|name| stage(&planned, name)["memory"].as_f64().unwrap())
    };
    let (exact, fast) = (peaks("2,100,20,64", "exact"), peaks("2,100,20,64", "fast"));
    assert!(exact.iter().all(|peak| *peak > 32e9), "{exact:?}");
    if cdpo_model::Products::Fast.unit().is_some() {
        assert!(fast.iter().all(|peak| *peak < 22e9), "{fast:?}");
    } else {
        assert_eq!(fast, exact);
    }
    // An accelerator computes in bf16 in any case.
    assert_eq!(peaks("h100-80gb", "fast"), peaks("h100-80gb", "exact"));
}

#[test]
fn what_cannot_be_planned_is_refused_by_name() {
    let place = Place::new();
    let config = llama3_8b(&place);
    let recipe = root("recipes/gsm8k-llama3-8b.toml");
    let fails = |args: &[&str], says: &[&str]| {
        let mut all = vec!["plan", &recipe, "--config", &config];
        all.extend(args);
        place.cdpo(&all).failed(2, says);
    };
    fails(
        &["--hardware", "abacus"],
        &["--hardware abacus", "8xh100-80gb", "cores,GFLOP/s,GB/s,GB"],
    );
    fails(
        &[
            "--set",
            "prompt.framing=custom",
            "--set",
            "prompt.answer_prefix=A:",
            "--set",
            "prompt.question_prefix=Q:",
            "--set",
            "prompt.separator=---",
            "--set",
            "prompt.shots=0",
        ],
        &["data.test", "eval.limit"],
    );
    fails(
        &["--response-tokens=-3"],
        &["a number of tokens is expected"],
    );
    fails(
        &["--prompt-tokens", "9000"],
        &["the model's context is 8192"],
    );
    std::fs::write(place.dir.join("config.json"), "{\"model_type\": \"mamba\"}").unwrap();
    place
        .cdpo(&[
            "plan",
            &recipe,
            "--config",
            &config,
            "--hardware",
            "h100-80gb",
        ])
        .failed(1, &["the model's configuration cannot be read", "mamba"]);
}

#[test]
fn a_run_says_the_memory_expected_and_seen() {
    let place = Place::new();
    let outcome = place.cdpo(&["demo"]).succeeded();
    let timing: Value = serde_json::from_str(&place.read("timing.json")).unwrap();
    for stage in timing["stages"].as_array().unwrap() {
        let name = stage["stage"].as_str().unwrap();
        let model = !["problems", "graded", "selected", "table"].contains(&name);
        assert_eq!(stage["memory_expected"].is_number(), model, "{stage}");
        if cfg!(target_os = "linux") {
            assert!(stage["memory_seen"].as_u64().unwrap() > 1 << 20, "{stage}");
        }
    }
    assert!(outcome.stderr.contains(" expected, "), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("memory seen"), "{}", outcome.stderr);
}
