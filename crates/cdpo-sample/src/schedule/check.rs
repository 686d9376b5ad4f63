//! The check of all requests before the first token is drawn.

use std::collections::HashSet;

use crate::decoder::{Decoder, branch_pages, check_ids};
use crate::error::{Error, Result};
use crate::sampler::Request;

/// Splits a request's ids into the part that is shared and the part that is its own; the latter is never empty.
pub(super) fn split(request: &Request) -> (&[u32], &[u32]) {
    let prefix = request.prefix_ids.as_slice();
    if request.prompt_ids.is_empty() {
        prefix.split_at(prefix.len().saturating_sub(1))
    } else {
        (prefix, &request.prompt_ids)
    }
}

/// Checks one request and returns how many new tokens a response may have: `max_new_tokens`, or what the context leaves.
pub(super) fn budget<D: Decoder>(
    decoder: &D,
    request: &Request,
    max_new_tokens: usize,
) -> Result<usize> {
    let fault = |reason: String| Error::Request {
        problem_id: request.problem_id.clone(),
        reason,
    };
    let (prefix, prompt) = split(request);
    let length = prefix.len() + prompt.len();
    if length == 0 {
        return Err(fault(
            "the prompt has no tokens; give at least a start token".into(),
        ));
    }
    if length >= decoder.max_positions() {
        return Err(fault(format!(
            "the prompt has {length} tokens ({} of few-shot prefix), which leaves no room for a response in the model's context \
             of {}; use fewer exemplars or leave the question out",
            request.prefix_ids.len(),
            decoder.max_positions()
        )));
    }
    for ids in [prefix, prompt] {
        check_ids(decoder, &request.problem_id, ids)?;
    }
    let mut seen = HashSet::new();
    if let Some(twice) = request.samples.iter().find(|&&sample| !seen.insert(sample)) {
        return Err(fault(format!("sample index {twice} is asked for twice")));
    }
    let budget = max_new_tokens.min(decoder.max_positions() - length);
    let page = decoder.page();
    let pages = prefix.len().div_ceil(page)
        + branch_pages(page, prefix.len(), prompt.len())
        + branch_pages(page, length, budget);
    if pages > decoder.total_pages() {
        return Err(Error::CacheTooSmall {
            problem_id: request.problem_id.clone(),
            needed: pages * page,
            prompt: length,
            new: budget,
            capacity: decoder.total_pages() * page,
        });
    }
    Ok(budget)
}
