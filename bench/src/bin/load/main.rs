//! The load generator of the bench: HTTP/1.1, plain or TLS 1.3, one thread.
//!
//! Closed loop (the default): every connection sends its next request when its last was answered. Open loop (`--rate`):
//! request k is due at t0 + k / rate and is sent then, by its own timer and not in bursts; its latency counts from when
//! it was due, so that a proxy that stalls is charged for all who waited.
//!
//! A run has two parts, the warm-up and the measured part. Each begins and ends with nothing in flight, and each end
//! prints a mark, one JSON object in a line. With `--hold` the generator then waits for a line on its standard input.
//! So whoever reads the proxy's clocks at the two marks sees the measured requests whole, and no other.

mod connection;
mod drive;
mod report;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::connection::Target;
use crate::drive::{Drive, Pace, Until};
use crate::report::Report;

/// Sends requests, checks every answer, prints what they took.
#[derive(Parser)]
struct Args {
    /// The proxy.
    #[arg(long)]
    connect: SocketAddr,
    /// Speak TLS 1.3, and trust this certificate (PEM).
    #[arg(long)]
    tls: Option<PathBuf>,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    #[arg(long, default_value = "localhost")]
    host: String,
    #[arg(long, default_value = "/1k")]
    path: String,
    /// The body length that every answer must have, in bytes.
    #[arg(long, default_value_t = 1024)]
    length: usize,
    /// Seconds of warm-up.
    #[arg(long, default_value_t = 0.5)]
    warm: f64,
    /// Seconds of the measured part.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Requests of the measured part, instead of seconds.
    #[arg(long, conflicts_with = "rate")]
    requests: Option<u64>,
    /// Requests of the warm-up, instead of seconds.
    #[arg(long, conflicts_with = "rate")]
    warm_requests: Option<u64>,
    /// Open loop, at so many requests a second.
    #[arg(long)]
    rate: Option<f64>,
    /// Wait for a line on standard input after each mark.
    #[arg(long)]
    hold: bool,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, which is the reason why the round is void.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    let target = Target::new(args.connect, args.tls.as_deref(), args.length)?;
    let request =
        format!("GET {} HTTP/1.1\r\nhost: {}\r\nuser-agent: weir-bench\r\naccept: */*\r\n\r\n", args.path, args.host);
    let pace = match args.rate {
        None => Pace::Closed,
        Some(rate) if rate >= 1.0 && rate.is_finite() => Pace::Open { rate },
        Some(rate) => anyhow::bail!("--rate {rate}: requests per second, at least 1"),
    };
    let until = |requests: Option<u64>, seconds: f64| match requests {
        Some(requests) => Ok(Until::Requests(requests)),
        None => Duration::try_from_secs_f64(seconds).map(Until::Elapsed),
    };
    let warm_up = until(args.warm_requests, args.warm)?;
    let measured = until(args.requests, args.seconds)?;

    let mut drive = Drive::new(&target, request.as_bytes(), args.connections)?;
    for (mark, until) in [("warm", warm_up), ("done", measured)] {
        let tally = drive.run(until, &pace)?;
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &Report::new(mark, tally))?;
        out.write_all(b"\n")?;
        out.flush()?;
        if args.hold {
            std::io::stdin().read_line(&mut String::new())?;
        }
    }
    Ok(())
}
