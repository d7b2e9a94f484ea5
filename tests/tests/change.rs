//! Documents that change while traffic flows: which ones take over, what the others leave untouched, and that no
//! request notices.

#[path = "change/documents.rs"]
mod documents;
#[path = "change/ledgers.rs"]
mod ledgers;
#[path = "change/traffic.rs"]
mod traffic;
#[path = "change/zero_loss.rs"]
mod zero_loss;

use std::fs;
use std::io;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use serde_json::Value;
use tokio::sync::Semaphore;
use weir_tests::{Claim, Exchange, H1, Proxy, Request, Setup, Upstream, until};

/// A document whose one rule answers by itself with this word.
fn says(word: &str) -> String {
    format!("[[routes.all.rules]]\nreply = {{ status = 200, body = \"{word}\" }}\n")
}

async fn said(proxy: &Proxy) -> anyhow::Result<String> {
    Ok(proxy.get("/").await?.text())
}

/// A document that must not take over: it is counted, the error is told, and the one that served serves on.
async fn refused(document: &str, words: &[&str]) -> Claim {
    let proxy = Proxy::start(says("before")).await?;
    let version = proxy.version().await?;
    proxy.apply_refused(document).await?;
    assert_eq!(proxy.metrics().await?.sum("weir_config_rejected_total", &[]), 1.0);
    assert_eq!((said(&proxy).await?.as_str(), proxy.version().await?), ("before", version));
    until("the error in the log", || proxy.process.output().contains("document refused").then_some(())).await?;
    let output = proxy.process.output();
    for word in words {
        assert!(output.contains(word), "{word:?} is not in\n{output}");
    }
    proxy.apply(&says("after")).await?;
    assert_eq!(said(&proxy).await?, "after", "the next good one is taken");
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_renamed_into_place_takes_over() -> Claim {
    let proxy = Proxy::start(says("before")).await?;
    let version = proxy.version().await?;
    for word in ["one", "two", "three"] {
        proxy.apply(&says(word)).await?;
        assert_eq!(said(&proxy).await?, word);
    }
    assert_eq!(proxy.version().await?, version + 3.0, "each change is one version");
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_written_in_place_takes_over() -> Claim {
    let proxy = Proxy::start(says("before")).await?;
    for word in ["one", "two"] {
        let version = proxy.version().await?;
        fs::write(proxy.setup().mesh_file(), says(word))?;
        proxy.metric_becomes("weir_config_version", &[], |now| now == version + 1.0).await?;
        assert_eq!(said(&proxy).await?, word);
    }
    let version = proxy.version().await?;
    let mut file = fs::File::create(proxy.setup().mesh_file())?;
    for byte in says("byte by byte").bytes() {
        file.write_all(&[byte])?;
    }
    drop(file);
    proxy.metric_becomes("weir_config_version", &[], |now| now > version).await?;
    assert_eq!(said(&proxy).await?, "byte by byte");
    Ok(())
}

#[tokio::test]
async fn a_file_that_was_removed_and_comes_back_takes_over() -> Claim {
    let proxy = Proxy::start(says("before")).await?;
    fs::remove_file(proxy.setup().mesh_file())?;
    assert_eq!(said(&proxy).await?, "before");
    proxy.apply(&says("after")).await?;
    assert_eq!(said(&proxy).await?, "after");
    Ok(())
}

#[tokio::test]
async fn a_broken_edit_keeps_the_last_good_one_and_is_counted() -> Claim {
    refused("[[routes.all.rules]]\nreply = { status = 200, body = \"open\n", &["mesh.toml"]).await
}

#[tokio::test]
async fn an_empty_file_is_refused() -> Claim {
    for nothing in ["", "\n  \n"] {
        refused(nothing, &["is empty", "routes = {}"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn trap_11_an_unknown_field_is_refused() -> Claim {
    let document = says("after").replace("reply", "timeuot = '1s'\nreply");
    refused(&document, &["routes.all.rules[0].timeuot", "timeout"]).await
}

#[tokio::test]
async fn a_route_that_names_a_listener_that_does_not_exist_is_refused_with_the_names_that_do() -> Claim {
    let document = format!("[routes.all]\nlisteners = ['egde']\n{}", says("after"));
    refused(&document, &["routes.all.listeners", "egde", "its listeners are: edge"]).await
}

#[tokio::test]
async fn a_ca_file_that_cannot_be_read_is_refused() -> Claim {
    let document = |ca: &str| {
        format!(
            "[[routes.all.rules]]\nto = 'a'\n[upstreams.a]\nendpoints = ['127.0.0.1:1']\n\
             tls = {{ sni = 'a.test', ca = 'file:{ca}' }}\n"
        )
    };
    // Neither is there, nor is a folder, nor a document, a file of certificates.
    refused(&document("nowhere.pem"), &["upstreams.a.tls.ca", "cannot read the CA file", "nowhere.pem"]).await?;
    refused(&document("state"), &["upstreams.a.tls.ca", "cannot read the CA file"]).await?;
    refused(&document("mesh.toml"), &["upstreams.a.tls.ca", "mesh.toml holds no"]).await
}

#[tokio::test]
async fn a_document_with_another_spelling_and_the_same_meaning_is_no_new_version() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let proxy =
        Setup::new(upstream.mesh_with("timeout = '60s'"))?.env("WEIR_LOG", "info,weir_proxy=debug").start().await?;
    let version = proxy.version().await?;
    let digest = async || {
        let mut admin = H1::connect(proxy.address("admin")).await?;
        let table: Value = admin.send(&Request::get("/table").host("localhost")).await?.json()?;
        anyhow::Ok(table["digest"].clone())
    };
    let before = digest().await?;
    let table = upstream.table();
    proxy
        .write_mesh(&format!("# the same\n{table}\n[routes.all]\nrules = [ {{ timeout = \"1m\", to = \"a\" }} ]\n"))?;
    until("the document to be read", || proxy.process.output().contains("document unchanged").then_some(())).await?;
    assert_eq!(proxy.version().await?, version);
    assert!(before.is_string() && digest().await? == before, "{before}");
    assert_eq!(proxy.metrics().await?.sum("weir_config_rejected_total", &[]), 0.0);
    proxy.apply(&says("another")).await?;
    assert_eq!(proxy.version().await?, version + 1.0);
    Ok(())
}

/// A proxy that served `word` and has ended: its folder holds a last good document.
async fn ended_after(word: &str) -> anyhow::Result<Setup> {
    let proxy = Setup::new(says("first"))?.bootstrap("drain.wait = '0s'")?.start().await?;
    proxy.apply(&says(word)).await?;
    let setup = proxy.setup().clone();
    until("the last good file", || {
        fs::read_to_string(setup.folder().join("state/last-good.json")).ok()?.contains(word).then_some(())
    })
    .await?;
    assert_eq!(proxy.stop().await?, 0);
    Ok(setup)
}

fn corrupt_last_good(setup: &Setup) -> Claim {
    let file = setup.folder().join("state/last-good.json");
    let text = fs::read_to_string(&file)?;
    Ok(fs::write(file, &text[..text.len() / 2])?)
}

#[tokio::test]
async fn the_last_good_document_serves_at_a_start_with_a_bad_one() -> Claim {
    let setup = ended_after("kept").await?;
    for bad in ["[routes", "", "[routes.a]\nlisteners = ['nowhere']\n"] {
        let proxy = setup.clone().with_mesh(bad).start().await?;
        assert_eq!(said(&proxy).await?, "kept", "{bad}");
        let output = proxy.process.output();
        assert!(output.contains("the document is bad; the last good one serves"), "{output}");
        proxy.apply(&says("mended")).await?;
        assert_eq!(said(&proxy).await?, "mended");
        proxy.apply(&says("kept")).await?;
        assert_eq!(proxy.stop().await?, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_good_document_wins_over_the_last_good_one() -> Claim {
    let setup = ended_after("kept").await?;
    let proxy = setup.with_mesh(says("newer")).start().await?;
    assert_eq!(said(&proxy).await?, "newer");
    Ok(())
}

#[tokio::test]
async fn a_corrupt_last_good_file_and_a_bad_document_end_the_process_with_both_errors() -> Claim {
    let setup = ended_after("kept").await?;
    corrupt_last_good(&setup)?;
    let ended = setup.with_mesh("[routes.a]\ncolour = 'red'\n").start_in_vain().await?;
    assert_ne!(ended.code, 0);
    for word in ["routes.a.colour", "mesh.toml", "last-good.json is damaged"] {
        assert!(ended.output.contains(word), "{word:?} is not in\n{}", ended.output);
    }
    Ok(())
}

#[tokio::test]
async fn a_corrupt_last_good_file_beside_a_good_document_is_no_problem() -> Claim {
    let setup = ended_after("kept").await?;
    corrupt_last_good(&setup)?;
    let proxy = setup.with_mesh(says("newer")).start().await?;
    assert_eq!(said(&proxy).await?, "newer");
    let file = proxy.setup().folder().join("state/last-good.json");
    let mended: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
    assert!(mended["document"].to_string().contains("newer"), "it is written anew: {mended}");
    Ok(())
}

#[tokio::test]
async fn a_document_with_five_errors_shows_all_five_at_the_start() -> Claim {
    let document = r#"
        [routes.a]
        hosts = ["not a host"]
        [[routes.a.rules]]
        match = ["no/slash"]
        to = "nobody"
        timeout = "5 parsecs"
        colour = "red"
        "#;
    let ended = Setup::new(document)?.start_in_vain().await?;
    assert_ne!(ended.code, 0);
    for path in ["hosts[0]", "rules[0].match[0]", "rules[0].to", "rules[0].timeout", "rules[0].colour"] {
        assert!(ended.output.contains(&format!("routes.a.{path}")), "{path} is not in\n{}", ended.output);
    }
    Ok(())
}

/// Sends a head and a piece, and the rest once the test says so.
async fn long_answer(rest: Arc<Semaphore>, x: &mut Exchange) -> io::Result<()> {
    x.drain().await?;
    x.head(200, &[]).await?;
    x.send("before ").await?;
    rest.acquire().await.map_err(io::Error::other)?.forget();
    x.send("after").await?;
    x.end().await
}

#[tokio::test]
async fn an_answer_goes_on_to_its_end_after_its_route_and_upstream_are_gone() -> Claim {
    let rest = Arc::new(Semaphore::new(0));
    let hold = rest.clone();
    let one = Upstream::scripted("one", move |x| long_answer(hold.clone(), x).boxed()).await?;
    let hold = rest.clone();
    let two = Upstream::scripted_h2("two", move |x| long_answer(hold.clone(), x).boxed()).await?;
    let mesh = format!(
        "[[routes.one.rules]]\nmatch = ['/one']\nto = 'one'\n[[routes.two.rules]]\nmatch = ['/two']\nto = 'two'\n\
         {}{}protocol = 'h2'\n",
        one.table(),
        two.table()
    );
    let proxy = Setup::new(mesh)?.listener("edge", "default = true\nh2c = true")?.start().await?;
    let alive =
        async |wanted: f64| proxy.metric_becomes("weir_config_generations_alive", &[], |now| now == wanted).await;
    alive(1.0).await?;
    // An idle connection holds no generation.
    let mut idle = proxy.h1().await?;
    assert_eq!(idle.send(&Request::get("/none")).await?.status, 404);

    let begun = async |target: &'static str| {
        let mut client = proxy.h1().await?;
        client.write(Request::get(target).bytes()).await?;
        let mut response = client.head("GET").await?;
        assert_eq!(client.chunk(&mut response).await?, Some(Bytes::from("before ")));
        anyhow::Ok((client, response))
    };
    let h1 = [begun("/one").await?, begun("/two").await?];
    let h2 = proxy.h2().await?;
    let mut streams = Vec::new();
    for target in ["/one", "/two"] {
        let mut open = h2.open(&Request::get(target), true).await?;
        let mut response = open.head().await?;
        assert_eq!(open.chunk(&mut response).await?, Some(Bytes::from("before ")));
        streams.push((open, response));
    }

    for word in ["second", "third"] {
        proxy.apply(&says(word)).await?;
        assert_eq!(said(&proxy).await?, word);
        assert_eq!(idle.send(&Request::get("/")).await?.text(), word, "a kept connection sees the change");
        assert_eq!(h2.send(&Request::get("/")).await?.text(), word, "so does a new stream of one");
        // The first and the present one: those between were freed with their last request.
        alive(2.0).await?;
    }

    rest.add_permits(4);
    for (mut client, mut response) in h1 {
        while let Some(chunk) = client.chunk(&mut response).await? {
            response.body.extend(chunk);
        }
        assert_eq!(response.text(), "after");
    }
    for (mut open, mut response) in streams {
        while let Some(chunk) = open.chunk(&mut response).await? {
            response.body.extend(chunk);
        }
        assert_eq!(response.text(), "after");
    }
    alive(1.0).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_over_200_changes_under_load() -> Claim {
    let outcome = zero_loss::run(None).await?;
    eprintln!("{outcome}");
    assert!(outcome.violations.is_empty(), "{outcome}");
    assert!(outcome.requests >= zero_loss::CHANGES * zero_loss::REQUESTS_PER_CHANGE, "{outcome}");
    assert!(outcome.over_h1 >= outcome.requests / 10 && outcome.over_h2 >= outcome.requests / 10, "{outcome}");
    assert!(outcome.on_kept_connections * 2 >= outcome.requests, "{outcome}");
    assert!(outcome.answers_across >= zero_loss::CHANGES / 4, "{outcome}");
    assert!(outcome.uploads_across >= zero_loss::CHANGES / 4, "{outcome}");
    assert!(outcome.appeared >= zero_loss::CHANGES / 4 && outcome.vanished >= zero_loss::CHANGES / 4, "{outcome}");
    Ok(())
}

/// The claim above is worth something only if it notices a proxy that swaps too early.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_that_take_over_before_their_upstreams_are_noticed() -> Claim {
    let outcome = zero_loss::run(Some("early")).await?;
    eprintln!("{outcome}");
    assert!(outcome.violations.iter().any(|violation| violation.contains("500 internal")), "{outcome}");
    Ok(())
}
