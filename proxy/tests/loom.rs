//! The hand-made lock-free parts of the telemetry, in every order that the memory model allows; where three threads make
//! that too many, in those with at most [`PREEMPTIONS`] switches away from a thread that could go on (few bugs need more,
//! says loom's documentation).

const PREEMPTIONS: usize = 2;

/// Loom's instead of the standard library's, for the modules below.
mod sync {
    pub use loom::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering};
}

#[path = "../src/telemetry/handover.rs"]
mod handover;
#[path = "../src/telemetry/slots.rs"]
mod slots;

use handover::{Bell, Ring, Slot};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use slots::Slots;

#[test]
fn each_number_below_the_bound_is_claimed_once() {
    for bound in [0, 1, 63, 64, 65, 128, 130] {
        loom::model(move || {
            let slots = Slots::new(bound);
            let claimed: Vec<usize> = std::iter::from_fn(|| slots.claim()).collect();
            assert_eq!(claimed, (0..bound).collect::<Vec<_>>());
        });
    }
}

#[test]
fn the_lowest_free_number_is_claimed() {
    loom::model(|| {
        let slots = Slots::new(70);
        while slots.claim().is_some() {}
        slots.release(66);
        slots.release(3);
        assert_eq!([slots.claim(), slots.claim(), slots.claim()], [Some(3), Some(66), None]);
    });
}

/// A plain counter that whoever holds its number may write. Loom fails the test on a data race.
struct Counter(UnsafeCell<u32>);

// SAFETY: this is what the test is about: only the holder of the counter's number touches it.
unsafe impl Sync for Counter {}

#[test]
fn a_claimed_number_has_one_holder_who_sees_the_work_of_the_last() {
    loom::model(|| {
        let shared = Arc::new((Slots::new(1), Counter(UnsafeCell::new(0))));
        let work = |(slots, counter): &(Slots, Counter)| {
            let Some(slot) = slots.claim() else { return 0 };
            // SAFETY: we hold the number.
            counter.0.with_mut(|count| unsafe { *count += 1 });
            slots.release(slot);
            1
        };
        let other = thread::spawn({
            let shared = shared.clone();
            move || work(&shared)
        });
        let done = work(&shared) + other.join().unwrap();
        assert_eq!(shared.0.claim(), Some(0));
        // SAFETY: we hold the number.
        assert_eq!(shared.1.0.with(|count| unsafe { *count }), done);
    });
}

#[test]
fn a_slot_has_one_value_at_most() {
    loom::model(|| {
        let slot = Slot::default();
        assert!(slot.put(Box::new(1)).is_ok());
        assert_eq!(slot.put(Box::new(2)), Err(Box::new(2)));
        assert_eq!(slot.take(), Some(Box::new(1)));
        assert_eq!(slot.take(), None);
    });
}

#[test]
fn only_the_first_ring_wakes() {
    loom::model(|| {
        let bell = Bell::default();
        assert_eq!(bell.ring(), Ring::No, "awake at first");
        assert!(bell.settle::<u8>(&[Slot::default()]));
        assert_eq!([bell.ring(), bell.ring()], [Ring::Unpark, Ring::No]);
        assert_eq!([bell.ring_due(), bell.ring_due(), bell.ring_command()], [Ring::Unpark, Ring::No, Ring::No]);
    });
}

#[test]
fn who_has_something_to_do_does_not_sleep() {
    loom::model(|| {
        let (bell, slots) = (Bell::default(), [Slot::default()]);
        slots[0].put(Box::new(0)).unwrap();
        assert!(!bell.settle(&slots) && !bell.may_park());
        slots[0].take();
        assert_eq!(bell.ring_command(), Ring::Unpark);
        assert!(!bell.settle(&slots) && bell.is_due(), "a command is waiting");
        bell.awake();
        assert!(bell.settle(&slots) && bell.may_park());
    });
}

/// Adds `lines` to the slot, as a worker does with its batch.
fn fill(slot: &Slot<u32>, lines: u32) {
    let mut batch = slot.take().unwrap_or_default();
    *batch += lines;
    while let Err(ours) = slot.put(batch) {
        batch = ours;
        if let Some(theirs) = slot.take() {
            *batch += *theirs;
        }
    }
}

/// Takes from the slots until all lines came. Ends only if every wake-up arrives: loom calls a deadlock when all
/// threads are parked.
fn write(bell: &Bell, slots: &[Slot<u32>], lines: u32) {
    let mut written = 0;
    loop {
        bell.awake();
        written += slots.iter().filter_map(Slot::take).map(|batch| *batch).sum::<u32>();
        if written == lines {
            return;
        }
        if bell.settle(slots) {
            while bell.may_park() {
                thread::park();
            }
        }
    }
}

fn bounded_model(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.check(check);
}

/// One thread that fills while another one writes.
fn a_line_arrives(ring: fn(&Bell) -> Ring) {
    loom::model(move || {
        let shared = Arc::new((Bell::default(), [Slot::default()]));
        let writer = thread::spawn({
            let shared = shared.clone();
            move || write(&shared.0, &shared.1, 1)
        });
        fill(&shared.1[0], 1);
        if ring(&shared.0) == Ring::Unpark {
            writer.thread().unpark();
        }
        writer.join().unwrap();
    });
}

/// Two threads that fill, each the slot of its index, while one writes.
fn all_lines_arrive(slots: [usize; 2], ring: fn(&Bell) -> Ring) {
    bounded_model(move || {
        let shared = Arc::new((Bell::default(), [Slot::default(), Slot::default()]));
        let writer = thread::spawn({
            let shared = shared.clone();
            move || write(&shared.0, &shared.1, 2)
        });
        let fill = move |shared: &(Bell, [Slot<u32>; 2]), slot: usize, writer: &thread::Thread| {
            fill(&shared.1[slot], 1);
            if ring(&shared.0) == Ring::Unpark {
                writer.unpark();
            }
        };
        let other = thread::spawn({
            let (shared, writer) = (shared.clone(), writer.thread().clone());
            move || fill(&shared, slots[1], &writer)
        });
        fill(&shared, slots[0], writer.thread());
        other.join().unwrap();
        writer.join().unwrap();
    });
}

#[test]
fn no_wake_up_is_lost() {
    a_line_arrives(Bell::ring);
    a_line_arrives(Bell::ring_due);
}

#[test]
fn no_wake_up_is_lost_between_two_workers() {
    all_lines_arrive([0, 1], Bell::ring);
}

#[test]
fn no_wake_up_is_lost_when_batches_are_due() {
    all_lines_arrive([0, 1], Bell::ring_due);
}

#[test]
fn no_line_is_lost_where_two_threads_share_a_slot() {
    all_lines_arrive([0, 0], Bell::ring);
}

#[test]
fn no_command_is_lost() {
    bounded_model(|| {
        let shared = Arc::new((Bell::default(), loom::sync::atomic::AtomicU8::new(0)));
        let writer = thread::spawn({
            let shared = shared.clone();
            move || loop {
                let (bell, commands) = &*shared;
                bell.awake();
                if commands.load(loom::sync::atomic::Ordering::Relaxed) == 2 {
                    return;
                }
                if bell.settle::<u32>(&[]) {
                    while bell.may_park() {
                        thread::park();
                    }
                }
            }
        });
        let command = |(bell, commands): &(Bell, loom::sync::atomic::AtomicU8), writer: &thread::Thread| {
            commands.fetch_add(1, loom::sync::atomic::Ordering::Relaxed);
            if bell.ring_command() == Ring::Unpark {
                writer.unpark();
            }
        };
        let other = thread::spawn({
            let (shared, writer) = (shared.clone(), writer.thread().clone());
            move || command(&shared, &writer)
        });
        command(&shared, writer.thread());
        other.join().unwrap();
        writer.join().unwrap();
    });
}
