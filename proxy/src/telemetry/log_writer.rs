//! The thread that writes the access log: takes the batches of all workers and gives them to the target.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::access_log::{Batch, FULL, Shared};

/// Longest time that a line waits for others.
const GATHER: Duration = Duration::from_millis(100);

/// Before a target that takes nothing now (a pipe that somebody made non-blocking) is asked again.
const AGAIN: Duration = Duration::from_millis(10);

pub(super) enum Command {
    /// Open the target again by its path.
    Reopen,
    /// Write all there is, then answer.
    Flush(Sender<()>),
    /// Write all there is, then end.
    Stop,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    target: Target,
    commands: Receiver<Command>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, target: Target, commands: Receiver<Command>) -> Self {
        Self { shared, target, commands }
    }

    pub(super) fn run(mut self) {
        loop {
            self.shared.bell.awake();
            let mut stop = false;
            let mut flushed = Vec::new();
            // Commands first: what was written before a flush is then in the batches.
            for command in self.commands.try_iter() {
                match command {
                    Command::Reopen => self.target.reopen(),
                    Command::Flush(done) => flushed.push(done),
                    Command::Stop => stop = true,
                }
            }
            self.write_batches();
            for done in flushed {
                // Who asked may have stopped to wait.
                let _ = done.send(());
            }
            if stop {
                return;
            }
            self.rest();
        }
    }

    /// Sleeps until there is a line, then until the lines are worth a write.
    fn rest(&self) {
        let bell = &self.shared.bell;
        if bell.settle(&self.shared.filling) {
            while bell.may_park() {
                thread::park();
            }
        }
        let until = Instant::now() + GATHER;
        while !bell.is_due() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
    }

    fn write_batches(&mut self) {
        for (filling, spare) in self.shared.filling.iter().zip(&self.shared.spare) {
            if let Some(mut batch) = filling.take() {
                self.shared.count_dropped(self.target.write(&batch));
                batch.clear();
                if batch.bytes.capacity() <= 2 * FULL {
                    // Where one is there already, this one is too many.
                    let _ = spare.put(batch);
                }
            }
        }
    }
}

/// Where lines go.
pub(super) struct Target {
    file: File,
    /// Of a file that can be opened again.
    path: Option<PathBuf>,
    /// The last byte written was not a line's end.
    torn: bool,
    /// The last write failed, and the process log says so.
    failing: bool,
}

impl Target {
    pub(super) fn open(file: File) -> Self {
        Self { file, path: None, torn: false, failing: false }
    }

    pub(super) fn file(path: PathBuf) -> io::Result<Self> {
        let file = append(&path)?;
        Ok(Self { path: Some(path), ..Self::open(file) })
    }

    fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match append(path) {
            Ok(file) => {
                self.file = file;
                self.torn = false;
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "access log not reopened, the old file stays in use");
            }
        }
    }

    /// Writes a batch; gives the number of lines that were not written whole.
    fn write(&mut self, batch: &Batch) -> u64 {
        let (written, result) = self.put(&batch.bytes);
        match result {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("access log is written again");
                }
                0
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "access log not written, its lines are dropped");
                }
                let whole = memchr::memchr_iter(b'\n', &batch.bytes[..written]).count();
                batch.lines - whole as u64
            }
        }
    }

    /// Writes lines, all or until an error; gives how many bytes of them were written.
    fn put(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        // The rest of a line that an error cut must not become the start of the next one.
        if self.torn {
            match self.put_some(b"\n") {
                Ok(_) => self.torn = false,
                Err(error) => return (0, Err(error)),
            }
        }
        let mut written = 0;
        while written < lines.len() {
            match self.put_some(&lines[written..]) {
                Ok(some) => written += some,
                Err(error) => {
                    self.torn = lines[..written].last().is_some_and(|&byte| byte != b'\n');
                    return (written, Err(error));
                }
            }
        }
        (written, Ok(()))
    }

    /// Writes at least one byte, however long it takes.
    fn put_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::park_timeout(AGAIN),
                result => return result,
            }
        }
    }
}

/// Opens a log file: made if it is not there, readable for its owner and group.
fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}
