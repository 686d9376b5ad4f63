//! What is told of all scores together.

use super::*;

#[test]
fn the_summary_keeps_terminators_apart_and_measures_the_separation() {
    let (scored, summary) = scored_by(&mut stand_in, &pairs(), &[], &settings(1)).unwrap();
    assert_eq!(
        (summary.pairs, summary.content_tokens, summary.terminators),
        (5, 27, 3)
    );
    assert_eq!(summary.tokens_read, 68);
    let (mut apart, mut content, mut terminator) = (0.0, 0.0, 0.0);
    let mut peaks = 0.0;
    for pair in &scored {
        let mut peak: f64 = 0.0;
        for (t, &id) in pair.rejected_ids.iter().enumerate() {
            let s = f64::from(pair.rejected_scores.as_ref().unwrap()[t]);
            if pair.rejected_terminated && t + 1 == pair.rejected_ids.len() {
                terminator += s;
            } else {
                content += s;
                let own = 0.05 * (f64::from(id) + 1.0);
                apart += own;
                peak = peak.max(own);
            }
        }
        peaks += peak;
    }
    assert!((summary.mean_score.unwrap() - content / 27.0).abs() < 1e-12);
    assert!((summary.mean_terminator_score.unwrap() - terminator / 3.0).abs() < 1e-12);
    // The stand-in's f32 products are rounded: 61 * 0.25 * 2^-24.
    assert!((summary.separation.unwrap() - apart / 27.0).abs() < 1e-5);
    assert!((summary.peak.unwrap() - peaks / 5.0).abs() < 1e-5);
    assert_eq!(summary.score_histogram.iter().sum::<u64>(), 27);
    assert!(!summary.barely_separated());
    assert_eq!(ContrastSummary::of(1.0, &scored).unwrap(), summary);
    assert!(matches!(
        ContrastSummary::of(1.0, &pairs()),
        Err(Error::Pair { .. })
    ));
}

#[test]
fn models_that_hardly_differ_are_marked() {
    let alike = |apart: f32| {
        let mut contrast = |forest: &TokenForest, targets: &[Target], judged: usize| {
            let mut contrast = stand_in(forest, targets, judged)?;
            contrast.negative_logps = contrast
                .positive_logps
                .iter()
                .map(|logp| logp - apart)
                .collect();
            Ok(contrast)
        };
        let mut pairs = pairs();
        pairs.retain(|pair| pair.rejected_ids.len() > usize::from(pair.rejected_terminated));
        assert_eq!(pairs.len(), 4);
        scored_by(&mut contrast, &pairs, &[], &settings(100))
            .unwrap()
            .1
    };
    assert!(alike(0.0).barely_separated());
    assert!(alike(SEPARATION_FLOOR as f32 * 0.99).barely_separated());
    assert!(!alike(SEPARATION_FLOOR as f32 * 1.01).barely_separated());
    let nothing = scored_by(&mut stand_in, &[], &[], &settings(100))
        .unwrap()
        .1;
    assert!(!nothing.barely_separated() && nothing.separation.is_none());
}

#[test]
fn a_score_near_one_keeps_its_small_weight() {
    let scored = |log_score: f32| {
        let mut scorer = move |_: &TokenForest, targets: &[Target], judged: usize| {
            let standing = Standing {
                rank: 1,
                alternatives: vec![],
            };
            Ok(Contrast {
                log_scores: vec![log_score; judged],
                positive_logps: vec![-0.1; targets.len()],
                negative_logps: vec![-0.3; targets.len()],
                positive_standings: vec![standing; judged],
            })
        };
        scored_by(&mut scorer, &pairs(), &[], &settings(100))
            .unwrap()
            .0
            .remove(0)
    };
    let pair = scored(-1e-9);
    assert_eq!(pair.rejected_scores.as_ref().unwrap()[0], 1.0);
    assert!((pair.rejected_weights.as_ref().unwrap()[0] / 1e-9 - 1.0).abs() < 1e-6);
    // Rounding may leave log s a hair above 0: the score stays within [0, 1].
    let pair = scored(1e-6);
    pair.check().unwrap();
    assert_eq!(pair.rejected_weights.as_ref().unwrap()[0], 0.0);
}
