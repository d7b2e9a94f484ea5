//! Endpoints from the A and AAAA records of a name, asked again when their time to live ends.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use weir_config::names::Authority;

use crate::upstream::Upstream;

/// A record is asked for again after its time to live, but not more often than this: a zero must not make a storm.
const SHORTEST: Duration = Duration::from_secs(1);
/// And at least this often: a day-long record must not keep a moved service away for a day.
const LONGEST: Duration = Duration::from_secs(60);
/// The pause after a failed query, doubled with each further one up to [`LONGEST`]; the old endpoints serve on meanwhile.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Keeps an upstream's endpoints fresh for as long as it lives.
pub struct Discovery {
    task: AbortHandle,
    first: watch::Receiver<bool>,
}

impl Discovery {
    /// Starts to ask for `name` on behalf of `upstream`.
    pub fn start(runtime: &Handle, resolver: TokioResolver, upstream: &Arc<Upstream>, name: Authority) -> Self {
        let (answered, first) = watch::channel(false);
        let task = runtime.spawn(follow(resolver, Arc::downgrade(upstream), name, answered)).abort_handle();
        Self { task, first }
    }

    /// Ends when the first answer, good or bad, is in.
    pub async fn first(&self) {
        let mut first = self.first.clone();
        let _ = first.wait_for(|answered| *answered).await;
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(resolver: TokioResolver, upstream: Weak<Upstream>, name: Authority, answered: watch::Sender<bool>) {
    let mut failures = 0u32;
    loop {
        let answer = resolver.lookup_ip(name.host.as_str()).await;
        let Some(upstream) = upstream.upgrade() else { return };
        let pause = match answer {
            Ok(found) => {
                let addresses = found.iter().map(|ip| SocketAddr::new(ip, name.port)).collect();
                if upstream.set_addresses(addresses) {
                    tracing::info!(upstream = %upstream.name, name = %name, endpoints = upstream.endpoints().len(), "endpoints changed");
                }
                failures = 0;
                found.valid_until().saturating_duration_since(Instant::now()).clamp(SHORTEST, LONGEST)
            }
            Err(error) => {
                let pause = AFTER_FAILURE.saturating_mul(1 << failures.min(5)).min(LONGEST);
                failures += 1;
                tracing::warn!(upstream = %upstream.name, name = %name, %error, again = ?pause, "name not resolved; the old endpoints stay");
                pause
            }
        };
        drop(upstream);
        answered.send_replace(true);
        tokio::time::sleep(pause).await;
    }
}
