//! A folder with documents, and the binary run in it.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

/// A folder of its own for one test.
pub struct World(tempfile::TempDir);

/// What a run of the binary left.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl World {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub fn with(self, name: &str, text: &str) -> Self {
        std::fs::write(self.0.path().join(name), text).expect("written");
        self
    }

    /// Nobody watches, and nothing of the caller's environment shows.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null());
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"] {
            command.env_remove(name);
        }
        command
    }

    pub fn weir(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments))
    }

    pub fn weir_with_stdin(&self, arguments: &[&str], stdin: &str) -> Ran {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        child.stdin.take().expect("piped").write_all(stdin.as_bytes()).expect("it reads");
        Ran::of(child.wait_with_output().expect("it ends"))
    }
}

pub fn ran(mut command: Command) -> Ran {
    Ran::of(command.output().expect("the binary starts"))
}

impl Ran {
    fn of(output: std::process::Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code().expect("it exits"), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// The whole stdout as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "{text:?} is not in {self:#?}");
        self
    }

    #[track_caller]
    pub fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in {self:#?}");
        self
    }
}

/// Two routes, a split, a filter, a redirect, a reply.
pub const MESH: &str = r#"
[routes.papers]
hosts = ["api.example.com"]
  [[routes.papers.rules]]
  name    = "search"
  match   = ["GET /v1/search/*"]
  to      = { blue = 95, green = 5 }
  timeout = "2s"
  filters = [{ kind = "rate_limit", key = "header:x-api-key", rate = "100/s", burst = 200 }]
  rewrite = { prefix = "/api" }
  request_headers = { set = { x-env = "prod" }, remove = ["x-debug"] }
  [[routes.papers.rules]]
  name     = "old-home"
  match    = ["/old"]
  redirect = { status = 301, path = "/new" }
  [[routes.papers.rules]]
  name  = "robots"
  match = ["GET /robots.txt"]
  reply = { status = 200, body = "User-agent: *\n" }

[routes.inside]
listeners = ["egress"]
  [[routes.inside.rules]]
  to = "green"

[upstreams.blue]
endpoints = ["127.0.0.1:7001"]

[upstreams.green]
endpoints = ["127.0.0.1:7002"]
"#;

pub const BOOTSTRAP: &str = r#"
state_dir = "state"

[listeners.edge]
address = "127.0.0.1:8443"
default = true
tls = { certificates = [{ cert = "cert.pem", key = "key.pem" }] }

[listeners.plain]
address = "127.0.0.1:8080"

[listeners.egress]
address = "127.0.0.1:15001"
"#;
