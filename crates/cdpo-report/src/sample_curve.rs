//! Accuracy by number of samples: the graded samples of many questions in; Pass@k with bootstrap intervals and maj@k out.

use std::collections::BTreeMap;

use cdpo_data::Graded;
use cdpo_grade::{Grader, Outcome};
use serde::{Deserialize, Serialize};

use crate::bootstrap::bootstrap_mean;
use crate::error::{Error, Result};
use crate::grid::{Align, Grid};
use crate::interval::Interval;
use crate::method_table::percent;
use crate::pass_at_k::{Vote, majority_correct, pass_at_k};

/// One k of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Number of samples.
    pub k: u64,
    /// Unbiased Pass@k, averaged over questions.
    pub pass_at_k: f64,
    /// 95 % bootstrap interval of `pass_at_k` over questions.
    pub interval: Interval,
    /// Share of questions whose most frequent answer among the first k samples is right.
    pub majority_at_k: f64,
}

/// Pass@k and maj@k of one set of samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleCurve {
    /// Questions.
    pub questions: u64,
    /// Samples of all questions.
    pub samples: u64,
    /// One point for each k, in the order asked for.
    pub points: Vec<CurvePoint>,
}

/// Pass@k and maj@k at each of `ks`, with intervals from `resamples` bootstrap draws over questions.
///
/// `grader` is the one that made the verdicts, or one with the same options: it says which answers are the same.
///
/// # Errors
/// [`Error::Empty`] without samples or resamples; [`Error::KOutOfRange`], naming the question, if one has fewer than k samples.
pub fn sample_curve(
    grader: &Grader,
    graded: &[Graded],
    ks: &[u64],
    resamples: usize,
    draw: &mut impl FnMut() -> u64,
) -> Result<SampleCurve> {
    let mut questions: BTreeMap<&str, BTreeMap<u32, &Graded>> = BTreeMap::new();
    for row in graded {
        questions
            .entry(&row.problem_id)
            .or_default()
            .insert(row.sample, row);
    }
    if questions.is_empty() {
        return Err(Error::Empty { what: "Pass@k" });
    }
    let votes: Vec<(&str, Vec<Vote>)> = questions
        .iter()
        .map(|(id, rows)| (*id, votes(grader, rows)))
        .collect();
    let mut points = Vec::with_capacity(ks.len());
    for &k in ks {
        let mut estimates = Vec::with_capacity(votes.len());
        let mut majorities = 0u64;
        for (id, votes) in &votes {
            let named = |error| match error {
                Error::KOutOfRange { k, samples, .. } => Error::KOutOfRange {
                    k,
                    samples,
                    problem_id: Some((*id).to_owned()),
                },
                other => other,
            };
            let correct = votes.iter().filter(|vote| vote.correct).count() as u64;
            estimates.push(pass_at_k(votes.len() as u64, correct, k).map_err(named)?);
            majorities += u64::from(majority_correct(votes, k as usize).map_err(named)?);
        }
        points.push(CurvePoint {
            k,
            pass_at_k: estimates.iter().sum::<f64>() / estimates.len() as f64,
            interval: bootstrap_mean(&estimates, resamples, 0.95, draw)?,
            majority_at_k: majorities as f64 / estimates.len() as f64,
        });
    }
    let samples = questions.values().map(|rows| rows.len() as u64).sum();
    Ok(SampleCurve {
        questions: questions.len() as u64,
        samples,
        points,
    })
}

/// One question's samples as votes, in sample order.
fn votes(grader: &Grader, rows: &BTreeMap<u32, &Graded>) -> Vec<Vote> {
    let groups = grader.group_verdicts(rows.values().map(|row| &row.verdict));
    rows.values()
        .zip(groups)
        .map(|(row, answer)| Vote {
            answer,
            correct: row.verdict.outcome == Outcome::Correct,
        })
        .collect()
}

impl SampleCurve {
    /// A Markdown table.
    pub fn markdown(&self) -> String {
        self.grid().markdown()
    }

    /// An aligned table for a terminal.
    pub fn plain(&self) -> String {
        self.grid().plain()
    }

    fn grid(&self) -> Grid {
        let titles = ["k", "Pass@k %", "95 % interval", "maj@k %"];
        let mut grid = Grid::new(titles.map(|title| (title, Align::Right)));
        for point in &self.points {
            grid.push(vec![
                point.k.to_string(),
                percent(point.pass_at_k),
                format!(
                    "{} – {}",
                    percent(point.interval.low),
                    percent(point.interval.high)
                ),
                percent(point.majority_at_k),
            ]);
        }
        grid
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::CounterDraws;
    use cdpo_grade::Verdict;

    /// One string a question, one letter a sample: capitals are right, `.` has no answer.
    fn graded(questions: &[&str]) -> Vec<Graded> {
        let mut rows = Vec::new();
        for (q, letters) in questions.iter().enumerate() {
            for (sample, letter) in letters.chars().enumerate() {
                let outcome = match letter {
                    '.' => Outcome::Unparsed,
                    'A'..='Z' => Outcome::Correct,
                    _ => Outcome::Wrong,
                };
                let key = (outcome != Outcome::Unparsed).then(|| letter.to_string());
                let verdict = Verdict {
                    outcome,
                    answer: key.clone(),
                    key,
                    rule: String::new(),
                    span: None,
                    why: String::new(),
                };
                rows.push(Graded {
                    problem_id: format!("q/{q}"),
                    sample: sample as u32,
                    verdict,
                });
            }
        }
        rows
    }

    /// Pass@2 of 1 in 4 is 1/2, of 0 in 4 is 0, of 2 in 4 is 5/6: the mean is 4/9. Majorities of four: b, none, A.
    #[test]
    fn a_curve_averages_pass_at_k_over_questions_and_counts_majorities() {
        let mut rows = graded(&["bbA.", "....", "AAbc"]);
        rows.reverse();
        let mut draws = CounterDraws::new(1);
        let curve = sample_curve(&Grader::default(), &rows, &[1, 2, 4], 500, &mut || {
            draws.draw()
        })
        .unwrap();
        assert_eq!((curve.questions, curve.samples), (3, 12));
        let pass: Vec<f64> = curve.points.iter().map(|point| point.pass_at_k).collect();
        for (found, expected) in pass.iter().zip([0.25, 4.0 / 9.0, 2.0 / 3.0]) {
            assert!((found - expected).abs() < 1e-15, "{pass:?}");
        }
        assert!(
            curve
                .points
                .iter()
                .all(|point| (point.majority_at_k - 1.0 / 3.0).abs() < 1e-15)
        );
        assert!(
            curve
                .points
                .iter()
                .all(|point| point.interval.contains(point.pass_at_k))
        );
        assert!(
            curve.markdown().contains("|   2 |     44.4 |"),
            "{}",
            curve.markdown()
        );
    }

    #[test]
    fn too_few_samples_name_the_question() {
        let mut draws = CounterDraws::new(1);
        let error = sample_curve(
            &Grader::default(),
            &graded(&["AbA", "bb"]),
            &[3],
            10,
            &mut || draws.draw(),
        )
        .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("k = 3 was asked of 2 samples of question q/1"),
            "{error}"
        );
    }

    /// Two wrong answers under two keys, "1/2" and "0.5 cm", are one and outvote the right answer.
    #[test]
    fn equal_answers_vote_together() {
        let grader = Grader::default();
        let row = |(sample, answer): (usize, &str)| Graded {
            problem_id: "q".into(),
            sample: sample as u32,
            verdict: grader.grade(&format!("The answer is ${answer}$."), "8"),
        };
        let rows: Vec<Graded> = ["8", "1/2", "8", "0.5 cm", "\\frac{2}{4}"]
            .into_iter()
            .enumerate()
            .map(row)
            .collect();
        assert_ne!(rows[1].verdict.key, rows[3].verdict.key);
        let mut draws = CounterDraws::new(1);
        let curve = sample_curve(&grader, &rows, &[4, 5], 10, &mut || draws.draw()).unwrap();
        let majorities: Vec<f64> = curve
            .points
            .iter()
            .map(|point| point.majority_at_k)
            .collect();
        assert_eq!(
            majorities,
            [1.0, 0.0],
            "two each, 8 first; then three to two"
        );
    }
}
