//! A bare Pingora proxy: stock listeners, stock pool, one upstream, no policy. What Weir's own code costs is measured
//! against it, so it is built with the same profile, the same allocator and the same TLS provider as Weir.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use async_trait::async_trait;
use clap::Parser;
use pingora::listeners::tls::TlsSettings;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Idle upstream connections a thread may keep: more than any scenario has in flight. Pingora's own 128 would dial anew
/// for most requests of a thousand connections.
const UPSTREAM_POOL: usize = 4096;

/// A bare Pingora proxy.
#[derive(Parser)]
struct Args {
    /// Where to listen for plain HTTP/1.1.
    #[arg(long)]
    plain: SocketAddr,
    /// Where to listen for HTTP/2 and HTTP/1.1 over TLS.
    #[arg(long)]
    tls: SocketAddr,
    /// The certificate chain, PEM.
    #[arg(long)]
    cert: PathBuf,
    /// Its key, PEM.
    #[arg(long)]
    key: PathBuf,
    /// Where every request goes.
    #[arg(long)]
    upstream: SocketAddr,
    /// Worker threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok()
        .context("a TLS provider is installed already")?;
    let args = Args::parse();

    let conf = ServerConf {
        threads: args.threads,
        upstream_keepalive_pool_size: UPSTREAM_POOL,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();

    let mut service = http_proxy_service(&server.configuration, Bare { upstream: args.upstream });
    service.add_tcp(&args.plain.to_string());
    let path = |path: PathBuf| path.into_os_string().into_string().ok().context("a path that is not UTF-8");
    let mut tls = TlsSettings::intermediate(&path(args.cert)?, &path(args.key)?)?;
    tls.enable_h2();
    service.add_tls_with_settings(&args.tls.to_string(), None, tls);
    server.add_service(service);
    server.run_forever()
}

struct Bare {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }
}
