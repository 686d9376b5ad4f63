//! A question with its gold answer.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::order;
use crate::record::{Record, check_text};

/// One question of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Unique in its file; samples are keyed by it.
    pub id: String,
    /// The question as it is put between the framing's prefixes, without outer white space.
    pub question: String,
    /// The gold answer, as the data set writes it (`1,000` keeps its comma: the grader reads it).
    pub answer: String,
    /// The worked solution, without calculator marks and without the final-answer line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solution: Option<String>,
    /// MATH's subject, or any group by which results may be broken down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// MATH's level, 1 to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
}

impl Record for Problem {
    fn check(&self) -> Result<(), String> {
        check_text("id", &self.id)?;
        check_text("question", &self.question)?;
        check_text("answer", &self.answer)
    }

    fn order(&self, other: &Self) -> Ordering {
        order::by_id(&self.id, &other.id)
    }
}
