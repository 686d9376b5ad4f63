//! The check of all requests before the first token is drawn.

use crate::decoder::{Decoder, branch_pages};
use crate::error::{Error, Result};
use crate::room::room;
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
    let budget = room(
        request,
        decoder.vocabulary(),
        decoder.max_positions(),
        max_new_tokens,
    )?;
    let (prefix, prompt) = split(request);
    let length = prefix.len() + prompt.len();
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
