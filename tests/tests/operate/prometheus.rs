//! What Prometheus itself makes of the metrics and of `deploy/prometheus`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use weir_tests::metrics::Metrics;
use weir_tests::process::{Process, run};
use weir_tests::tools::tool;
use weir_tests::wait::until_async;
use weir_tests::{Claim, H1, Request, until};

use crate::encoded;
use crate::mixed::{Labels, Ledger, Mixed, counted};
use crate::research::Research;

/// A Prometheus with the configuration of `deploy/prometheus`, pointed at these targets, in a hurry.
struct Prometheus {
    address: SocketAddr,
    _process: Process,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    async fn start(program: PathBuf, proxies: &[SocketAddr], research: &[SocketAddr]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("weir-test-").tempdir()?;
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus"), folder.path())?;
        let config = folder.path().join("prometheus.yml");
        let mut text = fs::read_to_string(&config)?;
        for key in ["scrape_interval: 15s", "scrape_timeout: 10s", "evaluation_interval: 15s"] {
            let name = key.split(':').next().unwrap_or_default();
            ensure!(text.contains(key), "no {key} in {text}");
            text = text.replace(key, &format!("{name}: 1s"));
        }
        fs::write(&config, text)?;
        for (file, targets) in [("proxy.yml", proxies), ("research.yml", research)] {
            let path = folder.path().join("targets").join(file);
            ensure!(path.is_file(), "{file} is no longer where the targets are");
            let targets: Vec<_> = targets.iter().map(|target| format!("\"{target}\"")).collect();
            fs::write(path, format!("- targets: [{}]\n", targets.join(", ")))?;
        }
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--log.format=json"])
            .current_dir(folder.path());
        let process = Process::start("prometheus", command, folder.path())?;
        let address = until("Prometheus' address in its log", || listening(&process.stderr())).await?;
        Ok(Self { address, _process: process, _folder: folder })
    }

    async fn api(&self, target: &str) -> anyhow::Result<Value> {
        let host = self.address.to_string();
        let answer = H1::connect(self.address).await?.send(&Request::get(target).host(&host)).await?;
        ensure!(answer.status == 200, "{target}: {} {}", answer.status, answer.text());
        Ok(answer.json::<Value>()?["data"].take())
    }

    /// An instant query's samples.
    async fn query(&self, query: &str) -> anyhow::Result<Vec<(Value, f64)>> {
        let data = self.api(&format!("/api/v1/query?query={}", encoded(query))).await?;
        let samples = data["result"].as_array().context("no result")?;
        let sample = |sample: &Value| {
            let value = sample["value"][1].as_str().context("no value")?.parse()?;
            Ok((sample["metric"].clone(), value))
        };
        samples.iter().map(sample).collect()
    }

    /// Asks until the only sample is this.
    async fn becomes(&self, query: &str, wanted: f64) -> Claim {
        let mut last = Vec::new();
        let came = until_async(query, async || {
            last = self.query(query).await.ok()?;
            matches!(last[..], [(_, value)] if value == wanted).then_some(())
        })
        .await;
        came.with_context(|| format!("wanted {wanted}, got {last:?}"))
    }
}

fn listening(log: &str) -> Option<SocketAddr> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut listening = lines.filter(|line| line["msg"] == "Listening on");
    listening.find_map(|line| line["address"].as_str()?.parse().ok())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let (entry, to) = (entry?, to.to_owned());
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn prometheus_sums_equal_the_clients_ledger() -> Claim {
    let Some(program) = tool("prometheus")? else { return Ok(()) };
    let research = Research::source("arxiv").await?;
    let more = format!(
        "[[routes.research.rules]]\nmatch = ['/v1/*']\nto = 'arxiv'\n[upstreams.arxiv]\nendpoints = ['{}']\n",
        research.address
    );
    let mixed = Mixed::start(&more).await?;
    let prometheus = Prometheus::start(program, &[mixed.proxy.address("metrics")], &[research.address]).await?;
    for job in ["weir-proxy", "research"] {
        prometheus.becomes(&format!("up{{job=\"{job}\"}}"), 1.0).await?;
    }

    let mut ledger = mixed.run().await?;
    let mut asked = 0;
    for target in ["/v1/search?q=graph", "/v1/search?q=graph&limit=3", "/v1/search", "/v1/nothing"] {
        for _ in 0..3 {
            let class = format!("{}xx", mixed.proxy.get(target).await?.status / 100);
            let labels: Labels = ["research".into(), "arxiv".into(), class, "ok".into()];
            *ledger.entry(labels).or_default() += 1;
            asked += 1;
        }
    }
    let sent: u64 = ledger.values().sum();
    prometheus.becomes("sum(weir_requests_total{job=\"weir-proxy\"})", sent as f64).await?;
    let by = prometheus.query("sum by (route, upstream, code_class, reason) (weir_requests_total) > 0").await?;
    let label = |metric: &Value, name: &str| metric[name].as_str().unwrap_or_default().to_owned();
    let scraped: Ledger = by
        .iter()
        .map(|(metric, value)| {
            (["route", "upstream", "code_class", "reason"].map(|name| label(metric, name)), *value as u64)
        })
        .collect();
    assert_eq!(scraped, ledger);
    prometheus.becomes("sum(weir_request_duration_seconds_count)", sent as f64).await?;
    prometheus.becomes("sum(research_requests_total{job=\"research\"})", f64::from(asked)).await?;
    prometheus.becomes("sum(research_request_duration_seconds_count)", f64::from(asked)).await?;
    prometheus.becomes("min(up)", 1.0).await?;

    // The rules hold on what is really there, too.
    until_async("all rules to have been evaluated", async || {
        let groups = prometheus.api("/api/v1/rules").await.ok()?;
        let groups = groups["groups"].as_array()?.clone();
        let rules: Vec<&Value> = groups.iter().filter_map(|group| group["rules"].as_array()).flatten().collect();
        (rules.len() > 20 && rules.iter().all(|rule| rule["health"] == "ok")).then_some(())
    })
    .await
}

#[tokio::test]
async fn promtool_has_nothing_to_say_about_the_metrics_of_proxy_and_services() -> Claim {
    let Some(promtool) = tool("promtool")? else { return Ok(()) };
    let mixed = Mixed::start("").await?;
    mixed.run().await?;
    let metrics = mixed.proxy.metrics().await?;
    assert!(!counted(&metrics).is_empty());
    let mut texts = vec![("the proxy", metrics.text)];
    let arxiv = Research::source("arxiv").await?;
    let search = Research::search("arxiv", &arxiv).await?;
    let mut services = vec![("arxiv", arxiv), ("search", search)];
    for name in ["pubmed", "github", "firecrawl"] {
        services.push((name, Research::source(name).await?));
    }
    for (name, service) in &services {
        for target in ["/v1/search?q=graph", "/v2/search?q=graph", "/v1/search", "/nothing"] {
            service.get(target).await?;
        }
        texts.push((name, Metrics::scrape(service.address).await?.text));
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("metrics");
    for (name, text) in texts {
        fs::write(&file, text)?;
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" check metrics < \"$1\""]).arg(&promtool).arg(&file);
        let said = run(&mut command, Duration::from_secs(60)).await?;
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""), "{name}");
    }
    Ok(())
}
