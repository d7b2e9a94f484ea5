//! `research SERVICE`: reads the arguments, builds that service, serves it until it is told to stop.

use std::process::ExitCode;

use clap::Parser;
use research::cli::Cli;
use research::{serve, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = telemetry::log::start(cli.service_name());
    let outcome = serve::run(cli, log.dropped()).await;
    if let Err(error) = &outcome {
        tracing::error!(error.message = %format!("{error:#}"), "cannot serve");
    }
    log.finish();
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
