//! cdpo-report
