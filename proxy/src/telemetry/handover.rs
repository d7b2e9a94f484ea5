//! How batches go from the threads that fill them to the one that writes them, without a lock and without waiting:
//! a [`Slot`] for each filling thread, and one [`Bell`] for the writing thread.

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
        let value = self.0.swap(ptr::null_mut(), Ordering::SeqCst);
        // SAFETY: only `put` stores a pointer that is not null, one from `Box::into_raw`; the swap makes us the only one
        // to have it.
        (!value.is_null()).then(|| unsafe { Box::from_raw(value) })
    }

    /// Puts a value in; gives it back if the slot is not empty.
    #[inline]
    pub fn put(&self, value: Box<T>) -> Result<(), Box<T>> {
        let value = Box::into_raw(value);
        match self.0.compare_exchange(ptr::null_mut(), value, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => Ok(()),
            // SAFETY: ours from above, and not stored.
            Err(_) => Err(unsafe { Box::from_raw(value) }),
        }
    }

    fn is_empty(&self) -> bool {
        self.0.load(Ordering::SeqCst).is_null()
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
/// No wake-up is lost: who fills puts its value and then reads the state, the writing thread sets the state and then
/// looks at the slots, all in one order that every thread agrees on (`SeqCst`), so at least one sees the other.
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
        if self.0.load(Ordering::SeqCst) == ASLEEP
            && self.0.compare_exchange(ASLEEP, AWAKE, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        {
            return Ring::Unpark;
        }
        Ring::No
    }

    /// Something was put somewhere that should be looked at without delay.
    pub fn ring_now(&self) -> Ring {
        // Loaded first: a batch that is due stays so for many lines.
        if self.0.load(Ordering::SeqCst) == DUE || self.0.swap(DUE, Ordering::SeqCst) == DUE {
            return Ring::No;
        }
        Ring::Unpark
    }

    /// For the writing thread: whether it should stop gathering.
    pub fn is_due(&self) -> bool {
        self.0.load(Ordering::SeqCst) == DUE
    }

    /// For the writing thread: whether it may be parked.
    pub fn may_park(&self) -> bool {
        self.0.load(Ordering::SeqCst) == ASLEEP
    }

    /// For the writing thread, before it looks for commands and at the slots: it sees all that was put there before the
    /// last ring.
    pub fn awake(&self) {
        // Not a store: only what reads a ring is ordered after it.
        self.0.swap(AWAKE, Ordering::SeqCst);
    }

    /// For the writing thread, after it looked: whether there is nothing more, so that it may park until
    /// [`Self::may_park`] says no.
    pub fn settle<T>(&self, slots: &[Slot<T>]) -> bool {
        if self.0.compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return false;
        }
        let settled = slots.iter().all(Slot::is_empty);
        if !settled {
            // Unless somebody did so already.
            let _ = self.0.compare_exchange(ASLEEP, AWAKE, Ordering::SeqCst, Ordering::SeqCst);
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_one_value_at_most() {
        let slot = Slot::default();
        assert!(slot.put(Box::new(1)).is_ok());
        assert_eq!(slot.put(Box::new(2)), Err(Box::new(2)));
        assert_eq!(slot.take(), Some(Box::new(1)));
        assert_eq!(slot.take(), None);
    }

    #[test]
    fn only_the_first_ring_wakes() {
        let bell = Bell::default();
        assert_eq!(bell.ring(), Ring::No, "awake at first");
        assert!(bell.settle::<u8>(&[Slot::default()]));
        assert_eq!([bell.ring(), bell.ring()], [Ring::Unpark, Ring::No]);
        assert_eq!([bell.ring_now(), bell.ring_now()], [Ring::Unpark, Ring::No]);
    }

    #[test]
    fn who_has_something_to_do_does_not_sleep() {
        let (bell, slot) = (Bell::default(), Slot::default());
        slot.put(Box::new(0)).unwrap();
        assert!(!bell.settle(std::slice::from_ref(&slot)) && !bell.may_park());
        slot.take();
        let _ = bell.ring_now();
        assert!(!bell.settle(std::slice::from_ref(&slot)) && bell.is_due(), "a command is waiting");
        bell.awake();
        assert!(bell.settle(&[slot]) && bell.may_park());
    }
}
