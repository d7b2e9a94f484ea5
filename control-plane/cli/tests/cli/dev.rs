//! `weir dev` with stand-ins for the programs that it starts: what it starts, says, watches and ends. The stand-ins lie
//! beside the binary, as the real ones do.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Serves nothing, but says that it does. Holds the write end of `alive` open for as long as it lives.
const PROXY: &str = r#"#!/bin/sh
exec 3> alive
state=$(dirname "$2")/proxy
mkdir -p "$state"
echo "$@" > proxy.arguments
echo '{"edge":"127.0.0.1:8443","plain":"127.0.0.1:8080","egress":"127.0.0.1:15001","admin":"'"$ADMIN"'","metrics":"127.0.0.1:15020","health":"127.0.0.1:15021"}' > "$state/new"
mv "$state/new" "$state/ready.json"
exec sleep 600
"#;

/// `research NAME --listen ADDRESS --state-dir FOLDER …`
const RESEARCH: &str = r#"#!/bin/sh
exec 3> alive
mkdir -p "$5"
echo "$@" > "$1.arguments"
echo $$ > "$1.pid"
echo '{"http":"'"$3"'"}' > "$5/new"
mv "$5/new" "$5/ready.json"
exec sleep 600
"#;

const MESH: [&str; 2] = ["--mesh", "mesh.toml"];

/// Ends at once.
const BROKEN: &str = "#!/bin/sh\necho looks bad\necho cannot serve >&2\nexit 3\n";

/// A folder with the binary, its stand-ins, a mesh document, and the admin interface of the stand-in for the proxy.
struct Workshop {
    folder: tempfile::TempDir,
    admin: SocketAddr,
    /// What the stand-in for the proxy says of its documents: `GET /table`.
    table: Arc<Mutex<Value>>,
}

impl Workshop {
    fn new() -> Self {
        // On the file system of the binary, for the link to it.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        fs::hard_link(env!("CARGO_BIN_EXE_weir"), folder.path().join("weir")).expect("linked");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let admin = listener.local_addr().expect("bound");
        let table = Arc::new(Mutex::new(json!({ "version": 1, "digest": "", "refused": null })));
        let told = table.clone();
        std::thread::spawn(move || listener.incoming().flatten().try_for_each(|stream| answer(stream, &told)));
        let workshop = Self { folder, admin, table };
        assert!(Command::new("mkfifo").arg(workshop.path("alive")).status().expect("mkfifo is there").success());
        workshop.program("weir-proxy", PROXY).program("research", RESEARCH).mesh(&mesh(endpoint(), "search"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(self, name: &str, script: &str) -> Self {
        fs::write(self.path(name), script).expect("written");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).expect("made executable");
        self
    }

    fn mesh(self, text: &str) -> Self {
        fs::write(self.path("mesh.toml"), text).expect("written");
        self
    }

    /// Has the stand-in for the proxy say this of its documents.
    fn says(&self, table: Value) {
        *self.table.lock().expect("not poisoned") = table;
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("weir"));
        command.args(["dev", "--output", "json"]);
        for port in ["--edge-port", "--plain-port", "--egress-port", "--admin-port", "--metrics-port", "--health-port"]
        {
            if !arguments.contains(&port) {
                command.args([port, "0"]);
            }
        }
        command.args(arguments).current_dir(&self.folder).env("ADMIN", self.admin.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it, and gives it back when it says that all is up.
    fn up(&self) -> (Dev, Value) {
        self.up_with(&MESH)
    }

    fn up_with(&self, arguments: &[&str]) -> (Dev, Value) {
        // Opened for both, so that opening waits for nobody.
        let alive = File::options().read(true).write(true).open(self.path("alive")).expect("a pipe");
        let mut process = self.command(arguments).spawn().expect("it starts");
        let events = BufReader::new(process.stdout.take().expect("piped"));
        let mut dev = Dev { process, events, alive: Some((alive, self.path("alive"))) };
        let up = dev.until("up");
        (dev, up)
    }

    /// Runs it to an end that it comes to by itself; the failure that it told.
    #[track_caller]
    fn failure(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[&MESH, arguments].concat()).output().expect("it starts");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        serde_json::from_slice(&output.stderr).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

/// Answers one `GET /table`.
fn answer(mut stream: std::net::TcpStream, table: &Mutex<Value>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let body = table.lock().expect("not poisoned").to_string();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// A running `weir dev`.
struct Dev {
    process: Child,
    events: BufReader<ChildStdout>,
    /// The pipe that its children hold open.
    alive: Option<(File, PathBuf)>,
}

impl Dev {
    /// Reads on to the next event of this name.
    #[track_caller]
    fn until(&mut self, name: &str) -> Value {
        let mut seen = Vec::new();
        loop {
            let mut line = String::new();
            if self.events.read_line(&mut line).expect("it can be read") == 0 {
                let mut stderr = String::new();
                let _ = self.process.stderr.take().map(|mut pipe| pipe.read_to_string(&mut stderr));
                panic!("it ended before {name:?}: {seen:#?}\n{stderr}");
            }
            let event: Value = serde_json::from_str(&line).expect("JSON");
            if event["event"] == name {
                return event;
            }
            seen.push(event);
        }
    }

    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().expect("a pid")), signal).expect("it lives");
    }

    /// Interrupts it and waits for its end; how long that took.
    #[track_caller]
    fn interrupt(mut self) -> Duration {
        let start = Instant::now();
        self.send(Signal::SIGINT);
        self.until("ended");
        assert!(self.process.wait().expect("it ends").success());
        let took = start.elapsed();
        self.nobody_lives();
        took
    }

    /// Waits until no child has the pipe open any more.
    fn nobody_lives(&mut self) {
        let Some((both, path)) = self.alive.take() else { return };
        // A reader of its own, then our write end goes: its end of file is the end of the last child.
        let mut reader = File::open(path).expect("a pipe");
        drop(both);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).expect("it can be read");
    }
}

/// A test that fails leaves nothing running: the children die with it.
impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// An address of this test alone, so that no other can take its port.
fn endpoint() -> SocketAddr {
    static TAKEN: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, high, low, TAKEN.fetch_add(1, Relaxed));
    TcpListener::bind((address, 0)).and_then(|listener| listener.local_addr()).expect("a port")
}

fn mesh(endpoint: SocketAddr, path: &str) -> String {
    format!(
        "[routes.home]\n[[routes.home.rules]]\nmatch = [\"/v1/{path}\"]\nto = \"arxiv\"\n\n\
         [upstreams.arxiv]\nendpoints = [\"{endpoint}\"]\n"
    )
}

#[test]
fn it_starts_everything_says_where_it_is_and_ends_it_in_under_three_seconds() {
    let endpoint = endpoint();
    let workshop = Workshop::new().mesh(&mesh(endpoint, "search"));
    let (dev, up) = workshop.up();
    assert_eq!(up["edge"], "127.0.0.1:8443");
    assert_eq!(up["admin"], workshop.admin.to_string());
    let command = up["commands"][0].as_str().expect("a command");
    assert_eq!(command, "curl --cacert .weir/ca.pem 'https://localhost:8443/v1/search?q=attention&limit=3'");
    let arguments = |name: &str| fs::read_to_string(workshop.path(name)).expect("it was started");
    assert_eq!(arguments("proxy.arguments"), "--config .weir/bootstrap.toml --mesh mesh.toml\n");
    assert_eq!(arguments("arxiv.arguments"), format!("arxiv --listen {endpoint} --state-dir .weir/arxiv --offline\n"));
    let took = dev.interrupt();
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_second_run_works_and_keeps_the_certificates() {
    let workshop = Workshop::new();
    workshop.up().0.interrupt();
    let ca = fs::read(workshop.path(".weir/ca.pem")).expect("a CA");
    workshop.up().0.interrupt();
    assert_eq!(fs::read(workshop.path(".weir/ca.pem")).expect("a CA"), ca);
}

#[test]
fn a_good_save_is_live_when_the_proxy_says_so() {
    let endpoint = endpoint();
    let workshop = Workshop::new().mesh(&mesh(endpoint, "search"));
    let (mut dev, _) = workshop.up();
    let workshop = workshop.mesh(&mesh(endpoint, "find"));
    let changed = dev.until("changed");
    assert!(changed["changes"][0]["sentence"].is_string(), "{changed}");
    workshop.says(json!({ "version": 2, "digest": changed["digest"] }));
    assert_eq!(dev.until("live")["version"], 2);
    dev.interrupt();
}

#[test]
fn a_good_save_that_the_proxy_refuses_is_told_with_its_reasons_once_for_each_refusal() {
    let endpoint = endpoint();
    let workshop = Workshop::new().mesh(&mesh(endpoint, "search"));
    let (mut dev, _) = workshop.up();
    let refusal = |number: u64, digest: &Value, message: &str| {
        let refused = json!({
            "number": number, "document": "mesh.toml", "digest": digest,
            "problems": [{ "message": message }], "report": message,
        });
        json!({ "version": 1, "digest": "", "refused": refused })
    };
    workshop.says(refusal(1, &json!("of another document"), "not this one"));
    let workshop = workshop.mesh(&mesh(endpoint, "find"));
    let digest = dev.until("changed")["digest"].clone();
    workshop.says(refusal(2, &digest, "no such file"));
    assert_eq!(dev.until("untaken")["problems"][0]["message"], "no such file");

    // The same document again: what was told before is no answer to this.
    let workshop = workshop.mesh(&format!("# Again.\n{}", mesh(endpoint, "find")));
    dev.until("changed");
    workshop.says(refusal(3, &digest, "still no such file"));
    assert_eq!(dev.until("untaken")["problems"][0]["message"], "still no such file");
    dev.interrupt();
}

#[test]
fn a_save_that_means_the_same_changes_nothing() {
    let endpoint = endpoint();
    let workshop = Workshop::new().mesh(&mesh(endpoint, "search"));
    let (mut dev, _) = workshop.up();
    let _workshop = workshop.mesh(&format!("# A remark.\n{}", mesh(endpoint, "search")));
    dev.until("same");
    dev.interrupt();
}

#[test]
fn a_broken_save_is_refused_with_its_errors_and_the_next_good_one_is_taken() {
    let endpoint = endpoint();
    let workshop = Workshop::new().mesh(&mesh(endpoint, "search"));
    let (mut dev, _) = workshop.up();
    let workshop = workshop.mesh(&mesh(endpoint, "search").replace("to =", "too ="));
    let refused = dev.until("refused");
    assert_eq!(refused["problems"][0]["line"], 4, "{refused}");
    let workshop = workshop.mesh(&mesh(endpoint, "search").replace("[[", "listeners = [\"edgy\"]\n[["));
    let refused = dev.until("refused");
    assert!(refused["problems"][0]["hint"].as_str().is_some_and(|hint| hint.contains("`edge`")), "{refused}");
    assert_eq!(refused["problems"][0]["line"], 2, "{refused}");
    let _workshop = workshop.mesh(&mesh(endpoint, "find"));
    dev.until("changed");
    dev.interrupt();
}

#[test]
fn a_child_that_dies_ends_everything_with_the_end_of_its_log() {
    let workshop = Workshop::new();
    let (mut dev, _) = workshop.up();
    let pid = fs::read_to_string(workshop.path("arxiv.pid")).expect("it was started");
    kill(Pid::from_raw(pid.trim().parse().expect("a number")), Signal::SIGKILL).expect("it lives");
    dev.until("ending");
    assert_eq!(dev.process.wait().expect("it ends").code(), Some(1));
    dev.nobody_lives();
    let mut stderr = String::new();
    dev.process.stderr.take().expect("piped").read_to_string(&mut stderr).expect("it can be read");
    let told: Value = serde_json::from_str(&stderr).expect("JSON");
    assert_eq!(told["error"], "arxiv ended: killed by SIGKILL");
}

#[test]
fn a_child_that_cannot_start_is_told_with_its_log() {
    let workshop = Workshop::new().program("research", BROKEN);
    let told = workshop.failure(&[]);
    assert_eq!(told["error"], "arxiv ended: exit code 3");
    assert_eq!(told["log"], json!(["looks bad", "cannot serve"]));
    assert!(told["hint"].as_str().is_some_and(|hint| hint.contains(".weir/logs/arxiv.log")), "{told}");
}

#[test]
fn children_die_with_it_even_when_it_is_killed() {
    let workshop = Workshop::new();
    let (mut dev, _) = workshop.up();
    dev.send(Signal::SIGKILL);
    dev.process.wait().expect("it ends");
    dev.nobody_lives();
}

#[test]
fn a_port_in_use_is_named_with_its_setting_before_anything_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    let port = address.port();
    let workshop = Workshop::new().mesh(&mesh(address, "search"));
    let told = workshop.failure(&[]);
    assert_eq!(told["error"], format!("port {port} for the service arxiv is in use by another process"));
    assert_eq!(told["hint"], "choose another with upstreams.arxiv.endpoints in mesh.toml (or --no-services)");
    let told = workshop.failure(&["--no-services", "--admin-port", &port.to_string()]);
    assert_eq!(told["error"], format!("port {port} for the admin interface is in use by another process"));
    assert_eq!(told["hint"], "choose another with --admin-port");
    assert!(!workshop.path("proxy.arguments").exists());
}

#[test]
fn a_folder_that_another_one_works_in_is_refused() {
    let workshop = Workshop::new();
    let (dev, _) = workshop.up();
    let told = workshop.failure(&[]);
    let error = told["error"].as_str().expect("an error");
    assert!(error.contains(&format!("process {}", dev.process.id())) && error.contains(".weir"), "{error}");
    dev.interrupt();
}

#[test]
fn missing_programs_say_how_they_are_built() {
    let workshop = Workshop::new();
    fs::remove_file(workshop.path("weir-proxy")).expect("it was there");
    let told = workshop.failure(&[]);
    assert!(told["error"].as_str().is_some_and(|error| error.contains("weir-proxy is missing")), "{told}");
    assert!(told["hint"].as_str().is_some_and(|hint| hint.contains("cargo build --release")), "{told}");
}

#[test]
fn a_broken_document_starts_nothing() {
    let workshop = Workshop::new().mesh("[routes.home]\nruls = []\n");
    let told = workshop.failure(&[]);
    assert_eq!(told["problems"][0]["line"], 2);
    assert!(!workshop.path("proxy.arguments").exists());
}

#[test]
fn without_the_repository_it_serves_a_copy_of_the_research_document() {
    let workshop = Workshop::new();
    let (dev, up) = workshop.up_with(&["--no-services"]);
    assert_eq!(up["mesh"], ".weir/research.toml");
    assert!(workshop.path(".weir/research.toml").exists());
    dev.interrupt();
}
