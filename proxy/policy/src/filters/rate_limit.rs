//! `rate_limit`: so many requests in each span of time, counted in this process.

use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use weir_config::names::HeaderName;
use weir_config::problem::{Path, Problem};
use weir_config::read_table;
use weir_config::schema::schema_of;
use weir_config::text::{Fault, Text};
use weir_config::text_type;
use weir_config::units::Rate;

use super::buckets::{Buckets, Key, Limit};
use super::gcra::Gcra;
use super::{Filter, FilterContext, Kind, Next, Refusal, compile};
use crate::reason::Reason;

pub(super) const KIND: Kind = Kind {
    name: "rate_limit",
    help: "Lets so many requests through in each span of time, and answers the rest with 429.",
    description: "\
Lets `burst` requests through at once and after that `rate`, exactly (GCRA, to the nanosecond). The rest is answered \
with 429 `rate_limited`, `Retry-After`, `RateLimit-Policy` and `RateLimit`.

`key` says whose requests are counted together: `header:NAME` (requests without that header, or with an empty one, \
share one bucket; they are never unlimited), `address` (the client's address; of IPv6 the first 64 bits, which is what \
one customer gets), or `rule` (all requests to the rule together).

Counted in each proxy for itself. At most 100,000 keys are told apart at a time; while there are more, the newcomers \
share one bucket. A push that changes `rate` or `burst` keeps the buckets, one that changes `key` empties them.",
    schema: schema_of::<Settings>,
    compile: |node, at, problems| compile(node, at, problems, RateLimit::new),
    example: r#"filters = [{ kind = "rate_limit", key = "header:x-api-key", rate = "100/s", burst = 200 }]"#,
};

#[derive(Serialize, JsonSchema)]
struct Settings {
    /// Whose requests are counted together: "header:NAME", "address" or "rule". Absent: "rule".
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<CountedBy>,
    /// Requests in a span of time: "100/s".
    rate: Rate,
    /// Requests that may come at once. Absent: the rate's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<u32>,
}

read_table!(Settings { key, rate, burst } besides kind);

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CountedBy {
    Rule,
    Address,
    Header(HeaderName),
}

text_type!(
    CountedBy,
    "^(rule|address|header:[!#$%&'*+.^_`|~0-9A-Za-z-]+)$",
    "Whose requests are counted together: \"header:NAME\", \"address\" or \"rule\"."
);

impl Text for CountedBy {
    const WHAT: &'static str = "a key such as \"header:x-api-key\"";

    fn from_text(text: &str) -> Result<Self, Fault> {
        match text {
            "rule" => Ok(Self::Rule),
            "address" => Ok(Self::Address),
            _ => match text.strip_prefix("header:") {
                Some(name) => HeaderName::from_text(name).map(Self::Header),
                None => Err(Fault::new(format!("unknown key \"{}\"", text.escape_debug()))
                    .hint("\"header:NAME\", \"address\" or \"rule\"")),
            },
        }
    }
}

impl fmt::Display for CountedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule => f.write_str("rule"),
            Self::Address => f.write_str("address"),
            Self::Header(name) => write!(f, "header:{name}"),
        }
    }
}

struct RateLimit {
    by: CountedBy,
    limit: Limit,
    buckets: Arc<Buckets>,
    /// `RateLimit-Policy`.
    policy: String,
}

impl RateLimit {
    fn new(settings: Settings, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        let Settings { key, rate, burst } = settings;
        let burst = burst.unwrap_or(rate.count);
        let Some(gcra) = Gcra::new(rate, burst) else {
            problems.push(match burst {
                0 => Problem::error(&at.key("burst"), "a burst of 0 lets nothing through")
                    .hint("at least 1; to let nothing through, use the filter `deny`"),
                _ => Problem::error(at, format!("a burst of {burst} at {rate} takes more than a year to come back"))
                    .hint("a smaller `burst` or a higher `rate`"),
            });
            return None;
        };
        // draft-ietf-httpapi-ratelimit-headers, §3: quota and window.
        let policy = format!("\"default\";q={burst};w={}", whole_seconds(gcra.refill()));
        let limit = Limit { gcra, changed: false };
        Some(Self { by: key.unwrap_or(CountedBy::Rule), limit, buckets: Arc::default(), policy })
    }

    fn refusal(&self, wait: u64) -> Refusal {
        let seconds = whole_seconds(wait);
        Refusal {
            reason: Reason::RateLimited,
            retry_after: Some(Duration::from_secs(seconds)),
            headers: vec![
                ("ratelimit-policy", self.policy.clone()),
                ("ratelimit", format!("\"default\";r=0;t={seconds}")),
            ],
        }
    }
}

impl Filter for RateLimit {
    fn request(&self, cx: &mut FilterContext<'_>) -> Next {
        // 500 years of uptime fit.
        let now = cx.facts.now.as_nanos() as u64;
        let taken = match &self.by {
            CountedBy::Rule => self.buckets.take_shared(self.limit, now),
            CountedBy::Address => self.buckets.take(address_key(cx.facts.client), self.limit, now),
            CountedBy::Header(name) => match cx.head.headers.get(name).filter(|value| !value.is_empty()) {
                Some(value) => self.buckets.take(Key::new(value), self.limit, now),
                None => self.buckets.take_shared(self.limit, now),
            },
        };
        match taken {
            Ok(()) => Next::Continue,
            Err(wait) => Next::Reply(self.refusal(wait)),
        }
    }

    fn inherit(&mut self, old: &dyn Filter) {
        let Some(old) = (old as &dyn Any).downcast_ref::<Self>().filter(|old| old.by == self.by) else { return };
        self.buckets = old.buckets.clone();
        self.limit.changed = old.limit.changed || old.limit.gcra != self.limit.gcra;
    }

    fn fresh(&self) -> Option<Box<dyn Filter>> {
        let (by, policy) = (self.by.clone(), self.policy.clone());
        Some(Box::new(Self { by, limit: self.limit, buckets: Arc::default(), policy }))
    }
}

/// Up to the next whole second, and at least one.
fn whole_seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(1_000_000_000).max(1)
}

/// Whoever has one IPv6 address has 2⁶⁴ of them, so the network counts.
fn address_key(client: IpAddr) -> Key {
    match client.to_canonical() {
        IpAddr::V4(address) => Key::new(&address.octets()),
        IpAddr::V6(address) => Key::new(&address.octets()[..8]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::CompiledFilter;
    use super::super::testing::{HEAD, ask, compiled, facts, refused};
    use super::*;
    use crate::request::{Facts, RequestHead};

    fn at(milliseconds: u64) -> Facts {
        Facts { now: Duration::from_millis(milliseconds), ..facts() }
    }

    fn from(filter: &CompiledFilter, user: &str) -> Next {
        let headers = [("X-User", user)];
        ask(filter, &RequestHead { headers: &headers, ..HEAD }, &at(0))
    }

    fn is_refused(next: &Next) -> bool {
        matches!(next, Next::Reply(refusal) if refusal.reason == Reason::RateLimited)
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let filter = compiled("kind = \"rate_limit\"\nrate = \"1/4s\"\nburst = 2").unwrap();
        assert_eq!(ask(&filter, &HEAD, &at(0)), Next::Continue);
        assert_eq!(ask(&filter, &HEAD, &at(500)), Next::Continue);
        let Next::Reply(refusal) = ask(&filter, &HEAD, &at(900)) else { panic!("admitted") };
        assert_eq!(
            refusal,
            Refusal {
                reason: Reason::RateLimited,
                retry_after: Some(Duration::from_secs(4)),
                headers: vec![
                    ("ratelimit-policy", "\"default\";q=2;w=8".to_owned()),
                    ("ratelimit", "\"default\";r=0;t=4".to_owned()),
                ],
            }
        );
        assert!(is_refused(&ask(&filter, &HEAD, &at(3_999))));
        assert_eq!(ask(&filter, &HEAD, &at(4_000)), Next::Continue);
    }

    #[test]
    fn the_burst_is_the_rates_number_where_none_is_written() {
        let filter = compiled("kind = \"rate_limit\"\nrate = \"3/s\"").unwrap();
        let admitted = (0..10).filter(|_| ask(&filter, &HEAD, &at(0)) == Next::Continue).count();
        assert_eq!(admitted, 3);
    }

    #[test]
    fn each_value_of_the_header_has_its_bucket_and_none_is_never_unlimited() {
        let filter = compiled("kind = \"rate_limit\"\nkey = \"header:X-User\"\nrate = \"1/s\"").unwrap();
        assert_eq!(from(&filter, "a"), Next::Continue);
        assert_eq!(from(&filter, "b"), Next::Continue);
        assert!(is_refused(&from(&filter, "a")));
        assert_eq!(from(&filter, ""), Next::Continue);
        assert!(is_refused(&ask(&filter, &HEAD, &at(0))), "no key and an empty one share a bucket");
        assert!(is_refused(&from(&filter, "")));
    }

    #[test]
    fn an_address_counts_however_it_is_written_and_ipv6_by_its_network() {
        let filter = compiled("kind = \"rate_limit\"\nkey = \"address\"\nrate = \"1/s\"").unwrap();
        let admitted =
            |client: &str| ask(&filter, &HEAD, &Facts { client: client.parse().unwrap(), ..facts() }) == Next::Continue;
        assert!(admitted("192.0.2.1"));
        assert!(!admitted("::ffff:192.0.2.1"));
        assert!(admitted("192.0.2.2"));
        assert!(admitted("2001:db8::1"));
        assert!(!admitted("2001:db8::2:3:4"));
        assert!(admitted("2001:db8:0:1::1"));
    }

    #[test]
    fn a_changed_rate_keeps_the_buckets_and_a_changed_key_does_not() {
        let settings =
            |key: &str, rate: &str| format!("kind = \"rate_limit\"\nkey = \"{key}\"\nrate = \"{rate}\"\nburst = 1");
        let old = compiled(&settings("header:x-user", "1/h")).unwrap();
        assert_eq!(from(&old, "a"), Next::Continue);

        let mut faster = compiled(&settings("header:x-user", "1/m")).unwrap();
        faster.inherit(&old);
        assert!(is_refused(&from(&faster, "a")));
        assert_eq!(from(&faster, "b"), Next::Continue);
        assert!(is_refused(&from(&old, "b")), "both generations count together while they live");

        let mut by_address = compiled(&settings("address", "1/h")).unwrap();
        by_address.inherit(&faster);
        assert_eq!(from(&by_address, "a"), Next::Continue);
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        assert!(refused("kind = \"rate_limit\"").starts_with("filter.rate: `rate` is missing"));
        assert!(refused("kind = \"rate_limit\"\nrate = 100").contains("100/s"));
        let nothing = refused("kind = \"rate_limit\"\nrate = \"1/s\"\nburst = 0");
        assert!(nothing.starts_with("filter.burst: a burst of 0 lets nothing through"), "{nothing}");
        let year = refused("kind = \"rate_limit\"\nrate = \"1/d\"\nburst = 1000");
        assert!(year.contains("takes more than a year"), "{year}");
        let key = refused("kind = \"rate_limit\"\nrate = \"1/s\"\nkey = \"ip\"");
        assert_eq!(key, "filter.key: unknown key \"ip\" (\"header:NAME\", \"address\" or \"rule\")");
    }
}
