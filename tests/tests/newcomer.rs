//! What somebody meets who has just built the programs: `weir dev`, and what can be asked of documents without a proxy.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;
use weir_tests::binaries::binary;
use weir_tests::io::Io;
use weir_tests::metrics::Metrics;
use weir_tests::process::{Output, Process, run};
use weir_tests::wait::{patiently, until_async};
use weir_tests::{Claim, H1, Request, Response, until};

/// What Ctrl-C may take. It is a promise to people, so here it is a deadline.
const CTRL_C: Duration = Duration::from_secs(3);
/// For a command that answers at once. Generous, as everything that only the harness waits for.
const RUN: Duration = Duration::from_secs(60);

const SERVICES: [&str; 5] = ["arxiv", "pubmed", "github", "firecrawl", "search"];

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples").join(name)
}

/// An address of this test alone, so that no other can take its port before the service does.
fn free_address() -> anyhow::Result<SocketAddr> {
    static TAKEN: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, high, low, TAKEN.fetch_add(1, Relaxed));
    Ok(TcpListener::bind((address, 0))?.local_addr()?)
}

/// A folder with a mesh document in which `weir dev` is run, as often as a test likes.
struct Desk {
    folder: TempDir,
}

impl Desk {
    /// With the research example: its services where nothing else is, and its outside nowhere.
    fn new() -> anyhow::Result<Self> {
        let mut mesh = fs::read_to_string(example("research.toml"))?;
        for port in 7101..=7105 {
            mesh = mesh.replace(&format!("127.0.0.1:{port}"), &free_address()?.to_string());
        }
        let (services, outside) = mesh.split_once("[upstreams.export-arxiv]").context("the outside of the example")?;
        let outside = outside.lines().map(|line| match line.split_once('=') {
            Some((key, _)) if key.trim() == "dns" => "endpoints = [\"127.0.0.1:1\"]\n".to_owned(),
            _ => format!("{line}\n"),
        });
        let mesh = format!("{services}[upstreams.export-arxiv]{}", outside.collect::<String>());
        let desk = Self { folder: tempfile::Builder::new().prefix("weir-newcomer-").tempdir()? };
        fs::write(desk.file("mesh.toml"), mesh)?;
        // Commands are run as they were printed; this shows their status after what they print.
        fs::write(desk.file(".curlrc"), "silent\nshow-error\nmax-time = 60\nwrite-out = \"\\n%{http_code}\"\n")?;
        Ok(desk)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn mesh(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.file("mesh.toml"))?)
    }

    /// Saves the document as editors do that write a new file.
    fn save(&self, mesh: &str) -> anyhow::Result<()> {
        fs::write(self.file("mesh.toml~"), mesh)?;
        Ok(fs::rename(self.file("mesh.toml~"), self.file("mesh.toml"))?)
    }

    /// `weir dev` with ports of the kernel's choice, but for those in `arguments`.
    fn dev(&self, arguments: &[&str]) -> anyhow::Result<Process> {
        let mut command = Command::new(binary("weir")?);
        command.args(["dev", "--mesh", "mesh.toml"]).args(arguments).current_dir(self.folder.path());
        for port in ["--edge-port", "--plain-port", "--egress-port", "--admin-port", "--metrics-port", "--health-port"]
        {
            if !arguments.contains(&port) {
                command.args([port, "0"]);
            }
        }
        Process::start("dev", command, self.folder.path())
    }

    /// `weir dev`, once it says that all is up.
    async fn up(&self) -> anyhow::Result<Dev> {
        let process = self.dev(&[])?;
        let mut dev = Dev { process };
        dev.says("Ctrl-C ends all of it.").await?;
        Ok(dev)
    }

    /// Runs a command as it was printed, in the folder where `weir dev` was started: its output, and its status.
    async fn paste(&self, line: &str) -> anyhow::Result<(String, u16)> {
        let mut bash = Command::new("bash");
        bash.args(["-c", line]).current_dir(self.folder.path()).env("HOME", self.folder.path());
        for variable in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            bash.env_remove(variable);
        }
        let output = run(&mut bash, RUN).await?;
        ensure!(output.code == 0, "{line}: {output:?}");
        let (body, status) = output.out.rsplit_once('\n').context("no status")?;
        Ok((body.to_owned(), status.parse()?))
    }

    /// What the edge answers to a `GET`.
    async fn get(&self, dev: &Dev, path: &str) -> anyhow::Result<(String, u16)> {
        let edge = dev.overview("Weir is up at")?;
        self.paste(&format!("curl --cacert .weir/ca.pem '{edge}{path}'")).await
    }
}

/// A running `weir dev`.
struct Dev {
    process: Process,
}

impl Dev {
    /// Waits until it has written this on standard output.
    async fn says(&mut self, what: &str) -> anyhow::Result<()> {
        let process = &mut self.process;
        until(what, || (process.stdout().contains(what) || process.ended().is_some()).then_some(())).await?;
        let output = process.output();
        ensure!(output.contains(what), "it ended without {what:?}:\n{output}");
        Ok(())
    }

    /// What follows `label` on its line of the overview.
    fn overview(&self, label: &str) -> anyhow::Result<String> {
        let text = self.process.stdout();
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(label));
        Ok(line.with_context(|| format!("no {label} in {text}"))?.trim().to_owned())
    }

    /// The commands to try, as they were printed.
    fn commands(&self) -> Vec<String> {
        let text = self.process.stdout();
        let lines = text.lines().skip_while(|line| *line != "Try:").skip(1).take_while(|line| !line.is_empty());
        lines.map(|line| line.trim().to_owned()).collect()
    }

    /// Its children, by pid.
    fn children(&self) -> anyhow::Result<Vec<i32>> {
        let pid = self.process.pid();
        let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        listed.split_whitespace().map(|pid| Ok(pid.parse()?)).collect()
    }

    /// Waits for its end, for as long as Ctrl-C may take, and for the end of all its children.
    async fn ends(mut self, children: &[i32]) -> Claim {
        let code = tokio::time::timeout(CTRL_C, self.process.exit_code()).await.context("Ctrl-C took too long")??;
        ensure!(code == 0, "exit code {code}");
        let left: Vec<_> = children.iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect();
        ensure!(left.is_empty(), "still there: {left:?}");
        let stderr = self.process.stderr();
        ensure!(stderr.contains("Ending …") && stderr.contains("Ended."), "{stderr}");
        Ok(())
    }

    async fn interrupted(self) -> Claim {
        let children = self.children()?;
        self.process.signal(Signal::SIGINT)?;
        self.ends(&children).await
    }
}

#[tokio::test]
async fn every_command_that_dev_prints_works_as_pasted() -> Claim {
    let desk = Desk::new()?;
    let dev = desk.up().await?;
    let commands = dev.commands();
    let (mut searches, mut others) = (Vec::new(), 0);
    for command in &commands {
        let (body, status) = desk.paste(command).await?;
        ensure!((200..300).contains(&status), "{command}: {status} {body}");
        if command.contains("?q=") {
            let answer: Value = serde_json::from_str(&body).with_context(|| format!("{command}: {body}"))?;
            ensure!(answer["results"].as_array().is_some_and(|results| !results.is_empty()), "{command}: {answer}");
            ensure!(answer["missing"] == Value::Array(Vec::new()), "all sources are there: {answer}");
            searches.push(command);
        } else {
            others += 1;
        }
    }
    // Both versions of the search over all sources, a source by itself, and what the edge answers by itself.
    for path in ["/v1/search", "/v2/search", "/arxiv/"] {
        assert!(searches.iter().any(|command| command.contains(path)), "{path}: {commands:?}");
    }
    assert!(others > 0, "{commands:?}");
    dev.interrupted().await
}

#[tokio::test]
async fn dev_shows_progress_and_says_where_to_look() -> Claim {
    let desk = Desk::new()?;
    let dev = desk.up().await?;
    let progress = dev.process.stderr();
    assert!(progress.contains("Starting arxiv, pubmed, github, firecrawl, search, proxy …"), "{progress}");
    for child in SERVICES.into_iter().chain(["proxy"]) {
        assert!(progress.contains(&format!("✓ {child} ")), "{child}: {progress}");
    }

    let (table, status) = desk.paste(&dev.overview("table")?).await?;
    let table: Value = serde_json::from_str(&table)?;
    assert_eq!((status, &table["version"], &table["refused"]), (200, &1.into(), &Value::Null));
    assert!(table["document"]["routes"]["search"].is_object(), "{table}");
    let (health, status) = desk.paste(&dev.overview("health")?).await?;
    assert_eq!((status, &serde_json::from_str::<Value>(&health)?["healthy"]), (200, &true.into()));
    let (metrics, status) = desk.paste(&dev.overview("metrics")?).await?;
    assert_eq!((status, Metrics::parse(metrics)?.sum("weir_config_version", &[])), (200, 1.0));

    // The plain listener sends to the edge; curl follows, and trusts the CA there.
    let plain = dev.overview("plain HTTP")?;
    let plain = plain.split_whitespace().next().context("an address")?;
    let (_, status) = desk.paste(&format!("curl -L --cacert .weir/ca.pem {plain}/robots.txt")).await?;
    assert_eq!(status, 200);
    let log = desk.file(".weir/logs/access.log");
    let logged = || fs::read_to_string(&log).is_ok_and(|text| text.contains("\"/robots.txt\"")).then_some(());
    until("the access log that was named", logged).await?;
    assert!(dev.overview("access log")?.ends_with(" .weir/logs/access.log"));
    dev.interrupted().await
}

#[tokio::test]
async fn an_edit_is_told_and_live() -> Claim {
    let desk = Desk::new()?;
    let mut dev = desk.up().await?;
    assert_eq!(desk.get(&dev, "/new").await?.1, 404);
    let mesh = desk.mesh()?;
    let rule =
        "\n[[routes.site.rules]]\nname = \"new\"\nmatch = [\"/new\"]\nreply = { status = 200, body = \"new\" }\n";
    desk.save(&format!("{mesh}{rule}"))?;
    dev.says("Live as version 2.").await?;
    let said = dev.process.stdout();
    let change = said.lines().skip_while(|line| *line != "mesh.toml was saved:").nth(1).unwrap_or_default();
    assert!(change.contains("site") && change.contains("new"), "{said}");
    assert_eq!(desk.get(&dev, "/new").await?, ("new".to_owned(), 200));

    // In place, and only a remark: nothing changes.
    fs::write(desk.file("mesh.toml"), format!("# A remark.\n{mesh}{rule}"))?;
    dev.says("mesh.toml was saved; it means what it meant before.").await?;
    fs::write(desk.file("mesh.toml"), &mesh)?;
    dev.says("Live as version 3.").await?;
    assert_eq!(desk.get(&dev, "/new").await?.1, 404);
    dev.interrupted().await
}

#[tokio::test]
async fn a_broken_edit_is_refused_with_its_errors_underlined_and_traffic_goes_on() -> Claim {
    let desk = Desk::new()?;
    let mut dev = desk.up().await?;
    let mesh = desk.mesh()?;
    desk.save(&mesh.replacen("timeout = \"10s\"", "timeout = 10", 1).replacen("to = \"arxiv\"", "to = \"arxif\"", 1))?;
    dev.says("Refused: the last good mesh.toml serves on.").await?;
    let said = dev.process.stdout();
    for (line, underlined) in [("timeout = 10", "^^"), ("to = \"arxif\"", "^^^^^^^")] {
        let shown = said.lines().skip_while(|shown| !shown.ends_with(line));
        let below = shown.skip(1).map(str::trim).next().unwrap_or_default();
        assert!(below.starts_with('|') && below.ends_with(underlined), "{line} is not underlined:\n{said}");
    }
    assert!(said.contains("did you mean `arxiv`?"), "{said}");
    assert_eq!(desk.get(&dev, "/v1/search?q=attention").await?.1, 200);
    let (table, _) = desk.paste(&dev.overview("table")?).await?;
    assert_eq!(serde_json::from_str::<Value>(&table)?["version"], 1);

    desk.save(&mesh.replace("User-agent: *", "User-agent: none"))?;
    dev.says("Live as version 2.").await?;
    assert!(desk.get(&dev, "/robots.txt").await?.0.contains("none"));
    dev.interrupted().await
}

#[tokio::test]
async fn what_only_the_proxy_can_refuse_is_told_with_its_place() -> Claim {
    let desk = Desk::new()?;
    let mut dev = desk.up().await?;
    let mesh = desk.mesh()?;
    let upstream =
        "\n[upstreams.far]\nendpoints = [\"127.0.0.1:1\"]\ntls = { sni = \"far.test\", ca = \"file:gone.pem\" }\n";
    let broken = format!("{mesh}{upstream}\n[[routes.far.rules]]\nmatch = [\"/far\"]\nto = \"far\"\n");
    desk.save(&broken)?;
    dev.says("Not live: the proxy refuses mesh.toml; the last good one serves on.").await?;
    let said = dev.process.stdout();
    assert!(said.contains("gone.pem") && said.contains('^'), "{said}");

    let (table, _) = desk.paste(&dev.overview("table")?).await?;
    let table: Value = serde_json::from_str(&table)?;
    let refused = &table["refused"];
    assert!(refused["document"].as_str().is_some_and(|name| name.ends_with("mesh.toml")), "{refused}");
    let problem = &refused["problems"][0];
    assert!(problem["path"].as_str().is_some_and(|path| path.starts_with("upstreams.far")), "{refused}");
    let line = problem["line"].as_u64().and_then(|line| broken.lines().nth(usize::try_from(line).ok()? - 1));
    assert!(line.is_some_and(|line| line.contains("gone.pem")), "{line:?}: {refused}");

    desk.save(&mesh.replace("User-agent: *", "User-agent: none"))?;
    dev.says("Live as version 2.").await?;
    let (table, _) = desk.paste(&dev.overview("table")?).await?;
    assert_eq!(serde_json::from_str::<Value>(&table)?["refused"], Value::Null);
    dev.interrupted().await
}

#[tokio::test]
async fn a_start_with_the_last_good_document_is_told() -> Claim {
    let desk = Desk::new()?;
    desk.up().await?.interrupted().await?;
    let mesh = desk.mesh()?;
    let upstream =
        "[upstreams.far]\nendpoints = [\"127.0.0.1:1\"]\ntls = { sni = \"far.test\", ca = \"file:gone.pem\" }\n";
    desk.save(&format!("{mesh}\n{upstream}"))?;

    let mut dev = desk.up().await?;
    dev.says("Not live: the proxy refuses mesh.toml; the last good one serves on.").await?;
    assert!(dev.process.stdout().contains("gone.pem"));
    assert_eq!(desk.get(&dev, "/v2/search?q=attention").await?.1, 200);
    desk.save(&mesh)?;
    dev.says("Live as version").await?;
    dev.interrupted().await
}

#[tokio::test]
async fn ctrl_c_ends_all_of_it_while_clients_stay_connected() -> Claim {
    let desk = Desk::new()?;
    let dev = desk.up().await?;
    let plain = dev.overview("plain HTTP")?;
    let port: u16 = plain.split([':', ' ']).nth(2).context("a port")?.parse()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut kept = H1::connect(address).await?;
    let response: Response = kept.send(&Request::get("/").host("localhost")).await?;
    assert_eq!(response.status / 100, 3, "{}", response.text());
    let _says_nothing = Io::connect(address).await?;

    let children = dev.children()?;
    assert_eq!(children.len(), SERVICES.len() + 1, "{children:?}");
    // As a terminal does it: to the whole foreground group.
    dev.process.signal_group(Signal::SIGINT)?;
    dev.ends(&children).await?;
    patiently("the end of the kept connection", kept.closed()).await??;
    Ok(())
}

#[tokio::test]
async fn a_second_run_in_the_same_folder_works_and_keeps_the_certificate() -> Claim {
    let desk = Desk::new()?;
    let first = desk.up().await?;
    assert!(first.process.stderr().contains("Made a development CA"));
    let ca = fs::read(desk.file(".weir/ca.pem"))?;
    first.interrupted().await?;

    let second = desk.up().await?;
    assert!(!second.process.stderr().contains("Made a development CA"));
    assert_eq!(fs::read(desk.file(".weir/ca.pem"))?, ca);
    assert_eq!(desk.get(&second, "/v2/search?q=attention").await?.1, 200);
    second.interrupted().await
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_flag_before_anything_starts() -> Claim {
    let desk = Desk::new()?;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = taken.local_addr()?.port().to_string();
    for (flag, who) in [
        ("--edge-port", "the edge"),
        ("--plain-port", "the edge without TLS"),
        ("--egress-port", "the way out"),
        ("--admin-port", "the admin interface"),
        ("--metrics-port", "the metrics"),
        ("--health-port", "the health server"),
    ] {
        let mut process = desk.dev(&[flag, &port])?;
        assert_eq!(process.exit_code().await?, 1, "{flag}");
        let said = process.stderr();
        assert!(said.contains(&format!("port {port} for {who} is in use by another process")), "{said}");
        assert!(said.contains(flag), "{said}");
        assert!(!said.contains("Starting"), "{said}");
    }
    assert!(!desk.file(".weir/logs/proxy.log").exists(), "nothing was started");

    let occupied = desk.mesh()?;
    let (_, endpoint) = occupied.split_once("[upstreams.arxiv]\nendpoints = [\"").context("the service's endpoint")?;
    let endpoint = endpoint.split('"').next().unwrap_or_default();
    let _taken = TcpListener::bind(endpoint)?;
    let mut process = desk.dev(&[])?;
    assert_eq!(process.exit_code().await?, 1);
    let said = process.stderr();
    assert!(said.contains("for the service arxiv is in use by another process"), "{said}");
    assert!(said.contains("upstreams.arxiv.endpoints in mesh.toml (or --no-services)"), "{said}");
    Ok(())
}

/// `weir` with these arguments, in the folder of the examples.
async fn weir(arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(binary("weir")?);
    run(command.args(arguments).current_dir(example("")).env_remove("CLICOLOR_FORCE"), RUN).await
}

const EXAMPLES: [&str; 4] = ["minimal", "edge", "research", "everything"];

#[tokio::test]
async fn all_examples_pass_check_without_a_warning() -> Claim {
    for name in EXAMPLES {
        for file in [format!("{name}.toml"), format!("{name}.bootstrap.toml")] {
            let ran = weir(&["check", "--deny-warnings", &file]).await?;
            assert_eq!(ran.code, 0, "{file}: {}{}", ran.out, ran.err);
        }
    }
    Ok(())
}

#[tokio::test]
async fn diff_of_examples_says_what_changes_and_exits_as_asked() -> Claim {
    for name in EXAMPLES {
        let file = format!("{name}.toml");
        let same = weir(&["diff", "--exit-code", &file, &file]).await?;
        assert_eq!(same.code, 0, "{name}: {}", same.out);
    }
    let changed = weir(&["diff", "--exit-code", "minimal.toml", "research.toml"]).await?;
    assert_eq!(changed.code, 1, "{}", changed.err);
    assert!(changed.out.contains("route search added"), "{}", changed.out);
    assert_eq!(weir(&["diff", "minimal.toml", "research.toml"]).await?.code, 0);
    let json = weir(&["diff", "--output", "json", "minimal.toml", "research.toml"]).await?;
    serde_json::from_str::<Value>(&json.out).with_context(|| json.out.clone())?;
    Ok(())
}

#[tokio::test]
async fn explain_agrees_with_the_edge_on_every_example_path() -> Claim {
    let desk = Desk::new()?;
    let dev = desk.up().await?;
    for (path, rule) in [
        ("/v2/search", Some("search/v2")),
        ("/v1/search", Some("search/v1")),
        ("/arxiv/v1/search", Some("sources/arxiv-v1")),
        ("/github/v2/search", Some("sources/github-v2")),
        ("/robots.txt", Some("site/robots")),
        ("/nowhere", None),
    ] {
        let (_, status) = desk.get(&dev, &format!("{path}?q=attention")).await?;
        assert_eq!(status, if rule.is_some() { 200 } else { 404 }, "{path}");
        let json = weir(&["explain", "--mesh", "research.toml", "--path", path, "--output", "json"]).await?;
        assert_eq!(json.code, 0, "{}", json.err);
        let explained: Value = serde_json::from_str(&json.out)?;
        let text = weir(&["explain", "--mesh", "research.toml", "--path", path]).await?;
        match rule.and_then(|rule| rule.split_once('/')) {
            Some((route, rule)) => {
                assert!(json.out.contains(&format!("\"{route}\"")), "{explained}");
                assert!(text.out.contains(route) && text.out.contains(rule), "{}", text.out);
            }
            None => assert!(text.out.contains("404") && json.out.contains("no_route"), "{}{}", text.out, json.out),
        }
    }
    dev.interrupted().await
}

#[tokio::test]
async fn schemas_are_printed_for_both_documents() -> Claim {
    for kind in ["mesh", "bootstrap"] {
        let ran = weir(&["schema", kind]).await?;
        let schema: Value = serde_json::from_str(&ran.out).with_context(|| ran.err.clone())?;
        assert_eq!((ran.code, &schema["additionalProperties"]), (0, &false.into()), "{kind}: unknown keys are refused");
        let key = if kind == "mesh" { "routes" } else { "listeners" };
        assert!(schema["properties"][key].is_object(), "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn the_examples_bootstrap_names_the_certificate_that_dev_makes() -> Claim {
    let desk = Desk::new()?;
    let dev = desk.up().await?;
    let bootstrap: toml::Table = fs::read_to_string(example("research.bootstrap.toml"))?.parse()?;
    let pair = bootstrap["listeners"]["edge"]["tls"]["certificates"][0].as_table().context("a certificate")?;
    for file in ["cert", "key"] {
        let path = pair[file].as_str().context("a path")?;
        assert!(desk.file(path).is_file(), "{path} is not what dev made");
    }
    let state = bootstrap["state_dir"].as_str().context("a path")?;
    until_async("the proxy's own folder", async || desk.file(state).join("ready.json").is_file().then_some(())).await?;
    dev.interrupted().await
}
