//! A run that was stopped ends with the bits of one that was not.

use super::*;

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

/// The method in the training loop: the reference runs again beside the policy, resumed or not, whatever is recomputed.
#[test]
fn tdpo_trains_and_resumes_bit_for_bit() {
    let (model, values) = (model("llama"), values("llama"));
    for loss in [Loss::Tdpo1, Loss::Tdpo2] {
        let method = Method::of(loss);
        let (set, settings) = (set(method, &values), small(method));
        let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let uncut = train(&model, &set, &settings, whole.path(), NEVER, 0.1).unwrap();
        train(&model, &set, &settings, parts.path(), 3, 0.1).unwrap();
        let settings = TrainSettings {
            recompute: Some(Recompute::Blocks),
            ..settings
        };
        let resumed = train(&model, &set, &settings, parts.path(), NEVER, 0.1).unwrap();
        assert_eq!(uncut.metrics, resumed.metrics);
        let first = uncut.metrics[0].pairs.as_ref().unwrap();
        let last = uncut.metrics.last().unwrap().pairs.as_ref().unwrap();
        assert!(last.kl_rejected.unwrap() > 0.0 && first.kl_rejected.is_some());
    }
}
