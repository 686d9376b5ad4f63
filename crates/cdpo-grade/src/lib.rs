//! cdpo-grade
