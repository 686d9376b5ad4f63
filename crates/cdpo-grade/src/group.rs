//! Grouping of the answers of one question: texts or verdicts in sample order in; the group of each out.
//!
//! Answers are grouped by key, then by equality with the first answer of each group, which represents it. Equality is not
//! transitive, so the grouping depends on the order, and on nothing else: the groups of the first `k` answers are the same
//! whatever follows.

use std::collections::HashMap;

use crate::form::value::Value;
use crate::grader::Grader;
use crate::verdict::{Outcome, Verdict};

/// The groups found so far.
#[derive(Default)]
struct Groups {
    by_key: HashMap<(Option<Outcome>, String), usize>,
    /// The first answer of each group; none if it cannot be read.
    first: Vec<(Option<Outcome>, Option<Value>)>,
}

impl Groups {
    /// The group of an answer; `value` is called only for a key that was not seen before.
    fn place(
        &mut self,
        grader: &Grader,
        outcome: Option<Outcome>,
        key: &str,
        value: impl FnOnce() -> Option<Value>,
    ) -> usize {
        let key = (outcome, key.to_owned());
        if let Some(&group) = self.by_key.get(&key) {
            return group;
        }
        let value = value();
        let same = |(of, first): &(Option<Outcome>, Option<Value>)| {
            *of == outcome
                && first
                    .as_ref()
                    .zip(value.as_ref())
                    .is_some_and(|(first, value)| grader.same(first, value))
        };
        let group = self.first.iter().position(same).unwrap_or_else(|| {
            self.first.push((outcome, value));
            self.first.len() - 1
        });
        self.by_key.insert(key, group);
        group
    }
}

impl Grader {
    /// Groups the answers of one question: by key, then by equality with the first answer of each group, in the order
    /// of the groups. Returns a group per answer, numbered by first appearance; an answer that is missing or refused
    /// has none.
    ///
    /// ```
    /// let grader = cdpo_grade::Grader::default();
    /// let groups = grader.group_answers(&[Some("0.5"), Some("3"), None, Some(r"\frac12"), Some("3.0")]);
    /// assert_eq!(groups, [Some(0), Some(1), None, Some(0), Some(1)]);
    /// ```
    pub fn group_answers(&self, answers: &[Option<&str>]) -> Vec<Option<usize>> {
        let mut groups = Groups::default();
        let group = |answer: Option<&str>| {
            let value = self.read(answer?).ok()?;
            let key = value.key(self.options());
            Some(groups.place(self, None, &key, || Some(value)))
        };
        answers.iter().copied().map(group).collect()
    }

    /// Groups the verdicts on one question's responses as [`Self::group_answers`] groups answers. Right and wrong answers
    /// are never in one group (`5` and `5 inches` are equal, and one of them may be wrong); an unparsed one has none.
    ///
    /// ```
    /// let grader = cdpo_grade::Grader::default();
    /// let responses = ["So it is \\boxed{0.5}.", "The answer is 2.", "#### 1/2", "\\boxed{\\frac{2}{4}}", ""];
    /// let verdicts = responses.map(|response| grader.grade(response, "0.5"));
    /// assert_eq!(grader.group_verdicts(&verdicts), [Some(0), Some(1), Some(0), Some(0), None]);
    /// ```
    pub fn group_verdicts<'a>(
        &self,
        verdicts: impl IntoIterator<Item = &'a Verdict>,
    ) -> Vec<Option<usize>> {
        let mut groups = Groups::default();
        let group = |verdict: &Verdict| {
            if verdict.outcome == Outcome::Unparsed {
                return None;
            }
            let key = verdict.key.as_deref()?;
            let value = || self.graded_value(verdict.answer.as_deref()?, key);
            Some(groups.place(self, Some(verdict.outcome), key, value))
        };
        verdicts.into_iter().map(group).collect()
    }

    /// The value that was graded: the answer's, or its first item's where one value was written more than once.
    fn graded_value(&self, answer: &str, key: &str) -> Option<Value> {
        match self.read(answer).ok()? {
            Value::List(mut items)
                if items
                    .first()
                    .is_some_and(|item| item.key(self.options()) == key) =>
            {
                Some(items.swap_remove(0))
            }
            value => (value.key(self.options()) == key).then_some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::GradeOptions;

    #[test]
    fn groups_are_numbered_by_first_appearance() {
        let groups = Grader::default().group_answers(&[
            Some("5"),
            None,
            Some("5.0"),
            Some("6"),
            Some("$5"),
            Some("}"),
        ]);
        assert_eq!(groups, [Some(0), None, Some(0), Some(1), Some(0), None]);
    }

    #[test]
    fn the_first_of_a_group_represents_it() {
        // The decimal equals both fractions; they do not equal each other.
        let (close, third) = ("\\frac{33330001}{100000000}", "\\frac{1}{3}");
        let grader = Grader::default();
        assert!(
            grader.equal("0.3333", close)
                && grader.equal("0.3333", third)
                && !grader.equal(close, third)
        );
        assert_eq!(
            grader.group_answers(&[Some("0.3333"), Some(close), Some(third)]),
            [Some(0); 3]
        );
        assert_eq!(
            grader.group_answers(&[Some(third), Some(close), Some("0.3333")]),
            [Some(0), Some(1), Some(0)]
        );
    }

    #[test]
    fn right_and_wrong_answers_are_never_one_group() {
        let grader = Grader::default();
        // All three are equal to "5"; only the inches are wrong.
        let verdicts = ["5 inches", "5", "5 cm"]
            .map(|answer| grader.grade(&format!("\\boxed{{{answer}}}"), "5\\text{ cm}"));
        assert_eq!(
            grader.group_verdicts(&verdicts),
            [Some(0), Some(1), Some(1)]
        );
        // One key, but only the decimal may be rounded.
        let rounded = ["3333/10000", "0.3333"].map(|answer| grader.grade(answer, "\\frac13"));
        assert_eq!(rounded[0].key, rounded[1].key);
        assert_eq!(grader.group_verdicts(&rounded), [Some(0), Some(1)]);
    }

    #[test]
    fn keys_tell_apart_what_the_options_tell_apart() {
        let ordered = Grader::new(GradeOptions {
            ordered_lists: true,
            ..GradeOptions::default()
        });
        let simplified = Grader::new(GradeOptions {
            require_simplified: true,
            ..GradeOptions::default()
        });
        for (grader, a, b) in [(ordered, "1, 2", "2, 1"), (simplified, "3/2", "6/4")] {
            assert!(Grader::default().key(a) == Grader::default().key(b));
            assert!(!grader.equal(a, b) && grader.key(a) != grader.key(b));
            assert_eq!(
                grader.group_answers(&[Some(a), Some(b)]),
                [Some(0), Some(1)]
            );
        }
    }

    #[test]
    fn a_value_in_two_boxes_groups_with_the_value() {
        let grader = Grader::default();
        let verdicts = ["\\boxed{7} or \\boxed{7.0}", "7 dollars", "7"]
            .map(|response| grader.grade(response, "8"));
        assert_eq!(grader.group_verdicts(&verdicts), [Some(0); 3]);
    }

    #[test]
    fn the_groups_of_the_first_answers_do_not_depend_on_what_follows() {
        let grader = Grader::default();
        let answers = [
            "2/4",
            "0.5",
            "x=3",
            "3",
            "\\frac{2}{4}",
            "50\\%",
            "3,4",
            "4,3",
            "1/2",
        ];
        let verdicts = answers.map(|answer| grader.grade(&format!("\\boxed{{{answer}}}"), "9"));
        let all = grader.group_verdicts(&verdicts);
        for k in 0..verdicts.len() {
            assert_eq!(grader.group_verdicts(&verdicts[..k]), all[..k]);
        }
        assert_eq!(all, grader.group_answers(&answers.map(Some)));
    }
}
