//! Pass@k and maj@k: the graded samples of each question in, the chance that k samples solve it out.

use crate::error::{Error, Result};

/// The unbiased Pass@k of one question with `correct` right among `samples` (Chen et al. 2021):
/// 1 - C(n - c, k) / C(n, k), computed as 1 - prod_{i = n-c+1..n} (1 - k / i), whose factors all lie in [0, 1].
///
/// # Errors
/// [`Error::SuccessesExceedTrials`] if `correct > samples`; [`Error::KOutOfRange`] unless 1 <= k <= samples.
pub fn pass_at_k(samples: u64, correct: u64, k: u64) -> Result<f64> {
    if correct > samples {
        return Err(Error::SuccessesExceedTrials {
            successes: correct,
            trials: samples,
        });
    }
    if k == 0 || k > samples {
        return Err(Error::KOutOfRange {
            k,
            samples,
            problem_id: None,
        });
    }
    if samples - correct < k {
        return Ok(1.0);
    }
    let all_wrong: f64 = (samples - correct + 1..=samples)
        .map(|i| 1.0 - k as f64 / i as f64)
        .product();
    Ok(1.0 - all_wrong)
}

/// The mean of [`pass_at_k`] over questions given as `(samples, correct)`.
///
/// # Errors
/// As [`pass_at_k`]; [`Error::Empty`] without questions.
pub fn mean_pass_at_k(questions: &[(u64, u64)], k: u64) -> Result<f64> {
    if questions.is_empty() {
        return Err(Error::Empty { what: "Pass@k" });
    }
    let sum: f64 = questions
        .iter()
        .map(|&(n, c)| pass_at_k(n, c, k))
        .sum::<Result<f64>>()?;
    Ok(sum / questions.len() as f64)
}

/// One sample as majority voting sees it: its answer and whether that is right. An unparsed sample has no answer and does not
/// vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// The group of the answer among the question's ([`cdpo_grade::Grader::group_verdicts`]), or none if no answer was found.
    pub answer: Option<usize>,
    /// Whether the answer is right.
    pub correct: bool,
}

/// maj@k of one question: the most frequent answer of the first `k` samples is right. A tie goes to the answer seen first;
/// if none of them parsed, the question is not solved.
///
/// # Errors
/// [`Error::KOutOfRange`] unless 1 <= k <= `votes.len()`.
pub fn majority_correct(votes: &[Vote], k: usize) -> Result<bool> {
    if k == 0 || k > votes.len() {
        return Err(Error::KOutOfRange {
            k: k as u64,
            samples: votes.len() as u64,
            problem_id: None,
        });
    }
    let mut tally: Vec<(usize, usize, bool)> = Vec::new();
    for vote in &votes[..k] {
        let Some(answer) = vote.answer else { continue };
        match tally.iter_mut().find(|(seen, ..)| *seen == answer) {
            Some(entry) => entry.1 += 1,
            None => tally.push((answer, 1, vote.correct)),
        }
    }
    let mut winner: Option<(usize, bool)> = None;
    for &(_, count, correct) in &tally {
        if winner.is_none_or(|(most, _)| count > most) {
            winner = Some((count, correct));
        }
    }
    Ok(winner.is_some_and(|(_, correct)| correct))
}
