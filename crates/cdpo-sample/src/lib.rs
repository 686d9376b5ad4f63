//! cdpo-sample
