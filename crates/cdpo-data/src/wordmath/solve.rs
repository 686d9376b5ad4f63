//! Solving a story step by step, as it is meant or as it is misread.

use super::draw::Draw;
use super::phrases::{CONNECTORS, Op};
use super::story::{Ask, Part, Story};

/// A worked solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Solution {
    /// Sentences, without the final one that names the answer.
    pub(super) text: String,
    pub(super) answer: u32,
    /// Equations in it.
    pub(super) steps: usize,
}

/// Which sentences of a story are misread: each part's, then the comparison's or the sale's, then the question's.
pub(super) struct Reading(Vec<bool>);

impl Reading {
    /// Everything as it is meant.
    pub(super) fn right(story: &Story) -> Self {
        Self(vec![false; story.parts.len() + 2])
    }

    /// Each sentence misread as often as its phrase says.
    pub(super) fn drawn(story: &Story, d: &mut Draw) -> Self {
        Self(
            rates(story)
                .into_iter()
                .map(|rate| d.chance(rate))
                .collect(),
        )
    }

    /// Each sentence read as most of the corpus reads it.
    #[cfg(test)]
    pub(super) fn likeliest(story: &Story) -> Self {
        Self(rates(story).into_iter().map(|rate| rate > 0.5).collect())
    }
}

/// How often each sentence is misread in the corpus.
fn rates(story: &Story) -> Vec<f64> {
    let mut rates: Vec<f64> = story
        .parts
        .iter()
        .map(|part| match part {
            Part::Change { phrase, .. }
            | Part::Groups { phrase, .. }
            | Part::Aside { phrase, .. } => phrase.misread,
        })
        .collect();
    rates.extend(match story.ask {
        Ask::Have { .. } => [0.0, 0.0],
        Ask::Other { comparison, .. } => [comparison.misread, 0.0],
        Ask::Together {
            comparison,
            stops_early,
            ..
        } => [comparison.misread, stops_early],
        Ask::Sale { phrase, .. } | Ask::Share { phrase, .. } => [phrase.misread, 0.0],
    });
    rates
}

/// The solution of a reading, if it has one: amounts stay whole and between 2 and 150. `d` draws how sentences begin.
pub(super) fn solve(story: &Story, reading: &Reading, d: &mut Draw) -> Option<Solution> {
    let Story { a, b, items, .. } = story;
    let misread = |i: usize| reading.0.get(i).copied().unwrap_or(false);
    let mut text = vec![format!("{} starts with {} {items}.", a.name, story.start)];
    let mut have = story.start;
    let mut steps = 0;
    let mut equation = |left: u32, op: Op, right: u32| {
        steps += 1;
        let result = op.of(left, right)?;
        Some((result, format!("{left} {} {right} = {result}", op.sign())))
    };
    for (i, part) in story.parts.iter().enumerate() {
        let (op, n) = match *part {
            Part::Change { n, phrase } if misread(i) => (phrase.misread_as, n),
            Part::Change { n, phrase } => (phrase.op, n),
            Part::Groups {
                groups,
                n,
                container,
                phrase,
            } => {
                let op = if misread(i) {
                    phrase.misread_as
                } else {
                    phrase.op
                };
                let (count, sum) = equation(groups, op, n)?;
                text.push(format!("The {container} hold {sum} {items}."));
                (Op::Add, count)
            }
            Part::Aside { n, .. } if misread(i) => (Op::Add, n),
            Part::Aside { .. } => continue,
        };
        let (result, sum) = equation(have, op, n)?;
        text.push(format!(
            "{} {} has {sum} {items}.",
            d.pick(&CONNECTORS),
            a.he
        ));
        have = result;
    }
    let last = story.parts.len();
    match story.ask {
        Ask::Have { .. } => {}
        Ask::Other { n, comparison } | Ask::Together { n, comparison, .. } => {
            let op = if misread(last) {
                comparison.misread_as
            } else {
                comparison.op
            };
            let (other, sum) = equation(have, op, n)?;
            text.push(format!("{} has {sum} {items}.", b.name));
            let both = matches!(story.ask, Ask::Together { .. }) && !misread(last + 1);
            if both {
                let (all, sum) = equation(have, Op::Add, other)?;
                text.push(format!("Together they have {sum} {items}."));
                have = all;
            } else {
                have = other;
            }
        }
        Ask::Sale { n, phrase } | Ask::Share { n, phrase, .. } => {
            let op = if misread(last) {
                phrase.misread_as
            } else {
                phrase.op
            };
            let (result, sum) = equation(have, op, n)?;
            text.push(if matches!(story.ask, Ask::Sale { .. }) {
                format!("That makes {sum} dollars.")
            } else {
                format!("Each part has {sum} {items}.")
            });
            have = result;
        }
    }
    Some(Solution {
        text: text.join(" "),
        answer: have,
        steps,
    })
}
