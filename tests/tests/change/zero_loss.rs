//! The scenario: documents change, one as soon as the last is live, while clients of every kind send; then both
//! sides' ledgers are compared.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use futures::FutureExt;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use weir_tests::chance::Chance;
use weir_tests::wait::until_async;
use weir_tests::{H1, Proxy, Request, Setup, Upstream, until};

use crate::documents::{Document, Server};
use crate::ledgers::{Record, Spell, violations};
use crate::traffic::{Kind, Stage, over_h1, over_h2, serve};

pub const CHANGES: usize = 200;
/// Requests answered at least between one change and the next: 500 a second, were a change to take a tenth of one.
pub const REQUESTS_PER_CHANGE: usize = 50;

/// Servers that documents name or do not; the last ones speak HTTP/2.
const SERVERS: usize = 8;
const OVER_H2: usize = 3;

/// One scenario at a time, or two would share the processors.
static ALONE: Mutex<()> = Mutex::const_new(());

/// What became of the requests.
pub struct Outcome {
    pub requests: usize,
    pub over_h1: usize,
    pub over_h2: usize,
    pub on_kept_connections: usize,
    /// Answers, and uploads, that began by one document and ended when another was live.
    pub answers_across: usize,
    pub uploads_across: usize,
    /// Upstreams that a document brought, or took away.
    pub appeared: usize,
    pub vanished: usize,
    pub requests_per_second: f64,
    pub violations: Vec<String>,
}

/// Runs it against a proxy whose swap is as it should be, or wrong on purpose.
pub async fn run(swap: Option<&str>) -> anyhow::Result<Outcome> {
    let _alone = ALONE.lock().await;
    let mut chance = Chance::seeded(20);
    let (servers, upstreams, stage, proxy, first) = begin(swap, &mut chance).await?;
    let start = Instant::now();
    let mut clients = clients(&stage, proxy.edge());
    let mut spells = vec![Spell { document: first, written: start, live: start }];
    let mut admin = H1::connect(proxy.address("admin")).await?;
    for number in 1..=CHANGES {
        let document = Document::at_random(number, &servers, &mut chance);
        let enough = stage.answered() + REQUESTS_PER_CHANGE;
        let written = Instant::now();
        match number % 2 {
            0 => proxy.write_mesh(&document.text)?,
            _ => fs::write(proxy.setup().mesh_file(), &document.text)?,
        }
        live(&mut admin, number).await.with_context(|| format!("{}\n{}", document.text, proxy.process.output()))?;
        spells.push(Spell { document, written, live: Instant::now() });
        stage.confirm(number);
        until("answers between two changes", || (stage.answered() >= enough).then_some(())).await?;
    }
    stage.end();
    let mut records = Vec::new();
    while let Some(of_one) = clients.join_next().await {
        records.extend(of_one??);
    }
    let requests_per_second = records.len() as f64 / start.elapsed().as_secs_f64();
    let mut violations = violations(&spells, &records, &servers, &upstreams, &stage);
    if violations.is_empty() {
        violations.extend(settled(&proxy, records.len()).await.err().map(|error| format!("{error:#}")));
    }
    let across = |kind: Kind| records.iter().filter(|record| record.kind == kind && is_across(record, &spells)).count();
    let moves = |from: usize, to: usize| {
        let pairs = (1..spells.len()).map(|at| (&spells[at - from].document, &spells[at - to].document));
        pairs.map(|(without, with)| (0..SERVERS).filter(|s| with.names(*s) && !without.names(*s)).count()).sum()
    };
    Ok(Outcome {
        requests: records.len(),
        over_h1: records.iter().filter(|record| !record.h2).count(),
        over_h2: records.iter().filter(|record| record.h2).count(),
        on_kept_connections: records.iter().filter(|record| record.kept).count(),
        answers_across: across(Kind::LongAnswer),
        uploads_across: across(Kind::LongUpload),
        appeared: moves(1, 0),
        vanished: moves(0, 1),
        requests_per_second,
        violations,
    })
}

async fn begin(
    swap: Option<&str>,
    chance: &mut Chance,
) -> anyhow::Result<(Vec<Server>, Vec<Upstream>, Arc<Stage>, Proxy, Document)> {
    let stage = Stage::new();
    let (mut servers, mut upstreams) = (Vec::new(), Vec::new());
    for number in 0..SERVERS {
        let (name, h2, stage) = (format!("u{number}"), number >= SERVERS - OVER_H2, stage.clone());
        let upstream = match h2 {
            true => Upstream::scripted_h2(&name, move |x| serve(stage.clone(), x).boxed()).await?,
            false => Upstream::scripted(&name, move |x| serve(stage.clone(), x).boxed()).await?,
        };
        servers.push(Server { name, address: upstream.address(), h2 });
        upstreams.push(upstream);
    }
    let first = Document::at_random(0, &servers, chance);
    let mut setup = Setup::new(first.text.as_str())?.listener("edge", "default = true\nh2c = true")?;
    if let Some(swap) = swap {
        setup = setup.env("WEIR_TEST_SWAP", swap);
    }
    let proxy = setup.start().await?;
    Ok((servers, upstreams, stage, proxy, first))
}

/// Most of them on kept connections; some of everything in flight at every change.
fn clients(stage: &Arc<Stage>, edge: SocketAddr) -> JoinSet<anyhow::Result<Vec<Record>>> {
    let mut clients = JoinSet::new();
    let h1 = [
        (Kind::Quick, true),
        (Kind::Quick, true),
        (Kind::Quick, true),
        (Kind::Quick, false),
        (Kind::LongAnswer, true),
        (Kind::LongAnswer, true),
        (Kind::LongUpload, true),
        (Kind::LongUpload, true),
    ];
    for (seed, (kind, keep)) in h1.into_iter().enumerate() {
        let client = over_h1(stage.clone(), edge, kind, keep, seed as u64);
        clients.spawn(async { Ok(client.await) });
    }
    let long = vec![Kind::LongAnswer, Kind::LongAnswer, Kind::LongUpload, Kind::LongUpload];
    for (seed, kinds) in [vec![Kind::Quick; 2], vec![Kind::Quick; 2], long].into_iter().enumerate() {
        clients.spawn(over_h2(stage.clone(), edge, kinds, 100 + seed as u64));
    }
    clients
}

/// Waits until the document of this number is live: the first one is version 1.
async fn live(admin: &mut H1, number: usize) -> anyhow::Result<()> {
    let wanted = number as u64 + 1;
    until_async(&format!("document {number} to be live"), async || {
        let page: serde_json::Value = admin.send(&Request::get("/table").host("localhost")).await.ok()?.json().ok()?;
        (page["version"] == wanted).then_some(())
    })
    .await
}

/// What the proxy itself must say in the end.
async fn settled(proxy: &Proxy, requests: usize) -> anyhow::Result<()> {
    proxy.metric_becomes("weir_config_generations_alive", &[], |now| now == 1.0).await?;
    proxy.metric_becomes("weir_requests_total", &[("reason", "ok")], |now| now == requests as f64).await?;
    Ok(())
}

/// Whether the document after the one that it began by was live before it ended.
fn is_across(record: &Record, spells: &[Spell]) -> bool {
    let document = record.answer.as_ref().ok().and_then(|answer| answer.header("x-document")?.parse::<usize>().ok());
    let next = document.and_then(|number| spells.get(number + 1));
    next.is_some_and(|next| next.live <= record.answered)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, over_h1, over_h2, on_kept_connections, .. } = self;
        let Self { answers_across, uploads_across, appeared, vanished, .. } = self;
        writeln!(
            f,
            "{requests} requests ({over_h1} over HTTP/1.1, {over_h2} over HTTP/2, {on_kept_connections} on kept \
             connections), {:.0} a second; {answers_across} answers and {uploads_across} uploads across a change; \
             upstreams appeared {appeared} times and vanished {vanished} times; {} violations",
            self.requests_per_second,
            self.violations.len()
        )?;
        self.violations.iter().take(20).try_for_each(|violation| writeln!(f, "  {violation}"))
    }
}
