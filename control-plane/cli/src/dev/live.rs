//! Follows the mesh document while the proxy serves: each save is checked, what it changes is said, and that it is live,
//! or that the proxy refuses what looked good here, is said only when the proxy says so.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use weir_config::diff::diff;

use super::PROXY;
use super::folder::Folder;
use super::mesh::{Good, MeshFile};
use super::proxy::{Proxy, Refused, Served};
use super::tell::{Event, Teller};
use super::watch::Watch;
use crate::failure::Result;

/// Between two questions to the proxy.
const ASK: Duration = Duration::from_millis(50);
/// From a good save until the proxy should serve it: it waits up to 5 s for new upstreams to be found.
const TAKE: Duration = Duration::from_secs(10);

/// Goes on until its output cannot be written. `live` is what the proxy was started with.
pub async fn follow(
    mesh: &MeshFile,
    mut live: Good,
    mut watch: Watch,
    proxy: &Proxy,
    folder: &Folder,
    teller: &mut Teller,
) -> Result<Infallible> {
    let log = folder.log(PROXY);
    let mut awaited: Option<Awaited> = None;
    // The number of the refusal that was told last.
    let mut told = 0;
    // The proxy may have come up with the last good document instead of the one that is there now.
    if let Some(refused) = proxy.state().await.and_then(|state| state.refused) {
        told = refused.number;
        teller.tell(&Event::untaken(&mesh.path, Some(&refused), &log))?;
    }
    loop {
        tokio::select! {
            saved = watch.saved() => match saved.map(|text| mesh.saved(text)) {
                None => teller.tell(&Event::Gone { mesh: &mesh.path })?,
                Some(Err(refusal)) => teller.refused(&mesh.path, &refusal)?,
                Some(Ok(next)) => {
                    teller.warned(&mesh.path, &next)?;
                    let last = awaited.as_ref().map_or(&live, |awaited| &awaited.good);
                    let changes = diff(&last.mesh, &next.mesh);
                    if changes.is_empty() {
                        teller.tell(&Event::Same { mesh: &mesh.path })?;
                    } else {
                        let next = Awaited::new(next);
                        teller.tell(&Event::Changed { mesh: &mesh.path, digest: &next.digest, changes: &changes })?;
                        awaited = Some(next);
                    }
                }
            },
            said = verdict(awaited.as_mut(), told, proxy) => match (said, awaited.take()) {
                (Verdict::Live(served), Some(taken)) => {
                    live = taken.good;
                    teller.tell(&Event::Live(&served))?;
                }
                (Verdict::Refused(refused), _) => {
                    told = refused.number;
                    teller.tell(&Event::untaken(&mesh.path, Some(&refused), &log))?;
                }
                _ => teller.tell(&Event::untaken(&mesh.path, None, &log))?,
            },
        }
    }
}

/// A document that the proxy should take.
struct Awaited {
    good: Good,
    digest: String,
    ask_at: Instant,
    until: Instant,
}

impl Awaited {
    fn new(good: Good) -> Self {
        let now = Instant::now();
        Self { digest: good.mesh.digest(), good, ask_at: now, until: now + TAKE }
    }
}

/// What became of a document that the proxy should take.
enum Verdict {
    Live(Served),
    Refused(Refused),
    /// The proxy says neither in the time that it should need.
    None,
}

/// Waits until the proxy serves what is awaited, or refuses it with a number above `told`. Waits for ever when nothing is
/// awaited. Nothing is lost when it is dropped and called again.
async fn verdict(awaited: Option<&mut Awaited>, told: u64, proxy: &Proxy) -> Verdict {
    let Some(awaited) = awaited else { return pending().await };
    while awaited.ask_at < awaited.until {
        sleep_until(awaited.ask_at).await;
        if let Some(state) = proxy.state().await {
            if state.served.digest == awaited.digest {
                return Verdict::Live(state.served);
            }
            let new = |refused: &Refused| refused.number > told && refused.digest.as_ref() == Some(&awaited.digest);
            if let Some(refused) = state.refused.filter(new) {
                return Verdict::Refused(refused);
            }
        }
        awaited.ask_at = Instant::now() + ASK;
    }
    Verdict::None
}
