use super::keys;
use super::parse::parse;

const EVERY_KEY: &str = include_str!("../../../../recipes/every-key.toml");

#[test]
fn the_recipe_of_every_key_names_every_key() {
    for key in keys::all() {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", &key));
        let mut methods = cdpo_train::Method::all();
        if methods.any(|m| section == format!("train.{m}")) {
            continue;
        }
        let header = format!("[{section}]");
        let text = match EVERY_KEY.split_once(&header) {
            Some((_, rest)) => rest.split("\n[").next().unwrap(),
            None => EVERY_KEY,
        };
        let named = |line: &str| {
            line.trim_start_matches("# ")
                .starts_with(&format!("{name} ="))
        };
        let learning_rate = section == "train" && name == "learning_rate";
        assert!(learning_rate || text.lines().any(named), "{key} is missing");
    }
}

#[test]
fn the_recipe_of_every_key_states_the_defaults() {
    let least =
        "[model]\npath = \"model\"\n[data]\ntrain = \"train.jsonl\"\ntest = \"test.jsonl\"\n";
    let stated = parse(EVERY_KEY, "every-key", &[]).unwrap();
    let defaults = parse(least, "every-key", &[]).unwrap();
    assert_eq!(stated, defaults);
}

#[test]
fn a_resolved_recipe_resolves_to_itself() {
    for text in [EVERY_KEY, include_str!("../../../../recipes/tiny.toml")] {
        let recipe = parse(text, "name", &[]).unwrap();
        let again = parse(&recipe.to_toml().unwrap(), "other", &[]).unwrap();
        assert_eq!(recipe, again);
    }
}

#[test]
fn every_recipe_of_the_project_is_sound() {
    let sets: Vec<String> = ["data.train=a.jsonl", "data.test=b.jsonl"]
        .map(str::to_owned)
        .to_vec();
    let mut count = 0;
    for entry in std::fs::read_dir("../../recipes").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("table3-") || name == "wordmath-base.toml" {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let mut sets = sets.clone();
        if path.ends_with("gsm8k-qwen2.5-0.5b.toml") {
            sets.push("model.path=m.gguf".into());
        }
        if let Err(faults) = parse(&text, "recipe", &sets) {
            panic!("{}: {faults:#?}", path.display());
        }
        count += 1;
    }
    assert!(count >= 7);
}

#[test]
fn a_set_value_is_toml_or_bare_text() {
    let set = |set: &str| {
        let sets = [set.to_owned()];
        parse(EVERY_KEY, "name", &sets)
    };
    assert_eq!(set("sample.n=3").unwrap().sample.n, 3);
    assert_eq!(set("run.name=a b").unwrap().run.name, "a b");
    assert_eq!(set("run.name=\"3\"").unwrap().run.name, "3");
    assert_eq!(set("methods=[\"cdpo\"]").unwrap().methods.len(), 1);
    assert_eq!(set("model.bos=true").unwrap().model.bos, super::Bos::True);
    let faults = set("methods=[\"cdpo\", \"cdpo\"]").unwrap_err();
    assert_eq!(faults, ["methods: cdpo is named twice"]);
    let faults = set("sample.n.m=3").unwrap_err();
    assert!(faults[0].contains("n is not a section"), "{faults:?}");
}

#[test]
fn servers_that_take_no_adapter_evaluate_no_methods() {
    let faults = |kind: &str, methods: &str| {
        let sets = [
            format!("eval.server.kind={kind}"),
            "eval.server.urls=[\"http://127.0.0.1:9\"]".into(),
            "eval.server.model=m".into(),
            format!("methods={methods}"),
        ];
        parse(
            "[model]\npath = \"m\"\n[data]\ntrain = \"t\"\ntest = \"t\"",
            "name",
            &sets,
        )
        .err()
    };
    for kind in ["llama_cpp", "openai"] {
        let found = faults(kind, "[\"dpo\", \"cdpo\"]").unwrap();
        assert!(
            found.len() == 1
                && found[0].contains("eval.server.kind")
                && found[0].contains("dpo, cdpo"),
            "{found:?}"
        );
        assert_eq!(faults(kind, "[]"), None);
    }
    assert_eq!(faults("vllm", "[\"dpo\"]"), None);
}

#[test]
fn a_methods_own_keys_go_before_the_shared_ones() {
    let text = EVERY_KEY.replace("[train.cdpo]", "[train.cdpo]\ngamma = 0.25");
    let recipe = parse(&text, "name", &[]).unwrap();
    let gamma = |method: &str| recipe.train.methods[method].gamma;
    assert_eq!((gamma("dpo"), gamma("cdpo")), (Some(1.0), Some(0.25)));
}
