//! The command line, and what it makes: a service, and where to serve it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::http::HeaderValue;
use clap::{Args, Parser, Subcommand};
use jiff::SignedDuration;
use reqwest::Url;

use crate::corpus::Corpus;
use crate::federation::Federation;
use crate::model::Source;
use crate::service::{Service, SourceService};
use crate::sources::{self, Defaults};
use crate::telemetry::Metrics;
use crate::transport::{self, Transport};
use crate::upstream::Upstream;

/// Who we say we are, where the command line says nothing else.
const USER_AGENT: &str = concat!("research/", env!("CARGO_PKG_VERSION"));

/// Research services: search arXiv, PubMed, GitHub and the web, or all of them at once.
#[derive(Debug, Parser)]
#[command(name = "research", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Papers from arXiv, by its Atom API
    Arxiv(SourceArgs),
    /// Papers from PubMed, by E-utilities
    Pubmed(SourceArgs),
    /// Repositories from GitHub, by its REST API (GITHUB_TOKEN, if set, raises its rate limit)
    Github(SourceArgs),
    /// Web pages from Firecrawl, by its v1 API (needs FIRECRAWL_API_KEY at its public address)
    Firecrawl(SourceArgs),
    /// All of the others at once: asks them, merges what came in time, says who is missing
    Search(SearchArgs),
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address to listen on; port 0 takes a free one, which ready.json and the log name
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Folder to write ready.json into once the service serves
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct SourceArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// Answer from the embedded corpus instead of the external API
    #[arg(long, conflicts_with = "base_url")]
    offline: bool,
    /// Where the external API is; a path in it is kept, so it can be a proxy's [default: its public address]
    #[arg(long, value_name = "URL", value_parser = base_url)]
    base_url: Option<Url>,
    /// How long the external API may take for one search
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    timeout: Duration,
    /// The largest answer of the external API that is read
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = size)]
    max_answer: usize,
    /// What the external API is told about who asks
    #[arg(long, value_name = "TEXT", default_value = USER_AGENT, value_parser = header_text)]
    user_agent: String,
}

#[derive(Debug, Args)]
struct SearchArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// A source and where its service is, as in arxiv=http://127.0.0.1:7101; once for each
    #[arg(long = "source", value_name = "NAME=URL", required = true, value_parser = named_source)]
    sources: Vec<(Source, Url)>,
    /// How long an answer may take; sources that are not back by then are left out
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    deadline: Duration,
    /// The largest answer of a source that is read
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = size)]
    max_answer: usize,
}

impl Cli {
    pub fn service_name(&self) -> &'static str {
        self.source().map_or("search", |(source, _)| source.as_str())
    }

    pub fn serve_args(&self) -> &ServeArgs {
        match &self.command {
            Command::Search(args) => &args.serve,
            Command::Arxiv(args) | Command::Pubmed(args) | Command::Github(args) | Command::Firecrawl(args) => {
                &args.serve
            }
        }
    }

    /// Builds the service that was asked for.
    ///
    /// # Errors
    /// Where a setting, or the environment, does not allow it; the message says which and what to do.
    pub fn service(&self, metrics: &Arc<Metrics>) -> anyhow::Result<Service> {
        match (self.source(), &self.command) {
            (Some((source, args)), _) => args.service(source, metrics),
            (None, Command::Search(args)) => args.service(metrics),
            (None, _) => bail!("no such service"),
        }
    }

    fn source(&self) -> Option<(Source, &SourceArgs)> {
        match &self.command {
            Command::Arxiv(args) => Some((Source::Arxiv, args)),
            Command::Pubmed(args) => Some((Source::Pubmed, args)),
            Command::Github(args) => Some((Source::Github, args)),
            Command::Firecrawl(args) => Some((Source::Firecrawl, args)),
            Command::Search(_) => None,
        }
    }
}

impl SourceArgs {
    fn service(&self, source: Source, metrics: &Arc<Metrics>) -> anyhow::Result<Service> {
        let defaults = sources::defaults(source);
        let base = match &self.base_url {
            Some(url) => url.clone(),
            None => Url::parse(defaults.base_url).context("the built-in base URL")?,
        };
        let transport = match self.offline {
            true => Transport::Offline(Corpus::load(source)?),
            false => Transport::live(client(&self.user_agent, [&base])?, self.max_answer),
        };
        let mut api = Upstream::new(source, base, transport, metrics.clone());
        if let Some(key) = self.key(source, &defaults)? {
            let variable = defaults.key_variable.unwrap_or_default();
            api = api.with_bearer(&key).with_context(|| format!("{variable} is not a token"))?;
        }
        Ok(Service::Source(SourceService { api, timeout: self.timeout }))
    }

    fn key(&self, source: Source, defaults: &Defaults) -> anyhow::Result<Option<String>> {
        let Some(variable) = defaults.key_variable.filter(|_| !self.offline) else { return Ok(None) };
        match std::env::var(variable).ok().filter(|key| !key.is_empty()) {
            None if defaults.key_required && self.base_url.is_none() => bail!(
                "{} answers no one without a key: set {variable}, or use --offline, or --base-url for one that needs none ({source})",
                defaults.base_url
            ),
            key => Ok(key),
        }
    }
}

impl SearchArgs {
    fn service(&self, metrics: &Arc<Metrics>) -> anyhow::Result<Service> {
        let client = client(USER_AGENT, self.sources.iter().map(|(_, url)| url))?;
        let mut named = BTreeSet::new();
        let mut upstreams = Vec::with_capacity(self.sources.len());
        for (source, url) in &self.sources {
            if !named.insert(*source) {
                bail!("--source names {source} twice: give each source once");
            }
            let transport = Transport::live(client.clone(), self.max_answer);
            upstreams.push(Upstream::new(*source, url.clone(), transport, metrics.clone()));
        }
        Ok(Service::Search(Federation::new(upstreams, self.deadline)))
    }
}

fn client<'a>(user_agent: &str, bases: impl IntoIterator<Item = &'a Url>) -> anyhow::Result<reqwest::Client> {
    transport::client(user_agent, bases)
        .context("the HTTP client cannot be made; https needs the system's CA certificates (package ca-certificates)")
}

/// One line that a header can carry.
fn header_text(text: &str) -> Result<String, String> {
    let carried = HeaderValue::from_str(text).is_ok_and(|value| !value.is_empty());
    if carried { Ok(text.to_owned()) } else { Err("give one line of plain text".into()) }
}

fn named_source(text: &str) -> Result<(Source, Url), String> {
    let (name, url) = text.split_once('=').ok_or("write it as NAME=URL, as in arxiv=http://127.0.0.1:7101")?;
    Ok((name.parse()?, base_url(url)?))
}

fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}: give one like http://127.0.0.1:15001/arxiv"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{}:` is not spoken here: use http or https", url.scheme()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a base URL has no query and no fragment: leave out what follows `?` or `#`".into());
    }
    Ok(url)
}

/// `250ms`, `2s`, `1m30s`: with a unit, above zero.
fn duration(text: &str) -> Result<Duration, String> {
    let hint = || "give a time with its unit, as in 250ms or 2s".to_owned();
    let given: SignedDuration = text.parse().map_err(|_| hint())?;
    Duration::try_from(given).ok().filter(|duration| !duration.is_zero()).ok_or_else(hint)
}

/// `64KiB`, `4MiB`, in bytes.
fn size(text: &str) -> Result<usize, String> {
    let units = [("KiB", 1usize << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let parsed = units.into_iter().find_map(|(unit, bytes)| {
        let count: usize = text.strip_suffix(unit)?.trim().parse().ok()?;
        count.checked_mul(bytes).filter(|bytes| *bytes > 0)
    });
    parsed.ok_or_else(|| "give a size with its unit, as in 64KiB or 4MiB".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(arguments: &[&str]) -> Result<Service, String> {
        let cli = Cli::try_parse_from([&["research"], arguments].concat()).map_err(|error| error.to_string())?;
        let dropped = prometheus::IntCounter::new("dropped_total", "Dropped.").expect("a counter");
        let metrics = Arc::new(Metrics::new(cli.service_name(), dropped).expect("metrics"));
        cli.service(&metrics).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn every_source_can_be_built_offline_and_at_a_base_url() {
        for source in Source::ALL {
            for how in [["--offline"].as_slice(), &["--base-url", "http://127.0.0.1:15001/x", "--timeout", "1s"]] {
                let built = service(&[&[source.as_str()], how].concat()).expect("a service");
                assert_eq!(built.name(), source.as_str());
            }
        }
        assert_eq!(service(&["search", "--source", "arxiv=http://127.0.0.1:1"]).map(|s| s.name()), Ok("search"));
    }

    #[test]
    fn what_is_typed_wrong_is_told_what_to_do() {
        for (arguments, says) in [
            (&["arxiv", "--offline", "--base-url", "http://a"] as &[&str], "cannot be used with"),
            (&["arxiv", "--base-url", "a.org"], "give one like"),
            (&["arxiv", "--base-url", "ftp://a.org"], "use http or https"),
            (&["arxiv", "--timeout", "5"], "250ms or 2s"),
            (&["arxiv", "--timeout", "0s"], "250ms or 2s"),
            (&["arxiv", "--max-answer", "1000"], "64KiB or 4MiB"),
            (&["arxiv", "--user-agent", "a\nb"], "one line of plain text"),
            (&["search"], "--source"),
            (&["search", "--source", "arxiv"], "NAME=URL"),
            (&["search", "--source", "scholar=http://a"], "no source is called `scholar`"),
            (&["search", "--source", "arxiv=http://a", "--source", "arxiv=http://b"], "arxiv twice"),
            (&["search", "--offline", "--source", "arxiv=http://a"], "--offline"),
        ] {
            let error = service(arguments).map(|_| ()).expect_err("refused");
            assert!(error.contains(says), "{arguments:?}: {error}");
        }
    }
}
