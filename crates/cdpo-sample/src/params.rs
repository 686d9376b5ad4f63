//! Sampling settings: what a caller may choose, and the check that reports every fault at once.

use cdpo_model::KvForm;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How tokens are drawn and when a response ends.
///
/// A token is drawn from `softmax(logits / temperature)`, cut first by `top_k` and then by `top_p` (whose mass is that of
/// the distribution renormalised after `top_k`). The draw at a response position is a function of
/// `(seed, question id, sample index, position)` and the logits alone. Rows of the model's vocabulary after the tokenizer's last id
/// stand for no text and are left out before everything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleParams {
    /// Softmax temperature, finite and at least 0. Zero is greedy: the highest logit, the lowest id among equals; `top_p`
    /// and `top_k` then change nothing.
    pub temperature: f64,
    /// Nucleus mass in `(0, 1]`: the smallest set of most probable tokens whose mass reaches `top_p` is kept, equal
    /// probabilities in the order of their ids. 1 keeps every token.
    pub top_p: f64,
    /// Keeps the `k` most probable tokens, equal probabilities in the order of their ids; `None` keeps every token.
    pub top_k: Option<usize>,
    /// Most tokens drawn for a response, an end token included; at least 1.
    pub max_new_tokens: usize,
    /// Texts that end a response. None may be empty.
    pub stop: Vec<String>,
    /// Whether completions carry the log-probability of each of their tokens: the log-softmax of the model's logits, at
    /// temperature 1 and over the whole vocabulary, rows that are never drawn included, whatever was used to draw.
    pub logps: bool,
    /// Seed of every draw.
    pub seed: u64,
    /// How the local engine holds keys and values while it decodes.
    #[serde(skip_serializing_if = "is_default")]
    pub kv: KvForm,
}

/// What was the only form once is left out of a key.
// serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_default(kv: &KvForm) -> bool {
    *kv == KvForm::default()
}

impl Default for SampleParams {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: None,
            max_new_tokens: 1024,
            stop: Vec::new(),
            logps: false,
            seed: 0,
            kv: KvForm::F32,
        }
    }
}

impl SampleParams {
    /// Greedy decoding of at most `max_new_tokens` tokens.
    pub fn greedy(max_new_tokens: usize) -> Self {
        Self {
            temperature: 0.0,
            max_new_tokens,
            ..Self::default()
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Params`] with one entry for each fault.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Vec::new();
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            faults.push(format!(
                "temperature is {}, expected a finite number >= 0 (0 is greedy)",
                self.temperature
            ));
        } else if self.temperature > 0.0 && self.temperature < 1e-4 {
            faults.push(format!(
                "temperature is {}, too small to divide by; use 0 for greedy decoding",
                self.temperature
            ));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            faults.push(format!(
                "top_p is {}, expected a number in (0, 1]; 1 keeps every token",
                self.top_p
            ));
        }
        if self.top_k == Some(0) {
            faults.push(
                "top_k is 0, expected at least 1; leave it out to keep every token".to_owned(),
            );
        }
        if self.max_new_tokens == 0 {
            faults.push("max_new_tokens is 0, expected at least 1".to_owned());
        }
        for (index, stop) in self.stop.iter().enumerate() {
            if stop.is_empty() {
                faults.push(format!(
                    "stop[{index}] is empty, and an empty text would end every response at once"
                ));
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Error::Params(faults))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of stages made before there was a choice stay what they were.
    #[test]
    fn keys_and_values_as_computed_are_in_no_key() {
        let of = |kv| {
            let params = SampleParams {
                kv,
                ..SampleParams::default()
            };
            let json = serde_json::to_value(&params).unwrap();
            assert_eq!(
                serde_json::from_value::<SampleParams>(json.clone()).unwrap(),
                params
            );
            json.get("kv").cloned()
        };
        assert_eq!(of(KvForm::F32), None);
        assert_eq!(of(KvForm::Bf16), Some("bf16".into()));
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let params = SampleParams {
            temperature: -1.0,
            top_p: 0.0,
            top_k: Some(0),
            max_new_tokens: 0,
            stop: vec!["\n".into(), String::new()],
            ..SampleParams::default()
        };
        let Err(Error::Params(faults)) = params.validate() else {
            panic!("faults expected")
        };
        assert_eq!(faults.len(), 5);
        assert!(faults[4].starts_with("stop[1]"));
        let text = Error::Params(faults).to_string();
        assert!(
            text.contains("temperature is -1") && text.contains("max_new_tokens"),
            "{text}"
        );
    }

    #[test]
    fn ranges_are_closed_where_documented() {
        assert!(SampleParams::default().validate().is_ok());
        assert!(SampleParams::greedy(1).validate().is_ok());
        for top_p in [f64::NAN, 1.000001, -0.1] {
            assert!(
                SampleParams {
                    top_p,
                    ..SampleParams::default()
                }
                .validate()
                .is_err(),
                "{top_p}"
            );
        }
        for temperature in [f64::NAN, f64::INFINITY, 1e-9] {
            assert!(
                SampleParams {
                    temperature,
                    ..SampleParams::default()
                }
                .validate()
                .is_err(),
                "{temperature}"
            );
        }
    }

    #[test]
    fn settings_round_trip_and_unknown_keys_are_refused() {
        let params = SampleParams {
            top_k: Some(40),
            stop: vec!["\n\nQuestion:".into()],
            ..SampleParams::default()
        };
        let text = serde_json::to_string(&params).unwrap();
        assert_eq!(serde_json::from_str::<SampleParams>(&text).unwrap(), params);
        assert!(serde_json::from_str::<SampleParams>(r#"{"temprature": 1}"#).is_err());
    }
}
