//! Why two answers are equal or not.

use serde::{Deserialize, Serialize};

use crate::form::value::Value;
use crate::grader::Grader;

/// How an answer was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NormalForm {
    /// Scalar, tuple, set, list, region, matrix, equation, text and so on; `refused` if it was not read.
    pub kind: String,
    /// The canonical key, or why it was refused.
    pub form: String,
}

/// The comparison of two answers, spelt out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// How the first answer was read.
    pub a: NormalForm,
    /// How the second answer was read.
    pub b: NormalForm,
    /// Whether they are equal.
    pub equal: bool,
    /// One line saying how that was decided.
    pub why: String,
}

impl Grader {
    /// Shows the two normal forms and how they compare.
    ///
    /// ```
    /// let explanation = cdpo_grade::Grader::default().explain("2(x+1)", "2x+2");
    /// assert!(explanation.equal);
    /// assert_eq!(explanation.a.form, explanation.b.form);
    /// ```
    pub fn explain(&self, a: &str, b: &str) -> Explanation {
        let (left, right) = (self.read(a), self.read(b));
        let form = |read: &Result<Value, _>| match read {
            Ok(value) => NormalForm {
                kind: value.kind().into(),
                form: value.key(self.options()),
            },
            Err(refusal) => NormalForm {
                kind: "refused".into(),
                form: format!("{refusal}"),
            },
        };
        let (equal, why) = match (&left, &right) {
            (Ok(a), Ok(b)) => {
                let equal = self.same(a, b);
                let why = match (equal, a.key(self.options()) == b.key(self.options())) {
                    (true, true) => "the normal forms are the same",
                    (true, false) => "equal under the rules for these kinds, or by evaluation",
                    (false, _) => "not shown equal",
                };
                (equal, why)
            }
            _ => (false, "what is refused equals nothing"),
        };
        Explanation {
            a: form(&left),
            b: form(&right),
            equal,
            why: why.into(),
        }
    }
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Value::Scalar(_) => "scalar",
            Value::Based(..) => "digits in a base",
            Value::Tuple(..) => "tuple",
            Value::Set(_) => "set",
            Value::List(_) => "list",
            Value::Region(_) => "region",
            Value::Matrix(_) => "matrix",
            Value::Named { .. } => "named value",
            Value::Equation(_) => "equation",
            Value::Inequalities(_) => "inequalities",
            Value::Ratio(..) => "ratio",
            Value::Text(_) => "text",
        }
    }
}
