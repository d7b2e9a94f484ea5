//! `/livez`, `/readyz`, `/healthz`, and `ready.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use weir_tests::{Claim, Proxy, Setup, World, until};

const REPLIES: &str = "[[routes.r.rules]]\nreply = { status = 200, body = 'hello' }";

#[tokio::test]
async fn a_process_that_serves_is_live_ready_and_healthy() -> Claim {
    let proxy = Proxy::start(REPLIES).await?;
    for page in ["/livez", "/readyz", "/healthz"] {
        assert_eq!(proxy.ask("health", page).await?.status, 200, "{page}");
    }
    let ready: Value = proxy.ask("health", "/readyz").await?.json()?;
    assert_eq!(ready["ready"], true);
    let health: Value = proxy.ask("health", "/healthz").await?.json()?;
    assert_eq!((&health["healthy"], &health["listeners"]), (&true.into(), &serde_json::json!(["edge"])));
    assert!(health["config"]["version"].as_f64() == Some(proxy.version().await?), "{health}");
    assert!(health["dependencies"].is_array(), "{health}");
    Ok(())
}

#[tokio::test]
async fn upstreams_that_are_gone_make_a_process_neither_dead_nor_unready() -> Claim {
    let world = World::start(&["a"], "[[routes.r.rules]]\nto = 'a'").await?;
    let World { proxy, upstreams } = world;
    drop(upstreams);
    assert_eq!(proxy.get("/").await?.status, 502);
    for page in ["/livez", "/readyz", "/healthz"] {
        assert_eq!(proxy.ask("health", page).await?.status, 200, "{page}");
    }
    Ok(())
}

#[tokio::test]
async fn a_process_without_a_table_never_says_that_it_is_ready() -> Claim {
    let setup = Setup::new("[[routes.r.rules]]\nto = 'nobody'")?;
    let ended = setup.start_in_vain().await?;
    assert_eq!(ended.code, 1, "{}", ended.output);
    assert!(ended.output.contains("nobody"), "{}", ended.output);
    assert!(!setup.ready_file().exists());
    Ok(())
}

#[tokio::test]
async fn ready_json_is_there_whole_or_not_at_all_and_gone_after_the_end() -> Claim {
    let setup = Setup::new(REPLIES)?;
    for _ in 0..5 {
        // Looks as fast as it can, all along.
        let (file, over, contents) = (setup.ready_file(), Arc::new(AtomicBool::new(false)), Contents::default());
        let (is_over, seen) = (over.clone(), contents.clone());
        let watch = std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                if let (Ok(text), Ok(mut seen)) = (fs::read_to_string(&file), seen.lock()) {
                    seen.insert(text);
                }
            }
        });
        let proxy = setup.start().await?;
        let ready = proxy.ready().clone();
        assert_eq!(ready.keys().collect::<Vec<_>>(), ["admin", "edge", "health", "metrics"]);
        assert!(ready.values().all(|address| address.ip().is_loopback() && address.port() > 0), "{ready:?}");
        let state = setup.ready_file().parent().map(fs::read_dir).transpose()?.into_iter().flatten();
        let names: Vec<_> = state.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<_>>()?;
        assert!(!names.iter().any(|name| name.to_string_lossy().contains(".new")), "{names:?}");

        let seen = || contents.lock().map(|seen| seen.clone()).unwrap_or_default();
        until("the watch to have seen it", || (!seen().is_empty()).then_some(())).await?;
        assert_eq!(stopped(proxy).await?, 0);
        over.store(true, Ordering::Relaxed);
        watch.join().map_err(|_| anyhow::anyhow!("the watch panicked"))?;
        for content in seen() {
            let read: BTreeMap<String, SocketAddr> = serde_json::from_str(&content)?;
            assert_eq!(read, ready, "a part of it was seen");
        }
        assert!(!setup.ready_file().exists(), "it outlived the process");
    }
    Ok(())
}

/// What a file was seen to hold.
type Contents = Arc<Mutex<BTreeSet<String>>>;

/// By SIGINT: these tests are not about the wait.
async fn stopped(mut proxy: Proxy) -> anyhow::Result<i32> {
    proxy.process.signal(nix::sys::signal::Signal::SIGINT)?;
    proxy.process.exit_code().await
}

#[tokio::test]
async fn a_successors_ready_json_is_left_alone() -> Claim {
    let setup = Setup::new(REPLIES)?;
    let proxy = setup.start().await?;
    fs::write(setup.ready_file(), "the successor's")?;
    assert_eq!(stopped(proxy).await?, 0);
    assert_eq!(fs::read_to_string(setup.ready_file())?, "the successor's");
    Ok(())
}
