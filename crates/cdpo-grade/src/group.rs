//! Grouping of the answers of one question.

use std::collections::HashMap;

use crate::form::value::Value;
use crate::grader::Grader;

impl Grader {
    /// Groups the answers of one question: by key, then by equality with the first answer of each group, in the order
    /// of the groups. Returns a group per answer, numbered by first appearance; an answer that is missing or refused
    /// has none.
    ///
    /// Selection counts answers by [`Verdict::key`](crate::Verdict::key) alone, which needs no comparison; there `5` and
    /// `5 dollars` are two answers, here they are one.
    ///
    /// ```
    /// let grader = cdpo_grade::Grader::default();
    /// let groups = grader.group_answers(&[Some("0.5"), Some("3"), None, Some(r"\frac12"), Some("3.0")]);
    /// assert_eq!(groups, [Some(0), Some(1), None, Some(0), Some(1)]);
    /// ```
    pub fn group_answers(&self, answers: &[Option<&str>]) -> Vec<Option<usize>> {
        let mut by_text: HashMap<&str, Option<usize>> = HashMap::new();
        let mut by_key: HashMap<String, usize> = HashMap::new();
        let mut first: Vec<Value> = Vec::new();
        let mut groups = Vec::with_capacity(answers.len());
        for answer in answers {
            let Some(answer) = *answer else {
                groups.push(None);
                continue;
            };
            let group = match by_text.get(answer) {
                Some(group) => *group,
                None => self.read(answer).ok().map(|value| {
                    let key = value.key();
                    if let Some(&group) = by_key.get(&key) {
                        return group;
                    }
                    let group = first
                        .iter()
                        .position(|f| self.same(f, &value))
                        .unwrap_or_else(|| {
                            first.push(value);
                            first.len() - 1
                        });
                    by_key.insert(key, group);
                    group
                }),
            };
            by_text.insert(answer, group);
            groups.push(group);
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
