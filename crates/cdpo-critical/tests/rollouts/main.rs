//! Rollouts drawn with a model: what sharing and searching leave out changes nothing, and what is drawn has the right distribution.

mod enumerated;
mod exact;
mod setup;
