//! A child process with its output in files, which ends with the test that started it.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::wait::until;

/// Lines of a child's output that a failing test shows.
const SHOWN: usize = 60;

/// A running child, leader of its own process group. Dropping it kills the group.
pub struct Process {
    name: String,
    child: Child,
    ended: Option<ExitStatus>,
    out: PathBuf,
    err: PathBuf,
}

impl Process {
    /// Starts a command. Its standard output and error go to `NAME.out` and `NAME.err` in `folder`.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> anyhow::Result<Self> {
        let (out, err) = (folder.join(format!("{name}.out")), folder.join(format!("{name}.err")));
        command.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(File::create(&err)?).process_group(0);
        // SAFETY: prctl is async-signal-safe and the closure allocates nothing.
        unsafe {
            command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?));
        }
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        Ok(Self { name: name.into(), child, ended: None, out, err })
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.out).unwrap_or_default()).into_owned()
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.err).unwrap_or_default()).into_owned()
    }

    /// Both outputs, for claims that do not care which.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout(), self.stderr())
    }

    /// Signals the process itself.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill(self.pid(), signal).with_context(|| format!("signal {}", self.name))
    }

    /// Signals its whole group, as a terminal does on Ctrl-C.
    pub fn signal_group(&self, signal: Signal) -> anyhow::Result<()> {
        killpg(self.pid(), signal).with_context(|| format!("signal the group of {}", self.name))
    }

    /// Its status if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits for its end; an exit by signal counts as 128 + its number, as in a shell.
    pub async fn exit_code(&mut self) -> anyhow::Result<i32> {
        let what = format!("the end of {}", self.name);
        let status = until(&what, || self.ended()).await?;
        Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
    }

    /// Resident memory now, in bytes.
    pub fn resident(&self) -> anyhow::Result<u64> {
        self.status_kib("VmRSS:")
    }

    /// The highest resident memory so far, in bytes.
    pub fn resident_peak(&self) -> anyhow::Result<u64> {
        self.status_kib("VmHWM:")
    }

    fn status_kib(&self, key: &str) -> anyhow::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)).with_context(|| format!("no {key}"))?;
        Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
    }

    /// Fails, with its output, if the process is no longer there.
    pub fn must_live(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.ended() {
            bail!("{} ended ({status}):\n{}", self.name, tail(&self.output()));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = killpg(self.pid(), Signal::SIGKILL);
            let _ = self.child.wait();
        }
        // Captured by the test runner, which shows it for failing tests only.
        eprintln!("--- the last output of {}\n{}", self.name, tail(&self.output()));
    }
}

/// Runs a command to its end, within `time`, and gives back what it wrote.
pub async fn run(command: &mut Command, time: Duration) -> anyhow::Result<Output> {
    let mut command = tokio::process::Command::from(std::mem::replace(command, Command::new("true")));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let shown = format!("{:?}", command.as_std());
    let child = command.spawn().with_context(|| shown.clone())?;
    let done = tokio::time::timeout(time, child.wait_with_output());
    let done = done.await.with_context(|| format!("{shown} did not end in {time:?}"))?.context(shown)?;
    Ok(Output {
        code: done.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&done.stdout).into_owned(),
        err: String::from_utf8_lossy(&done.stderr).into_owned(),
    })
}

/// What a finished command left.
#[derive(Clone, Debug)]
pub struct Output {
    /// -1 where a signal ended it.
    pub code: i32,
    pub out: String,
    pub err: String,
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}
