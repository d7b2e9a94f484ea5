//! Clients that send one request after the other, and upstreams that say who they are.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;
use weir_tests::chance::Chance;
use weir_tests::message::Response;
use weir_tests::{Exchange, H1, H2, Request, patiently};

use crate::documents::ROUTES;
use crate::ledgers::Record;

/// The header with a request's number.
pub const ID: &str = "x-id";

/// Requests that an HTTP/2 client sends on one connection before it takes another.
const PER_LANE: usize = 500;

/// Changes after which a client believes that its half-sent request was lost.
const LOST: usize = 10;

/// What clients, upstreams and the one who changes documents know of each other.
pub struct Stage {
    /// Number of the document that was last confirmed live.
    live: watch::Sender<usize>,
    over: AtomicBool,
    next_id: AtomicU64,
    answered: AtomicUsize,
    /// When each request came to an upstream, and by which document.
    arrivals: Mutex<HashMap<u64, (Instant, usize)>>,
}

/// What a client's requests are like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// GET, and POST with short bodies.
    Quick,
    /// GET whose answer begins before a change and ends after it.
    LongAnswer,
    /// POST whose body begins before a change and ends after it.
    LongUpload,
}

/// A request to be sent.
struct Errand {
    id: u64,
    route: usize,
    request: Request,
    kind: Kind,
}

impl Stage {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            live: watch::Sender::new(0),
            over: AtomicBool::new(false),
            next_id: AtomicU64::new(0),
            answered: AtomicUsize::new(0),
            arrivals: Mutex::default(),
        })
    }

    /// A document is live, and those before it serve no new request.
    pub fn confirm(&self, number: usize) {
        self.live.send_replace(number);
    }

    /// Lets everything come to its end.
    pub fn end(&self) {
        self.over.store(true, SeqCst);
        self.live.send_replace(usize::MAX);
    }

    /// Requests answered so far.
    pub fn answered(&self) -> usize {
        self.answered.load(SeqCst)
    }

    pub fn arrived(&self, id: u64) -> Option<Instant> {
        Some(self.arrivals().get(&id)?.0)
    }

    fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    fn arrivals(&self) -> MutexGuard<'_, HashMap<u64, (Instant, usize)>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn errand(&self, kind: Kind, chance: &mut Chance) -> Errand {
        let (id, route) = (self.next_id.fetch_add(1, SeqCst), chance.below(ROUTES));
        let request = match kind {
            Kind::Quick if chance.once_in(3) => {
                Request::post(&format!("/r{route}/quick"), vec![id as u8; 1 + chance.below(1500)])
            }
            Kind::Quick => Request::get(&format!("/r{route}/quick")),
            Kind::LongAnswer => Request::get(&format!("/r{route}/long")),
            Kind::LongUpload => Request::post(&format!("/r{route}/quick"), {
                let most = *chance.of(&[100, 2000, 20_000]);
                vec![id as u8; 2 + chance.below(most)]
            }),
        };
        Errand { id, route, request: request.header(ID, &id.to_string()), kind }
    }

    /// Waits until the document by which this request began no longer serves.
    async fn past_the_document_of(&self, id: u64) -> anyhow::Result<()> {
        let mut live = self.live.subscribe();
        let begun = *live.borrow();
        let past = live.wait_for(|live| match self.arrivals().get(&id) {
            Some((_, document)) => live > document,
            None => *live > begun.saturating_add(LOST),
        });
        patiently("a change while a request is under way", past).await??;
        Ok(())
    }

    fn record(&self, errand: Errand, sent: Instant, h2: bool, kept: bool, answer: anyhow::Result<Response>) -> Record {
        self.answered.fetch_add(1, SeqCst);
        let Errand { id, route, request, kind } = errand;
        Record { id, route, sent, answered: Instant::now(), body: request.body, kind, h2, kept, answer }
    }
}

impl Errand {
    /// The body in the part that is sent at once and the one that waits for a change.
    fn body(&self) -> (Bytes, Bytes) {
        let mut now = Bytes::from(self.request.body.clone());
        let later = now.split_off(match self.kind {
            Kind::LongUpload => now.len() / 2,
            Kind::Quick | Kind::LongAnswer => now.len(),
        });
        (now, later)
    }
}

/// Answers with its name, the request's number and the digest of its body; a long answer waits for the next document.
pub async fn serve(stage: Arc<Stage>, x: &mut Exchange) -> io::Result<()> {
    let (id, name) = (x.request.header(ID).unwrap_or_default().to_owned(), x.request.upstream.clone());
    let document = x.request.header("x-document").and_then(|number| number.parse().ok()).unwrap_or_default();
    stage.arrivals().insert(id.parse().unwrap_or(u64::MAX), (Instant::now(), document));
    x.drain().await?;
    let lines = [(ID, id.as_str()), ("x-upstream", name.as_str())];
    if !x.path().ends_with("/long") {
        let digest = x.request.body_sha256.clone();
        return x.answer(200, &lines, digest.as_bytes()).await;
    }
    x.head(200, &lines).await?;
    x.send("first, ").await?;
    let _ = stage.live.subscribe().wait_for(|live| *live > document).await;
    x.send("second").await?;
    x.end().await
}

/// A client over HTTP/1.1: on one connection while that lasts, or on a fresh one for each request.
pub async fn over_h1(stage: Arc<Stage>, edge: SocketAddr, kind: Kind, keep: bool, seed: u64) -> Vec<Record> {
    let mut chance = Chance::seeded(seed);
    let (mut records, mut connection) = (Vec::new(), None);
    while !stage.is_over() {
        let errand = stage.errand(kind, &mut chance);
        let (sent, kept) = (Instant::now(), connection.is_some());
        let answer = async {
            let mut client = match connection.take() {
                Some(client) => client,
                None => H1::connect(edge).await?,
            };
            let response = exchange_h1(&stage, &mut client, &errand).await?;
            if keep && response.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close")) {
                connection = Some(client);
            }
            anyhow::Ok(response)
        };
        let answer = answer.await;
        records.push(stage.record(errand, sent, false, kept, answer));
    }
    records
}

async fn exchange_h1(stage: &Stage, client: &mut H1, errand: &Errand) -> anyhow::Result<Response> {
    let bytes = errand.request.bytes();
    let (now, later) = bytes.split_at(bytes.len() - errand.body().1.len());
    // What is not taken was refused before its end; the answer tells.
    let _ = client.write(now).await;
    if !later.is_empty() {
        stage.past_the_document_of(errand.id).await?;
        let _ = client.write(later).await;
    }
    client.response(&errand.request.method).await
}

/// Clients that share HTTP/2 connections, one after the other.
pub async fn over_h2(stage: Arc<Stage>, edge: SocketAddr, kinds: Vec<Kind>, seed: u64) -> anyhow::Result<Vec<Record>> {
    let mut chance = Chance::seeded(seed);
    let mut records = Vec::new();
    while !stage.is_over() {
        let client = H2::connect(edge).await?;
        let lanes = kinds.iter().map(|kind| lane(&stage, &client, *kind, chance.bits()));
        let lanes = join_all(lanes).await;
        records.extend(lanes.into_iter().flatten());
    }
    Ok(records)
}

/// One client of an HTTP/2 connection.
async fn lane(stage: &Stage, client: &H2, kind: Kind, seed: u64) -> Vec<Record> {
    let mut chance = Chance::seeded(seed);
    let mut records = Vec::new();
    while !stage.is_over() && !client.is_closed() && records.len() < PER_LANE {
        let errand = stage.errand(kind, &mut chance);
        let (sent, kept) = (Instant::now(), !records.is_empty());
        let answer = exchange_h2(stage, client, &errand).await;
        records.push(stage.record(errand, sent, true, kept, answer));
    }
    records
}

async fn exchange_h2(stage: &Stage, client: &H2, errand: &Errand) -> anyhow::Result<Response> {
    let (now, later) = errand.body();
    let mut open = client.open(&errand.request, errand.request.body.is_empty()).await?;
    if !now.is_empty() {
        let _ = open.write(now, later.is_empty()).await;
    }
    if !later.is_empty() {
        stage.past_the_document_of(errand.id).await?;
        let _ = open.write(later, true).await;
    }
    open.response().await
}
