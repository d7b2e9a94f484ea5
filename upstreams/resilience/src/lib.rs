//! What to do about endpoints that fail or are slow, as plain state machines: each takes `now` and chance, and returns
//! a value. No clock, no dice, no lock, no socket; the shell around them is `weir-upstreams`.

pub mod budget;
pub mod choice;
