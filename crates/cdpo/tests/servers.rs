//! Runs whose samples and answers come from servers: a stub that draws digits for the demonstration's questions.
#![allow(missing_docs, clippy::unwrap_used)]

mod binary;
#[allow(dead_code)]
#[path = "../../cdpo-sample/tests/server/stub/mod.rs"]
mod stub;

use std::time::Duration;

use binary::{Outcome, Place};
use serde_json::Value;
use stub::{Stub, Trick};

/// Ids of the demonstration's tokenizer.
mod tokenizer {
    pub(crate) const EOS: u32 = 48;
    pub(crate) const LINE_FEED: u32 = 18;

    /// A digit from 1 to 5.
    pub(crate) fn letter(n: usize) -> u32 {
        1 + (n % 5) as u32
    }

    pub(crate) fn character(id: u32) -> Option<char> {
        match id {
            LINE_FEED => Some('\n'),
            digit => char::from_digit(digit, 10),
        }
    }
}

const KEY: &str = "sk-not-for-any-file";

/// The demonstration's questions, its model, and a recipe whose samples are a server's.
fn place(section: &str, kind: &str, stubs: &[&Stub]) -> Place {
    let place = Place::new();
    place.cdpo(&["demo", "--dry-run"]).succeeded();
    let urls: Vec<&str> = stubs.iter().map(|stub| stub.url.as_str()).collect();
    let recipe = include_str!("../../../recipes/tiny.toml").replace(
        "[sample]\nn = 8",
        &format!(
            "[{section}.server]\nkind = \"{kind}\"\nurls = {urls:?}\nmodel = \"base\"\nin_flight = 4\ngive_up = 5\n\n[sample]\nn = 8"
        ),
    );
    std::fs::write(place.dir.join("tiny.toml"), recipe).unwrap();
    place
}

fn counts(place: &Place, stage: &str) -> Value {
    let manifest = place.read(&format!("{stage}/manifest.json"));
    serde_json::from_str::<Value>(&manifest).unwrap()["counts"].clone()
}

fn run(place: &Place, args: &[&str]) -> Outcome {
    let output = place.command(args).env("SERVER_KEY", KEY).output();
    Outcome::of(&output.unwrap())
}

#[test]
fn a_run_on_a_servers_samples_goes_to_its_table() {
    let stub = Stub::of(|_, _| Trick::None, Some(KEY), 256, None);
    let place = place("sample", "vllm", &[&stub]);
    let args = [
        "run",
        "tiny.toml",
        "--set",
        "sample.server.api_key_env=SERVER_KEY",
    ];
    let done = run(&place, &args).succeeded();
    // The stub's log-probabilities are made up, and that is seen.
    assert!(
        done.stderr.contains("|log p_server - log p_ours|"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("the usual causes are"),
        "{}",
        done.stderr
    );
    let are = &counts(&place, "samples")["servers"]["are"];
    assert_eq!(are[0]["version"], "1.2.3");
    assert_eq!(are.as_array().unwrap().len(), 1);
    // The key is in no file of the run, nor was it said.
    let asked = stub.asked();
    let grep = std::process::Command::new("grep")
        .args(["-r", "-l", KEY, "."])
        .current_dir(&place.dir)
        .output();
    assert!(grep.unwrap().stdout.is_empty() && !done.stderr.contains(KEY));
    let again = run(&place, &args).succeeded();
    assert!(again.stderr.contains("samples: done before") && stub.asked() == asked);
    // Without it nothing is asked.
    let missing = place.cdpo(&[
        "sample",
        "tiny.toml",
        "--set",
        "sample.server.api_key_env=NO_SUCH_KEY",
        "--set",
        "sample.n=9",
    ]);
    missing.failed(2, &["NO_SUCH_KEY", "not set"]);
}

#[test]
fn servers_that_went_away_are_gone_on_with_and_addresses_change_nothing() {
    let whole = place("sample", "vllm", &[&Stub::good()]);
    whole.cdpo(&["sample", "tiny.toml"]).succeeded();
    let stub = Stub::with(|n, _| if n < 60 { Trick::None } else { Trick::Reset });
    let cut = place("sample", "vllm", &[&stub]);
    let sets = ["sample", "tiny.toml", "--set", "sample.server.give_up=1"];
    cut.cdpo(&sets).failed(
        1,
        &[
            "no server could be used for 1 seconds",
            "the same command goes on",
        ],
    );
    let written = cut.read("samples/trajectories.jsonl").lines().count();
    assert!(written >= 50, "{written}");
    let other = Stub::good();
    let urls = format!("sample.server.urls=[{:?}]", other.url);
    let more = cut
        .cdpo(&["sample", "tiny.toml", "--set", &urls])
        .succeeded();
    assert!(more.stderr.contains("samples: going on"), "{}", more.stderr);
    assert_eq!(
        cut.read("samples/trajectories.jsonl"),
        whole.read("samples/trajectories.jsonl")
    );
    let all = whole.read("samples/trajectories.jsonl").lines().count();
    assert_eq!(other.asked(), all - written);
}

#[test]
fn an_interrupt_keeps_what_is_written() {
    let stub = Stub::with(|_, _| Trick::Slow(Duration::from_millis(30)));
    let place = place("sample", "sglang", &[&stub]);
    let child = place.spawn(&["sample", "tiny.toml"]);
    while stub.asked() < 40 {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Who draws is written before all is drawn.
    assert!(place.read("samples/servers.json").contains("owner/model"));
    let pid = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .unwrap();
    let ended = Outcome::of(&child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(place.read("samples/trajectories.jsonl").lines().count() >= 20);
}

#[test]
fn parts_drawn_apart_are_merged_into_the_samples_of_one_machine() {
    let whole = place("sample", "vllm", &[&Stub::good()]);
    whole.cdpo(&["sample", "tiny.toml"]).succeeded();
    let merged = place("sample", "vllm", &[&Stub::good()]);
    for part in ["1/2", "2/2"] {
        merged
            .cdpo(&["sample", "tiny.toml", "--shard", part])
            .succeeded();
    }
    // All is there: no server is asked.
    let none = "sample.server.urls=[\"http://127.0.0.1:9\"]";
    let done = merged
        .cdpo(&["sample", "tiny.toml", "--set", none])
        .succeeded();
    assert!(done.stderr.contains("samples.2-of-2: "), "{}", done.stderr);
    assert_eq!(
        merged.read("samples/trajectories.jsonl"),
        whole.read("samples/trajectories.jsonl")
    );
    // The local engine, too; a part with other settings is named and left.
    let local = Place::new();
    local.cdpo(&["demo", "--dry-run"]).succeeded();
    std::fs::write(
        local.dir.join("tiny.toml"),
        include_str!("../../../recipes/tiny.toml"),
    )
    .unwrap();
    local
        .cdpo(&["sample", "tiny.toml", "--shard", "1/2"])
        .succeeded();
    local
        .cdpo(&[
            "sample",
            "tiny.toml",
            "--shard",
            "2/2",
            "--set",
            "sample.temperature=0.5",
        ])
        .succeeded();
    let done = local.cdpo(&["sample", "tiny.toml"]).succeeded();
    assert!(
        done.stderr.contains("samples.2-of-2 was drawn from other"),
        "{}",
        done.stderr
    );
    local
        .cdpo(&["sample", "tiny.toml", "--shard", "3/2"])
        .failed(2, &["is no part"]);
}

#[test]
fn text_is_refused_unless_it_is_allowed_and_then_marked() {
    let stub = Stub::good();
    let place = place("sample", "openai", &[&stub]);
    place
        .cdpo(&["sample", "tiny.toml"])
        .failed(2, &["allow_text = true", "the ids that were drawn"]);
    assert_eq!(stub.connections(), 0);
    let done = place
        .cdpo(&[
            "sample",
            "tiny.toml",
            "--set",
            "sample.server.allow_text=true",
        ])
        .succeeded();
    assert!(done.stderr.contains("were encoded anew"), "{}", done.stderr);
    let records = place.read("samples/trajectories.jsonl");
    assert!(
        records
            .lines()
            .all(|line| line.contains("\"reencoded\":true"))
    );
    assert_eq!(
        counts(&place, "samples")["servers"]["encoded_anew"]["changed"],
        0
    );
}

#[test]
fn rollouts_of_a_servers_samples_are_refused() {
    let place = place("sample", "vllm", &[&Stub::good()]);
    place
        .cdpo(&["rollout", "tiny.toml"])
        .failed(2, &["sample.server", "--trajectories"]);
    place
        .cdpo(&["run", "tiny.toml", "--set", "methods=[\"cdpo-rollout\"]"])
        .failed(2, &["sample.server", "cdpo-rollout needs rollouts"]);
}

#[test]
fn an_adapter_that_is_not_in_fails_the_evaluation_and_the_base_needs_none() {
    let stub = Stub::good();
    let place = place("eval", "vllm", &[&stub]);
    let base = place.cdpo(&["eval", "tiny.toml"]).succeeded();
    assert!(base.stdout.contains("accuracy"), "{}", base.stdout);
    // The stub takes the adapter and answers as before.
    place
        .cdpo(&["train", "tiny.toml", "--method", "dpo"])
        .succeeded();
    let adapter = "demo/runs/tiny/dpo/adapter";
    place
        .cdpo(&["eval", "tiny.toml", "--adapter", adapter])
        .failed(1, &[&stub.url, "nats"]);
    assert!(stub.state.adapters.lock().unwrap().is_empty());
}
