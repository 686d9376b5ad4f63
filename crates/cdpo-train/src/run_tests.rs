//! The loop on the fixture models: torch's training runs, resuming, splits, refusals.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cdpo_data::{Pair, SftExample};
use cdpo_model::source::SafetensorsFolder;
use cdpo_model::{Adapter, Arena, Device, Key, LoraConfig, Model, ModelConfig, Recompute};
use serde_json::Value;

use crate::batch::Objective;
use crate::checkpoint::State;
use crate::example::prepare;
use crate::journal::Journal;
use crate::optimizer::AdamW;
use crate::run::{Event, Job, TrainReport, run};
use crate::step::Trainer;
use crate::{
    Decay, Loss, METRICS, Method, Parameters, Policy, Result, TrainSet, TrainSettings, reference,
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../cdpo-model/tests/fixtures")
        .join(name)
}

fn model(name: &str) -> Model {
    let dir = folder(name);
    let text = std::fs::read_to_string(dir.join("config.json")).unwrap();
    let config = ModelConfig::from_hf_json(&text, name).unwrap();
    let source = SafetensorsFolder::open(&dir).unwrap();
    Model::load(&config, &source, &Device::Cpu).unwrap()
}

fn values(name: &str) -> Value {
    let text = std::fs::read_to_string(folder(name).join("reference.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

fn pairs(values: &Value) -> Vec<Pair> {
    let pair = |(i, p): (usize, &Value)| {
        let scores: Vec<f64> = serde_json::from_value(p["scores"].clone()).unwrap();
        Pair {
            prompt: String::new(),
            chosen: String::new(),
            rejected: String::new(),
            problem_id: format!("q/{i}"),
            chosen_sample: 0,
            rejected_sample: 1,
            prompt_ids: ids(&p["prompt"]),
            chosen_ids: ids(&p["chosen"]),
            rejected_ids: ids(&p["rejected"]),
            chosen_terminated: true,
            rejected_terminated: false,
            rejected_scores: None,
            rejected_weights: Some(scores.iter().map(|s| (1.0 - s) as f32).collect()),
            chosen_weights: None,
            positive_logps: None,
            negative_logps: None,
            rejected_ranks: None,
            rejected_alternatives: None,
            chosen_positive_logps: None,
            chosen_negative_logps: None,
        }
    };
    values["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(pair)
        .collect()
}

fn examples(pairs: &[Pair]) -> Vec<SftExample> {
    let example = |p: &Pair| SftExample {
        problem_id: p.problem_id.clone(),
        sample: p.chosen_sample,
        prompt: String::new(),
        response: String::new(),
        prompt_ids: p.prompt_ids.clone(),
        response_ids: p.chosen_ids.clone(),
        terminated: true,
    };
    pairs.iter().map(example).collect()
}

fn set(method: Method, values: &Value) -> TrainSet {
    let pairs = pairs(values);
    if method.takes_pairs() {
        TrainSet::Pairs(pairs)
    } else {
        TrainSet::Sft(examples(&pairs))
    }
}

/// torch + peft in f64 against the engine in f32: ten optimizer steps from a stored adapter, in the stored order.
#[test]
fn ten_steps_equal_torch_and_peft() {
    for family in ["llama", "llama-tied", "qwen2"] {
        let (model, values) = (model(family), values(family));
        let tdpo = [Loss::Tdpo1, Loss::Tdpo2].map(Method::of);
        for method in [Method::SFT, Method::DPO, Method::CDPO]
            .into_iter()
            .chain(tdpo)
        {
            let expected = &values[method.name()]["run"];
            let settings = TrainSettings {
                gamma: method
                    .takes_pairs()
                    .then(|| values["gamma"].as_f64().unwrap()),
                learning_rate: Some(1e-3),
                schedule: Some(Decay::Cosine),
                warmup_steps: Some(2),
                max_steps: Some(10),
                batch_size: Some(1),
                accumulation: Some(2),
                weight_decay: Some(0.01),
                max_grad_norm: expected["max_grad_norm"].as_f64(),
                ..TrainSettings::of(method)
            }
            .validate()
            .unwrap();
            let loss = method.loss().on_pairs(&settings.loss);
            let weights = loss.as_ref().map(|l| l.weights());
            let (items, _) =
                prepare(&set(method, &values), &settings, weights, 0, usize::MAX).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let score = |p: &crate::batch::Packed| {
                Ok(model.score(&p.forest, &cdpo_model::AdapterStack::base(), &p.targets)?)
            };
            let on = |_, _| ControlFlow::Continue(());
            let cache = dir.path().join("reference.bin");
            let reference = reference::logps(&items, &[], "base", &cache, score, on)
                .unwrap()
                .unwrap();
            let adapter =
                Adapter::load(&folder(family).join("lora"), model.config(), &Device::Cpu).unwrap();
            let params = adapter.arena().clone();
            let mut policy = on_top(&model, adapter);
            let mut trainer = Trainer {
                prefix: &[],
                items: &items,
                reference: if loss.is_some() { &reference } else { &[] },
                reference_adapters: &[],
                objective: loss.map_or(Objective::Sft, |l| Objective::Pairs(l, 0.0)),
                settings: &settings,
                grads: Arena::zeros(params.layout().clone()),
                adamw: AdamW::new(settings.adamw, &params),
                params,
                journal: Journal::resume(dir.path(), 0).unwrap().0,
                last_checkpoint: None,
            };
            let schedule = settings.schedule(10);
            for step in 0..10 {
                let batch: Vec<usize> =
                    serde_json::from_value(expected["batches"][step].clone()).unwrap();
                let state = State::new(step as u64, 0, Vec::new());
                let rate = schedule.at(step as u64);
                let (got, _) = trainer
                    .step(&mut policy, &batch, &state, rate, 0.0)
                    .unwrap();
                let want = &expected["steps"][step];
                // f32 against f64: log-probabilities of single tokens agree to about 1e-6, and the updates in between
                // keep that.
                let close = |got: f64, want: f64, scale: f64, what: &str| {
                    let near = (got - want).abs() <= 1e-5 * scale;
                    assert!(
                        near,
                        "{family} {method}, step {step}: {what} {got} is not {want}"
                    );
                };
                let number = |name: &str| want[name].as_f64().unwrap();
                close(got.loss, number("loss"), number("loss"), "loss");
                close(got.learning_rate, number("learning_rate"), 1e-9, "rate");
                close(
                    got.grad_norm,
                    number("grad_norm"),
                    2.0 * number("grad_norm"),
                    "norm",
                );
                if let Some(p) = got.pairs {
                    let mean = |name: &str| {
                        let list: Vec<f64> = serde_json::from_value(want[name].clone()).unwrap();
                        list.iter().sum::<f64>() / list.len() as f64
                    };
                    for (got, name, scale) in [
                        (p.reward_chosen, "rewards_chosen", 1.0),
                        (p.reward_rejected, "rewards_rejected", 1.0),
                        (p.logps_chosen, "logps_chosen", 20.0),
                        (p.logps_rejected, "logps_rejected", 20.0),
                    ] {
                        close(got, mean(name), scale, name);
                    }
                    // The engine's divergences are sums of a few hundredths; both sides are held to 1e-5 of 1.
                    for (got, name) in [(p.kl_chosen, "kl_chosen"), (p.kl_rejected, "kl_rejected")]
                    {
                        assert_eq!(got.is_some(), want.get(name).is_some());
                        if let Some(got) = got {
                            close(got, mean(name), 1.0, name);
                        }
                    }
                }
            }
        }
    }
}

fn small(method: Method) -> TrainSettings {
    TrainSettings {
        learning_rate: Some(3e-3),
        batch_size: Some(1),
        accumulation: Some(2),
        max_steps: Some(7),
        warmup_ratio: Some(0.2),
        checkpoint_every: Some(2),
        seed: Some(5),
        ..TrainSettings::of(method)
    }
}

fn fresh(model: &Model, dropout: f64) -> Adapter {
    let config = LoraConfig {
        rank: 4,
        alpha: 8.0,
        dropout,
        ..LoraConfig::default()
    };
    Adapter::init(model.config(), &config, Key::new(1), &Device::Cpu).unwrap()
}

fn on_top(model: &Model, adapter: Adapter) -> Policy<'_> {
    Policy::Adapter {
        model,
        adapter,
        under: &[],
    }
}

/// Trains a fresh adapter, stopped by the observer after `stop_after` steps.
fn train<'a>(
    model: &'a Model,
    set: &TrainSet,
    settings: &TrainSettings,
    dir: &Path,
    stop_after: u64,
    dropout: f64,
) -> Result<TrainReport<'a>> {
    let policy = on_top(model, fresh(model, dropout));
    train_policy(policy, set, settings, dir, stop_after)
}

fn train_policy<'a>(
    policy: Policy<'a>,
    set: &TrainSet,
    settings: &TrainSettings,
    dir: &Path,
    stop_after: u64,
) -> Result<TrainReport<'a>> {
    let job = Job {
        policy,
        model_id: "fixture",
        reference: &[],
        examples: set,
        prefix_ids: &[],
        settings,
        dir,
        reference_cache: None,
    };
    run(job, &mut |event| match event {
        Event::Step(m) if m.step == stop_after => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
}

const NEVER: u64 = u64::MAX;

#[test]
fn a_resumed_run_equals_the_uninterrupted_one_bit_for_bit() {
    let (model, values) = (model("qwen2"), values("qwen2"));
    for method in [Method::SFT, Method::CDPO] {
        let (set, settings) = (set(method, &values), small(method));
        let whole = tempfile::tempdir().unwrap();
        let expected = train(&model, &set, &settings, whole.path(), NEVER, 0.1).unwrap();
        assert!(expected.finished && expected.steps == 7);

        let dir = tempfile::tempdir().unwrap();
        let stopped = train(&model, &set, &settings, dir.path(), 3, 0.1).unwrap();
        assert!(!stopped.finished && stopped.steps == 3);
        // As after a kill between two checkpoints: the stop's own checkpoint never came to be, the metrics ran ahead, and
        // the last line is torn.
        std::fs::remove_dir_all(dir.path().join("checkpoints/step-00000003")).unwrap();
        let metrics = dir.path().join(METRICS);
        let mut text = std::fs::read_to_string(&metrics).unwrap();
        text.push_str(r#"{"step": 4, "#);
        std::fs::write(&metrics, text).unwrap();

        let resumed = train(&model, &set, &settings, dir.path(), NEVER, 0.1).unwrap();
        assert!(resumed.finished);
        assert_eq!(resumed.metrics, expected.metrics);
        let bits = |r: &TrainReport<'_>| -> Vec<u32> {
            let params = r.policy.params().unwrap();
            params.data.iter().map(|x| x.to_bits()).collect()
        };
        assert_eq!(bits(&resumed), bits(&expected));
        let end = "checkpoints/step-00000007";
        for file in [
            METRICS.to_owned(),
            format!("{end}/arenas.safetensors"),
            format!("{end}/state.json"),
        ] {
            let read = |dir: &Path| std::fs::read(dir.join(&file)).unwrap();
            assert_eq!(read(dir.path()), read(whole.path()), "{file}");
        }
        assert_eq!(
            std::fs::read_dir(dir.path().join("checkpoints"))
                .unwrap()
                .count(),
            2
        );

        let again = train(&model, &set, &settings, dir.path(), NEVER, 0.1).unwrap();
        assert!(again.finished && bits(&again) == bits(&expected));
    }
}

/// All parameters: killed between two checkpoints, with the reference's file lost on top, a run ends with the bits of a whole one.
/// The reference is the model as it was given, not as the checkpoint has it.
#[test]
fn all_parameters_resume_bit_for_bit_against_the_untouched_reference() {
    let values = values("qwen2");
    for method in [Method::SFT, Method::DPO] {
        let set = set(method, &values);
        let settings = TrainSettings {
            parameters: Some(Parameters::All),
            weight_decay: Some(0.1),
            ..small(method)
        };
        let run = |dir: &Path, stop| {
            let policy = Policy::Model(Box::new(model("qwen2")));
            let report = train_policy(policy, &set, &settings, dir, stop).unwrap();
            let metrics = report.metrics.clone();
            (
                metrics,
                report.policy.into_model().unwrap().arena().unwrap(),
            )
        };
        let whole = tempfile::tempdir().unwrap();
        let (metrics, params) = run(whole.path(), NEVER);
        assert_eq!(metrics.len(), 7);
        if let Some(pairs) = &metrics[0].pairs {
            let start = [pairs.reward_chosen, pairs.reward_rejected];
            assert!(start.iter().all(|r| r.abs() < 1e-6), "{start:?}");
            assert!(metrics[6].pairs.as_ref().unwrap().reward_margin.abs() > 1e-3);
        }
        let base = model("qwen2").arena().unwrap();
        for entry in base.layout().entries() {
            assert_ne!(
                base.view(&entry.name),
                params.view(&entry.name),
                "{} is trained",
                entry.name
            );
        }

        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), 3);
        std::fs::remove_dir_all(dir.path().join("checkpoints/step-00000003")).unwrap();
        if method.takes_pairs() {
            std::fs::remove_file(dir.path().join("reference.bin")).unwrap();
        }
        let (again, resumed) = run(dir.path(), NEVER);
        assert_eq!(again, metrics);
        assert_eq!(resumed.data, params.data);
    }
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

/// The same examples a step, computed together or one by one: only the order of f32 additions differs.
#[test]
fn packed_or_accumulated_a_step_is_the_same() {
    let (model, values) = (model("llama"), values("llama"));
    for method in [Method::SFT, Method::CDPO] {
        let set = set(method, &values);
        let split = |batch_size, accumulation| {
            let settings = TrainSettings {
                batch_size: Some(batch_size),
                accumulation: Some(accumulation),
                ..small(method)
            };
            let dir = tempfile::tempdir().unwrap();
            train(&model, &set, &settings, dir.path(), NEVER, 0.1)
                .unwrap()
                .metrics
        };
        let one_by_one = split(1, 4);
        for other in [split(4, 1), split(2, 2)] {
            for (a, b) in one_by_one.iter().zip(&other) {
                assert!(
                    (a.loss - b.loss).abs() < 1e-5 * a.loss,
                    "{method}: {a:?} {b:?}"
                );
                assert!(
                    (a.grad_norm - b.grad_norm).abs() < 1e-4 * a.grad_norm,
                    "{a:?} {b:?}"
                );
            }
        }
    }
}

#[test]
fn training_starts_at_log_two_and_lowers_the_loss() {
    let (model, values) = (model("llama"), values("llama"));
    for method in [
        Method::DPO,
        Method::CDPO,
        Method::of(Loss::CdpoReferenceCompat),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let report = train(
            &model,
            &set(method, &values),
            &small(method),
            dir.path(),
            NEVER,
            0.0,
        )
        .unwrap();
        let losses: Vec<f64> = report.metrics.iter().map(|m| m.loss).collect();
        assert!(
            (losses[0] - std::f64::consts::LN_2).abs() < 1e-5,
            "{method}: {losses:?}"
        );
        assert!(losses[6] < losses[0], "{method}: {losses:?}");
    }
}

#[test]
fn cdpo_with_unit_weights_trains_as_dpo_bit_for_bit() {
    let (model, values) = (model("llama"), values("llama"));
    let mut pairs = pairs(&values);
    for p in &mut pairs {
        p.rejected_weights = Some(vec![1.0; p.rejected_ids.len()]);
    }
    let set = TrainSet::Pairs(pairs);
    let [dpo, cdpo] = [Method::DPO, Method::CDPO].map(|method| {
        let dir = tempfile::tempdir().unwrap();
        train(&model, &set, &small(method), dir.path(), NEVER, 0.0)
            .unwrap()
            .metrics
    });
    assert_eq!(dpo, cdpo);
}

#[test]
fn a_prefix_before_every_prompt_is_the_same_as_longer_prompts() {
    let (model, values) = (model("llama"), values("llama"));
    let prefix = [7, 8, 9];
    let short = pairs(&values);
    let mut long = short.clone();
    for p in &mut long {
        p.prompt_ids.splice(0..0, prefix);
    }
    let losses = |pairs: Vec<Pair>, prefix: &[u32]| {
        let dir = tempfile::tempdir().unwrap();
        let job = Job {
            policy: on_top(&model, fresh(&model, 0.0)),
            model_id: "fixture",
            reference: &[],
            examples: &TrainSet::Pairs(pairs),
            prefix_ids: prefix,
            settings: &small(Method::CDPO),
            dir: dir.path(),
            reference_cache: None,
        };
        let report = run(job, &mut |_| ControlFlow::Continue(())).unwrap();
        report.metrics.iter().map(|m| m.loss).collect::<Vec<_>>()
    };
    let (with_prefix, without) = (losses(short, &prefix), losses(long, &[]));
    for (a, b) in with_prefix.iter().zip(&without) {
        assert!((a - b).abs() < 1e-5, "{with_prefix:?} {without:?}");
    }
}

#[test]
fn a_warmup_that_does_not_end_is_refused_with_a_remedy() {
    let (model, values) = (model("llama"), values("llama"));
    let settings = TrainSettings {
        max_steps: None,
        epochs: Some(1.0),
        warmup_ratio: None,
        warmup_steps: Some(70),
        ..small(Method::CDPO)
    };
    let dir = tempfile::tempdir().unwrap();
    let error = train(
        &model,
        &set(Method::CDPO, &values),
        &settings,
        dir.path(),
        NEVER,
        0.0,
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("warm-up of 70 steps") && error.contains("set warmup_ratio"),
        "{error}"
    );
}

#[test]
fn a_number_that_is_not_finite_stops_with_step_examples_and_checkpoint() {
    let (model, values) = (model("llama"), values("llama"));
    let settings = TrainSettings {
        learning_rate: Some(1e38),
        checkpoint_every: Some(1),
        ..small(Method::SFT)
    };
    let dir = tempfile::tempdir().unwrap();
    let error = train(
        &model,
        &set(Method::SFT, &values),
        &settings,
        dir.path(),
        NEVER,
        0.0,
    )
    .unwrap_err();
    let text = error.to_string();
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
fn a_damaged_checkpoint_is_named_with_a_remedy() {
    let (model, values) = (model("llama"), values("llama"));
    let set = set(Method::DPO, &values);
    let dir = tempfile::tempdir().unwrap();
    train(&model, &set, &small(Method::DPO), dir.path(), 3, 0.0).unwrap();
    let arenas = dir
        .path()
        .join("checkpoints/step-00000003/arenas.safetensors");
    let bytes = std::fs::read(&arenas).unwrap();
    std::fs::write(&arenas, &bytes[..bytes.len() / 2]).unwrap();
    let error = train(&model, &set, &small(Method::DPO), dir.path(), NEVER, 0.0)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("step-00000003") && error.contains("remove its folder"),
        "{error}"
    );
    std::fs::remove_dir_all(arenas.parent().unwrap()).unwrap();
    assert!(
        train(&model, &set, &small(Method::DPO), dir.path(), NEVER, 0.0)
            .unwrap()
            .finished
    );
}

#[test]
fn recomputing_changes_no_bit() {
    let (model, values) = (model("qwen2"), values("qwen2"));
    let set = set(Method::CDPO, &values);
    let ways = [
        Recompute::Nothing,
        Recompute::FeedForward,
        Recompute::Blocks,
    ];
    let [kept, partly, recomputed] = ways.map(|recompute| {
        let settings = TrainSettings {
            recompute: Some(recompute),
            ..small(Method::CDPO)
        };
        let dir = tempfile::tempdir().unwrap();
        train(&model, &set, &settings, dir.path(), NEVER, 0.1)
            .unwrap()
            .metrics
    });
    assert_eq!(kept, partly);
    assert_eq!(kept, recomputed);
}

/// The method in the training loop: the reference runs again beside the policy, whatever is recomputed, resumed or under it.
#[test]
fn tdpo_trains_and_resumes_bit_for_bit() {
    let (model, values) = (model("llama"), values("llama"));
    for loss in [Loss::Tdpo1, Loss::Tdpo2] {
        let method = Method::of(loss);
        let (set, settings) = (set(method, &values), small(method));
        let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let uncut = train(&model, &set, &settings, whole.path(), NEVER, 0.1).unwrap();
        train(&model, &set, &settings, parts.path(), 3, 0.1).unwrap();
        let resumed = train(&model, &set, &settings, parts.path(), NEVER, 0.1).unwrap();
        assert_eq!(uncut.metrics, resumed.metrics);
        let first = uncut.metrics[0].pairs.as_ref().unwrap();
        let last = uncut.metrics.last().unwrap().pairs.as_ref().unwrap();
        assert!(last.kl_rejected.unwrap() > 0.0 && first.kl_rejected.is_some());
    }
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
    let (model, values) = (model("llama"), values("llama"));
    let method: Method = "sft+dpo".parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let error = train(
        &model,
        &set(method, &values),
        &small(method),
        dir.path(),
        NEVER,
        0.0,
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("sft+dpo starts from the fine-tuned model"),
        "{error}"
    );
}

/// Policy and reference on the same adapter: the first step's loss is log 2 (its margin is 0), as from the base.
#[test]
fn after_fine_tuning_a_preference_method_starts_at_its_reference() {
    let (model, values) = (model("llama"), values("llama"));
    let tuned = Adapter::load(&folder("llama").join("lora"), model.config(), &Device::Cpu).unwrap();
    let tuned = [&tuned];
    for name in ["sft+dpo", "sft+tdpo2", "sft+cdpo"] {
        let method: Method = name.parse().unwrap();
        let (set, settings, dir) = (
            set(method, &values),
            small(method),
            tempfile::tempdir().unwrap(),
        );
        let job = Job {
            policy: Policy::Adapter {
                model: &model,
                adapter: fresh(&model, 0.0),
                under: &tuned,
            },
            model_id: "llama",
            reference: &tuned,
            examples: &set,
            prefix_ids: &[],
            settings: &settings,
            dir: dir.path(),
            reference_cache: None,
        };
        let report = run(job, &mut |_| ControlFlow::Continue(())).unwrap();
        let first = &report.metrics[0];
        // Packing two pairs or one moves log-probabilities by rounding.
        assert!(
            (first.loss - std::f64::consts::LN_2).abs() < 1e-5,
            "{name}: {}",
            first.loss
        );
        assert!(report.metrics.last().unwrap().loss < first.loss, "{name}");
    }
}

/// Weights that a user's own columns bring, and those that TIS-DPO makes of both models' log-probabilities, reach the loss.
#[test]
fn weights_of_the_data_reach_the_loss() {
    let (model, values) = (model("llama"), values("llama"));
    let mut pairs = pairs(&values);
    for (i, pair) in pairs.iter_mut().enumerate() {
        let spread = |n: usize, scale: f32| -> Option<Vec<f32>> {
            Some((0..n).map(|t| scale * ((i + 2 * t) % 5) as f32).collect())
        };
        let (chosen, rejected) = (pair.chosen_ids.len(), pair.rejected_ids.len());
        pair.chosen_weights = spread(chosen, 0.25);
        pair.chosen_positive_logps = spread(chosen, -0.5);
        pair.chosen_negative_logps = spread(chosen, -1.0);
        pair.positive_logps = spread(rejected, -1.5);
        pair.negative_logps = spread(rejected, -0.5);
    }
    let trained = |method: Method, pairs: &[Pair]| {
        let dir = tempfile::tempdir().unwrap();
        let set = TrainSet::Pairs(pairs.to_vec());
        train(&model, &set, &small(method), dir.path(), NEVER, 0.0).map(|report| report.metrics)
    };
    let [dpo, weighted, tis] = [Loss::Dpo, Loss::WeightedDpo, Loss::TisDpo].map(Method::of);
    let plain = trained(dpo, &pairs).unwrap();
    assert_ne!(trained(weighted, &pairs).unwrap(), plain);
    assert_ne!(trained(tis, &pairs).unwrap(), plain);
    pairs[1].chosen_negative_logps = None;
    let error = trained(tis, &pairs).unwrap_err().to_string();
    assert!(
        error.contains("q/1 (samples 0 over 1): chosen_negative_logps is missing; score the pairs"),
        "{error}"
    );
    for pair in &mut pairs {
        pair.chosen_weights = Some(vec![1.0; pair.chosen_ids.len()]);
        pair.rejected_weights = Some(vec![1.0; pair.rejected_ids.len()]);
    }
    let same = |a: &[crate::StepMetrics], b: &[crate::StepMetrics]| {
        a.iter().zip(b).all(|(a, b)| a.loss == b.loss)
    };
    let unit = trained(weighted, &pairs).unwrap();
    assert!(same(&unit, &trained(dpo, &pairs).unwrap()));
}
