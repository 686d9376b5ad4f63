//! GGUF key-value metadata, with look-ups that name the file and the key when something is wrong.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// One metadata value. Integers of every width are widened; arrays may nest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Flag(bool),
    Text(String),
    List(Vec<Value>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Unsigned(_) | Self::Signed(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Flag(_) => "a bool",
            Self::Text(_) => "a string",
            Self::List(_) => "an array",
        }
    }

    fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Unsigned(n) => Some(*n),
            Self::Signed(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }
}

/// All metadata of one file.
#[derive(Debug, Clone)]
pub(crate) struct Metadata {
    path: PathBuf,
    values: HashMap<String, Value>,
}

impl Metadata {
    pub(crate) fn new(path: &Path, values: HashMap<String, Value>) -> Self {
        Self {
            path: path.to_path_buf(),
            values,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The error for a key that is not there.
    pub(crate) fn missing(&self, key: &str) -> Error {
        Error::file(
            &self.path,
            format!("metadata has no `{key}`; convert the model again with a current converter"),
        )
    }

    fn mismatch(&self, key: &str, expected: &str, found: &Value) -> Error {
        Error::file(
            &self.path,
            format!("metadata `{key}` is {}, expected {expected}", found.kind()),
        )
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.mismatch(key, "a string", other)),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.mismatch(key, "a bool", other)),
        }
    }

    /// A size; an array counts as one if all its elements are equal (some converters write one value a layer).
    pub(crate) fn size(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.values.get(key) else {
            return Ok(None);
        };
        let number = match value {
            Value::List(list) => match list.split_first() {
                Some((first, rest)) if rest.iter().all(|v| v == first) => first.as_u64(),
                _ => {
                    return Err(Error::file(
                        &self.path,
                        format!("metadata `{key}` differs between layers, which is not supported"),
                    ));
                }
            },
            single => single.as_u64(),
        };
        number
            .map(|n| Some(n as usize))
            .ok_or_else(|| self.mismatch(key, "a non-negative integer", value))
    }

    pub(crate) fn required_size(&self, key: &str) -> Result<usize> {
        self.size(key)?.ok_or_else(|| self.missing(key))
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Float(x)) => Ok(Some(*x)),
            Some(other) => other
                .as_u64()
                .map(|n| Some(n as f64))
                .ok_or_else(|| self.mismatch(key, "a number", other)),
        }
    }

    pub(crate) fn id(&self, key: &str) -> Result<Option<u32>> {
        match self.size(key)? {
            None => Ok(None),
            Some(n) => u32::try_from(n).map(Some).map_err(|_| {
                Error::file(
                    &self.path,
                    format!("metadata `{key}` is {n}, which is no token id"),
                )
            }),
        }
    }

    pub(crate) fn texts(&self, key: &str) -> Result<Option<Vec<&str>>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::List(list)) => list
                .iter()
                .map(|v| match v {
                    Value::Text(text) => Ok(text.as_str()),
                    other => Err(self.mismatch(key, "an array of strings", other)),
                })
                .collect::<Result<Vec<_>>>()
                .map(Some),
            Some(other) => Err(self.mismatch(key, "an array of strings", other)),
        }
    }

    pub(crate) fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::List(list)) => list
                .iter()
                .map(|v| match v {
                    Value::Float(x) if !x.is_nan() => Ok(*x),
                    other => Err(self.mismatch(key, "an array of numbers", other)),
                })
                .collect::<Result<Vec<_>>>()
                .map(Some),
            Some(other) => Err(self.mismatch(key, "an array of numbers", other)),
        }
    }

    pub(crate) fn integers(&self, key: &str) -> Result<Option<Vec<u64>>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::List(list)) => list
                .iter()
                .map(|v| {
                    v.as_u64()
                        .ok_or_else(|| self.mismatch(key, "an array of integers", v))
                })
                .collect::<Result<Vec<_>>>()
                .map(Some),
            Some(other) => Err(self.mismatch(key, "an array of integers", other)),
        }
    }
}
