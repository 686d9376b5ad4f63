//! What the data set promises.

use std::collections::HashSet;

use cdpo_grade::{GradeOptions, Grader, Outcome};

use super::*;

#[test]
fn a_problem_is_a_pure_function_of_seed_split_and_place() {
    let some = problems(7, Split::Train, 20);
    assert_eq!(problems(7, Split::Train, 50)[..20], some[..]);
    assert_ne!(problems(8, Split::Train, 20)[0].question, some[0].question);
    assert_eq!(worked(7, 3), worked(7, 3));
}

/// Samples, weights and results are kept by what a seed gives. If this fails on purpose, raise `VERSION` and make the base model anew.
#[test]
fn a_seed_gives_the_problems_that_it_always_gave() {
    let mut hasher = blake3::Hasher::new();
    for split in [Split::Train, Split::Test] {
        hasher.update(format!("{:?}", problems(0, split, 500)).as_bytes());
    }
    for index in 0..500 {
        hasher.update(format!("{:?}", worked(1, index)).as_bytes());
    }
    assert_eq!(&hasher.finalize().to_hex()[..16], "44edb419f00dc425");
}

#[test]
fn no_question_is_in_both_splits_whatever_the_seeds() {
    let questions = |seed, split| -> HashSet<String> {
        let all = problems(seed, split, 2000);
        all.into_iter().map(|p| p.question).collect()
    };
    let train = questions(1, Split::Train);
    assert_eq!(train.len(), 2000, "no question is there twice");
    for seed in [1, 2] {
        assert!(train.is_disjoint(&questions(seed, Split::Test)));
    }
    let corpus = (0..2000).map(|i| worked(3, i).question);
    assert!(corpus.into_iter().all(|q| Split::of(&q) == Split::Train));
}

/// Every `a op b = c` of a text.
fn equations(text: &str) -> Vec<[String; 4]> {
    let words: Vec<&str> = text.split(' ').collect();
    words
        .windows(5)
        .filter(|w| w[3] == "=")
        .map(|w| [w[0], w[1], w[2], w[4]].map(str::to_owned))
        .collect()
}

fn holds([a, op, b, c]: &[String; 4]) -> bool {
    let number = |text: &str| text.parse::<i64>().unwrap();
    let (a, b, c) = (number(a), number(b), number(c));
    match op.as_str() {
        "+" => a + b == c,
        "-" => a - b == c,
        "*" => a * b == c,
        "/" => a == b * c,
        _ => false,
    }
}

#[test]
fn every_step_of_every_solution_is_true_and_ends_in_the_answer_that_the_grader_reads() {
    let grader = Grader::new(GradeOptions::default());
    for split in [Split::Train, Split::Test] {
        for p in problems(11, split, 1000) {
            let solution = p.solution.unwrap();
            let equations = equations(&solution);
            assert!(
                (2..=4).contains(&equations.len()) && equations.iter().all(holds),
                "{solution}"
            );
            assert_eq!(equations.last().unwrap()[3], p.answer, "{solution}");
            let response = format!(" {solution} The answer is {}.", p.answer);
            let verdict = grader.grade(&response, &p.answer);
            assert_eq!(verdict.outcome, Outcome::Correct, "{response}");
        }
    }
}

#[test]
fn a_misread_solution_still_calculates_truly_and_is_wrong_by_its_answer() {
    let all: Vec<Worked> = (0..4000).map(|i| worked(0, i)).collect();
    for w in &all {
        assert!(equations(&w.response).iter().all(holds), "{}", w.response);
    }
    let right = all.iter().filter(|w| w.right).count() as f64 / all.len() as f64;
    assert!(
        (0.3..0.7).contains(&right),
        "{right} of the corpus is right"
    );
}

/// A model that learned the corpus perfectly would be right on about half of the questions when it takes the likeliest reading, and on
/// nearly all of them both right and wrong among 64 samples.
#[test]
fn the_corpus_leaves_room_in_both_directions() {
    let (mut greedy, mut mixed, n) = (0, 0, 1000);
    for i in 0..n {
        let (story, right) = story(0, Split::Test, i);
        let answer = |reading: &Reading| {
            let solution = solve(&story, reading, &mut Draw::new(&[1]));
            solution.map_or(right.answer, |s| s.answer)
        };
        greedy += usize::from(answer(&Reading::likeliest(&story)) == right.answer);
        let correct = (0..64)
            .filter(|&k| {
                answer(&Reading::drawn(&story, &mut Draw::new(&[2, i, k]))) == right.answer
            })
            .count();
        mixed += usize::from((1..64).contains(&correct));
    }
    assert!((480..600).contains(&greedy), "{greedy} of {n} greedily");
    assert!(mixed > 950, "{mixed} of {n} have both");
}
