//! Rankings, the comparison of signals, shares and the replacement curve, held to values by hand and to SciPy's; the constants are
//! printed by `tests/ranking_values.py`.

use cdpo_data::{CriticalKind, Replacement, ReplacementRecord};
use cdpo_report::bootstrap::{CounterDraws, bootstrap_mean};
use cdpo_report::ranking::{Ranking, rank};
use cdpo_report::{Error, JudgeTable, ReplacementCurve, ShareTable};

/// The upper bits of a linear congruential generator, as in the script.
fn values(seed: u64, tokens: usize, levels: u64) -> Vec<f64> {
    let mut state = seed;
    (0..tokens)
        .map(|_| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            ((state >> 33) % levels) as f64
        })
        .collect()
}

fn measures(r: &Ranking) -> [f64; 5] {
    [
        r.top_1,
        r.top_3,
        r.top_tenth,
        r.reciprocal_rank,
        r.auc.unwrap(),
    ]
}

#[test]
fn measures_are_scipys_with_ties_taken_in_expectation() {
    let cases = [
        (1, 40, 1000, 7, [0.0, 0.0, 1.0, 0.25, 0.9230769230769231]),
        (
            2,
            40,
            6,
            11,
            [0.0, 0.0, 0.0, 0.047050706889093616, 0.47435897435897434],
        ),
        (
            3,
            7,
            3,
            0,
            [
                0.3333333333333333,
                1.0,
                0.3333333333333333,
                0.6111111111111112,
                0.8333333333333334,
            ],
        ),
        (
            4,
            123,
            40,
            122,
            [0.0, 0.0, 0.0, 0.008439569874016534, 0.036885245901639344],
        ),
        (5, 2, 2, 1, [1.0, 1.0, 1.0, 1.0, 1.0]),
        (
            6,
            31,
            1,
            4,
            [
                0.03225806451612903,
                0.0967741935483871,
                0.12903225806451613,
                0.12991113533666193,
                0.5,
            ],
        ),
    ];
    for (seed, tokens, levels, truth, expected) in cases {
        let found = rank(&values(seed, tokens, levels), truth).unwrap();
        for (found, expected) in measures(&found).into_iter().zip(expected) {
            // A mean of up to 31 reciprocals in another order.
            assert!(
                (found - expected).abs() <= 4e-16,
                "case {seed}: {found} is not {expected}"
            );
        }
    }
}

/// Values 3 1 3 2 with the truth among the threes: rank 1 or 2, each with chance one half; below are two of three, beside is one.
#[test]
fn a_tie_is_taken_in_expectation() {
    let found = rank(&[3.0, 1.0, 3.0, 2.0], 2).unwrap();
    assert_eq!(measures(&found), [0.5, 1.0, 0.5, 0.75, 2.5 / 3.0]);
    assert_eq!(rank(&[3.0, 1.0, 3.0, 2.0], 1).unwrap().top_3, 0.0);
    let lone = rank(&[f64::NEG_INFINITY], 0).unwrap();
    assert_eq!((lone.top_1, lone.auc), (1.0, None));
}

#[test]
fn a_constant_signal_is_the_random_baseline() {
    let found = rank(&[0.0; 25], 13).unwrap();
    let harmonic: f64 = (1..=25).map(|r| 1.0 / f64::from(r)).sum();
    assert_eq!(
        measures(&found),
        [1.0 / 25.0, 3.0 / 25.0, 3.0 / 25.0, harmonic / 25.0, 0.5]
    );
}

#[test]
fn what_cannot_be_ranked_is_an_error() {
    assert!(matches!(rank(&[], 0), Err(Error::Empty { .. })));
    assert!(matches!(
        rank(&[1.0], 1),
        Err(Error::NoSuchToken {
            index: 1,
            tokens: 1
        })
    ));
    assert!(matches!(
        rank(&[1.0, f64::NAN], 0),
        Err(Error::NotANumber { index: 1 })
    ));
}

#[test]
fn the_bootstrap_interval_is_scipys() {
    let values: Vec<f64> = values(7, 33, 1000)
        .into_iter()
        .map(|v| v / 1000.0)
        .collect();
    let mut draws = CounterDraws::new(5);
    let found = bootstrap_mean(&values, 20000, 0.95, &mut || draws.draw()).unwrap();
    // The standard error of a 2.5 % quantile from 20,000 draws of a mean with deviation 0.049 is 0.049 * sqrt(0.025 * 0.975 / 20000)
    // / 0.0584 = 0.0009.
    assert!((found.low - 0.5036053030303032).abs() < 0.0036, "{found:?}");
    assert!(
        (found.high - 0.6966363636363635).abs() < 0.0036,
        "{found:?}"
    );
}

#[test]
fn signals_are_averaged_over_responses_and_compared_response_by_response() {
    let good = [
        rank(&[9.0, 1.0, 2.0], 0).unwrap(),
        rank(&[4.0, 5.0, 1.0, 0.0], 0).unwrap(),
    ];
    let even = [rank(&[1.0; 3], 0).unwrap(), rank(&[1.0; 4], 0).unwrap()];
    let signals = [
        ("1 - s".to_owned(), good.to_vec()),
        ("random".to_owned(), even.to_vec()),
    ];
    let table = JudgeTable::build(&signals, 500, 3).unwrap();
    assert_eq!((table.responses, table.mean_tokens), (2, 3.5));
    let [first, second] = &table.rows[..] else {
        panic!("two rows")
    };
    assert_eq!(first.top_1.mean, 0.5);
    assert_eq!(first.reciprocal_rank.mean, 0.75);
    assert_eq!(first.auc.unwrap().mean, f64::midpoint(1.0, 2.0 / 3.0));
    assert_eq!((first.auc_lead, first.reciprocal_rank_lead), (None, None));
    assert_eq!(second.top_1.mean, f64::midpoint(1.0 / 3.0, 0.25));
    let lead = second.auc_lead.unwrap();
    assert!((lead.mean - 1.0 / 3.0).abs() < 1e-15);
    // 1 - 11/18 in the first response, 1/2 - 25/48 in the second.
    let rank_lead = second.reciprocal_rank_lead.unwrap();
    assert!((rank_lead.mean - (7.0 / 18.0 - 1.0 / 48.0) / 2.0).abs() < 1e-15);
    // Resampling two responses gives both of one, or one of each.
    assert!((lead.interval.low - 1.0 / 6.0).abs() < 1e-12 && lead.interval.high == 0.5);
    assert!(
        table.markdown().contains("AUC of 1 - s, less this"),
        "{}",
        table.markdown()
    );
    let read: JudgeTable = serde_json::from_str(&serde_json::to_string(&table).unwrap()).unwrap();
    assert_eq!(read, table);
}

#[test]
fn signals_of_other_responses_are_refused() {
    let one = vec![rank(&[1.0, 2.0], 0).unwrap()];
    let other = vec![rank(&[1.0, 2.0, 3.0], 0).unwrap()];
    let error = JudgeTable::build(&[("a".into(), one), ("b".into(), other)], 10, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a and b did not rank the same responses; rank all of them by every signal"
    );
    assert!(matches!(
        JudgeTable::build(&[], 10, 0),
        Err(Error::Empty { .. })
    ));
}

#[test]
fn counted_shares_stand_beside_published_ones() {
    let mut table = ShareTable::new("critical tokens of", ["before", "in", "after"]);
    table
        .published("the paper", &[Some(33.0), None, Some(32.0)])
        .unwrap();
    table.counted("here", &[1, 5, 2], 10).unwrap();
    table.counted("nothing", &[0, 0, 0], 0).unwrap();
    let expected = "\
| critical tokens of |   n |          before % |               in % |           after % |
| ------------------ | --: | ----------------: | -----------------: | ----------------: |
| the paper          |     |              33.0 |                  – |              32.0 |
| here               |  10 | 10.0 (1.8 – 40.4) | 50.0 (23.7 – 76.3) | 20.0 (5.7 – 51.0) |
| nothing            |   0 |                 – |                  – |                 – |
";
    assert_eq!(table.markdown(), expected);
    let error = table.counted("short", &[1], 2).unwrap_err().to_string();
    assert_eq!(error, "row short has 1 values for 3 categories");
    assert!(table.counted("more than all", &[3, 0, 0], 2).is_err());
}

/// Four replacements of which `right` are right.
fn record(problem: u32, right: u32, with_right: u32) -> ReplacementRecord {
    ReplacementRecord {
        problem_id: format!("q/{problem}"),
        sample: 0,
        position: 2,
        kind: CriticalKind::Both,
        id: 7,
        with_n: 4,
        with_right,
        without: (0..4)
            .map(|i| Replacement {
                id: 8 + i,
                right: i < right,
                tokens: 5,
            })
            .collect(),
        generated: 40,
    }
}

/// Pass@2 of 1 in 4 is 1/2, of 3 in 4 is 1.
#[test]
fn both_curves_are_means_of_the_unbiased_estimator() {
    let mut draws = CounterDraws::new(1);
    let curve = ReplacementCurve::of(&[record(1, 1, 0), record(2, 3, 0)], 200, &mut || {
        draws.draw()
    })
    .unwrap();
    assert_eq!(curve.trajectories, 2);
    let found: Vec<(u64, Option<f64>, f64)> = curve
        .points
        .iter()
        .map(|p| (p.k, p.with, p.without))
        .collect();
    assert_eq!(
        found,
        [
            (1, Some(0.0), 0.5),
            (2, Some(0.0), 0.75),
            (4, Some(0.0), 1.0)
        ]
    );
    assert!(curve.points[1].interval.low >= 0.5 && curve.points[1].interval.high <= 1.0);
    assert!(
        curve.markdown().contains("|   2 |    0.0 |      75.0 |"),
        "{}",
        curve.markdown()
    );
    assert!(
        curve.markdown().contains("42.0"),
        "the paper's Pass@2 on GSM8K"
    );
    assert!(ReplacementCurve::of(&[], 200, &mut || 0).is_err());
}

#[test]
fn a_short_series_with_the_token_leaves_its_point_out() {
    let mut short = record(1, 2, 0);
    short.with_n = 2;
    let mut draws = CounterDraws::new(1);
    let curve = ReplacementCurve::of(&[short], 10, &mut || draws.draw()).unwrap();
    assert_eq!(
        curve.points.iter().map(|p| p.with).collect::<Vec<_>>(),
        [Some(0.0), Some(0.0), None]
    );
}
