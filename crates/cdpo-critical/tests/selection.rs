//! Selection over small hand-made sample sets.

use std::cell::RefCell;
use std::collections::BTreeMap;

use cdpo_critical::selection::{SeenOnce, SkipReason};
use cdpo_critical::{Error, Selection, SelectionSettings, Verdicts, select};
use cdpo_data::{Finish, Framing, Graded, Problem, Record, Trajectory};
use cdpo_grade::{Grader, Outcome, Verdict};
use cdpo_model::Key;

const EOS: u32 = 2;

struct Samples {
    problems: Vec<Problem>,
    trajectories: Vec<Trajectory>,
    graded: Vec<Graded>,
}

/// One line a question: its id and one letter a sample. Capitals are right answers, small letters wrong ones, `.` has no answer.
fn samples(questions: &[(&str, &str)]) -> Samples {
    let mut made = Samples {
        problems: Vec::new(),
        trajectories: Vec::new(),
        graded: Vec::new(),
    };
    for (id, letters) in questions {
        made.problems.push(Problem {
            id: (*id).into(),
            question: format!("what is {id}?"),
            answer: "A".into(),
            solution: None,
            subject: None,
            level: None,
        });
        for (i, letter) in letters.chars().enumerate() {
            let sample = i as u32;
            let outcome = match letter {
                '.' => Outcome::Unparsed,
                'A'..='Z' => Outcome::Correct,
                _ => Outcome::Wrong,
            };
            let key = (outcome != Outcome::Unparsed).then(|| letter.to_string());
            made.trajectories.push(Trajectory {
                problem_id: (*id).into(),
                sample,
                text: format!(" {letter}{i}"),
                ids: vec![100 + sample, u32::from(letter)],
                finish: if sample % 3 == 2 {
                    Finish::Length
                } else {
                    Finish::Stop
                },
                token_logps: None,
                reencoded: false,
            });
            made.graded.push(Graded {
                problem_id: (*id).into(),
                sample,
                verdict: Verdict {
                    outcome,
                    answer: key.clone(),
                    key,
                    rule: "test".into(),
                    span: None,
                    why: "test".into(),
                },
            });
        }
    }
    made
}

fn selected_with(
    samples: &Samples,
    settings: &SelectionSettings,
    seed: u64,
) -> Result<Selection, Error> {
    let framing = Framing::gsm8k();
    let mut prompts = |question: &str| {
        let prompt = framing.prompt(question);
        let ids = prompt.bytes().map(u32::from).collect();
        Ok((prompt, ids))
    };
    let Samples {
        problems,
        trajectories,
        graded,
    } = samples;
    select(
        problems,
        trajectories,
        Verdicts {
            graded,
            grader: &Grader::default(),
        },
        &mut prompts,
        EOS,
        settings,
        Key::new(seed),
    )
}

fn selected(samples: &Samples, seed: u64) -> Selection {
    selected_with(samples, &SelectionSettings::default(), seed).unwrap()
}

/// The letter of a response made by [`samples`].
fn letter(text: &str) -> char {
    text.chars().nth(1).unwrap()
}

#[test]
fn a_question_gives_a_positive_of_its_most_frequent_right_answer_and_negatives_up_to_half_its_wrong_samples()
 {
    let samples = samples(&[("q/1", "aBcA.abAdBAefabg..")]);
    for seed in 0..20 {
        let selection = selected(&samples, seed);
        let positives: Vec<char> = selection
            .positives
            .iter()
            .map(|example| letter(&example.response))
            .collect();
        assert_eq!(positives, ['A'], "A was seen three times, B twice");
        let mut negatives: Vec<char> = selection
            .negatives
            .iter()
            .map(|example| letter(&example.response))
            .collect();
        negatives.sort_unstable();
        assert_eq!(
            negatives,
            ['a', 'b'],
            "a x 3 and b x 2 are half of ten; samples without an answer do not count"
        );
        assert_eq!(selection.pairs.len(), 1);
        let pair = &selection.pairs[0];
        assert_eq!((letter(&pair.chosen), letter(&pair.rejected)), ('A', 'a'));
    }
}

#[test]
fn a_pair_is_made_of_the_same_draws_as_the_two_sets() {
    let samples = samples(&[
        ("q/1", "aAaAaAbbccAddAaa"),
        ("q/2", "AabAbbAA"),
        ("q/3", "xxAAAxyyA"),
    ]);
    for seed in 0..50 {
        let selection = selected(&samples, seed);
        assert_eq!(selection.pairs.len(), 3);
        for pair in &selection.pairs {
            let positive = selection
                .positives
                .iter()
                .find(|example| example.problem_id == pair.problem_id)
                .unwrap();
            assert_eq!(positive.sample, pair.chosen_sample);
            assert_eq!(positive.response_ids, pair.chosen_ids);
            let negative = selection
                .negatives
                .iter()
                .find(|example| {
                    example.problem_id == pair.problem_id && example.sample == pair.rejected_sample
                })
                .unwrap();
            assert_eq!(negative.response_ids, pair.rejected_ids);
            assert_eq!(negative.terminated, pair.rejected_terminated);
        }
    }
}

#[test]
fn every_trajectory_of_the_most_frequent_answers_can_be_drawn() {
    let samples = samples(&[("q", "AaAaA")]);
    let mut drawn: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    for seed in 0..600 {
        let pair = &selected(&samples, seed).pairs[0];
        *drawn
            .entry((pair.chosen_sample, pair.rejected_sample))
            .or_default() += 1;
    }
    // Six combinations, 100 expected of each, standard deviation 9.
    assert_eq!(
        drawn.keys().copied().collect::<Vec<_>>(),
        [(0, 1), (0, 3), (2, 1), (2, 3), (4, 1), (4, 3)]
    );
    assert!(
        drawn.values().all(|&count| (60..=140).contains(&count)),
        "{drawn:?}"
    );
}

#[test]
fn a_draw_does_not_depend_on_other_questions_or_on_the_order_of_the_files() {
    let alone = selected(&samples(&[("q/7", "AaAbAabA")]), 5);
    let mut many = samples(&[("q/1", "aaA"), ("q/7", "AaAbAabA"), ("q/2", "Abb")]);
    many.trajectories.reverse();
    many.graded.rotate_left(4);
    let among = selected(&many, 5);
    let pair = among
        .pairs
        .iter()
        .find(|pair| pair.problem_id == "q/7")
        .unwrap();
    assert_eq!(*pair, alone.pairs[0]);
    assert_eq!(
        among
            .pairs
            .iter()
            .map(|pair| pair.problem_id.as_str())
            .collect::<Vec<_>>(),
        ["q/1", "q/2", "q/7"]
    );
    many.problems.reverse();
    assert_eq!(selected(&many, 5), among);
}

/// Twenty questions with the same twelve samples: if the id did not enter the key, all would draw the same samples.
#[test]
fn questions_with_equal_samples_draw_independently() {
    let ids: Vec<String> = (0..20).map(|i| format!("q/{i}")).collect();
    let questions: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "AaAaAaAaAaAa")).collect();
    let selection = selected(&samples(&questions), 3);
    let distinct = |samples: Vec<u32>| {
        samples
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    };
    assert!(
        distinct(
            selection
                .pairs
                .iter()
                .map(|pair| pair.chosen_sample)
                .collect()
        ) > 3
    );
    assert!(
        distinct(
            selection
                .pairs
                .iter()
                .map(|pair| pair.rejected_sample)
                .collect()
        ) > 3
    );
}

#[test]
fn end_of_sequence_closes_a_response_only_if_it_ended_by_itself_and_the_prompt_is_zero_shot() {
    let samples = samples(&[("q", "Aaa"), ("r", "..Ab")]);
    let selection = selected(&samples, 1);
    let by_stop = &selection.positives[0];
    assert_eq!(
        (by_stop.response_ids.as_slice(), by_stop.terminated),
        ([100, u32::from('A'), EOS].as_slice(), true)
    );
    let by_length = &selection.positives[1];
    assert_eq!(
        (by_length.response_ids.as_slice(), by_length.terminated),
        ([102, u32::from('A')].as_slice(), false)
    );
    let prompt = "Question: what is q?\nAnswer:";
    assert_eq!(by_stop.prompt, prompt);
    assert_eq!(
        by_stop.prompt_ids,
        prompt.bytes().map(u32::from).collect::<Vec<_>>()
    );
    assert_eq!(selection.pairs[0].prompt_ids, by_stop.prompt_ids);
    for pair in &selection.pairs {
        pair.check().unwrap();
    }
}

#[test]
fn questions_without_a_pair_are_counted_with_their_reason() {
    let samples = samples(&[
        ("none", ""),
        ("mute", ".."),
        ("wrong", "ab.a"),
        ("right", "A.AA"),
        ("both", "Aa"),
    ]);
    let selection = selected(&samples, 0);
    let reasons: Vec<(&str, SkipReason)> = selection
        .skipped
        .iter()
        .map(|question| (question.problem_id.as_str(), question.reason))
        .collect();
    assert_eq!(
        reasons,
        [
            ("mute", SkipReason::NothingParsed),
            ("none", SkipReason::NoSamples),
            ("right", SkipReason::NoneWrong),
            ("wrong", SkipReason::NoneCorrect),
        ]
    );
    let counts = &selection.counts;
    assert_eq!((counts.questions, counts.samples), (5, 12));
    assert_eq!((counts.correct, counts.wrong, counts.unparsed), (4, 4, 4));
    assert_eq!(
        (counts.positives, counts.negatives, counts.pairs),
        (2, 2, 1)
    );
    assert_eq!(
        (counts.questions_with_correct, counts.questions_with_wrong),
        (2, 2)
    );
    assert!(counts.skipped.values().all(|&count| count == 1) && counts.skipped.len() == 4);
    assert_eq!(counts.mean_wrong(), 0.8);
    let wrong = &selection.skipped[3];
    assert_eq!((wrong.correct, wrong.wrong, wrong.unparsed), (0, 3, 1));
}

#[test]
fn the_released_codes_rule_on_answers_seen_once_is_a_setting() {
    let samples = samples(&[("q", "aabcdeA")]);
    assert_eq!(selected(&samples, 0).negatives.len(), 2);
    let settings = SelectionSettings {
        seen_once: SeenOnce::OnlyFirst,
        ..SelectionSettings::default()
    };
    assert_eq!(
        selected_with(&samples, &settings, 0)
            .unwrap()
            .negatives
            .len(),
        1
    );
}

#[test]
fn a_prompt_is_encoded_once_for_each_question_that_gives_an_example() {
    let Samples {
        problems,
        trajectories,
        graded,
    } = samples(&[("a", "AAabb"), ("b", ".."), ("c", "abcd")]);
    let calls = RefCell::new(Vec::new());
    let framing = Framing::math();
    let mut prompts = |question: &str| {
        let prompt = framing.prompt(question);
        calls.borrow_mut().push(prompt.clone());
        Ok((prompt, vec![1]))
    };
    select(
        &problems,
        &trajectories,
        Verdicts {
            graded: &graded,
            grader: &Grader::default(),
        },
        &mut prompts,
        EOS,
        &SelectionSettings::default(),
        Key::new(0),
    )
    .unwrap();
    assert_eq!(
        *calls.borrow(),
        [
            "Problem: what is a?\nSolution:",
            "Problem: what is c?\nSolution:"
        ]
    );
}

#[test]
fn files_that_do_not_belong_together_are_errors_that_name_the_sample() {
    let fresh = || samples(&[("q", "Aa")]);
    let error =
        |samples: &Samples| selected_with(samples, &SelectionSettings::default(), 0).unwrap_err();

    let mut ungraded = fresh();
    ungraded.graded.pop();
    assert!(matches!(
        error(&ungraded),
        Error::Unmatched {
            sample: 1,
            missing: "verdict",
            ..
        }
    ));
    let mut unsampled = fresh();
    unsampled.trajectories.remove(0);
    assert!(matches!(
        error(&unsampled),
        Error::Unmatched {
            sample: 0,
            missing: "trajectory",
            ..
        }
    ));
    let mut twice = fresh();
    twice.trajectories.push(twice.trajectories[1].clone());
    assert!(matches!(
        error(&twice),
        Error::DuplicateSample {
            sample: 1,
            what: "trajectories",
            ..
        }
    ));
    let mut stranger = fresh();
    stranger.trajectories[0].problem_id = "r".into();
    assert!(
        matches!(error(&stranger), Error::UnknownProblem { problem_id, sample: 0 } if problem_id == "r")
    );
    let mut same_id = fresh();
    same_id.problems.push(same_id.problems[0].clone());
    assert!(matches!(error(&same_id), Error::DuplicateProblem { problem_id } if problem_id == "q"));
    let mut keyless = fresh();
    keyless.graded[1].verdict.key = None;
    assert!(matches!(
        error(&keyless),
        Error::NoKey {
            sample: 1,
            outcome: "wrong",
            ..
        }
    ));
}

#[test]
fn a_share_outside_its_range_is_an_error_that_names_the_setting() {
    for share in [0.0, 1.01, -0.5, f64::NAN] {
        let settings = SelectionSettings {
            wrong_top_p: share,
            ..SelectionSettings::default()
        };
        let error = selected_with(&samples(&[]), &settings, 0).unwrap_err();
        assert!(
            error.to_string().starts_with("select.wrong_top_p"),
            "{error}"
        );
    }
}
