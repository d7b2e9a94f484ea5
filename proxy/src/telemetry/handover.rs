//! How batches go from the threads that fill them to the one that writes them, without a lock and without waiting:
//! a [`Slot`] for each filling thread, and one [`Bell`] for the writing thread.
//!
//! `tests/loom.rs` tries all interleavings.

use std::ptr;

use super::sync::{AtomicPtr, AtomicU8, Ordering};

/// A place for one value, which whoever takes it has alone.
#[derive(Debug)]
pub struct Slot<T>(AtomicPtr<T>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }
}

impl<T> Slot<T> {
    /// The value, if it is there. Leaves the slot empty.
    #[inline]
    pub fn take(&self) -> Option<Box<T>> {
        let value = self.0.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: only `put` stores a pointer that is not null, one from `Box::into_raw`; the swap makes us the only one
        // to have it.
        (!value.is_null()).then(|| unsafe { Box::from_raw(value) })
    }

    /// Puts a value in; gives it back if the slot is not empty.
    #[inline]
    pub fn put(&self, value: Box<T>) -> Result<(), Box<T>> {
        let value = Box::into_raw(value);
        match self.0.compare_exchange(ptr::null_mut(), value, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            // SAFETY: ours from above, and not stored.
            Err(_) => Err(unsafe { Box::from_raw(value) }),
        }
    }

    /// Whether nothing is there. A write, so that whoever puts something in later sees what this thread did before.
    fn is_empty(&self) -> bool {
        let empty = ptr::null_mut();
        self.0.compare_exchange(empty, empty, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

// SAFETY: a slot hands values from thread to thread (so `T: Send`) and never lends one.
unsafe impl<T: Send> Sync for Slot<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Slot<T> {}

/// The writing thread is parked, or is about to be.
const ASLEEP: u8 = 0;
/// It is awake, and will look at the slots before it sleeps.
const AWAKE: u8 = 1;
/// As awake, and it should look at once.
const DUE: u8 = 2;

/// Wakes the writing thread. It sleeps while there is nothing to do; a first value wakes it, and it then gathers for a
/// while, until the time is over or something is due.
///
/// No wake-up is lost. The writing thread says that it sleeps, then looks into each slot by an atomic write; who fills
/// puts its value by an atomic write to the same slot, then reads the state. The later of the two writes sees what came
/// before the earlier: the writing thread finds the value, or who filled finds it asleep.
#[derive(Debug)]
pub struct Bell(AtomicU8);

impl Default for Bell {
    fn default() -> Self {
        Self(AtomicU8::new(AWAKE))
    }
}

/// What is to be done about the writing thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ring {
    /// Nothing: it will look.
    No,
    /// Unpark it.
    Unpark,
}

impl Bell {
    /// Something was put into a slot.
    #[inline]
    pub fn ring(&self) -> Ring {
        if self.0.load(Ordering::Acquire) == ASLEEP
            && self.0.compare_exchange(ASLEEP, AWAKE, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            return Ring::Unpark;
        }
        Ring::No
    }

    /// Something was put into a slot that should be looked at without delay.
    pub fn ring_due(&self) -> Ring {
        // Loaded first: a batch that is due stays so for many lines.
        if self.0.load(Ordering::Acquire) == DUE { Ring::No } else { self.ring_command() }
    }

    /// Something that is not in a slot waits for the writing thread.
    pub fn ring_command(&self) -> Ring {
        match self.0.swap(DUE, Ordering::AcqRel) {
            DUE => Ring::No,
            _ => Ring::Unpark,
        }
    }

    /// For the writing thread: whether it should stop gathering.
    pub fn is_due(&self) -> bool {
        self.0.load(Ordering::Acquire) == DUE
    }

    /// For the writing thread: whether it may be parked.
    pub fn may_park(&self) -> bool {
        self.0.load(Ordering::Acquire) == ASLEEP
    }

    /// For the writing thread, before it looks for commands and at the slots: it sees all that was put there before the
    /// last ring.
    pub fn awake(&self) {
        // Not a store: only what reads a ring is ordered after it.
        self.0.swap(AWAKE, Ordering::AcqRel);
    }

    /// For the writing thread, after it looked: whether there is nothing more, so that it may park until
    /// [`Self::may_park`] says no.
    pub fn settle<T>(&self, slots: &[Slot<T>]) -> bool {
        if self.0.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        let settled = slots.iter().all(Slot::is_empty);
        if !settled {
            // Unless somebody did so already.
            let _ = self.0.compare_exchange(ASLEEP, AWAKE, Ordering::AcqRel, Ordering::Relaxed);
        }
        settled
    }
}
