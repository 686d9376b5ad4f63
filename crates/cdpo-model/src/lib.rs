//! cdpo-model
