//! The processes that `weir dev` starts, and their end. None outlives it, whichever way it ends itself: asked to, it
//! interrupts them and kills what is left; killed, the kernel kills them with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::task::Poll;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, getppid};
use tokio::process::{Child as Process, Command};
use tokio::time::{Instant, timeout};

use super::folder::Folder;
use crate::failure::{Failure, OrFail, Result};

/// From the start of a child until it serves.
const READY: Duration = Duration::from_secs(30);
/// Between two looks for a `ready.json`.
const LOOK: Duration = Duration::from_millis(20);
/// From the interrupt until what still lives is killed. An interrupted child needs at most 2 s.
const LEAVE: Duration = Duration::from_millis(2500);
/// How much of a dead child's log is shown.
const TAIL_LINES: usize = 15;
/// How much of a log is looked at.
const TAIL_BYTES: u64 = 64 * 1024;

/// What to start.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Also the name of its log.
    pub name: String,
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// Where it writes its `ready.json`, under the state folder.
    pub state: String,
}

#[derive(Debug)]
struct Child {
    name: String,
    process: Process,
    log: PathBuf,
    ready: PathBuf,
}

/// All children that run. They must be started by the process's first thread: the kernel's tie between a child's life
/// and ours is to the thread that started it.
#[derive(Debug, Default)]
pub struct Children(Vec<Child>);

impl Children {
    /// Starts a child with its output in `logs/NAME.log`. A `ready.json` of an earlier run is removed first.
    pub fn start(&mut self, folder: &Folder, plan: &Plan) -> Result<()> {
        let look = "see that the state folder can be written to, and that `cargo build --release` went through";
        let failed = format!("{} could not be started", plan.program.display());
        let ready = folder.file(&plan.state).join("ready.json");
        match std::fs::remove_file(&ready) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).or_fail(failed, look),
            _ => {}
        }
        let log = folder.log(&plan.name);
        let output = File::create(&log).or_fail(&failed, look)?;
        let errors = output.try_clone().or_fail(&failed, look)?;

        let mut command = Command::new(&plan.program);
        command.args(&plan.arguments).stdin(Stdio::null()).stdout(output).stderr(errors).kill_on_drop(true);
        // Ctrl-C in a terminal interrupts its foreground group: only us, who then interrupt each child once.
        command.process_group(0);
        // All traffic here is on loopback, where a web proxy of the environment could only break it.
        for name in ["http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        die_with_us(&mut command);
        let process = command.spawn().or_fail(&failed, look)?;
        self.0.push(Child { name: plan.name.clone(), process, log, ready });
        Ok(())
    }

    /// Waits until all children serve, and tells of it as it happens. Fails when one ends or takes too long.
    pub async fn ready(&mut self, mut tell: impl FnMut(Progress<'_>) -> io::Result<()>) -> Result<Ready> {
        let deadline = Instant::now() + READY;
        let mut ready = Ready::new();
        loop {
            for child in &self.0 {
                if !ready.contains_key(&child.name)
                    && let Some(addresses) = addresses(&child.ready)
                {
                    tell(Progress::Serves(&child.name, &addresses))?;
                    ready.insert(child.name.clone(), addresses);
                }
            }
            let awaited: Vec<_> = self.0.iter().filter(|child| !ready.contains_key(&child.name)).collect();
            let Some(slow) = awaited.first() else { return Ok(ready) };
            if Instant::now() > deadline {
                let error = format!("{} does not serve after {} s", slow.name, READY.as_secs());
                let hint = format!("its whole log is {}", slow.log.display());
                return Err(Failure::new(error, hint).with_log(shown(&slow.log)));
            }
            tell(Progress::Awaits(&awaited.iter().map(|child| child.name.as_str()).collect::<Vec<_>>()))?;
            if let Ok(died) = timeout(LOOK, self.first_end()).await {
                return Err(died);
            }
        }
    }

    /// Waits until any child ends, and says so with the end of its log. Never returns while all live. Safe to drop.
    pub async fn first_end(&mut self) -> Failure {
        let (ended, status) = poll_fn(|context| {
            for (index, child) in self.0.iter_mut().enumerate() {
                if let Poll::Ready(status) = pin!(child.process.wait()).poll(context) {
                    return Poll::Ready((index, status));
                }
            }
            Poll::Pending
        })
        .await;
        let child = self.0.remove(ended);
        let status = status.map_or_else(|error| error.to_string(), in_words);
        Failure::new(format!("{} ended: {status}", child.name), format!("its whole log is {}", child.log.display()))
            .with_log(shown(&child.log))
    }

    /// Interrupts all children, waits for them, kills those that stay; all at once when `hurry` completes first. No
    /// child is left when it returns.
    pub async fn end(mut self, hurry: impl Future<Output = ()>) {
        for child in &self.0 {
            // One that has ended but was not waited for keeps its number, so this cannot hit a stranger.
            if let Some(pid) = child.process.id().and_then(|pid| i32::try_from(pid).ok()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
            }
        }
        let all = async {
            for child in &mut self.0 {
                let _ = child.process.wait().await;
            }
        };
        tokio::select! {
            _ = timeout(LEAVE, all) => {}
            () = hurry => {}
        }
        for child in &mut self.0 {
            // An error means that it is gone already.
            let _ = child.process.kill().await;
        }
    }
}

/// Has the kernel kill the child when the thread that starts it ends.
fn die_with_us(command: &mut Command) {
    let us = getpid();
    let tie = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // We may have died before the tie was made.
        if getppid() == us { Ok(()) } else { Err(io::Error::from_raw_os_error(nix::libc::ESRCH)) }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed: `prctl` and `getppid` are plain system
    // calls, and nothing here allocates.
    unsafe { command.pre_exec(tie) };
}

/// Where a child listens, by the names it gives its listeners.
pub type Addresses = BTreeMap<String, SocketAddr>;

/// Where all children listen, by their names.
pub type Ready = BTreeMap<String, Addresses>;

/// How far the start has come.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// This child serves now, here.
    Serves(&'a str, &'a Addresses),
    /// These do not serve yet. Told again and again, for what moves on a screen.
    Awaits(&'a [&'a str]),
}

/// None until the child has written it, which it does in one step.
fn addresses(ready: &Path) -> Option<Addresses> {
    serde_json::from_str(&std::fs::read_to_string(ready).ok()?).ok()
}

fn in_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal().map(Signal::try_from)) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(Ok(signal))) => format!("killed by {signal}"),
        (None, _) => status.to_string(),
    }
}

/// The last lines of a log, for a failure.
fn shown(log: &Path) -> Vec<String> {
    // What a log holds must not steer the terminal.
    let visible = |c: char| if c.is_control() && c != '\t' { '\u{fffd}' } else { c };
    let lines = tail(log);
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    last.iter().map(|line| line.chars().map(visible).collect()).collect()
}

/// The lines at the end of a log, the first of them perhaps in part; empty where it cannot be read.
fn tail(log: &Path) -> Vec<String> {
    let read = || {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::failure::Told;

    fn world() -> (tempfile::TempDir, Folder) {
        let world = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(&world.path().join("state")).expect("opens");
        (world, folder)
    }

    /// A shell script as a child. Its state folder is its name.
    fn script(folder: &Folder, name: &str, text: &str) -> Plan {
        std::fs::create_dir_all(folder.file(name)).expect("a folder");
        let state = folder.file(name).display().to_string();
        let arguments = vec!["-c".to_owned(), text.to_owned(), name.to_owned(), state];
        Plan { name: name.to_owned(), program: "/bin/sh".into(), arguments, state: name.to_owned() }
    }

    const SERVES: &str = r#"echo '{"http":"127.0.0.1:7001"}' > "$1/new"; mv "$1/new" "$1/ready.json"; "#;

    async fn ready(children: &mut Children) -> Result<Ready> {
        children.ready(|_| Ok(())).await
    }

    fn told(failure: Failure) -> Told {
        match failure {
            Failure::Told(told) => told,
            other => panic!("{other:?}"),
        }
    }

    fn lives(pid: u32) -> bool {
        kill(Pid::from_raw(pid.try_into().expect("a pid")), None).is_ok()
    }

    #[tokio::test]
    async fn a_child_that_serves_is_ready_with_its_addresses_and_leaves_when_interrupted() {
        let (_world, folder) = world();
        let mut children = Children::default();
        children.start(&folder, &script(&folder, "good", &format!("{SERVES} exec sleep 600"))).expect("starts");
        let ready = ready(&mut children).await.expect("ready");
        assert_eq!(ready["good"]["http"], SocketAddr::from(([127, 0, 0, 1], 7001)));
        let pid = children.0[0].process.id().expect("it lives");
        children.end(pending()).await;
        assert!(!lives(pid));
    }

    #[tokio::test]
    async fn a_child_that_ends_early_is_told_with_the_end_of_its_log() {
        let (_world, folder) = world();
        let mut children = Children::default();
        let text = "i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); done; echo cannot bind >&2; exit 3";
        children.start(&folder, &script(&folder, "bad", text)).expect("starts");
        let told = told(ready(&mut children).await.expect_err("it ended"));
        assert_eq!(told.error, "bad ended: exit code 3");
        assert_eq!(told.log.len(), TAIL_LINES);
        assert_eq!(told.log.last().map(String::as_str), Some("cannot bind"));
        assert!(told.hint.ends_with("logs/bad.log"), "{}", told.hint);
    }

    #[tokio::test]
    async fn a_ready_file_of_an_earlier_run_is_not_believed() {
        let (_world, folder) = world();
        let plan = script(&folder, "stale", "exit 1");
        std::fs::write(folder.file("stale/ready.json"), r#"{"http":"127.0.0.1:1"}"#).expect("written");
        let mut children = Children::default();
        children.start(&folder, &plan).expect("starts");
        assert_eq!(told(ready(&mut children).await.expect_err("it ended")).error, "stale ended: exit code 1");
    }

    #[tokio::test]
    async fn a_child_that_ignores_the_interrupt_is_killed() {
        let (_world, folder) = world();
        let mut children = Children::default();
        let text = format!("trap '' INT; {SERVES} exec sleep 600");
        children.start(&folder, &script(&folder, "deaf", &text)).expect("starts");
        ready(&mut children).await.expect("ready");
        let pid = children.0[0].process.id().expect("it lives");
        // A second Ctrl-C: nobody waits.
        children.end(std::future::ready(())).await;
        assert!(!lives(pid));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let (_world, folder) = world();
        let mut plan = script(&folder, "none", "");
        plan.program = "/nowhere/weir-proxy".into();
        let error = told(Children::default().start(&folder, &plan).expect_err("not there")).error;
        assert!(error.starts_with("/nowhere/weir-proxy could not be started: "), "{error}");
    }
}
