//! Waiting with a name and an end.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep, timeout};

/// How long the harness waits for anything before it calls that a failure. Generous: a loaded machine with two cores
/// builds something else meanwhile. No claim is about this number.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// How often a thing without an event of its own (a file, a counter) is looked at again.
const LOOK: Duration = Duration::from_millis(5);

/// The future's value, or an error that names what did not come.
pub async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> anyhow::Result<T> {
    timeout(PATIENCE, future).await.with_context(|| format!("waited {PATIENCE:?} in vain for {what}"))
}

/// Looks until `look` has a value.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    until_async(what, async || look()).await
}

/// [`until`] for a look that itself waits, such as a scrape.
pub async fn until_async<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if Instant::now() > end {
            bail!("waited {PATIENCE:?} in vain for {what}");
        }
        sleep(LOOK).await;
    }
}
