//! cdpo-train
