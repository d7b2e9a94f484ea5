//! What the two sides of the proxy wrote down, laid side by side.

use std::collections::HashMap;

use tokio::time::Instant;
use weir_tests::Upstream;
use weir_tests::message::Response;
use weir_tests::upstream::sha256;

use crate::documents::{Document, Server};
use crate::traffic::{ID, Kind, Stage};

/// One request as its client saw it.
pub struct Record {
    pub id: u64,
    pub route: usize,
    pub sent: Instant,
    pub answered: Instant,
    /// The body sent.
    pub body: Vec<u8>,
    pub kind: Kind,
    pub h2: bool,
    /// The connection had served a request before.
    pub kept: bool,
    pub answer: anyhow::Result<Response>,
}

/// A document and when it was current: at most from `written` on, and until its successor was `live`.
pub struct Spell {
    pub document: Document,
    pub written: Instant,
    pub live: Instant,
}

/// Everything that is not as it must be.
pub fn violations(
    spells: &[Spell],
    records: &[Record],
    servers: &[Server],
    upstreams: &[Upstream],
    stage: &Stage,
) -> Vec<String> {
    let mut seen: HashMap<u64, Vec<Seen>> = HashMap::new();
    for (server, upstream) in upstreams.iter().enumerate() {
        for received in upstream.requests() {
            let id = received.header(ID).and_then(|id| id.parse().ok()).unwrap_or(u64::MAX);
            let document = received.header("x-document").and_then(|number| number.parse().ok());
            seen.entry(id).or_default().push(Seen { server, document, body_sha256: received.body_sha256 });
        }
    }
    let mut violations = Vec::new();
    for record in records {
        let reached = seen.remove(&record.id).unwrap_or_default();
        if let Err(problem) = judge(record, &reached, spells, servers, stage) {
            let how = if record.h2 { "HTTP/2" } else { "HTTP/1.1" };
            violations.push(format!("request {} of r{} over {how}: {problem}", record.id, record.route));
        }
    }
    violations.extend(seen.keys().map(|id| format!("an upstream got request {id}, which no client sent")));
    violations
}

/// One request as an upstream got it.
struct Seen {
    server: usize,
    document: Option<usize>,
    body_sha256: String,
}

fn judge(record: &Record, reached: &[Seen], spells: &[Spell], servers: &[Server], stage: &Stage) -> Result<(), String> {
    let answer = record.answer.as_ref().map_err(|error| format!("no answer: {error:#}"))?;
    if answer.status != 200 {
        return Err(format!("{} {}", answer.status, answer.reason().unwrap_or_default()));
    }
    let [seen] = reached else { return Err(format!("{} upstreams got it", reached.len())) };
    if answer.header(ID) != Some(&record.id.to_string()) {
        return Err(format!("the answer is of request {:?}", answer.header(ID)));
    }
    let name = &servers[seen.server].name;
    if answer.header("x-upstream") != Some(name) {
        return Err(format!("{name} got it and {:?} answered", answer.header("x-upstream")));
    }
    if seen.body_sha256 != sha256(&record.body) {
        return Err(format!("its body changed on the way to {name}"));
    }
    let whole = if record.kind == Kind::LongAnswer { "first, second".to_owned() } else { sha256(&record.body) };
    if answer.text() != whole {
        return Err(format!("the answer is {:?}, not {whole:?}", answer.text()));
    }
    let number = seen.document.ok_or("no rule marked it")?;
    if answer.header("x-document") != Some(&number.to_string()) {
        return Err(format!("begun by document {number} and ended by {:?}", answer.header("x-document")));
    }
    let spell = spells.get(number).ok_or_else(|| format!("there is no document {number}"))?;
    // It chose its document between these two.
    let arrived = stage.arrived(record.id).unwrap_or(record.answered);
    if arrived < spell.written || spells.get(number + 1).is_some_and(|next| next.live < record.sent) {
        return Err(format!("document {number} was not current while it ran"));
    }
    if !spell.document.allows(record.route, seen.server) {
        return Err(format!("document {number} does not send it to {name}"));
    }
    Ok(())
}
