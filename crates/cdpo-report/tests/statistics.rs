//! Holds the statistics to exact rational or SciPy values; `tests/reference_values.py` prints them.

use cdpo_report::Error;
use cdpo_report::bootstrap::{CounterDraws, bootstrap_mean};
use cdpo_report::interval::wilson_95;
use cdpo_report::paired::{mcnemar, mcnemar_p_value};
use cdpo_report::pass_at_k::{Vote, majority_correct, mean_pass_at_k, pass_at_k};

fn close(found: f64, expected: f64, relative: f64) -> bool {
    (found - expected).abs() <= relative * expected.abs()
}

#[test]
fn wilson_intervals_are_scipys() {
    let cases = [
        (0, 10, 0.0, 0.27753279986288926),
        (1, 10, 0.017876213095072896, 0.4041500267952385),
        (5, 10, 0.236593090512564, 0.7634069094874361),
        (27, 50, 0.4039887139915748, 0.6703034780777566),
        (50, 50, 0.9286524008666412, 1.0),
        (742, 1319, 0.5356326528399583, 0.5890988475978164),
        (400, 1_000_000, 0.0003626808589439575, 0.0004411575119647362),
    ];
    for (successes, trials, low, high) in cases {
        let interval = wilson_95(successes, trials).unwrap();
        // SciPy's algebra is the same but for the order of a dozen operations; small ends lose two digits to cancellation.
        assert!(
            close(interval.low, low, 1e-12),
            "{successes}/{trials}: low {}",
            interval.low
        );
        assert!(
            close(interval.high, high, 1e-12),
            "{successes}/{trials}: high {}",
            interval.high
        );
    }
}

#[test]
fn wilson_of_nothing_knows_nothing_and_impossible_counts_are_errors() {
    let nothing = wilson_95(0, 0).unwrap();
    assert_eq!((nothing.low, nothing.high), (0.0, 1.0));
    assert!(matches!(
        wilson_95(3, 2),
        Err(Error::SuccessesExceedTrials {
            successes: 3,
            trials: 2
        })
    ));
}

#[test]
fn mcnemar_is_the_exact_two_sided_binomial_test() {
    let cases = [
        (0, 0, 1.0),
        (0, 1, 1.0),
        (0, 5, 0.0625),
        (1, 9, 0.021484375),
        (3, 7, 0.34375),
        (10, 25, 0.01667384780012071),
        (59, 60, 1.0),
        (180, 240, 0.003937856047126128),
        (1900, 2100, 0.0016492663751356998),
        (4800, 5200, 6.593515598672442e-5),
        (0, 1000, 1.8665272370064378e-301),
    ];
    for (b, c, expected) in cases {
        let p = mcnemar_p_value(b, c);
        // The product has min(b, c) ratios, each rounded twice: 1e4 * 2^-53 is about 1e-12.
        assert!(
            close(p, expected, 2e-12),
            "b {b} c {c}: {p} against {expected}"
        );
        assert_eq!(
            p.to_bits(),
            mcnemar_p_value(c, b).to_bits(),
            "the test is symmetric"
        );
    }
}

#[test]
fn mcnemar_equals_the_sum_over_all_outcomes_for_every_small_table() {
    for n in 1..=24u64 {
        let mut row = vec![1u64];
        for i in 0..n {
            row.push(row[i as usize] * (n - i) / (i + 1));
        }
        for b in 0..=n {
            let c = n - b;
            let extreme: u64 = (0..=n)
                .filter(|i| i.abs_diff(n - i) >= b.abs_diff(c))
                .map(|i| row[i as usize])
                .sum();
            let expected = extreme as f64 / (1u64 << n) as f64;
            assert!(close(mcnemar_p_value(b, c), expected, 1e-14), "b {b} c {c}");
        }
    }
}

#[test]
fn mcnemar_counts_each_kind_of_pair() {
    let pairs = [
        (true, true),
        (true, false),
        (true, false),
        (false, true),
        (false, false),
        (false, false),
        (false, false),
    ];
    let paired = mcnemar(pairs);
    assert_eq!(
        (
            paired.both,
            paired.only_first,
            paired.only_second,
            paired.neither
        ),
        (1, 2, 1, 3)
    );
    assert_eq!(paired.p_value, 1.0);
}

#[test]
fn pass_at_k_equals_the_ratio_of_binomials() {
    let cases = [
        (64, 20, 1, 0.3125),
        (64, 1, 64, 1.0),
        (64, 20, 8, 0.9599579743944172),
        (64, 2, 32, 0.753968253968254),
        (5, 2, 2, 0.7),
        (1000, 3, 500, 0.8753753753753754),
        (200, 199, 2, 1.0),
        (64, 0, 64, 0.0),
        (7, 7, 1, 1.0),
    ];
    for (n, c, k, expected) in cases {
        let found = pass_at_k(n, c, k).unwrap();
        assert!(
            (found - expected).abs() < 1e-14,
            "n {n} c {c} k {k}: {found} against {expected}"
        );
    }
    assert!(matches!(
        pass_at_k(4, 1, 5),
        Err(Error::KOutOfRange {
            k: 5,
            samples: 4,
            ..
        })
    ));
    assert!(matches!(
        pass_at_k(4, 1, 0),
        Err(Error::KOutOfRange { k: 0, .. })
    ));
    assert!(matches!(
        pass_at_k(4, 5, 1),
        Err(Error::SuccessesExceedTrials { .. })
    ));
}

/// Enumerates all subsets: the estimator is the share of k-subsets that hold a right sample.
#[test]
fn pass_at_k_is_the_share_of_k_subsets_with_a_right_sample() {
    for n in 1..=10u32 {
        for c in 0..=n {
            for k in 1..=n {
                let subsets = (0u32..1 << n).filter(|set| set.count_ones() == k);
                let (mut all, mut solved) = (0u32, 0u32);
                for set in subsets {
                    all += 1;
                    solved += u32::from(set & ((1 << c) - 1) != 0);
                }
                let found = pass_at_k(n.into(), c.into(), k.into()).unwrap();
                assert!(
                    (found - f64::from(solved) / f64::from(all)).abs() < 1e-14,
                    "n {n} c {c} k {k}"
                );
            }
        }
    }
}

#[test]
fn mean_pass_at_k_averages_over_questions() {
    // 1/4 and 1 and 0 at k = 1.
    assert!((mean_pass_at_k(&[(4, 1), (2, 2), (8, 0)], 1).unwrap() - 1.25 / 3.0).abs() < 1e-15);
    assert!(matches!(mean_pass_at_k(&[], 1), Err(Error::Empty { .. })));
}

fn vote(answer: Option<usize>, correct: bool) -> Vote {
    Vote { answer, correct }
}

#[test]
fn a_majority_is_the_most_frequent_parsed_answer_and_a_tie_goes_to_the_first_seen() {
    let votes = [
        vote(None, false),
        vote(Some(7), false),
        vote(Some(8), true),
        vote(None, false),
        vote(Some(8), true),
        vote(Some(7), false),
        vote(Some(7), false),
    ];
    assert!(!majority_correct(&votes, 1).unwrap(), "nothing parsed");
    assert!(
        !majority_correct(&votes, 3).unwrap(),
        "tie: 7 was seen first"
    );
    assert!(majority_correct(&votes, 5).unwrap(), "8 leads 2 to 1");
    assert!(
        !majority_correct(&votes, 6).unwrap(),
        "tie again: 7 was seen first"
    );
    assert!(!majority_correct(&votes, 7).unwrap());
    assert!(matches!(
        majority_correct(&votes, 8),
        Err(Error::KOutOfRange {
            k: 8,
            samples: 7,
            ..
        })
    ));
}

#[test]
fn bootstrap_intervals_approach_the_normal_theory_and_repeat_by_seed() {
    let values: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i % 5 < 2))).collect();
    let interval = |seed| {
        let mut draws = CounterDraws::new(seed);
        bootstrap_mean(&values, 4000, 0.95, &mut || draws.draw()).unwrap()
    };
    let found = interval(1);
    // Standard error sqrt(0.4 * 0.6 / 400) = 0.0245; the interval's ends carry a Monte Carlo error of about 0.0245 * 0.04.
    let half = 1.96 * (0.4f64 * 0.6 / 400.0).sqrt();
    assert!((found.low - (0.4 - half)).abs() < 0.005, "{found:?}");
    assert!((found.high - (0.4 + half)).abs() < 0.005, "{found:?}");
    assert_eq!(found, interval(1));
    assert_ne!(found, interval(2));
}

#[test]
fn a_bootstrap_of_equal_values_has_no_width_and_bad_settings_are_errors() {
    let mut draws = CounterDraws::new(0);
    let mut draw = || draws.draw();
    let interval = bootstrap_mean(&[0.25; 8], 100, 0.95, &mut draw).unwrap();
    assert_eq!((interval.low, interval.high), (0.25, 0.25));
    assert!(matches!(
        bootstrap_mean(&[], 100, 0.95, &mut draw),
        Err(Error::Empty { .. })
    ));
    assert!(matches!(
        bootstrap_mean(&[1.0], 0, 0.95, &mut draw),
        Err(Error::Empty { .. })
    ));
    assert!(matches!(
        bootstrap_mean(&[1.0], 10, 1.0, &mut draw),
        Err(Error::Confidence(_))
    ));
}

/// The first outputs for seed 1234567 as published with the reference implementation of SplitMix64.
#[test]
fn counter_draws_are_splitmix64() {
    let mut draws = CounterDraws::new(1234567);
    let expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ];
    for value in expected {
        assert_eq!(draws.draw(), value);
    }
}
