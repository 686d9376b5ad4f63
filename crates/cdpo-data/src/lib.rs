//! cdpo-data
