//! The sampler on the real engine, with small random models: the same bits whatever the batch, the branch and the threads.

mod logits;
mod samples;
mod setup;
#[path = "../tokenizer/mod.rs"]
mod tokenizer;
