//! Follows the mesh document while the proxy serves: each save is checked, what it changes is said, and that it is live
//! is said only when the proxy says so.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use weir_config::diff::diff;

use super::PROXY;
use super::folder::Folder;
use super::mesh::{Good, MeshFile};
use super::proxy::{Proxy, Served};
use super::tell::{Event, Teller};
use super::watch::Watch;
use crate::failure::Result;

/// Between two questions to the proxy.
const ASK: Duration = Duration::from_millis(50);
/// From a good save until the proxy should serve it: it waits up to 5 s for new upstreams to be found.
const TAKE: Duration = Duration::from_secs(10);

/// Goes on until its output cannot be written. `good` is what the proxy serves at the beginning.
pub async fn follow(
    mesh: &MeshFile,
    mut good: Good,
    mut watch: Watch,
    proxy: &Proxy,
    folder: &Folder,
    teller: &mut Teller,
) -> Result<Infallible> {
    let mut awaited = None;
    loop {
        tokio::select! {
            saved = watch.saved() => match saved.map(|text| mesh.saved(text)) {
                None => teller.tell(&Event::Gone { mesh: &mesh.path })?,
                Some(Err(refusal)) => teller.refused(&mesh.path, &refusal)?,
                Some(Ok(next)) => {
                    teller.warned(&mesh.path, &next)?;
                    let changes = diff(&good.mesh, &next.mesh);
                    if changes.is_empty() {
                        teller.tell(&Event::Same { mesh: &mesh.path })?;
                    } else {
                        let digest = next.digest()?;
                        teller.tell(&Event::Changed { mesh: &mesh.path, digest: &digest, changes: &changes })?;
                        awaited = Some(Awaited::new(digest));
                    }
                    good = next;
                }
            },
            came = taken(awaited.as_mut(), proxy) => {
                awaited = None;
                match came {
                    Some(served) => teller.tell(&Event::Live(&served))?,
                    None => teller.tell(&Event::Untaken { mesh: &mesh.path, log: folder.log(PROXY) })?,
                }
            }
        }
    }
}

/// A document that the proxy should take.
struct Awaited {
    digest: String,
    ask_at: Instant,
    until: Instant,
}

impl Awaited {
    fn new(digest: String) -> Self {
        let now = Instant::now();
        Self { digest, ask_at: now, until: now + TAKE }
    }
}

/// Waits until the proxy serves what is awaited; None when it took too long. Waits for ever when nothing is awaited.
/// Nothing is lost when it is dropped and called again.
async fn taken(awaited: Option<&mut Awaited>, proxy: &Proxy) -> Option<Served> {
    let Some(awaited) = awaited else { return pending().await };
    while awaited.ask_at < awaited.until {
        sleep_until(awaited.ask_at).await;
        if let Some(served) = proxy.served().await.filter(|served| served.digest == awaited.digest) {
            return Some(served);
        }
        awaited.ask_at = Instant::now() + ASK;
    }
    None
}
