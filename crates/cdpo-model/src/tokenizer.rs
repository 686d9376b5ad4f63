//! Text to token ids and back.
/// A tokenizer.
#[derive(Debug, Clone)]
pub struct Tokenizer;
