//! What a run refuses, and what it says.

use super::*;

/// What a new run with these settings says before it ends.
fn refusal(method: Method, settings: &TrainSettings) -> String {
    let (model, set) = (model("llama"), set(method, &values("llama")));
    let dir = tempfile::tempdir().unwrap();
    let ended = train(&model, &set, settings, dir.path(), NEVER, 0.0);
    ended.unwrap_err().to_string()
}

#[test]
fn settings_and_policy_must_name_the_same_parameters() {
    let values = values("llama");
    let (set, settings) = (set(Method::SFT, &values), small(Method::SFT));
    let dir = tempfile::tempdir().unwrap();
    let policy = Policy::Model(Box::new(model("llama")));
    let error = train_policy(policy, &set, &settings, dir.path(), NEVER).unwrap_err();
    assert!(error.to_string().contains("parameters is Lora"), "{error}");
}

#[test]
fn a_warmup_that_does_not_end_is_refused_with_a_remedy() {
    let settings = TrainSettings {
        max_steps: None,
        epochs: Some(1.0),
        warmup_ratio: None,
        warmup_steps: Some(70),
        ..small(Method::CDPO)
    };
    let error = refusal(Method::CDPO, &settings);
    assert!(
        error.contains("warm-up of 70 steps") && error.contains("set warmup_ratio"),
        "{error}"
    );
}

#[test]
fn a_number_that_is_not_finite_stops_with_step_examples_and_checkpoint() {
    let settings = TrainSettings {
        learning_rate: Some(1e38),
        checkpoint_every: Some(1),
        ..small(Method::SFT)
    };
    let text = refusal(Method::SFT, &settings);
    assert!(
        text.contains("not finite: ") && text.contains("; examples: q/"),
        "{text}"
    );
    assert!(
        text.contains("last good checkpoint: ") && text.contains("step-0000"),
        "{text}"
    );
}

#[test]
fn a_folder_of_another_run_is_refused_and_says_what_differs() {
    let (model, values) = (model("llama"), values("llama"));
    let set = set(Method::CDPO, &values);
    let dir = tempfile::tempdir().unwrap();
    train(&model, &set, &small(Method::CDPO), dir.path(), 2, 0.0).unwrap();
    let settings = TrainSettings {
        gamma: Some(0.5),
        ..small(Method::CDPO)
    };
    let error = train(&model, &set, &settings, dir.path(), NEVER, 0.0)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("with other settings; train into another folder"),
        "{error}"
    );
}

#[test]
fn pairs_without_weights_are_refused_by_cdpo_only() {
    let (model, values) = (model("llama"), values("llama"));
    let mut pairs = pairs(&values);
    pairs[2].rejected_weights = None;
    let set = TrainSet::Pairs(pairs);
    let dir = tempfile::tempdir().unwrap();
    let error = train(&model, &set, &small(Method::CDPO), dir.path(), NEVER, 0.0)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("q/2 (samples 0 over 1): rejected_weights is missing"),
        "{error}"
    );
    train(&model, &set, &small(Method::DPO), dir.path(), NEVER, 0.0).unwrap();
}

#[test]
fn tdpo_refuses_to_train_all_parameters() {
    let settings = TrainSettings {
        parameters: Some(Parameters::All),
        ..TrainSettings::of(Method::of(Loss::Tdpo2))
    };
    let error = settings.validate().unwrap_err().to_string();
    assert!(error.contains("needs parameters = \"lora\""), "{error}");
}

#[test]
fn a_method_that_starts_from_the_fine_tuned_model_needs_its_adapter() {
    let method: Method = "sft+dpo".parse().unwrap();
    let error = refusal(method, &small(method));
    assert!(
        error.contains("sft+dpo starts from the fine-tuned model"),
        "{error}"
    );
    let model = model("llama");
    let (tuned, dir) = (fresh(&model, 0.0), tempfile::tempdir().unwrap());
    let job = Job {
        policy: Policy::Adapter {
            model: &model,
            adapter: fresh(&model, 0.0),
            under: &[&tuned],
        },
        model_id: "fixture",
        reference: &[],
        examples: &set(method, &values("llama")),
        prefix_ids: &[],
        settings: &small(method),
        dir: dir.path(),
        reference_cache: None,
    };
    let error = run(job, &mut |_| ControlFlow::Continue(())).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("its reference has no adapter"), "{text}");
}
