//! Runs that ask by a chat template: held to runs that ask the same texts plainly.
#![allow(missing_docs, clippy::unwrap_used)]

mod binary;

use binary::{Outcome, Place};

/// What `recipes/tiny.toml` asks, as a template.
const TEMPLATE: &str = "{% for m in messages %}{% if m.role == 'user' %}{{ 'Q: ' + m.content + '\nA:' }}{% else %}{{ ' ' + m.content + '<|end|>\n' }}{% endif %}{% endfor %}";

const RECIPE: &str = include_str!("../../../recipes/tiny.toml");

/// The recipe with a template's file in place of its framing.
fn by_template(path: &str) -> String {
    let (before, rest) = RECIPE.split_once("[prompt]").unwrap();
    let (_, after) = rest.split_once("[sample]").unwrap();
    format!(
        "{before}[prompt]\ntemplate = \"{path}\"\nframing = \"custom\"\ninstruction = \"\"\nstop = [\"\\n\"]\n\n[sample]{after}"
    )
}

fn place() -> Place {
    let place = Place::new();
    place.cdpo(&["demo", "--dry-run"]).succeeded();
    write(&place, "t.jinja", TEMPLATE);
    write(&place, "tiny.toml", &by_template("t.jinja"));
    place
}

fn write(place: &Place, name: &str, text: &str) {
    std::fs::write(place.dir.join(name), text).unwrap();
}

fn run(place: &Place, sets: &[&str]) -> Outcome {
    let mut args = vec!["run", "tiny.toml"];
    for set in sets {
        args.extend(["--set", set]);
    }
    place.cdpo(&args)
}

#[test]
fn a_template_that_writes_the_framing_gives_the_plain_runs_files() {
    let (plain, chat) = (place(), place());
    write(&plain, "tiny.toml", RECIPE);
    run(&plain, &[]).succeeded();
    let told = run(&chat, &[]).succeeded();
    assert!(told.stderr.contains("chat    t.jinja"), "{told:?}");
    for file in [
        "samples/trajectories.jsonl",
        "selected/pairs.jsonl",
        "scored/pairs.jsonl",
        "table/table.json",
    ] {
        assert_eq!(plain.read(file), chat.read(file), "{file}");
    }

    // The content counts, not where it stands.
    write(&chat, "other.jinja", TEMPLATE);
    let again = run(&chat, &["prompt.template=other.jinja"]).succeeded();
    assert!(!again.stderr.contains("finished in"), "{again:?}");
    write(&chat, "other.jinja", &TEMPLATE.replace("Q: ", "Q:  "));
    let dry = chat.cdpo(&[
        "run",
        "tiny.toml",
        "--dry-run",
        "--set",
        "prompt.template=other.jinja",
    ]);
    let lines = dry.succeeded().stdout;
    let samples = lines.lines().find(|line| line.starts_with("samples"));
    assert!(samples.unwrap().contains("to do"), "{lines}");
}

#[test]
fn pairs_of_messages_train_as_the_same_pairs_of_text_do() {
    let answer = |n: usize| format!(r#"{{"role":"assistant","content":"{n}."}}"#);
    let rows = |chat: bool| -> String {
        let row = |i: usize| {
            let (right, wrong) = (answer(i + 1), answer(i + 2));
            let asked = format!(r#"{{"role":"user","content":"{i}+1?"}}"#);
            match (chat, i % 2) {
                (true, 0) => format!(
                    "{{\"prompt\":[{asked}],\"chosen\":[{right}],\"rejected\":[{wrong}]}}\n"
                ),
                (true, _) => {
                    format!("{{\"chosen\":[{asked},{right}],\"rejected\":[{asked},{wrong}]}}\n")
                }
                (false, _) => format!(
                    "{{\"prompt\":\"Q: {i}+1?\\nA:\",\"chosen\":\" {}.\",\"rejected\":\" {}.\"}}\n",
                    i + 1,
                    i + 2
                ),
            }
        };
        (0..4).map(row).collect()
    };
    let trained = |recipe: &str, rows: &str| {
        let place = place();
        write(&place, "pairs.jsonl", rows);
        let recipe = recipe.replace("train = \"demo/train.jsonl\"", "pairs = \"pairs.jsonl\"");
        write(&place, "tiny.toml", &recipe);
        let told = run(&place, &["methods=[\"dpo\"]"]);
        (place, told)
    };
    let (text, told) = trained(RECIPE, &rows(false));
    told.succeeded();
    let (chat, told) = trained(&by_template("t.jinja"), &rows(true));
    let told = told.succeeded().stderr;
    assert!(
        told.contains("4 of 4 pairs are messages, rendered by t.jinja"),
        "{told}"
    );
    let ids = |place: &Place| -> Vec<[serde_json::Value; 3]> {
        let pairs = place.read("selected/pairs.jsonl");
        let row = |line: &str| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            ["prompt_ids", "chosen_ids", "rejected_ids"].map(|key| row[key].clone())
        };
        pairs.lines().map(row).collect()
    };
    assert_eq!(ids(&text), ids(&chat));
    let adapter = "dpo/adapter/adapter_model.safetensors";
    let bytes = |place: &Place| std::fs::read(place.run_dir().join(adapter)).unwrap();
    assert_eq!(bytes(&text), bytes(&chat));

    let (_, told) = trained(RECIPE, &rows(true));
    told.failed(1, &["is a list of messages", "prompt.template = \"chat\""]);
}

#[test]
fn what_a_recipe_cannot_ask_is_refused_by_key() {
    let place = place();
    run(&place, &["prompt.question_prefix=Q: "])
        .failed(2, &["prompt.question_prefix", "prompt.instruction"]);
    run(&place, &["prompt.template=chat"]).failed(2, &["no chat template", "\"none\""]);
    run(&place, &["prompt.assistant_prefix=\"So \""])
        .failed(2, &["prompt.assistant_prefix", "space"]);
    write(&place, "tiny.toml", RECIPE);
    run(&place, &["prompt.system=Hi"]).failed(2, &["prompt.system", "prompt.template = \"chat\""]);
    write(&place, "tiny.toml", &by_template("t.jinja"));
    write(&place, "t.jinja", "\n{{ messages | nothing }}");
    run(&place, &[]).failed(1, &["chat template t.jinja, line 2", "nothing"]);
}
