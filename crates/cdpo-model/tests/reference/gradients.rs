//! Gradients against torch and PEFT, and what must not change them.

use super::*;

/// Loss and gradient of the response-only NLL over all chosen responses.
pub(super) fn sft_gradient(
    f: &Fixture,
    stack: &AdapterStack<'_>,
    layout: Arc<Layout>,
    options: &TrainOptions,
    packed: bool,
) -> (f64, Arena) {
    let pairs = f.json["pairs"].as_array().unwrap();
    let total: usize = pairs.iter().map(|p| ids(&p["chosen"]).len()).sum();
    let mut grads = Arena::zeros(layout);
    let mut loss = 0.0;
    let groups: Vec<Vec<&Value>> = if packed {
        vec![pairs.iter().collect()]
    } else {
        pairs.iter().map(|p| vec![p]).collect()
    };
    for group in groups {
        let mut forest = TokenForest::new();
        let mut targets = Vec::new();
        for pair in group {
            let prompt = forest.push(&ids(&pair["prompt"]), None, 5);
            let chosen = forest.push(&ids(&pair["chosen"]), Some(prompt), 5);
            targets.extend(forest.targets(chosen));
        }
        let pass = f
            .model
            .train_forward(&forest, stack, &targets, options)
            .unwrap();
        loss -= pass.logps.iter().map(|l| f64::from(*l)).sum::<f64>() / total as f64;
        let dlogps = vec![-1.0 / total as f32; targets.len()];
        f.model
            .train_backward(pass, stack, &dlogps, &mut grads)
            .unwrap();
    }
    (loss, grads)
}

#[test]
fn every_lora_gradient_equals_pefts() {
    for name in ADAPTED {
        let f = fixture(name);
        let lora = adapter(&f, "lora");
        let adapters = [&lora];
        let stack = AdapterStack::training(&adapters, 0);
        let layout = lora.arena().layout().clone();
        let (loss, grads) =
            sft_gradient(&f, &stack, layout.clone(), &TrainOptions::default(), true);
        let expected = f.json["sft"]["loss"].as_f64().unwrap();
        assert!(
            (loss - expected).abs() < 1e-5 * expected,
            "{name}: loss {loss} against {expected}"
        );
        assert_eq!(layout.entries().len(), 28);
        for entry in layout.entries() {
            let expected: Vec<f32> = f.tensors[&format!("sft.grad.{}", entry.name)]
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap();
            let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
            close(grads.view(&entry.name).unwrap(), &expected, 2e-5);
        }
    }
}

#[test]
fn every_parameters_own_gradient_equals_torchs() {
    for name in ADAPTED {
        let f = fixture(name);
        let layout = f.model.arena().unwrap().layout().clone();
        let (_, grads) = sft_gradient(
            &f,
            &AdapterStack::base(),
            layout.clone(),
            &TrainOptions::default(),
            true,
        );
        let reference = f.json["full_sft_grads"].as_object().unwrap();
        assert_eq!(reference.len(), layout.entries().len());
        for (parameter, summary) in reference {
            let got = grads.view(parameter).unwrap();
            let norm = got
                .iter()
                .map(|g| f64::from(*g).powi(2))
                .sum::<f64>()
                .sqrt();
            let probe: f64 = got
                .iter()
                .enumerate()
                .map(|(i, g)| f64::from(*g) * (i as f64).cos())
                .sum();
            let expected = summary["norm"].as_f64().unwrap();
            assert!(
                (norm - expected).abs() < 2e-5 * expected,
                "{name} {parameter}: norm {norm} against {expected}"
            );
            let off = (probe - summary["probe"].as_f64().unwrap()).abs();
            assert!(
                off < 2e-5 * expected,
                "{name} {parameter}: probe off by {off}"
            );
            for (g, e) in got.iter().zip(floats(&summary["head"])) {
                assert!(
                    (f64::from(*g) - e).abs() < 2e-5 * expected,
                    "{name} {parameter}: {g} against {e}"
                );
            }
        }
    }
}

fn largest_difference(a: &Arena, b: &Arena) -> f64 {
    let scale = largest(a.data.iter().map(|v| f64::from(*v)));
    largest(a.data.iter().zip(&b.data).map(|(a, b)| f64::from(a - b))) / scale
}

#[test]
fn packing_changes_no_gradient_beyond_rounding() {
    let f = fixture("qwen2");
    let lora = adapter(&f, "lora");
    let adapters = [&lora];
    let stack = AdapterStack::training(&adapters, 0);
    let layout = lora.arena().layout();
    let (packed_loss, packed) =
        sft_gradient(&f, &stack, layout.clone(), &TrainOptions::default(), true);
    let (loss, single) = sft_gradient(&f, &stack, layout.clone(), &TrainOptions::default(), false);
    assert!((packed_loss - loss).abs() < 1e-6 * loss);
    assert!(largest_difference(&packed, &single) < 1e-5);
}

#[test]
fn recomputation_gives_the_same_bits_with_dropout_on() {
    let f = fixture("llama");
    let mut config = adapter(&f, "lora").config().clone();
    config.dropout = 0.3;
    let lora = Adapter::from_params(
        f.model.config(),
        &config,
        adapter(&f, "lora").arena(),
        &Device::Cpu,
    )
    .unwrap();
    let adapters = [&lora];
    let stack = AdapterStack::training(&adapters, 0);
    let layout = lora.arena().layout();
    let dropout = Some(cdpo_model::Key::new(3).with(1));
    let (kept_loss, kept) = sft_gradient(
        &f,
        &stack,
        layout.clone(),
        &TrainOptions {
            dropout,
            recompute: Recompute::Nothing,
        },
        true,
    );
    for recompute in [Recompute::FeedForward, Recompute::Blocks] {
        let options = TrainOptions { dropout, recompute };
        let (loss, again) = sft_gradient(&f, &stack, layout.clone(), &options, true);
        assert_eq!(kept_loss.to_bits(), loss.to_bits());
        assert_eq!(kept.data, again.data);
    }
    let (plain, _) = sft_gradient(&f, &stack, layout.clone(), &TrainOptions::default(), true);
    assert_ne!(
        plain.to_bits(),
        kept_loss.to_bits(),
        "dropout changed nothing"
    );
}

#[test]
fn one_thread_gives_the_bits_of_two() {
    let f = fixture("llama-tied");
    let lora = adapter(&f, "lora");
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let adapters = [&lora];
            let stack = AdapterStack::training(&adapters, 0);
            sft_gradient(
                &f,
                &stack,
                lora.arena().layout().clone(),
                &TrainOptions::default(),
                true,
            )
        })
    };
    let ((loss1, grads1), (loss2, grads2)) = (run(1), run(2));
    assert_eq!(loss1.to_bits(), loss2.to_bits());
    assert_eq!(grads1.data, grads2.data);
}

#[test]
fn a_shared_prompt_equals_a_repeated_prompt_in_loss_and_every_gradient() {
    let f = fixture("llama");
    let lora = adapter(&f, "lora");
    let adapters = [&lora];
    let stack = AdapterStack::training(&adapters, 0);
    let run = |shared: bool| {
        let mut forest = TokenForest::new();
        let (mut targets, mut dlogps) = (Vec::new(), Vec::new());
        for pair in f.json["pairs"].as_array().unwrap() {
            let pair = push_pair(&mut forest, pair, shared);
            dlogps.extend(
                pair.chosen
                    .iter()
                    .map(|_| -0.5f32)
                    .chain(pair.rejected.iter().map(|_| 0.25)),
            );
            targets.extend(pair.chosen.into_iter().chain(pair.rejected));
        }
        let pass = f
            .model
            .train_forward(&forest, &stack, &targets, &TrainOptions::default())
            .unwrap();
        let logps = pass.logps.clone();
        let mut grads = Arena::zeros(lora.arena().layout().clone());
        f.model
            .train_backward(pass, &stack, &dlogps, &mut grads)
            .unwrap();
        (logps, grads)
    };
    let ((shared, shared_grads), (repeated, repeated_grads)) = (run(true), run(false));
    assert_eq!(
        shared, repeated,
        "a row's forward does not depend on the other rows"
    );
    assert!(largest_difference(&shared_grads, &repeated_grads) < 1e-5);
}
