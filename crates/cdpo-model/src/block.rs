//! One transformer block: its weights, forward and reverse.
