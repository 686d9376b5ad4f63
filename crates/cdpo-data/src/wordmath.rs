//! Word problems of two to four steps of arithmetic, with worked solutions: a data set that needs no file.
//!
//! Goes in: a seed, a split and a size. Comes out: [`Problem`]s whose solutions and answers are right, and, for pre-training a
//! small model, [`worked`] examples of which a known share misreads a sentence of the question.
//!
//! A problem is a pure function of (seed, split, index). A question's split is decided by a hash of its text, so that no
//! question is in both splits, whatever the seeds.

mod draw;
mod phrases;
mod solve;
mod story;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use draw::Draw;
use solve::{Reading, Solution, solve};
use story::Story;

use crate::Problem;

/// The name by which a recipe asks for these problems.
pub const NAME: &str = "builtin:wordmath";

/// Raised whenever a seed gives other problems than before.
pub const VERSION: u32 = 1;

/// Which side of the split a question is on: an eighth of all questions is for testing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// For sampling and training.
    Train,
    /// Held out.
    Test,
}

impl Split {
    /// The split of a question, by its text.
    pub fn of(question: &str) -> Self {
        if blake3::hash(question.as_bytes()).as_bytes()[0] < 32 {
            Self::Test
        } else {
            Self::Train
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// A question with a solution as a corpus may hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worked {
    /// The question.
    pub question: String,
    /// The response to it: a leading space, the steps, and `The answer is N.`
    pub response: String,
    /// Whether its answer is the right one.
    pub right: bool,
}

/// `count` problems of a split, no question twice. Their ids say seed, split and place; more problems begin with the fewer ones.
pub fn problems(seed: u64, split: Split, count: usize) -> Vec<Problem> {
    let mut seen = HashSet::new();
    let mut problems = Vec::with_capacity(count);
    for index in 0.. {
        if problems.len() == count {
            break;
        }
        let (story, right) = story(seed, split, index);
        let question = story.question();
        if seen.insert(question.clone()) {
            problems.push(Problem {
                id: format!("wordmath-{seed}/{}/{}", split.name(), problems.len()),
                question,
                answer: right.answer.to_string(),
                solution: Some(right.text),
                subject: None,
                level: u8::try_from(right.steps).ok(),
            });
        }
    }
    problems
}

/// The `index`-th example of the pre-training corpus, a training question. Each of its sentences is misread as often as
/// `phrases.rs` says; a reading without a solution gives way to the right one.
pub fn worked(seed: u64, index: u64) -> Worked {
    let (story, right) = story(seed, Split::Train, index);
    let mut d = Draw::new(&[seed, CORPUS, index]);
    let reading = Reading::drawn(&story, &mut d);
    let solution = solve(&story, &reading, &mut d).unwrap_or_else(|| right.clone());
    Worked {
        question: story.question(),
        response: format!(" {} The answer is {}.", solution.text, solution.answer),
        right: solution.answer == right.answer,
    }
}

const STORY: u64 = 0;
const CORPUS: u64 = 1;

/// The first story of (seed, split, index) that has a right solution of two to four steps and lies in the split.
fn story(seed: u64, split: Split, index: u64) -> (Story, Solution) {
    let mut attempt = 0;
    loop {
        let mut d = Draw::new(&[seed, STORY, split as u64, index, attempt]);
        attempt += 1;
        let story = Story::draw(&mut d);
        if let Some(right) = solve(&story, &Reading::right(&story), &mut d)
            && (2..=4).contains(&right.steps)
            && Split::of(&story.question()) == split
        {
            return (story, right);
        }
    }
}
