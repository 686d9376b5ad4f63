//! Which pairs go together, what is resumed, what is refused.

use super::*;

#[test]
fn scores_land_on_their_own_tokens_whatever_the_batch() {
    let pairs = pairs();
    let (one_by_one, _) = scored_by(&mut stand_in, &pairs, &[], &settings(1)).unwrap();
    for max_tokens in [12, 20, 33, 10_000] {
        assert_eq!(
            scored_by(&mut stand_in, &pairs, &[], &settings(max_tokens))
                .unwrap()
                .0,
            one_by_one
        );
    }
    for (pair, scored) in pairs.iter().zip(&one_by_one) {
        scored.check().unwrap();
        let scores = scored.rejected_scores.as_ref().unwrap();
        let weights = scored.rejected_weights.as_ref().unwrap();
        for (t, &id) in pair.rejected_ids.iter().enumerate() {
            let s = (-f64::from(0.1f32 * (id as f32 + 1.0))).exp();
            assert!((f64::from(scores[t]) - s).abs() < 1e-7);
            assert!((f64::from(weights[t]) - (1.0 - s)).abs() < 1e-7);
            assert_eq!(
                scored.positive_logps.as_ref().unwrap()[t],
                -0.2 * (id as f32 + 1.0)
            );
            assert_eq!(
                scored.negative_logps.as_ref().unwrap()[t],
                -0.25 * (id as f32 + 1.0)
            );
            assert_eq!(scored.rejected_ranks.as_ref().unwrap()[t], id + 1);
            assert_eq!(
                scored.rejected_alternatives.as_ref().unwrap()[t],
                [(id + 7, 0.5), (id + 8, 0.25)]
            );
        }
        for (t, &id) in pair.chosen_ids.iter().enumerate() {
            let of = |values: &Option<Vec<f32>>| values.as_ref().unwrap()[t];
            let id = id as f32 + 1.0;
            assert_eq!(of(&scored.chosen_positive_logps), -0.2 * id);
            assert_eq!(of(&scored.chosen_negative_logps), -0.25 * id);
        }
        assert!(
            scored.chosen_weights.is_none(),
            "only the rejected side is weighted"
        );
        let mut unscored = scored.clone();
        unscored.rejected_scores = None;
        unscored.rejected_weights = None;
        unscored.positive_logps = None;
        unscored.negative_logps = None;
        unscored.chosen_positive_logps = None;
        unscored.chosen_negative_logps = None;
        unscored.rejected_ranks = None;
        unscored.rejected_alternatives = None;
        assert_eq!(unscored, *pair, "nothing else changes");
    }
}

#[test]
fn a_call_holds_as_many_pairs_as_fit_the_budget_and_a_longer_pair_goes_alone() {
    let rows = RefCell::new(Vec::new());
    let mut counting = |forest: &TokenForest, targets: &[Target], judged: usize| {
        rows.borrow_mut().push(forest.rows());
        stand_in(forest, targets, judged)
    };
    // Pairs hold 15, 10, 24, 6 and 13 tokens.
    scored_by(&mut counting, &pairs(), &[], &settings(25)).unwrap();
    assert_eq!(rows.take(), [25, 24, 19]);
    scored_by(&mut counting, &pairs(), &[], &settings(24)).unwrap();
    assert_eq!(rows.take(), [15, 10, 24, 19]);
}

#[test]
fn a_resumed_run_calls_the_model_with_the_same_forests_and_ends_with_the_same_pairs_and_summary() {
    let pairs = pairs();
    let calls = RefCell::new(Vec::new());
    let mut recording = |forest: &TokenForest, targets: &[Target], judged: usize| {
        calls.borrow_mut().push(forest.ids().to_vec());
        stand_in(forest, targets, judged)
    };
    let (whole, summary) = scored_by(&mut recording, &pairs, &[], &settings(25)).unwrap();
    let whole_calls = calls.take();
    for done in 0..=pairs.len() {
        let (rest, resumed) =
            scored_by(&mut recording, &pairs, &whole[..done], &settings(25)).unwrap();
        assert_eq!(rest, whole[done..], "{done} pairs were done");
        assert_eq!(resumed, summary);
        assert!(
            whole_calls.ends_with(&calls.take()),
            "{done} pairs were done"
        );
    }
}

#[test]
fn scored_pairs_of_another_selection_are_refused() {
    let pairs = pairs();
    let (scored, _) = scored_by(&mut stand_in, &pairs, &[], &settings(100)).unwrap();
    let mut other = scored[..2].to_vec();
    other[1].rejected_sample = 9;
    let error = scored_by(&mut stand_in, &pairs, &other, &settings(100)).unwrap_err();
    assert!(
        matches!(error, Error::NotAPrefix { index: 1, .. }),
        "{error}"
    );
    let error = scored_by(&mut stand_in, &pairs[..1], &scored[..2], &settings(100)).unwrap_err();
    assert!(error.to_string().contains("no more pairs"), "{error}");
}

#[test]
fn a_value_that_is_not_a_number_names_pair_and_token() {
    for (what, field) in [
        ("log s", 0),
        ("the positive log-probability", 1),
        ("the negative log-probability", 2),
    ] {
        let mut spoiled = |forest: &TokenForest, targets: &[Target], judged: usize| {
            let mut contrast = stand_in(forest, targets, judged)?;
            // Targets 0..7 are pair 0's; 7..11 are pair 1's.
            let fields = [
                &mut contrast.log_scores,
                &mut contrast.positive_logps,
                &mut contrast.negative_logps,
            ];
            fields.into_iter().nth(field).unwrap()[8] = f32::NAN;
            Ok(contrast)
        };
        let error = scored_by(&mut spoiled, &pairs(), &[], &settings(1000)).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(
                error,
                Error::NotFinite {
                    position: 2,
                    count: 4,
                    ..
                }
            ),
            "{text}"
        );
        assert!(
            text.starts_with(&format!(
                "pair q/1 (samples 1 and 4), rejected token 2 of 4: {what} is NaN"
            )),
            "{text}"
        );
    }
}

#[test]
fn a_failing_model_a_short_answer_and_an_empty_prompt_name_their_pairs() {
    let mut failing = |_: &TokenForest, _: &[Target], _: usize| {
        Err(cdpo_model::Error::Context("too long".into()))
    };
    let error = scored_by(&mut failing, &pairs(), &[], &settings(1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "scoring pair q/0 (samples 1 and 4): context: too long"
    );
    let mut short = |forest: &TokenForest, targets: &[Target], judged: usize| {
        let mut contrast = stand_in(forest, targets, judged)?;
        contrast.negative_logps.pop();
        Ok(contrast)
    };
    assert!(matches!(
        scored_by(&mut short, &pairs(), &[], &settings(1)),
        Err(Error::Scoring { .. })
    ));
    let mut promptless = pairs();
    promptless[2].prompt_ids.clear();
    let error = scored_by(&mut stand_in, &promptless, &[], &settings(1)).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("pair q/2 (samples 1 and 4): prompt_ids is empty"),
        "{error}"
    );
}

#[test]
fn a_sink_can_stop_the_scoring_and_its_errors_come_back() {
    let mut taken = 0;
    let summary = score_pairs_by(&mut stand_in, &pairs(), &[], &settings(1), &mut |_| {
        taken += 1;
        Ok(if taken == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })
    .unwrap();
    assert_eq!((taken, summary.pairs), (2, 2));
    let full = || Error::Data(cdpo_data::Error::Setting("disk full".into()));
    let error = score_pairs_by(&mut stand_in, &pairs(), &[], &settings(1), &mut |_| {
        Err(full())
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "disk full");
}

#[test]
fn settings_out_of_range_are_errors() {
    for ce_beta in [-0.1, f64::NAN, f64::INFINITY] {
        let settings = ContrastSettings {
            ce_beta,
            ..ContrastSettings::default()
        };
        assert!(matches!(
            settings.validate(),
            Err(Error::Setting {
                name: "contrast.ce_beta",
                ..
            })
        ));
    }
    assert!(matches!(
        settings(0).validate(),
        Err(Error::Setting {
            name: "contrast.max_tokens",
            ..
        })
    ));
}
