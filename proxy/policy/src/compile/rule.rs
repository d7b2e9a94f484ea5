//! One rule: its action, edits, times and filters.

use std::sync::Arc;

use weir_config::mesh::{self, HeaderEdits};
use weir_config::names::{HeaderName, Host};
use weir_config::units::Date;

use super::{Compiler, Place};
use crate::cors::Cors;
use crate::filters::CompiledFilter;
use crate::location::{PathEdit, Redirect, Scheme};
use crate::rule::{Action, Edits, Reply, Rule, Timeout};
use crate::split::Split;
use crate::table::{Listeners, RuleId};

impl Compiler<'_> {
    /// Adds a rule, or problems.
    pub(super) fn rule(&mut self, place: Place<'_>, rule: &mesh::Rule, hosts: &Arc<[Host]>, listeners: Listeners) {
        let id = RuleId(self.rules.len() as u32);
        // All of them first, so that each problem is reported.
        let action = self.action(rule);
        let filters = self.filters(place, &rule.filters);
        let mirror = rule.mirror.as_ref().map(|mirror| Some((self.upstream(&mirror.to)?, mirror.share())));
        let forms = self.forms(place, id, rule);
        let (Some(action), Some(filters), Some(forms)) = (action, filters, forms) else { return };
        let rewrite = rule.rewrite.as_ref();
        self.rules.push(Rule {
            id,
            route: place.route.clone(),
            name: rule.name.as_ref().map_or_else(|| self.positions[place.rule].clone(), |name| name.as_arc().clone()),
            action,
            timeout: Timeout::new(rule.timeout.map(|timeout| timeout.0)),
            attempt_timeout: rule.attempt_timeout.map(|timeout| timeout.0),
            idle_timeout: rule.idle_timeout(),
            request_edits: edits(rule.request_headers.as_ref()),
            response_edits: response_edits(rule),
            filters,
            version: rule.version.as_ref().map(|version| version.name.clone()),
            cors: rule.cors.as_ref().map(Cors::new),
            mirror: mirror.flatten(),
            host_rewrite: rewrite.and_then(|rewrite| rewrite.host.as_deref()).map(Arc::from),
            path_rewrite: rewrite.and_then(|rewrite| path_edit(rewrite.path.as_deref(), rewrite.prefix.as_deref())),
            forms,
            hosts: hosts.clone(),
            listeners,
            position: place.rule,
        });
    }

    fn action(&mut self, rule: &mesh::Rule) -> Option<Action> {
        let action = match (&rule.to, &rule.redirect, &rule.reply) {
            (Some(to), None, None) => self.split(to, rule.sticky.as_ref()).map(Action::Forward),
            (None, Some(redirect), None) => self::redirect(redirect).map(Action::Redirect),
            (None, None, Some(reply)) => Some(Action::Reply(self::reply(reply))),
            _ => None,
        };
        self.unchecked |= action.is_none();
        action
    }

    fn split(&mut self, to: &mesh::Backends, sticky: Option<&mesh::Sticky>) -> Option<Split> {
        let backends: Option<Vec<_>> =
            to.weights().map(|(name, weight)| Some((self.upstream(name)?, &**name, weight))).collect();
        Split::new(backends?.into_iter(), sticky.cloned())
    }

    fn filters(&mut self, place: Place<'_>, filters: &[mesh::Filter]) -> Option<Vec<CompiledFilter>> {
        if filters.is_empty() {
            return Some(Vec::new());
        }
        let at = place.at().key("filters");
        let compiled: Vec<Option<CompiledFilter>> = filters
            .iter()
            .enumerate()
            .map(|(index, filter)| CompiledFilter::new(filter, &at.index(index), &mut self.problems))
            .collect();
        compiled.into_iter().collect()
    }
}

fn redirect(redirect: &mesh::Redirect) -> Option<Redirect> {
    let scheme = match redirect.scheme.as_deref() {
        None => None,
        Some("http") => Some(Scheme::Http),
        Some("https") => Some(Scheme::Https),
        Some(_) => return None,
    };
    Some(Redirect {
        status: redirect.status(),
        scheme,
        host: redirect.host.as_deref().map(Arc::from),
        port: redirect.port,
        path: path_edit(redirect.path.as_deref(), redirect.prefix.as_deref()),
    })
}

fn path_edit(path: Option<&str>, prefix: Option<&str>) -> Option<PathEdit> {
    path.map(|path| PathEdit::Whole(path.into())).or_else(|| prefix.map(|prefix| PathEdit::Prefix(prefix.into())))
}

fn reply(reply: &mesh::Reply) -> Reply {
    let body = reply.body.as_deref().unwrap_or_default();
    let plain = (!body.is_empty()).then_some("text/plain; charset=utf-8");
    Reply {
        status: reply.status,
        body: body.into(),
        content_type: reply.content_type.as_deref().or(plain).map(Arc::from),
    }
}

fn edits(edits: Option<&HeaderEdits>) -> Edits {
    let Some(edits) = edits else { return Edits::default() };
    let line = |(name, value): (&HeaderName, &String)| (name.as_arc().clone(), Arc::from(value.as_str()));
    Edits {
        remove: edits.remove.iter().map(|name| name.as_arc().clone()).collect(),
        set: edits.set.iter().map(line).collect(),
        add: edits.add.iter().map(line).collect(),
    }
}

/// The written edits, and the version's headers where these do not set them themselves.
fn response_edits(rule: &mesh::Rule) -> Edits {
    let mut edits = edits(rule.response_headers.as_ref());
    let Some(version) = &rule.version else { return edits };
    let deprecation = version.deprecated.map(|date| ("deprecation", format!("@{}", midnight(date).as_second())));
    let sunset = version.sunset.map(|date| ("sunset", http_date(date)));
    for (name, value) in deprecation.into_iter().chain(sunset) {
        if !edits.set.iter().any(|(known, _)| **known == *name) {
            edits.set.push((name.into(), value.into()));
        }
    }
    edits
}

/// When a day begins, UTC.
fn midnight(date: Date) -> jiff::Timestamp {
    // A year of four digits is within what a timestamp can be.
    date.0.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp()).unwrap_or_default()
}

/// RFC 9110 §5.6.7: `Tue, 01 Jun 2027 00:00:00 GMT`.
fn http_date(date: Date) -> String {
    midnight(date).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
