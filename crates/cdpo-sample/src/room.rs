//! The check of a request that every sampler makes before the first token is drawn.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::sampler::Request;

/// Checks a request's ids and sample numbers, and returns how many new tokens a response may have: `max_new_tokens`, or what a context
/// of `max_positions` leaves.
pub(crate) fn room(
    request: &Request,
    vocabulary: usize,
    max_positions: usize,
    max_new_tokens: usize,
) -> Result<usize> {
    let fault = |reason: String| Error::Request {
        problem_id: request.problem_id.clone(),
        reason,
    };
    let length = request.prefix_ids.len() + request.prompt_ids.len();
    if length == 0 {
        return Err(fault(
            "the prompt has no tokens; give at least a start token".into(),
        ));
    }
    if length >= max_positions {
        return Err(fault(format!(
            "the prompt has {length} tokens ({} of few-shot prefix), which leaves no room for a response in the model's context \
             of {max_positions}; use fewer exemplars or leave the question out",
            request.prefix_ids.len(),
        )));
    }
    for ids in [&request.prefix_ids, &request.prompt_ids] {
        check_ids(vocabulary, &request.problem_id, ids)?;
    }
    let mut seen = HashSet::new();
    if let Some(twice) = request.samples.iter().find(|&&sample| !seen.insert(sample)) {
        return Err(fault(format!("sample index {twice} is asked for twice")));
    }
    Ok(max_new_tokens.min(max_positions - length))
}

/// Checks that every id is in the vocabulary.
pub(crate) fn check_ids(vocabulary: usize, name: &str, ids: &[u32]) -> Result<()> {
    match ids.iter().find(|&&id| id as usize >= vocabulary) {
        Some(id) => Err(Error::Request {
            problem_id: name.to_owned(),
            reason: format!(
                "token id {id} is outside the model's vocabulary of {vocabulary}; was it made with another tokenizer?"
            ),
        }),
        None => Ok(()),
    }
}
