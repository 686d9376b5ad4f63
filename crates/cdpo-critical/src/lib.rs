//! cdpo-critical
