//! A JSON object's fields, read by name and type; what is wrong with them is gathered.

use serde_json::{Map, Value};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// Field access that collects what is missing or malformed, so that all faults are reported together.
pub(crate) struct Fields<'a> {
    pub(crate) map: &'a Object,
    pub(crate) faults: Vec<String>,
}

impl Fields<'_> {
    /// The value, with an explicit null read as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.map.get(name).filter(|v| !v.is_null())
    }

    pub(super) fn size(&mut self, name: &str, default: Option<usize>) -> usize {
        match (self.get(name).map(|v| (v.as_u64(), v.to_string())), default) {
            (Some((Some(n), _)), _) if n > 0 => n as usize,
            (Some((_, text)), _) => {
                self.faults
                    .push(format!("{name} is {text}, expected a positive integer"));
                0
            }
            (None, Some(default)) => default,
            (None, None) => {
                self.faults.push(format!("{name} is missing"));
                0
            }
        }
    }

    pub(crate) fn number(&mut self, name: &str, default: f64) -> f64 {
        match self.get(name).map(|v| (v.as_f64(), v.to_string())) {
            None => default,
            Some((Some(x), _)) => x,
            Some((None, text)) => {
                self.faults
                    .push(format!("{name} is {text}, expected a number"));
                default
            }
        }
    }

    /// A number that must be there; 1 where it is not.
    pub(crate) fn required(&mut self, name: &str) -> f64 {
        if self.get(name).is_none() {
            self.faults.push(format!("{name} is missing"));
        }
        self.number(name, 1.0)
    }

    pub(crate) fn flag(&mut self, name: &str, default: bool) -> bool {
        match self.get(name).map(|v| (v.as_bool(), v.to_string())) {
            None => default,
            Some((Some(b), _)) => b,
            Some((None, text)) => {
                self.faults
                    .push(format!("{name} is {text}, expected true or false"));
                default
            }
        }
    }

    pub(super) fn ids(&mut self, name: &str) -> Vec<u32> {
        match self.get(name).map(ids_of) {
            None => Vec::new(),
            Some(Ok(ids)) => ids,
            Some(Err(reason)) => {
                self.faults.push(format!("{name} {reason}"));
                Vec::new()
            }
        }
    }

    /// Records a setting that would change the computation.
    pub(super) fn refuse(&mut self, condition: bool, reason: impl FnOnce() -> String) {
        if condition {
            self.faults.push(reason());
        }
    }
}

fn ids_of(value: &Value) -> Result<Vec<u32>, String> {
    let one = |v: &Value| {
        v.as_u64()
            .and_then(|n| u32::try_from(n).ok())
            .ok_or_else(|| format!("is {value}, expected a token id or a list of token ids"))
    };
    match value {
        Value::Array(list) => list.iter().map(one).collect(),
        other => Ok(vec![one(other)?]),
    }
}
