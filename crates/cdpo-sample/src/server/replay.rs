//! A response as the servers draw it, ended by our own rule: ids in, a completion out.
//!
//! Servers end a response in ways of their own: one cuts the text and not the ids, another the ids and not the log-probabilities.
//! So their ids are replayed through the matcher that the local engine uses, and what they say of the end is not looked at.

use crate::error::Result;
use crate::sampler::{Completion, Finish};
use crate::stop::{Response, StopRule};

/// What ends a response.
#[derive(Debug)]
pub(super) struct Ends {
    /// Stop strings.
    pub(super) rule: StopRule,
    /// End tokens.
    pub(super) eos: Vec<u32>,
}

/// A response under way.
#[derive(Debug)]
pub(super) struct Replay {
    response: Response,
    /// A log-probability for each of the first so many ids.
    logps: Vec<f32>,
    /// Tokens that it may have.
    budget: usize,
}

impl Replay {
    /// A response of at most `budget` tokens.
    pub(super) fn new(budget: usize) -> Self {
        Self {
            response: Response::default(),
            logps: Vec::new(),
            budget,
        }
    }

    /// Tokens that may yet be drawn.
    pub(super) fn room(&self) -> usize {
        self.budget - self.response.ids().len()
    }

    /// Appends what was drawn; `piece` gives a token's bytes. Why the response ends, if it does; what is drawn after that is dropped.
    pub(super) fn push(
        &mut self,
        ids: &[u32],
        logps: &[f32],
        ends: &Ends,
        piece: &dyn Fn(u32) -> Result<Vec<u8>>,
    ) -> Result<Option<Finish>> {
        // Those of an earlier part may have been missing; then there are none for what follows.
        let whole = self.logps.len() == self.response.ids().len();
        for (i, &id) in ids.iter().enumerate() {
            if ends.eos.contains(&id) {
                return Ok(Some(Finish::Eos));
            }
            if whole && let Some(&logp) = logps.get(i) {
                self.logps.push(logp);
            }
            if self.response.push(id, &piece(id)?, &ends.rule) {
                self.logps.truncate(self.response.ids().len());
                return Ok(Some(Finish::Stop));
            }
            if self.room() == 0 {
                return Ok(Some(Finish::Length));
            }
        }
        Ok(None)
    }

    /// The completion. It has log-probabilities if every token has one.
    pub(super) fn finish(self, finish: Finish, wanted: bool) -> Completion {
        let (text, ids) = self.response.finish();
        let all = self.logps.len() == ids.len();
        Completion {
            token_logps: (wanted && all).then_some(self.logps),
            text,
            ids: Some(ids),
            finish,
            reencoded: false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const WORDS: [&str; 6] = ["<eos>", "a", "b", "\n", "\n\nQ", ":"];

    fn replay(parts: &[&[u32]], budget: usize) -> (Option<Finish>, Completion) {
        let ends = Ends {
            rule: StopRule::new(&["\n\nQ:"]),
            eos: vec![0],
        };
        let mut replay = Replay::new(budget);
        let mut finish = None;
        for ids in parts {
            let logps: Vec<f32> = ids.iter().map(|&id| -(id as f32)).collect();
            let piece = |id: u32| Ok(WORDS[id as usize].as_bytes().to_vec());
            finish = replay.push(ids, &logps, &ends, &piece).unwrap();
        }
        (
            finish,
            replay.finish(finish.unwrap_or(Finish::Length), true),
        )
    }

    #[test]
    fn an_end_token_a_stop_string_and_the_limit_end_a_response_where_the_engine_would() {
        let (finish, eos) = replay(&[&[1, 2, 0]], 8);
        assert_eq!((finish, eos.ids), (Some(Finish::Eos), Some(vec![1, 2])));
        assert_eq!(eos.token_logps, Some(vec![-1.0, -2.0]));
        let (finish, stop) = replay(&[&[1, 4, 5, 2, 2]], 8);
        assert_eq!((finish, stop.ids), (Some(Finish::Stop), Some(vec![1])));
        assert_eq!(
            (stop.text.as_str(), stop.token_logps),
            ("a", Some(vec![-1.0]))
        );
        let (finish, cut) = replay(&[&[1, 2, 1, 0]], 3);
        assert_eq!(
            (finish, cut.ids),
            (Some(Finish::Length), Some(vec![1, 2, 1]))
        );
    }

    #[test]
    fn a_response_goes_on_where_a_server_ended_it_for_a_reason_of_its_own() {
        let (finish, _) = replay(&[&[1, 4]], 8);
        assert_eq!(finish, None);
        // The stop string spans both parts.
        let (finish, whole) = replay(&[&[1, 4], &[5, 2]], 8);
        assert_eq!((finish, whole.ids), (Some(Finish::Stop), Some(vec![1])));
    }

    #[test]
    fn a_completion_has_a_log_probability_for_every_token_or_none() {
        let ends = Ends {
            rule: StopRule::new::<&str>(&[]),
            eos: vec![0],
        };
        let piece = |id: u32| Ok(WORDS[id as usize].as_bytes().to_vec());
        let mut replay = Replay::new(4);
        assert_eq!(replay.push(&[1, 2], &[-1.0], &ends, &piece).unwrap(), None);
        replay.push(&[1, 0], &[-1.0, -1.0], &ends, &piece).unwrap();
        assert_eq!(replay.finish(Finish::Eos, true).token_logps, None);
    }
}
