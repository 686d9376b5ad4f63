//! The crate's error type: every message names the request or setting concerned, what was expected and what to do.

/// Result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between a request and its samples.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model or the tokenizer failed.
    #[error(transparent)]
    Model(#[from] cdpo_model::Error),
    /// The tensor library failed while logits were read.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// The model's weights are not packed, so what is sampled could depend on the batch.
    #[error(
        "the model's weights are not packed: call `Model::pack` (again after a merge or a training step) before sampling"
    )]
    NotPacked,
    /// One or more sampling settings are out of range; all faults are listed.
    #[error("sampling settings: {}", .0.join("; "))]
    Params(Vec<String>),
    /// A request cannot be carried out.
    #[error("question `{problem_id}`: {reason}")]
    Request {
        /// The question's id.
        problem_id: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A question does not fit the key/value cache even when it has the cache to itself.
    #[error(
        "question `{problem_id}` needs {needed} cache tokens ({prompt} of prompt and up to {new} new), the cache holds \
         {capacity}: raise the cache limit or lower max_new_tokens"
    )]
    CacheTooSmall {
        /// The question's id.
        problem_id: String,
        /// Cache tokens one sample needs, whole pages.
        needed: usize,
        /// Prompt tokens, few-shot prefix included.
        prompt: usize,
        /// New tokens at most.
        new: usize,
        /// Tokens the cache holds.
        capacity: usize,
    },
    /// The model gave a logit that is NaN or infinite.
    #[error(
        "question `{problem_id}`, sample {sample}, response position {position}: the model's logits are not finite; check the \
         weights and the adapter"
    )]
    NotFinite {
        /// The question's id.
        problem_id: String,
        /// The sample's index.
        sample: u32,
        /// The position in the response, from 0.
        position: usize,
    },
    /// One or more settings of servers are wrong; all faults are listed.
    #[error("{}", .0.join("; "))]
    ServerSettings(Vec<String>),
    /// The threads that ask servers could not be started.
    #[error("the threads that ask the servers failed: {0}; a lower in_flight needs fewer")]
    Threads(std::io::Error),
    /// A server will not do what is asked, and asking again is no use.
    #[error("the server {url} refuses {what}: {reason}")]
    ServerRefused {
        /// Its address.
        url: String,
        /// What it was asked for.
        what: String,
        /// What it says, and what to do.
        reason: String,
    },
    /// A sample was tried again as often as allowed.
    #[error(
        "{what}: {tries} tries gave no usable answer, the last one at {url}: {reason}; what is written is kept, and the same command goes \
         on from there"
    )]
    ServerFailed {
        /// The last server's address.
        url: String,
        /// The sample.
        what: String,
        /// How often it was asked for.
        tries: u32,
        /// What the last answer was like.
        reason: String,
    },
    /// No server has answered for as long as allowed.
    #[error(
        "no server could be used for {seconds} seconds ({servers}); what is written is kept, and the same command goes on from there once \
         one is back"
    )]
    ServersGone {
        /// The time allowed.
        seconds: f64,
        /// Each server's address with its last failure.
        servers: String,
    },
    /// A sampler that sees text only gave a response where its token ids are needed.
    #[error(
        "question `{problem_id}`, sample {sample}: the sampler gave text without token ids, and training needs the ids that were drawn; \
         use a sampler that returns them"
    )]
    NoIds {
        /// The question's id.
        problem_id: String,
        /// The sample's index.
        sample: u32,
    },
}
