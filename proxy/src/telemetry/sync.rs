//! What the hand-made lock-free parts ([`super::slots`], [`super::handover`]) are built from. They name it through
//! `super::sync`, so that their loom tests can give them loom's instead.

pub use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering};
