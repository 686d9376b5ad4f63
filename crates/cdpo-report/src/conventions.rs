//! GSM8K by the two filters of lm-evaluation-harness, side by side: evaluations of the same responses under either in; a table out.

use serde::{Deserialize, Serialize};

use crate::evaluation::{Accuracy, Evaluation};
use crate::grid::{Align, Grid};
use crate::method_table::percent;

/// One method's responses under both filters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConventionRow {
    /// The method's name.
    pub method: String,
    /// By the strict filter: the number after `#### ` or "The answer is ".
    pub strict: Accuracy,
    /// By the flexible filter: the last number.
    pub flexible: Accuracy,
}

/// The rows of all methods.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ConventionTable {
    /// One row a method, in the order given.
    pub rows: Vec<ConventionRow>,
}

impl ConventionTable {
    /// Adds a method, named as its strict evaluation is.
    pub fn push(&mut self, strict: &Evaluation, flexible: &Evaluation) {
        self.rows.push(ConventionRow {
            method: strict.method().to_owned(),
            strict: strict.accuracy(),
            flexible: flexible.accuracy(),
        });
    }

    /// A Markdown table.
    pub fn markdown(&self) -> String {
        self.grid().markdown()
    }

    fn grid(&self) -> Grid {
        let mut columns = vec![("method".to_owned(), Align::Left)];
        for filter in ["strict", "flexible"] {
            for what in ["%", "correct", "wrong", "unparsed"] {
                columns.push((format!("{filter} {what}"), Align::Right));
            }
        }
        let mut grid = Grid::new(columns);
        for row in &self.rows {
            let mut cells = vec![row.method.clone()];
            for of in [&row.strict, &row.flexible] {
                cells.push(percent(of.accuracy));
                cells.extend([of.correct, of.wrong, of.unparsed].map(|count| count.to_string()));
            }
            grid.push(cells);
        }
        grid
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cdpo_grade::{Extraction, GradeOptions, Grader};

    /// Three responses to gold answers of 7: announced and talked on from, announced, and a bare number.
    #[test]
    fn the_filters_stand_side_by_side_with_their_counts() {
        let responses = [
            "So 7 are left. The answer is 7. He gave 3 away.",
            "The answer is 7.",
            "So it is 7",
        ];
        let by = |extraction| {
            let grader = Grader::new(GradeOptions {
                extraction,
                ..GradeOptions::default()
            });
            let outcome =
                |(i, text): (usize, &&str)| (i.to_string(), grader.grade(text, "7").outcome);
            Evaluation::new("base", responses.iter().enumerate().map(outcome)).unwrap()
        };
        let mut table = ConventionTable::default();
        table.push(
            &by(Extraction::Gsm8kStrictFilter),
            &by(Extraction::Gsm8kFlexible),
        );
        let row = &table.rows[0];
        let counts = |of: &Accuracy| (of.correct, of.wrong, of.unparsed);
        assert_eq!(
            (counts(&row.strict), counts(&row.flexible)),
            ((2, 0, 1), (2, 1, 0))
        );
        let expected =
            "| base   |     66.7 |              2 |            0 |               1 |       66.7 |";
        assert!(table.markdown().contains(expected), "{}", table.markdown());
    }
}
