//! What critical tokens are: pure functions over tokens and positions, without tensors.
//!
//! [`words()`] cuts a response into words with a type each and counts every token with its word (Table 2 of Lin et al. 2025,
//! arXiv 2411.19943). `steps` places a token against the first wrong step of a labelled solution (Table 1), and [`departure()`] labels responses by rule where solutions are canonical. `signals` lists what
//! tokens may be ranked by, to judge contrastive estimation by the rollouts' definition.

mod census;
mod departure;
mod function_words;
mod signals;
mod steps;
mod token_words;
mod words;

pub use census::WordTypeCensus;
pub use departure::{Departure, ErrorKind, departure};
pub use signals::{Signal, TokenNumbers};
pub use steps::{Place, place, step_tokens};
pub use token_words::{TokenWords, token_words};
pub use words::{Word, WordType, words};
