//! The access log: one line of JSON a request, written off the request path.
//!
//! Each worker appends its lines to a batch of its own; a thread ([`super::log_writer`]) takes the batches, at most
//! 100 ms after their first line or when 64 KiB are gathered, and writes them. Neither ever waits for the other: a batch
//! changes hands by one atomic exchange ([`super::handover`]). Where the target is slower than the traffic, batches grow
//! to a bound and lines beyond it are dropped and counted.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, Thread};
use std::time::Duration;

use weir_config::bootstrap;

use super::clock::Clock;
use super::handover::{Bell, Ring, Slot};
use super::line::Line;
use super::log_writer::{Command, Target, Writer};
use super::query::Secrets;
use super::worker::{worker, workers};

/// Bytes in a batch that are worth a write at once.
const DUE: usize = 64 << 10;

/// Bytes in a batch beyond which lines are dropped. With the batch that is being written, each worker holds at most
/// twice as much, and a line.
pub(super) const FULL: usize = 1 << 20;

/// How long [`AccessLog::flush`] waits for a target that does not take what it is given.
const FLUSH: Duration = Duration::from_secs(2);

/// A handle; clones are of one log. When the last one is dropped, the writing thread writes what is left and ends.
#[derive(Clone, Debug)]
pub struct AccessLog(Option<Arc<Handle>>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    secrets: Secrets,
    commands: Sender<Command>,
    writer: Thread,
}

/// What the workers share with the writing thread.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The batch that a worker fills, by the worker's index. Empty while the worker holds it, and after the writer took
    /// it.
    pub(super) filling: Vec<Slot<Batch>>,
    /// Written batches, for the same worker to use again.
    pub(super) spare: Vec<Slot<Batch>>,
    pub(super) bell: Bell,
    pub(super) dropped: AtomicU64,
}

/// Lines that go to the target together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
    clock: Clock,
}

impl AccessLog {
    /// Opens the target and starts the writing thread. A file's relative path counts from `base`; `secret_query` are
    /// parameters whose values are not logged, beside the built-in ones.
    ///
    /// # Errors
    /// The file cannot be opened, or no thread can be started.
    pub fn start(target: &bootstrap::AccessLog, base: &Path, secret_query: &[String]) -> io::Result<Self> {
        let target = match target {
            bootstrap::AccessLog::Off => return Ok(Self(None)),
            bootstrap::AccessLog::File(path) => Target::file(base.join(path))?,
            // Not `Stdout`: it would look for line ends, and hold a part of a batch back.
            bootstrap::AccessLog::Stdout => Target::open(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
        };
        let slots = || (0..workers()).map(|_| Slot::default()).collect();
        let shared = Arc::new(Shared { filling: slots(), spare: slots(), ..Shared::default() });
        let (commands, received) = mpsc::channel();
        let writer = Writer::new(shared.clone(), target, received);
        let thread = thread::Builder::new().name("weir-access-log".to_owned()).spawn(|| writer.run())?;
        let secrets = Secrets::new(secret_query);
        Ok(Self(Some(Arc::new(Handle { shared, secrets, commands, writer: thread.thread().clone() }))))
    }

    /// A log that writes nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Whether lines are written at all: if not, none need be put together.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Writes a line, or counts it as dropped.
    #[inline]
    pub fn write(&self, line: &Line<'_>) {
        if let Some(handle) = &self.0 {
            handle.write(line);
        }
    }

    /// Lines that were not written.
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |handle| handle.shared.dropped.load(Ordering::Relaxed))
    }

    /// Opens a file target again, by its path: for after it was rotated away. If that fails, the old one stays in use
    /// and the process log says so.
    pub fn reopen(&self) {
        if let Some(handle) = &self.0 {
            handle.command(Command::Reopen);
        }
    }

    /// Waits until all that was written before is in the target, at most 2 s; false if it is not by then. Blocks: for the
    /// end of the process and for tests.
    pub fn flush(&self) -> bool {
        let Some(handle) = &self.0 else { return true };
        let (done, flushed) = mpsc::channel();
        handle.command(Command::Flush(done));
        flushed.recv_timeout(FLUSH).is_ok()
    }
}

impl Handle {
    fn write(&self, line: &Line<'_>) {
        let worker = worker();
        let filling = &self.shared.filling[worker];
        let mut batch = filling.take().or_else(|| self.shared.spare[worker].take()).unwrap_or_default();
        self.shared.count_dropped(batch.add(line, &self.secrets));
        let due = batch.bytes.len() >= DUE;
        // Only at the shared index may somebody else have put a batch here meanwhile.
        while let Err(ours) = filling.put(batch) {
            batch = ours;
            if let Some(theirs) = filling.take() {
                self.shared.count_dropped(batch.append(&theirs));
            }
        }
        self.wake(if due { self.shared.bell.ring_due() } else { self.shared.bell.ring() });
    }

    fn command(&self, command: Command) {
        // The writing thread is there as long as this handle is.
        let _ = self.commands.send(command);
        self.wake(self.shared.bell.ring_command());
    }

    #[inline]
    fn wake(&self, ring: Ring) {
        if ring == Ring::Unpark {
            self.writer.unpark();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.command(Command::Stop);
    }
}

impl Shared {
    #[inline]
    pub(super) fn count_dropped(&self, lines: u64) {
        if lines > 0 {
            self.dropped.fetch_add(lines, Ordering::Relaxed);
        }
    }
}

impl Batch {
    /// Adds a line if there is room; gives the number of lines dropped.
    #[inline]
    fn add(&mut self, line: &Line<'_>, secrets: &Secrets) -> u64 {
        if self.bytes.len() >= FULL {
            return 1;
        }
        line.write(&mut self.bytes, &mut self.clock, secrets);
        self.lines += 1;
        0
    }

    /// Adds the lines of another batch if there is room; gives the number of lines dropped.
    fn append(&mut self, other: &Self) -> u64 {
        if self.bytes.len() + other.bytes.len() > FULL {
            return other.lines;
        }
        self.bytes.extend_from_slice(&other.bytes);
        self.lines += other.lines;
        0
    }

    /// Forgets the lines, keeps the room.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.lines = 0;
    }
}
