//! Draws against a reference that sorts everything in `f64`, and against the distribution they should follow.

use cdpo_model::keyed::Key;

use super::*;

fn params(temperature: f64, top_p: f64, top_k: Option<usize>) -> SampleParams {
    SampleParams {
        temperature,
        top_p,
        top_k,
        logps: true,
        ..SampleParams::default()
    }
}

/// Logits with a peaked head, a long tail and (by rounding to `step`) ties.
fn logits(key: Key, vocabulary: usize, spread: f64, step: f64) -> Vec<f32> {
    (0..vocabulary as u64)
        .map(|id| {
            let key = key.with(id);
            // A sum of uniforms for the bulk, a rare large lift for the head.
            let bulk = (0..4).map(|part| key.with(part).unit()).sum::<f64>() - 2.0;
            let lift = if key.with(9).unit() < 0.002 {
                6.0 * key.with(10).unit()
            } else {
                0.0
            };
            let value = spread * (bulk + lift);
            (if step > 0.0 {
                (value / step).round() * step
            } else {
                value
            }) as f32
        })
        .collect()
}

/// Kept tokens in id order with their probabilities after renormalisation, by sorting everything in `f64`; the second
/// value is how far the nucleus's border is from a tie, as a share of the mass.
fn reference(logits: &[f32], params: &SampleParams) -> (Vec<(u32, f64)>, f64) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |id: usize| (f64::from(logits[id] - max) / params.temperature).exp();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].partial_cmp(&logits[a]).unwrap().then(a.cmp(&b)));
    order.truncate(params.top_k.unwrap_or(usize::MAX));
    let mass: f64 = order.iter().map(|&id| weight(id)).sum();
    let mut slack = f64::INFINITY;
    if params.top_p < 1.0 {
        let mut sum = 0.0;
        let mut kept = 0;
        while kept < order.len() {
            slack = slack.min((sum / mass - params.top_p).abs());
            if sum >= params.top_p * mass {
                break;
            }
            sum += weight(order[kept]);
            kept += 1;
        }
        slack = slack.min((sum / mass - params.top_p).abs());
        order.truncate(kept);
    }
    order.sort_unstable();
    let mass: f64 = order.iter().map(|&id| weight(id)).sum();
    (
        order
            .into_iter()
            .map(|id| (id as u32, weight(id) / mass))
            .collect(),
        slack,
    )
}

#[test]
fn draws_equal_a_sort_everything_reference() {
    let mut compared = 0;
    for (case, &vocabulary) in [1usize, 2, 15, 16, 17, 100, 1000, 5003, 49152]
        .iter()
        .enumerate()
    {
        for &(temperature, spread, step) in &[
            (1.0, 1.0, 0.0),
            (0.5, 2.0, 0.25),
            (0.9, 4.0, 0.0),
            (2.0, 0.01, 0.0),
            (1.0, 3.0, 1.0),
            (0.1, 3.0, 0.0),
        ] {
            let key = Key::new(11)
                .with(case as u64)
                .with_str(&format!("{temperature} {spread} {step}"));
            let row = logits(key, vocabulary, spread, step);
            for &(top_p, top_k) in &[
                (1.0, None),
                (0.95, None),
                (0.5, None),
                (0.01, None),
                (0.999, None),
                (1.0, Some(1)),
                (1.0, Some(5)),
                (0.9, Some(40)),
                (0.8, Some(3000)),
            ] {
                let params = params(temperature, top_p, top_k);
                let (kept, slack) = reference(&row, &params);
                if slack < 3e-6 {
                    continue; // the weights are f32: such a border may fall either way
                }
                let units: Vec<f64> = (0..50)
                    .map(|i| key.with(100 + i).unit())
                    .chain([0.0, 1.0 - 1e-16])
                    .collect();
                for (drawn, &unit) in draw(&row, row.len(), &params, &units)
                    .unwrap()
                    .iter()
                    .zip(&units)
                {
                    let place = kept.iter().position(|&(id, _)| id == drawn.id);
                    let place = place.unwrap_or_else(|| {
                        panic!(
                            "{} is not kept: {params:?}, vocabulary {vocabulary}",
                            drawn.id
                        )
                    });
                    let below: f64 = kept[..place].iter().map(|&(_, p)| p).sum();
                    let above = below + kept[place].1;
                    assert!(
                        below - 3e-6 <= unit && unit <= above + 3e-6,
                        "unit {unit} gave {} with ({below}, {above}): {params:?}, vocabulary {vocabulary}",
                        drawn.id
                    );
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 15_000, "only {compared} draws compared");
}

#[test]
fn the_kept_set_equals_the_reference() {
    for case in 0..40u64 {
        let key = Key::new(5).with(case);
        let row = logits(
            key,
            3000,
            0.5 + (case % 5) as f64,
            if case % 3 == 0 { 0.5 } else { 0.0 },
        );
        for &(top_p, top_k) in &[
            (0.95, None),
            (0.3, None),
            (1.0, Some(17)),
            (0.9, Some(100)),
            (1.0, Some(2500)),
        ] {
            let params = params(0.8, top_p, top_k);
            let (kept, slack) = reference(&row, &params);
            if slack < 3e-6 {
                continue;
            }
            // One unit in the middle of every kept token's stretch must give exactly that token.
            let mut sum = 0.0;
            let (mut units, mut ids) = (Vec::new(), Vec::new());
            for &(id, p) in &kept {
                if p > 1e-5 {
                    units.push(sum + 0.5 * p);
                    ids.push(id);
                }
                sum += p;
            }
            let drawn: Vec<u32> = draw(&row, row.len(), &params, &units)
                .unwrap()
                .iter()
                .map(|drawn| drawn.id)
                .collect();
            assert_eq!(drawn, ids, "case {case}, {params:?}");
        }
    }
}

#[test]
fn ties_are_broken_by_id() {
    let row = [1.0f32, 3.0, 2.0, 3.0, 2.0, 3.0];
    let ids = |params: &SampleParams| -> Vec<u32> {
        let units: Vec<f64> = (0..200).map(|i| f64::from(i) / 200.0).collect();
        let mut ids: Vec<u32> = draw(&row, row.len(), params, &units)
            .unwrap()
            .iter()
            .map(|drawn| drawn.id)
            .collect();
        assert!(ids.is_sorted(), "the line is in id order");
        ids.dedup();
        ids
    };
    assert_eq!(ids(&params(1.0, 1.0, Some(2))), [1, 3]);
    assert_eq!(ids(&params(1.0, 1.0, Some(4))), [1, 2, 3, 5]);
    // Four equal tokens: half the mass is exactly two of them, any more takes the third.
    let row_of_four = [7.0f32; 4];
    let kept = |top_p| {
        let units: Vec<f64> = (0..100).map(|i| f64::from(i) / 100.0).collect();
        draw(
            &row_of_four,
            row_of_four.len(),
            &params(1.0, top_p, None),
            &units,
        )
        .unwrap()
        .iter()
        .map(|drawn| drawn.id)
        .max()
        .unwrap()
            + 1
    };
    assert_eq!(
        [
            kept(0.25),
            kept(0.26),
            kept(0.5),
            kept(0.51),
            kept(0.75),
            kept(0.76)
        ],
        [1, 2, 2, 3, 3, 4]
    );
    // Greedy: the lowest id among the highest.
    assert_eq!(
        draw(&row, row.len(), &SampleParams::greedy(1), &[0.9]).unwrap()[0].id,
        1
    );
}

/// Chi-square over 12 kept tokens with 60,000 keyed draws. Degrees of freedom 11: the 99.99 % quantile is 37.4 and the
/// 0.01 % one 1.0.
#[test]
fn frequencies_follow_the_distribution() {
    let row: Vec<f32> = (0..200)
        .map(|id| {
            if id % 16 == 3 {
                2.0 + (id as f32) * 0.005
            } else {
                -4.0
            }
        })
        .collect();
    for (case, params) in [params(0.7, 1.0, Some(12)), params(1.3, 0.9, None)]
        .into_iter()
        .enumerate()
    {
        let (kept, _) = reference(&row, &params);
        let kept: Vec<(u32, f64)> = kept.into_iter().collect();
        let key = Key::new(2024).with(case as u64);
        let n = 60_000;
        let units: Vec<f64> = (0..n).map(|i| key.with(i).unit()).collect();
        let mut counts = vec![0u32; row.len()];
        for drawn in draw(&row, row.len(), &params, &units).unwrap() {
            counts[drawn.id as usize] += 1;
        }
        let chi: f64 = kept
            .iter()
            .map(|&(id, p)| {
                let expected = p * n as f64;
                (f64::from(counts[id as usize]) - expected).powi(2) / expected
            })
            .sum();
        let freedom = kept.len() as f64 - 1.0;
        let kept_count: u32 = kept.iter().map(|&(id, _)| counts[id as usize]).sum();
        assert_eq!(
            kept_count as u64, n,
            "tokens outside the kept set were drawn"
        );
        assert!(
            chi > freedom * 0.1 && chi < freedom + 4.0 * (2.0 * freedom).sqrt() + 8.0,
            "chi-square {chi}, {freedom} degrees"
        );
    }
}

#[test]
fn log_probabilities_are_of_the_model_at_temperature_one() {
    let row = logits(Key::new(3), 1009, 2.0, 0.0);
    let log_total = row
        .iter()
        .map(|&logit| f64::from(logit).exp())
        .sum::<f64>()
        .ln();
    for params in [
        params(1.0, 1.0, None),
        params(0.5, 0.9, Some(20)),
        SampleParams {
            logps: true,
            ..SampleParams::greedy(1)
        },
    ] {
        let drawn = draw(&row, row.len(), &params, &[0.4]).unwrap()[0];
        let want = f64::from(row[drawn.id as usize]) - log_total;
        assert!(
            (f64::from(drawn.logp.unwrap()) - want).abs() < 2e-6,
            "{params:?}"
        );
        assert_eq!(
            draw(
                &row,
                row.len(),
                &SampleParams {
                    logps: false,
                    ..params
                },
                &[0.4]
            )
            .unwrap()[0]
                .logp,
            None
        );
    }
}

#[test]
fn a_logit_that_is_not_finite_gives_no_token() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for at in [0, 20, 36] {
            let mut row = vec![1.0f32; 37];
            row[at] = bad;
            assert_eq!(draw(&row, row.len(), &params(1.0, 0.9, None), &[0.5]), None);
            assert_eq!(
                draw(&row, row.len(), &SampleParams::greedy(1), &[0.5]),
                None
            );
        }
    }
    assert_eq!(draw(&[], 0, &params(1.0, 1.0, None), &[0.5]), None);
}

#[test]
fn many_units_draw_as_one_by_one() {
    let row = logits(Key::new(8), 2000, 2.0, 0.0);
    let params = params(0.8, 0.95, None);
    let units: Vec<f64> = (0..64).map(|i| Key::new(1).with(i).unit()).collect();
    let together = draw(&row, row.len(), &params, &units).unwrap();
    for (unit, drawn) in units.iter().zip(together) {
        assert_eq!(draw(&row, row.len(), &params, &[*unit]).unwrap()[0], drawn);
    }
}

/// Rows after the last token, one of which has the highest logit of all.
#[test]
fn ids_after_the_last_token_are_never_drawn_and_weigh_in_the_log_probability() {
    let tokens = 100;
    let mut row = logits(Key::new(5), 128, 2.0, 0.0);
    row[120] = row.iter().copied().fold(f32::NEG_INFINITY, f32::max) + 1.0;
    let own = &row[..tokens];
    let whole = row.iter().map(|&l| f64::from(l).exp()).sum::<f64>().ln();
    let units: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
    for params in [
        params(1.0, 1.0, None),
        params(0.7, 0.9, None),
        params(1.3, 1.0, Some(20)),
        SampleParams {
            logps: true,
            ..SampleParams::greedy(1)
        },
    ] {
        let drawn = draw(&row, tokens, &params, &units).unwrap();
        // The draw is that from a vocabulary without the padding ..
        let alone = draw(own, tokens, &params, &units).unwrap();
        for (drawn, alone) in drawn.iter().zip(&alone) {
            assert_eq!(drawn.id, alone.id, "{params:?}");
            // .. and the log-probability is the model's.
            let want = f64::from(row[drawn.id as usize]) - whole;
            let got = f64::from(drawn.logp.unwrap());
            assert!(
                (got - want).abs() < 2e-6,
                "{params:?}: {got} against {want}"
            );
        }
        let all = draw(&row, row.len(), &params, &units).unwrap();
        assert!(all.iter().any(|drawn| drawn.id == 120), "{params:?}");
    }
    assert_eq!(draw(&row, 0, &params(1.0, 1.0, None), &[0.5]), None);
}
