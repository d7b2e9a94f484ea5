//! Micro benches, load against peers, dated results.
