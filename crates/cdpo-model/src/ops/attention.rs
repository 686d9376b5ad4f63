//! Forest attention.
