//! The answer for people.

use std::io::{self, Write};

use weir_policy::{Explanation, Loser, Outcome};

use super::{Answer, Covers, HeaderEdits, Terms};
use crate::output::{BAD, BOLD, DIM, GOOD, WARN};

/// How many of the rules that lost are shown. Those that came furthest tell most.
const LOSERS: usize = 20;

pub fn write(out: &mut impl Write, answer: &Answer<'_>) -> io::Result<()> {
    write_request(out, answer)?;
    if let Some(refused) = &answer.refused {
        return writeln!(out, "\n{BAD}400 {}{BAD:#}: {}", refused.reason.as_str(), refused.why);
    }
    let Some(explanation) = &answer.explanation else { return Ok(()) };
    writeln!(out)?;
    write_outcome(out, answer, explanation)?;
    if let Some(chosen) = &explanation.chosen {
        let host = chosen.host.as_deref().map(|host| format!(" at {host}")).unwrap_or_default();
        let rule = format!("{} of route {}, for {}{host}", chosen.rule, chosen.route, chosen.path);
        line(out, "rule", &rule)?;
    }
    write_way(out, answer, explanation)?;
    if let Some(terms) = &answer.terms {
        write_terms(out, terms, &explanation.outcome)?;
    }
    write_losers(out, &explanation.others)
}

fn write_request(out: &mut impl Write, answer: &Answer<'_>) -> io::Result<()> {
    let Answer { request, listener, .. } = answer;
    let query = request.query.map(|query| format!("?{query}")).unwrap_or_default();
    writeln!(out, "{BOLD}{} {}{}{query}{BOLD:#}", request.method, request.host, request.path)?;
    let name = match &listener.name {
        Some(name) => format!("listener {name}"),
        None => "a listener that serves the routes which name none".to_owned(),
    };
    let tls = if listener.tls { "TLS" } else { "no TLS" };
    let assumed = match (listener.assumed, listener.default) {
        (false, _) => "",
        (true, true) => "; assumed, for want of --bootstrap",
        (true, false) => "; assumed, and that it is not marked `default`, for want of --bootstrap",
    };
    writeln!(out, "{DIM}by {name} (port {}, {tls}{assumed}){DIM:#}", listener.port)
}

fn write_outcome(out: &mut impl Write, answer: &Answer<'_>, explanation: &Explanation) -> io::Result<()> {
    if let Some((kind, reason)) =
        explanation.filters.iter().find_map(|filter| filter.refused.map(|reason| (filter.kind, reason)))
    {
        return writeln!(out, "{BAD}Refused{BAD:#} by the filter {kind}: {}", reason.as_str());
    }
    match &explanation.outcome {
        Outcome::NoRoute => match &answer.redirect_to_https {
            Some(location) => {
                writeln!(out, "{WARN}Redirected{WARN:#} by the listener (308), since no rule matches: {location}")
            }
            None => writeln!(out, "{BAD}404 no_route{BAD:#}: no rule matches"),
        },
        Outcome::Forward { upstream, .. } => {
            writeln!(out, "{GOOD}Forwarded{GOOD:#} to upstream {BOLD}{upstream}{BOLD:#}")
        }
        Outcome::Redirect { status, location } => writeln!(out, "{GOOD}Redirected{GOOD:#} ({status}) to {location}"),
        Outcome::Reply { status } => writeln!(out, "{GOOD}Answered{GOOD:#} by the proxy itself ({status})"),
        Outcome::Preflight { status, .. } => writeln!(out, "{GOOD}Answered{GOOD:#} as a CORS preflight ({status})"),
    }
}

/// What happens to it between the rule and the upstream.
fn write_way(out: &mut impl Write, answer: &Answer<'_>, explanation: &Explanation) -> io::Result<()> {
    if explanation.shares.len() > 1 {
        let share = |share: &weir_policy::Share| format!("{} {}", share.upstream, percent(share.share));
        line(out, "split", &explanation.shares.iter().map(share).collect::<Vec<_>>().join(", "))?;
    }
    for filter in &explanation.filters {
        let verdict = filter.refused.map_or("passes".to_owned(), |reason| format!("refuses: {}", reason.as_str()));
        line(out, "filter", &format!("{} {verdict}", filter.kind))?;
    }
    match &explanation.outcome {
        Outcome::Forward { target, mirror, set_cookie, .. } => {
            let query = answer.request.query.map(|query| format!("?{query}")).unwrap_or_default();
            match target {
                Some(target) => line(out, "asked for", &format!("{target}  (was {}{query})", answer.request.path))?,
                None => line(out, "asked for", "the path and query as they came")?,
            }
            if let Some(mirror) = mirror {
                line(out, "mirrored", &format!("to upstream {mirror}"))?;
            }
            if let Some(cookie) = set_cookie {
                line(out, "sticky by", cookie)?;
            }
        }
        Outcome::Preflight { headers, .. } => {
            for (name, value) in headers {
                line(out, "header", &format!("{name}: {value}"))?;
            }
        }
        Outcome::NoRoute | Outcome::Redirect { .. } | Outcome::Reply { .. } => {}
    }
    Ok(())
}

fn write_terms(out: &mut impl Write, terms: &Terms, outcome: &Outcome) -> io::Result<()> {
    if matches!(outcome, Outcome::Forward { .. }) {
        if let Some(host) = &terms.host {
            line(out, "host", host)?;
        }
        write_edits(out, "to upstream", &terms.request_headers)?;
        let whole = match (terms.timeout, terms.timeout_covers) {
            (Some(time), Covers::Exchange) => format!("{time} for the whole exchange"),
            (Some(time), _) => format!("{time} until the response head"),
            (None, _) => "none for the whole exchange".to_owned(),
        };
        let attempt = terms.attempt_timeout.map(|time| format!(", {time} for one attempt")).unwrap_or_default();
        line(out, "timeouts", &format!("{whole}{attempt}, {} between two bytes", terms.idle_timeout))?;
    }
    if let Some(limit) = terms.body_limit {
        line(out, "body", &format!("at most {limit}"))?;
    }
    write_edits(out, "to client", &terms.response_headers)
}

fn write_edits(out: &mut impl Write, label: &str, edits: &HeaderEdits) -> io::Result<()> {
    for name in &edits.remove {
        line(out, label, &format!("without {name}"))?;
    }
    for (name, value) in &edits.set {
        line(out, label, &format!("{name}: {value}"))?;
    }
    for (name, value) in &edits.add {
        line(out, label, &format!("one more {name}: {value}"))?;
    }
    Ok(())
}

fn write_losers(out: &mut impl Write, others: &[Loser]) -> io::Result<()> {
    if others.is_empty() {
        return Ok(());
    }
    let mut others: Vec<_> = others.iter().collect();
    others.sort_by(|one, other| other.lost.cmp(&one.lost));
    writeln!(out, "\nThe other rules:")?;
    let name = |loser: &Loser| format!("{} of route {}", loser.rule, loser.route);
    let shown = &others[..others.len().min(LOSERS)];
    let width = shown.iter().map(|loser| name(loser).len()).max().unwrap_or_default();
    for loser in shown {
        writeln!(out, "  {:<width$}  {DIM}{}{DIM:#}", name(loser), loser.lost)?;
    }
    if let more @ 1.. = others.len() - shown.len() {
        writeln!(out, "  and {more} more, which came less far; --output json has them all")?;
    }
    Ok(())
}

fn line(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {DIM}{label:<11}{DIM:#}  {text}")
}

/// A share of 0 to 1, to at most two decimals.
fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}
