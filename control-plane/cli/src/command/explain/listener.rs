//! Which listener the request comes in by, and what it is.

use serde::Serialize;
use weir_config::bootstrap::Bootstrap;
use weir_config::problem::did_you_mean;
use weir_policy::Table;

use crate::args::ExplainArgs;
use crate::document::{Source, check_bootstrap};
use crate::failure::{Failure, Result};

/// What a decision has to know of a listener.
#[derive(Clone, Debug, Serialize)]
pub struct Listener {
    /// Absent: one that serves the routes which name no listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub default: bool,
    pub tls: bool,
    pub port: u16,
    pub encoded_slashes: bool,
    #[serde(skip)]
    pub redirect_to_https: Option<u16>,
    /// No bootstrap document says so.
    pub assumed: bool,
}

impl Listener {
    /// The one that was asked for, as the bootstrap document has it; without one, as the routes let suppose.
    pub fn choose(args: &ExplainArgs, table: &Table) -> Result<Self> {
        let Some(path) = &args.bootstrap else { return Self::assumed(args.listener.as_deref(), table) };
        let source = Source::read(path)?;
        let bootstrap = check_bootstrap(&source).or_refuse(source)?;
        Self::of(args.listener.as_deref(), &bootstrap)
    }

    fn of(asked: Option<&str>, bootstrap: &Bootstrap) -> Result<Self> {
        let mut listeners = bootstrap.listeners.iter();
        let names: Vec<_> = bootstrap.listeners.keys().map(|name| name.as_str()).collect();
        let found = match asked {
            Some(asked) => listeners
                .find(|(name, _)| name.as_str() == asked)
                .ok_or_else(|| unknown(format!("the bootstrap document has no listener `{asked}`"), asked, &names))?,
            None => listeners.find(|(_, listener)| listener.default()).ok_or_else(|| {
                let hint = format!("choose one with --listener: {}", names.join(", "));
                Failure::new("the bootstrap document marks no listener as `default`", hint)
            })?,
        };
        let (name, listener) = found;
        Ok(Self {
            name: Some(name.to_string()),
            default: listener.default(),
            tls: listener.tls.is_some(),
            port: listener.address.port(),
            encoded_slashes: listener.encoded_slashes(),
            redirect_to_https: listener.redirect_to_https,
            assumed: false,
        })
    }

    fn assumed(asked: Option<&str>, table: &Table) -> Result<Self> {
        if let Some(asked) = asked {
            let mut names: Vec<_> = table.listeners_named().map(|(listener, _)| listener).collect();
            names.sort_unstable();
            names.dedup();
            if !names.contains(&asked) {
                return Err(unknown(format!("no route names the listener `{asked}`"), asked, &names));
            }
        }
        Ok(Self {
            name: asked.map(str::to_owned),
            default: asked.is_none(),
            tls: true,
            port: 443,
            encoded_slashes: false,
            redirect_to_https: None,
            assumed: true,
        })
    }
}

fn unknown(error: String, asked: &str, names: &[&str]) -> Failure {
    let known = match names {
        [] => "none is known by name".to_owned(),
        names => match did_you_mean(asked, names.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`? Known: {}", names.join(", ")),
            None => format!("known: {}", names.join(", ")),
        },
    };
    let hint = "leave --listener out for the routes that name none, and give --bootstrap for what the process has";
    Failure::new(error, format!("{known}; {hint}"))
}
