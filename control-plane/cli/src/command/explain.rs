//! `weir explain`: what becomes of a request, and why. The decision is the proxy's own code; this shows it, with what
//! the chosen rule does on the way.

mod listener;
mod text;

use std::time::Duration;

use serde::Serialize;
use weir_config::units;
use weir_policy::{Edits, Explanation, Facts, RequestHead, Rule, Timeout, explain, host, path};

use self::listener::Listener;
use crate::args::ExplainArgs;
use crate::document::mesh_of;
use crate::failure::Result;
use crate::output::{Format, Output};
use crate::verdict::Verdict;

/// The whole answer; as JSON it is part of what the CLI promises.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    request: Request<'a>,
    listener: Listener,
    /// The request is refused before any rule is asked. The rest is absent then.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Refused>,
    #[serde(flatten)]
    explanation: Option<Explanation>,
    /// What holds for the chosen rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<Terms>,
    /// Where the listener sends what no rule takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_to_https: Option<String>,
}

/// The request as the rules see it.
#[derive(Debug, Serialize)]
struct Request<'a> {
    method: &'a str,
    host: String,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Refused {
    reason: weir_policy::Reason,
    why: String,
}

/// What a rule does with a request on its way.
#[derive(Debug, Serialize)]
struct Terms {
    /// Until the response head, unless `timeout_covers` says more. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<units::Duration>,
    timeout_covers: Covers,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_timeout: Option<units::Duration>,
    idle_timeout: units::Duration,
    /// The `Host` that the upstream sees instead of the client's.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "HeaderEdits::is_empty")]
    request_headers: HeaderEdits,
    #[serde(skip_serializing_if = "HeaderEdits::is_empty")]
    response_headers: HeaderEdits,
    /// The most bytes of body that the filters allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_limit: Option<units::Size>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Covers {
    /// The time until the response head.
    ResponseHead,
    /// The whole exchange with all its attempts.
    Exchange,
    Nothing,
}

/// In the order in which they are made.
#[derive(Debug, Default, Serialize)]
struct HeaderEdits {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remove: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    set: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    add: Vec<(String, String)>,
}

pub fn run(args: &ExplainArgs, out: &mut Output) -> Result<Verdict> {
    let mesh = mesh_of(&args.mesh)?;
    let listener = Listener::choose(args, &mesh.table)?;
    let answer = answer(args, listener, &mesh.table);
    match out.format {
        Format::Json => out.json(&answer)?,
        Format::Text => text::write(out, &answer)?,
    }
    Ok(Verdict::Done)
}

fn answer<'a>(args: &'a ExplainArgs, listener: Listener, table: &weir_policy::Table) -> Answer<'a> {
    let (raw_path, query) = match args.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (args.path.as_str(), None),
    };
    let header = |name: &str| args.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let raw_host = args.host.as_deref().or_else(|| header("host")).unwrap_or_default();

    let mut request = Request { method: &args.method, host: raw_host.to_owned(), path: raw_path.to_owned(), query };
    let refused = canonical(&mut request, listener.encoded_slashes).err();
    if let Some(why) = refused {
        let refused = Some(Refused { reason: weir_policy::Reason::BadRequest, why });
        return Answer { request, listener, refused, explanation: None, terms: None, redirect_to_https: None };
    }

    let head = RequestHead {
        method: request.method,
        host: &request.host,
        path: &request.path,
        query,
        headers: &args.headers,
        content_length: header("content-length").and_then(|length| length.parse().ok()),
    };
    let facts = Facts {
        listener: table.listener(listener.name.as_deref().unwrap_or_default(), listener.default),
        client: args.client,
        https: listener.tls,
        port: listener.port,
        now: Duration::ZERO,
    };
    let explanation = explain(table, &head, &facts, args.chance);
    let rule = explanation.decision.rule().map(|id| table.rule(id));
    let redirect_to_https = match rule {
        None => listener.redirect_to_https.map(|port| https(&request, port)),
        Some(_) => None,
    };
    let terms = rule.map(|rule| Terms::of(rule, &head, &facts));
    Answer { request, listener, refused: None, explanation: Some(explanation), terms, redirect_to_https }
}

/// Puts host and path into the one spelling that rules are matched by. The error says what is wrong with them.
fn canonical(request: &mut Request<'_>, encoded_slashes: bool) -> std::result::Result<(), String> {
    if !request.host.is_empty() {
        let (host, _) = host::canonical(&request.host).map_err(|error| error.to_string())?;
        request.host = host.into_owned();
    }
    let path = path::normalise(&request.path, encoded_slashes).map_err(|error| error.to_string())?;
    request.path = path.into_owned();
    Ok(())
}

fn https(request: &Request<'_>, port: u16) -> String {
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let query = request.query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("https://{}{port}{}{query}", request.host, request.path)
}

impl Terms {
    fn of(rule: &Rule, head: &RequestHead<'_>, facts: &Facts) -> Self {
        let (timeout, timeout_covers) = match rule.timeout {
            Timeout::Head(time) => (Some(time), Covers::ResponseHead),
            Timeout::Total(time) => (Some(time), Covers::Exchange),
            Timeout::Off => (None, Covers::Nothing),
        };
        Self {
            timeout: timeout.map(units::Duration),
            timeout_covers,
            attempt_timeout: rule.attempt_timeout.map(units::Duration),
            idle_timeout: units::Duration(rule.idle_timeout),
            host: rule.host_rewrite.as_deref().map(str::to_owned),
            request_headers: HeaderEdits::of(&rule.request_edits),
            response_headers: HeaderEdits::of(&rule.response_edits),
            body_limit: rule.body_limit(head, facts).map(units::Size),
        }
    }
}

impl HeaderEdits {
    fn of(edits: &Edits) -> Self {
        let pairs = |pairs: &[(std::sync::Arc<str>, std::sync::Arc<str>)]| {
            pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
        };
        Self {
            remove: edits.remove.iter().map(ToString::to_string).collect(),
            set: pairs(&edits.set),
            add: pairs(&edits.add),
        }
    }

    fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}
