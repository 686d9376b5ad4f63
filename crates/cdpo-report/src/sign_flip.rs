//! The exact sign-flip test over questions: each question's difference of two methods in, a p-value out.

/// The exact two-sided p-value of "neither method is better" from each question's difference `d_q`: over the seeds, how many
/// more times the first method was right than the second.
///
/// Under the null a question's difference is as likely to have the other sign, whatever the seeds of one question have in
/// common; so p = P[ |sum_q e_q d_q| >= |sum_q d_q| ] for independent fair signs e_q. The distribution of the sum is built up
/// question by question, without draws. With one seed every d_q is -1, 0 or 1 and this is McNemar's exact test.
pub(crate) fn sign_flip_p_value(differences: &[i64]) -> f64 {
    let reach: usize = differences.iter().map(|d| d.unsigned_abs() as usize).sum();
    let seen = differences.iter().sum::<i64>().unsigned_abs() as usize;
    if seen == 0 {
        return 1.0;
    }
    // mass[i] is the probability of the sum i - reach.
    let mut mass = vec![0.0f64; 2 * reach + 1];
    mass[reach] = 1.0;
    let mut spread = 0;
    for step in differences.iter().map(|d| d.unsigned_abs() as usize) {
        if step == 0 {
            continue;
        }
        let mut next = vec![0.0f64; mass.len()];
        for (i, &p) in mass
            .iter()
            .enumerate()
            .take(reach + spread + 1)
            .skip(reach - spread)
        {
            next[i - step] += p / 2.0;
            next[i + step] += p / 2.0;
        }
        mass = next;
        spread += step;
    }
    let tail: f64 = mass[reach + seen..].iter().rev().sum();
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paired::mcnemar_p_value;

    #[test]
    fn with_one_seed_it_is_mcnemars_exact_test() {
        for (b, c) in [(0, 0), (1, 0), (2, 1), (7, 7), (12, 3), (40, 71)] {
            let differences: Vec<i64> = std::iter::repeat_n(1, b)
                .chain(std::iter::repeat_n(-1, c))
                .chain([0, 0, 0])
                .collect();
            let expected = mcnemar_p_value(b as u64, c as u64);
            let found = sign_flip_p_value(&differences);
            assert!(
                (found / expected - 1.0).abs() < 1e-12,
                "{b}:{c} gives {found}, McNemar {expected}"
            );
        }
    }

    /// 3, 1, -1: the sums over the 8 signs are ±5, ±3, ±3, ±1, and 6 of 8 reach |3|.
    #[test]
    fn a_question_that_every_seed_agrees_on_counts_once_and_not_once_a_seed() {
        assert_eq!(sign_flip_p_value(&[3, 1, -1]), 0.75);
        // Three seeds that agree are one question's worth of evidence: never below one in two.
        assert_eq!(sign_flip_p_value(&[3]), 1.0);
        assert_eq!(sign_flip_p_value(&[3, 3]), 0.5);
    }
}
