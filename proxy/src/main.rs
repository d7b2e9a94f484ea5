//! `weir-proxy`: reads its bootstrap document, serves, and leaves when asked.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The data plane of Weir: a proxy for the edge and beside services.
#[derive(Parser)]
#[command(version, about, long_about = None)]
struct Arguments {
    /// The bootstrap document: listeners, limits, telemetry.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The mesh document: routes and upstreams. Watched. Wins over `mesh` in the bootstrap document.
    #[arg(long, value_name = "FILE")]
    mesh: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match weir_proxy::process::run(&arguments.config, arguments.mesh) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-proxy: {error:#}");
            ExitCode::FAILURE
        }
    }
}
