//! What can be typed. Help texts are written for somebody who sees Weir for the first time: one line that says what a
//! command does, then what it is good for, then an example.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::styling::Styles;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::document::Kind;
use crate::output::{BOLD, Format, NOTE};

/// A programmable edge proxy for HTTP.
///
/// Start with `weir dev`: it runs a whole edge on this machine, with services behind it, and prints what to try. What
/// the edge does is written in a mesh document (TOML): `weir check` finds what is wrong with one, `weir diff` says what
/// an edit changes, `weir explain` says what becomes of a request and why.
#[derive(Debug, Parser)]
#[command(name = "weir", version, styles = styles(), arg_required_else_help = true, max_term_width = 100)]
#[command(after_long_help = "\
Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
Results go to stdout, failures to stderr. Colour appears only on a terminal; NO_COLOR=1 turns it off.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// How results are written: text, or json for scripts
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_possible_values = true, display_order = 100)]
    pub output: Format,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Dev(DevArgs),
    Check(CheckArgs),
    Diff(DiffArgs),
    Explain(ExplainArgs),
    Filters(FiltersArgs),
    Schema(SchemaArgs),
    Completions(CompletionsArgs),
}

/// Run the edge proxy and its sample services on this machine
///
/// Starts the edge proxy (TLS 1.3, with a development CA that it makes) and the research services on their built-in
/// sample data, all on loopback. Then it prints commands to try and where to look. Edit the mesh document while it runs:
/// each save is checked and, if it is good, live at once. Ctrl-C ends everything.
///
/// What it writes lies in one folder, which may be removed when it does not run.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  weir dev
  weir dev --mesh mesh.toml --edge-port 9443")]
pub struct DevArgs {
    /// The folder for certificates, logs and state
    #[arg(long, value_name = "FOLDER", default_value = ".weir")]
    pub dir: PathBuf,

    /// The mesh document to serve [default: config/examples/research.toml, else a copy of it in the folder]
    #[arg(long, value_name = "FILE")]
    pub mesh: Option<PathBuf>,

    /// The edge, TLS
    #[arg(long, value_name = "PORT", default_value_t = 8443)]
    pub edge_port: u16,

    /// The edge without TLS; it redirects to the port with TLS
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub plain_port: u16,

    /// The way out: the listener through which services reach other services
    #[arg(long, value_name = "PORT", default_value_t = 15001)]
    pub egress_port: u16,

    /// The admin interface: table, upstreams, limits, certificates
    #[arg(long, value_name = "PORT", default_value_t = 15000)]
    pub admin_port: u16,

    /// Metrics for Prometheus
    #[arg(long, value_name = "PORT", default_value_t = 15020)]
    pub metrics_port: u16,

    /// Health: whether it lives, whether it is ready
    #[arg(long, value_name = "PORT", default_value_t = 15021)]
    pub health_port: u16,

    /// Start the proxy alone, without the sample services
    #[arg(long)]
    pub no_services: bool,
}

/// Find what is wrong with a document
///
/// Reads a mesh document or a bootstrap document as a proxy would and reports all of its errors at once, each with its
/// place, the line it is on and what to do about it. Also warns of rules that can never match.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  weir check mesh.toml
  weir check --output json mesh.toml
  generate-mesh | weir check -

Exits with 0 when the document is good, with 1 when it is refused. Warnings alone do not refuse it.")]
pub struct CheckArgs {
    /// A TOML or JSON file; `-` reads from stdin
    pub file: PathBuf,

    /// What the document is, where its content should not decide
    #[arg(long, value_enum)]
    pub kind: Option<Kind>,

    /// Exit with 1 on warnings too
    #[arg(long)]
    pub deny_warnings: bool,
}

/// Say what changes from one mesh document to another
///
/// Compares what the documents mean, not their lines: comments, the order of tables and other ways to write the same
/// thing are no change. `+` is new, `-` is gone, `~` is different.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  weir diff live.toml mesh.toml
  git show HEAD:mesh.toml | weir diff - mesh.toml")]
pub struct DiffArgs {
    /// The document as it was; `-` reads from stdin
    pub old: PathBuf,

    /// The document as it is to be; `-` reads from stdin
    pub new: PathBuf,

    /// Exit with 1 when anything changes
    #[arg(long)]
    pub exit_code: bool,
}

/// Say what becomes of a request, and why
///
/// Takes the same decision that a proxy with this mesh document would take, and shows it: the rule that wins, where the
/// request goes and with what share, how its path and headers are changed, what each filter says, and why every other
/// rule lost. Nothing is sent.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  weir explain --mesh mesh.toml --host api.example.com --path '/v1/search?q=attention'
  weir explain --mesh mesh.toml --path /v1/q -H 'x-beta: 1' --method POST
  weir explain --mesh mesh.toml --bootstrap bootstrap.toml --listener plain --path /")]
pub struct ExplainArgs {
    /// The mesh document
    #[arg(long, value_name = "FILE")]
    pub mesh: PathBuf,

    /// The proxy's bootstrap document, which says what its listeners are
    #[arg(long, value_name = "FILE")]
    pub bootstrap: Option<PathBuf>,

    /// The listener that the request comes in by [default: one that serves the routes which name no listener]
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,

    /// The host that is asked for [default: the `host` header, or none]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,

    /// The path, with its query if it has one
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub path: String,

    /// The method
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    pub method: String,

    /// A header of the request; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(String, String)>,

    /// The client's address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub client: IpAddr,

    /// The roll of the dice, 0 to 18446744073709551615, that decides splits by chance
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub chance: u64,
}

/// List the filters that rules can have
///
/// Each with what it does, its settings and an example. With the name of one, only that one, in full.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  weir filters
  weir filters rate_limit")]
pub struct FiltersArgs {
    /// Show this filter
    #[arg(value_parser = filter_kinds(), hide_possible_values = true)]
    pub kind: Option<String>,
}

/// Print the JSON Schema of a document
///
/// Editors complete and check documents by it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  weir schema > mesh.schema.json
and as the first line of a mesh document, for editors with a TOML language server:
  #:schema ./mesh.schema.json")]
pub struct SchemaArgs {
    /// Which document
    #[arg(value_enum, default_value = "mesh")]
    pub kind: Kind,
}

/// Print a script that completes commands in a shell
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  weir completions bash > ~/.local/share/bash-completion/completions/weir
  weir completions zsh  > ~/.zfunc/_weir
  weir completions fish > ~/.config/fish/completions/weir.fish")]
pub struct CompletionsArgs {
    pub shell: clap_complete::Shell,
}

fn styles() -> Styles {
    Styles::styled().header(BOLD).usage(BOLD).literal(NOTE)
}

/// `name: value`.
fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'name: value'")?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let name = name.trim();
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("`{name}` is not a header name"));
    }
    Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
}

fn filter_kinds() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(weir_policy::filters::CATALOGUE.iter().map(|kind| kind.name))
}
