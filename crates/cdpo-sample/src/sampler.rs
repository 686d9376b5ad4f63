//! What every sampler takes and gives: requests in, completions out as they finish.

use std::ops::ControlFlow;

pub use cdpo_data::Finish;
use cdpo_data::Trajectory;

use crate::error::{Error, Result};
use crate::params::SampleParams;

/// Samples wanted for one question.
///
/// The model reads `prefix_ids` followed by `prompt_ids`. The two are apart only because a prefix that several requests
/// share (compared by its ids) is computed once; where the border lies never changes a sample.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// The question's id: part of the key of every draw, so it must not depend on the order of requests.
    pub problem_id: String,
    /// Few-shot exemplars and, where the model wants one, the start token. May be empty.
    pub prefix_ids: Vec<u32>,
    /// The question in its framing. May be empty if the prefix is not.
    pub prompt_ids: Vec<u32>,
    /// The sample indices wanted. A resumed run asks for the missing ones only and gets the same samples.
    pub samples: Vec<u32>,
}

/// A finished response.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The response's text, without the end token or stop string.
    pub text: String,
    /// The response's token ids, without the end token. `None` from a sampler that sees text only.
    ///
    /// A response that a stop string ended holds the tokens before the one in which the stop string begins; that token
    /// too if it also carries response text. So the ids decode to `text` followed by, at most, the part of the stop
    /// string that shares its first token with response text.
    pub ids: Option<Vec<u32>>,
    /// One log-probability for each id (see [`SampleParams::logps`]), if asked for.
    pub token_logps: Option<Vec<f32>>,
    /// Why the response ended.
    pub finish: Finish,
    /// Whether the ids were made of the text, because a server gave no others: they need not be those that were drawn.
    pub reencoded: bool,
}

impl Completion {
    /// The completion as a record of `request`'s sample number `sample`.
    ///
    /// # Errors
    /// [`Error::NoIds`] where the sampler saw text only: what is trained and scored are the ids that were drawn, and a text encoded
    /// again need not give them.
    pub fn into_trajectory(self, request: &Request, sample: u32) -> Result<Trajectory> {
        let problem_id = request.problem_id.clone();
        let Some(ids) = self.ids else {
            return Err(Error::NoIds { problem_id, sample });
        };
        Ok(Trajectory {
            problem_id,
            sample,
            text: self.text,
            ids,
            finish: self.finish,
            token_logps: self.token_logps,
            reencoded: self.reencoded,
        })
    }
}

/// How far a call has come; handed out after each decoding step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SampleProgress {
    /// Samples finished.
    pub done: usize,
    /// Samples asked for.
    pub total: usize,
    /// Tokens drawn so far, end tokens included.
    pub tokens: u64,
    /// Prompt tokens computed so far, each shared prefix once.
    pub prompt_tokens: u64,
    /// Samples being decoded.
    pub active: usize,
    /// Requests whose budget of new tokens was cut because the model's context ends before `max_new_tokens`.
    pub capped: usize,
    /// Samples set aside so far for want of cache and computed anew later.
    pub preempted: u64,
    /// Seconds since the call began.
    pub seconds: f64,
}

impl SampleProgress {
    /// Tokens drawn per second since the call began, prefill included; 0 at the start.
    pub fn tokens_per_second(&self) -> f64 {
        if self.seconds > 0.0 {
            self.tokens as f64 / self.seconds
        } else {
            0.0
        }
    }
}

/// Takes a finished sample: its request, its sample index, the completion. `Break` ends the call; samples that had finished by then may
/// still be handed over.
pub type Sink<'a> = dyn FnMut(&Request, u32, Completion) -> ControlFlow<()> + 'a;

/// Is told how far the call has come. `Break` ends the call.
pub type Observer<'a> = dyn FnMut(&SampleProgress) -> ControlFlow<()> + 'a;

/// A source of samples.
pub trait Sampler {
    /// Draws every sample of `requests`, handing each to `sink` as it finishes (in no fixed order) and calling `progress`
    /// after each step. Gives `Break` if either callback asked to end: samples under way are then dropped, and asking for
    /// the missing indices later gives what they would have been.
    ///
    /// # Errors
    /// Settings out of range; a prompt that does not fit the context; failures of the model or the server. All requests are
    /// checked before the first token is drawn.
    fn sample(
        &mut self,
        requests: &[Request],
        params: &SampleParams,
        sink: &mut Sink<'_>,
        progress: &mut Observer<'_>,
    ) -> Result<ControlFlow<()>>;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_without_ids_is_no_record() {
        let request = Request {
            problem_id: "train/3".into(),
            ..Request::default()
        };
        let completion = |ids| Completion {
            text: "5".into(),
            ids,
            token_logps: None,
            finish: Finish::Eos,
            reencoded: false,
        };
        let record = completion(Some(vec![7])).into_trajectory(&request, 2);
        assert_eq!(record.unwrap().ids, [7]);
        let error = completion(None).into_trajectory(&request, 2).unwrap_err();
        assert!(
            matches!(&error, Error::NoIds { problem_id, sample: 2 } if problem_id == "train/3"),
            "{error}"
        );
    }
}
