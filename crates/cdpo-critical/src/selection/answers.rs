//! Answers of one question by frequency: samples with their verdicts in; groups, most frequent first, out.

use cdpo_data::Trajectory;
use cdpo_grade::{Grader, Verdict};
use cdpo_model::Key;

use super::{SeenOnce, SelectionSettings};

/// The samples of one question that gave the same answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AnswerGroup<'a> {
    /// The canonical key of its first sample's answer.
    pub key: &'a str,
    /// Its samples, in sample order; never empty.
    pub samples: Vec<&'a Trajectory>,
}

impl<'a> AnswerGroup<'a> {
    /// One of the samples, uniformly, as a function of `key`.
    pub(super) fn draw(&self, key: Key) -> &'a Trajectory {
        self.samples[key.below(self.samples.len())]
    }
}

/// Groups samples, given in sample order with their verdicts, as [`Grader::group_verdicts`] does: most frequent first, ties in
/// the order first seen. A sample without a parsed answer is in no group.
pub(crate) fn group<'a>(
    grader: &Grader,
    samples: &[(&'a Verdict, &'a Trajectory)],
) -> Vec<AnswerGroup<'a>> {
    let placed = grader.group_verdicts(samples.iter().map(|(verdict, _)| *verdict));
    let mut groups: Vec<AnswerGroup<'a>> = Vec::new();
    for (&(verdict, trajectory), place) in samples.iter().zip(placed) {
        let (Some(place), Some(key)) = (place, verdict.key.as_deref()) else {
            continue;
        };
        match groups.get_mut(place) {
            Some(group) => group.samples.push(trajectory),
            // Groups are numbered by first appearance.
            None => groups.push(AnswerGroup {
                key,
                samples: vec![trajectory],
            }),
        }
    }
    // The sort is stable: equal counts keep the order in which they were first seen.
    groups.sort_by_key(|group| std::cmp::Reverse(group.samples.len()));
    groups
}

/// The first of `groups` (most frequent first) that together hold `ceil(wrong_top_p W)` of all their `W` samples.
///
/// Under [`SeenOnce::OnlyFirst`] the walk ends before an answer seen once, unless that is the first.
pub(crate) fn most_frequent_until<'g, 'a>(
    groups: &'g [AnswerGroup<'a>],
    settings: &SelectionSettings,
) -> &'g [AnswerGroup<'a>] {
    let total: usize = groups.iter().map(|group| group.samples.len()).sum();
    let need = share_rounded_up(settings.wrong_top_p, total);
    let mut held = 0;
    let mut taken = 0;
    for group in groups {
        let refused =
            settings.seen_once == SeenOnce::OnlyFirst && taken > 0 && group.samples.len() == 1;
        if held >= need || refused {
            break;
        }
        held += group.samples.len();
        taken += 1;
    }
    &groups[..taken]
}

/// `ceil(share * total)`; a product within 1e-9 above a whole number counts as that number (0.07 * 100 is 7.000000000000001).
fn share_rounded_up(share: f64, total: usize) -> usize {
    (share * total as f64 - 1e-9).ceil().max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use cdpo_data::Finish;

    fn trajectories(n: usize) -> Vec<Trajectory> {
        let trajectory = |sample| Trajectory {
            problem_id: "q".into(),
            sample,
            text: String::new(),
            ids: vec![1],
            finish: Finish::Stop,
            token_logps: None,
            reencoded: false,
        };
        (0..n as u32).map(trajectory).collect()
    }

    fn wrong(answer: &str) -> Verdict {
        Grader::default().grade(&format!("The answer is ${answer}$."), "no such answer")
    }

    /// Keys chosen among samples that answer with one letter each.
    fn chosen(answers: &str, settings: &SelectionSettings) -> String {
        let trajectories = trajectories(answers.len());
        let verdicts: Vec<Verdict> = answers.chars().map(|c| wrong(&c.to_string())).collect();
        let samples: Vec<(&Verdict, &Trajectory)> = verdicts.iter().zip(&trajectories).collect();
        let groups = group(&Grader::default(), &samples);
        most_frequent_until(&groups, settings)
            .iter()
            .map(|group| group.key)
            .collect()
    }

    /// Three spellings with two keys between them, of one value: together they outnumber an answer that is spelt one way.
    #[test]
    fn equal_answers_count_as_one_whatever_their_keys() {
        let answers = ["7", "1/2", "0.5 cm", "7", "\\frac{2}{4}", "3"];
        let verdicts = answers.map(wrong);
        assert_ne!(verdicts[1].key, verdicts[2].key);
        let trajectories = trajectories(answers.len());
        let samples: Vec<(&Verdict, &Trajectory)> = verdicts.iter().zip(&trajectories).collect();
        let found: Vec<(&str, Vec<u32>)> = group(&Grader::default(), &samples)
            .into_iter()
            .map(|group| (group.key, group.samples.iter().map(|s| s.sample).collect()))
            .collect();
        assert_eq!(
            found,
            [("1/2", vec![1, 2, 4]), ("7", vec![0, 3]), ("3", vec![5])]
        );
    }

    fn released_code() -> SelectionSettings {
        SelectionSettings {
            seen_once: SeenOnce::OnlyFirst,
            ..SelectionSettings::default()
        }
    }

    /// a x 3, b x 2, c, d, e, f, g x 1: ten wrong samples, five needed, 3 + 2 held.
    #[test]
    fn the_papers_example_takes_a_and_b() {
        for answers in ["aaabbcdefg", "cabdaefbga", "gfedcbbaaa"] {
            assert_eq!(
                chosen(answers, &SelectionSettings::default()),
                "ab",
                "{answers}"
            );
            assert_eq!(chosen(answers, &released_code()), "ab", "{answers}");
        }
    }

    /// a x 2 and four answers seen once: six samples, three needed; only the paper's text goes on to the singletons.
    #[test]
    fn an_answer_seen_once_is_taken_by_the_paper_and_only_first_by_its_released_code() {
        assert_eq!(chosen("abcade", &SelectionSettings::default()), "ab");
        assert_eq!(chosen("abcade", &released_code()), "a");
        assert_eq!(chosen("abcd", &SelectionSettings::default()), "ab");
        assert_eq!(chosen("abcd", &released_code()), "a");
        assert_eq!(chosen("z", &released_code()), "z");
    }

    #[test]
    fn need_is_rounded_up_and_met_exactly() {
        // Three samples: ceil(1.5) = 2.
        assert_eq!(chosen("abc", &SelectionSettings::default()), "ab");
        // Four samples: 2, and the first answer holds them.
        assert_eq!(chosen("aabc", &SelectionSettings::default()), "a");
        // Five samples: ceil(2.5) = 3, so two are not enough.
        assert_eq!(chosen("aabcd", &SelectionSettings::default()), "ab");
        assert_eq!(chosen("", &SelectionSettings::default()), "");
    }

    #[test]
    fn a_tie_goes_to_the_answer_seen_first() {
        assert_eq!(chosen("bcabca", &SelectionSettings::default()), "bc");
        assert_eq!(chosen("cbabca", &SelectionSettings::default()), "cb");
    }

    #[test]
    fn a_larger_share_takes_more_answers() {
        let all = SelectionSettings {
            wrong_top_p: 1.0,
            ..SelectionSettings::default()
        };
        assert_eq!(chosen("aaabbc", &all), "abc");
        let few = SelectionSettings {
            wrong_top_p: 0.07,
            ..SelectionSettings::default()
        };
        // 0.07 * 100 is 7.000000000000001 in f64, and still seven samples are enough.
        let answers = "a".repeat(7) + &"b".repeat(6) + &"c".repeat(87);
        assert_eq!(share_rounded_up(few.wrong_top_p, answers.len()), 7);
    }

    #[test]
    fn a_draw_is_uniform_over_the_answers_samples_and_repeats_by_key() {
        let trajectories = trajectories(5);
        let group = AnswerGroup {
            key: "a",
            samples: trajectories.iter().collect(),
        };
        let mut counts = [0u32; 5];
        for i in 0..10_000 {
            counts[group.draw(Key::new(3).with(i)).sample as usize] += 1;
        }
        // Expectation 2000, standard deviation 40.
        assert!(
            counts.iter().all(|&count| (1840..=2160).contains(&count)),
            "{counts:?}"
        );
        assert_eq!(
            group.draw(Key::new(9)).sample,
            group.draw(Key::new(9)).sample
        );
    }
}
