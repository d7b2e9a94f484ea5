//! `log_fields`: more fields in a request's line of the access log.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use weir_config::names::HeaderName;
use weir_config::problem::{Path, Problem};
use weir_config::read_table;
use weir_config::schema::schema_of;
use weir_config::text::{Fault, Text};
use weir_config::text_type;

use super::{Filter, FilterContext, Kind, Next, compile};
use crate::pattern::{decoded, parameter};

/// Bytes of a value that are logged.
const LONGEST: usize = 256;
/// Fields that one filter may add.
const MOST: usize = 32;

pub(super) const KIND: Kind = Kind {
    name: "log_fields",
    help: "Adds headers and query parameters of a request to its line in the access log.",
    description: "\
Each field is named for the log and takes its value from `header:NAME` (its first line) or `query:NAME` (the first \
parameter of that name, decoded). What a request lacks is left out. Values are cut at 256 bytes.

Names are those of ECS where it has one (`user_agent.original`), or your own under `labels.`; a name that the log \
writes itself is refused, and so are headers and parameters that carry secrets.",
    schema: schema_of::<Settings>,
    compile: |node, at, problems| compile(node, at, problems, LogFields::new),
    example: r#"filters = [
    { kind = "log_fields", fields = { "user_agent.original" = "header:user-agent", "labels.lang" = "query:lang" } },
]"#,
};

/// Headers that carry secrets.
const SECRET_HEADERS: [&str; 7] =
    ["authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key", "x-auth-token", "x-csrf-token"];
/// Query parameters that carry secrets.
const SECRET_PARAMETERS: [&str; 13] = [
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "client_secret",
    "code",
    "id_token",
    "key",
    "password",
    "refresh_token",
    "secret",
    "sig",
    "token",
];
/// What the log writes itself: these names, and everything below them.
const OWN: [&str; 25] = [
    "client",
    "destination",
    "ecs",
    "error",
    "event",
    "http.request.body",
    "http.request.bytes",
    "http.request.id",
    "http.request.method",
    "http.response",
    "http.version",
    "labels.attempts",
    "labels.driver",
    "labels.endpoint",
    "labels.listener",
    "labels.reason",
    "labels.route",
    "labels.rule",
    "labels.tenant",
    "labels.upstream",
    "labels.version",
    "source",
    "tls",
    "trace",
    "url",
];

#[derive(Serialize, JsonSchema)]
struct Settings {
    /// Names of fields, each with where its value comes from: "header:NAME" or "query:NAME".
    fields: BTreeMap<String, Source>,
}

read_table!(Settings { fields } besides kind);

/// Where a field's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Header(HeaderName),
    /// The parameter's decoded name.
    Query(String),
}

text_type!(Source, "^(header:[!#$%&'*+.^_`|~0-9A-Za-z-]+|query:.+)$", "\"header:NAME\" or \"query:NAME\".");

impl Text for Source {
    const WHAT: &'static str = "a source such as \"header:user-agent\"";

    fn from_text(text: &str) -> Result<Self, Fault> {
        let secret = |what: &str, name: &str| {
            Fault::new(format!("the {what} `{}` carries a secret, which no log may have", name.escape_debug()))
        };
        match text.split_once(':') {
            Some(("header", name)) => match HeaderName::from_text(name)? {
                name if SECRET_HEADERS.contains(&name.as_str()) => Err(secret("header", &name)),
                name => Ok(Self::Header(name)),
            },
            Some(("query", name)) if !name.is_empty() => {
                match SECRET_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) {
                    true => Err(secret("parameter", name)),
                    false => Ok(Self::Query(name.to_owned())),
                }
            }
            _ => Err(Fault::new(format!("unknown source \"{}\"", text.escape_debug()))
                .hint("\"header:NAME\" or \"query:NAME\"")),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
        }
    }
}

struct LogFields {
    fields: Vec<(Arc<str>, Source)>,
}

impl LogFields {
    fn new(settings: Settings, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        let at = at.key("fields");
        let before = problems.len();
        if settings.fields.is_empty() || settings.fields.len() > MOST {
            let message = format!("{} fields are given", settings.fields.len());
            problems.push(Problem::error(&at, message).hint(format!("1 to {MOST}")));
        }
        for name in settings.fields.keys() {
            if let Err(fault) = fit(name) {
                problems.push(Problem::fault(&at.key(name.clone()), fault));
            }
        }
        let fields = settings.fields.into_iter().map(|(name, source)| (name.into(), source)).collect();
        (problems.len() == before).then_some(Self { fields })
    }
}

/// Whether a field may have that name.
fn fit(name: &str) -> Result<(), Fault> {
    let element = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let shown = name.escape_debug();
    if name.len() > 100 || !name.split('.').all(element) {
        return Err(Fault::new(format!("`{shown}` is not a field's name"))
            .hint("a-z, 0-9 and `_`, with dots between, at most 100: \"labels.lang\""));
    }
    // A field cannot be a value here and a group of fields there.
    let is_or_holds = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if OWN.iter().any(|own| is_or_holds(own, name) || is_or_holds(name, own)) {
        return Err(Fault::new(format!("the log writes `{shown}` itself")).hint("choose another name under `labels.`"));
    }
    Ok(())
}

impl Filter for LogFields {
    fn request(&self, cx: &mut FilterContext<'_>) -> Next {
        for (name, source) in &self.fields {
            let value = match source {
                Source::Header(header) => cx.head.headers.get(header).map(logged),
                Source::Query(key) => {
                    cx.head.query.and_then(|query| parameter(query, key)).map(|raw| logged(&decoded(raw.as_bytes())))
                }
            };
            if let Some(value) = value {
                cx.log.push((name.clone(), value));
            }
        }
        Next::Continue
    }
}

/// At most [`LONGEST`] bytes, with what is not UTF-8 replaced.
fn logged(value: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(&value[..value.len().min(LONGEST)]).into_owned();
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::{HEAD, compiled, facts, refused};
    use super::*;
    use crate::request::RequestHead;

    fn logs(fields: &str, head: &RequestHead<'_>) -> Vec<(String, String)> {
        let filter = compiled(&format!("kind = \"log_fields\"\nfields = {{ {fields} }}")).unwrap();
        let mut log = Vec::new();
        let next = filter.request(&mut FilterContext { head, facts: &facts(), log: &mut log });
        assert_eq!(next, Next::Continue);
        log.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
    }

    #[test]
    fn what_a_request_has_is_logged_and_what_it_lacks_is_not() {
        let head = RequestHead {
            query: Some("a=1&lang=en%20GB&lang=de"),
            headers: &[("User-Agent", "curl"), ("user-agent", "other")],
            ..HEAD
        };
        let fields =
            r#""user_agent.original" = "header:User-Agent", "labels.lang" = "query:lang", "labels.x" = "header:x""#;
        let expected = [("labels.lang", "en GB"), ("user_agent.original", "curl")];
        assert_eq!(logs(fields, &head), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn values_are_cut_between_characters() {
        let long = "é".repeat(200);
        let head = RequestHead { headers: &[("x-a", long.as_str())], ..HEAD };
        assert_eq!(logs(r#""labels.a" = "header:x-a""#, &head)[0].1, "é".repeat(128));
        let odd = format!("a{long}");
        let head = RequestHead { headers: &[("x-a", odd.as_str())], ..HEAD };
        let value = &logs(r#""labels.a" = "header:x-a""#, &head)[0].1;
        assert!(value.len() <= LONGEST && value.starts_with(&format!("a{}", "é".repeat(127))), "{value}");
        let head = RequestHead { headers: &[("x-a", [0xff, b'a'])], ..HEAD };
        assert_eq!(logs(r#""labels.a" = "header:x-a""#, &head)[0].1, "\u{fffd}a");
    }

    #[test]
    fn secrets_and_the_logs_own_names_are_refused() {
        for source in
            ["header:Authorization", "header:cookie", "header:proxy-authorization", "header:X-API-Key", "query:Token"]
        {
            let refused = refused(&format!("kind = \"log_fields\"\nfields = {{ \"labels.a\" = \"{source}\" }}"));
            assert!(refused.contains("carries a secret"), "{refused}");
        }
        for name in ["labels.route", "labels.tenant", "http.request.method", "http", "url.path", "client", "labels"] {
            let refused = refused(&format!("kind = \"log_fields\"\nfields = {{ \"{name}\" = \"header:x-a\" }}"));
            assert!(refused.contains("the log writes"), "{refused}");
        }
        for name in ["@timestamp", "", "a..b", "Labels.a", "labels.a b", "1a", ".a"] {
            let refused = refused(&format!("kind = \"log_fields\"\nfields = {{ \"{name}\" = \"header:x-a\" }}"));
            assert!(refused.contains("is not a field's name"), "{refused}");
        }
        assert!(refused("kind = \"log_fields\"\nfields = {}").contains("0 fields are given"));
        assert!(refused("kind = \"log_fields\"\nfields = { a = \"cookie:b\" }").contains("unknown source"));
    }

    #[test]
    fn names_that_only_look_like_the_logs_own_are_fine() {
        let head = RequestHead { headers: &[("x-a", "1")], ..HEAD };
        assert_eq!(logs(r#""labels.routes" = "header:x-a", "http.request.referrer" = "header:x-a""#, &head).len(), 2);
    }
}
