//! Ten steps of torch and PEFT on the same pairs.

use super::*;

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
            let given = TrainSettings {
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
            };
            let settings = given.validate().unwrap();
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
            let examples = set(method, &values);
            let mut trainer = Trainer {
                job: Job {
                    policy: on_top(&model, adapter),
                    model_id: "base",
                    reference: &[],
                    examples: &examples,
                    prefix_ids: &[],
                    settings: &given,
                    dir: dir.path(),
                    reference_cache: None,
                },
                reference: if loss.is_some() {
                    reference
                } else {
                    Vec::new()
                },
                items,
                objective: loss.map_or(Objective::Sft, |l| Objective::Pairs(l, 0.0)),
                adamw: AdamW::new(settings.adamw, &params),
                state: State::new(0, 0, Vec::new()),
                last_checkpoint: None,
                settings,
                params,
            };
            let mut grads = Arena::zeros(trainer.params.layout().clone());
            let schedule = trainer.settings.schedule(10);
            for step in 0..10 {
                let batch: Vec<usize> =
                    serde_json::from_value(expected["batches"][step].clone()).unwrap();
                let rate = schedule.at(step as u64);
                let got = trainer.step(&batch, rate, 0.0, &mut grads).unwrap();
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
