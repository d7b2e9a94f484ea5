//! A panic in a filter ends its request and nothing beside it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use tokio::sync::Semaphore;
use weir_tests::{Claim, Exchange, Request, Setup, Upstream};

use crate::BOTH;

/// Half of an answer now, half once the test says so.
async fn halves(go: Arc<Semaphore>, x: &mut Exchange) -> io::Result<()> {
    x.drain().await?;
    if x.path() != "/halves" {
        return x.echo().await;
    }
    x.head(200, &[]).await?;
    x.send("one half").await?;
    go.acquire().await.map_err(io::Error::other)?.forget();
    x.send(" and the other").await
}

#[tokio::test]
async fn a_panic_in_a_filter_harms_no_exchange_beside_it() -> Claim {
    let go = Arc::new(Semaphore::new(0));
    let script = go.clone();
    let upstream = Upstream::scripted("a", move |x| halves(script.clone(), x).boxed()).await?;
    let mesh = upstream.mesh_with("filters = [{ kind = 'panic' }]");
    let mut proxy = Setup::new(mesh)?.listener("edge", BOTH)?.start().await?;

    let (mut one, two) = (proxy.h1().await?, proxy.h2().await?);
    one.write(Request::get("/halves").bytes()).await?;
    let mut first = one.head("GET").await?;
    assert_eq!(one.chunk(&mut first).await?, Some(Bytes::from("one half")));
    let mut stream = two.open(&Request::get("/halves"), true).await?;
    let mut second = stream.head().await?;
    assert_eq!(stream.chunk(&mut second).await?, Some(Bytes::from("one half")));

    let panics = Request::post("/panics", "x").header("x-panic", "1");
    let mut third = proxy.h1().await?;
    for _ in 0..10 {
        assert_eq!(two.send(&panics).await?.refusal(), (500, "internal".into()), "a stream beside the running one");
        assert_eq!(third.send(&panics).await?.refusal(), (500, "internal".into()));
        third = proxy.h1().await?;
    }
    go.add_permits(2);
    assert_eq!(one.chunk(&mut first).await?, Some(Bytes::from(" and the other")));
    assert_eq!(one.chunk(&mut first).await?, None);
    assert_eq!(stream.chunk(&mut second).await?, Some(Bytes::from(" and the other")));
    assert_eq!(stream.chunk(&mut second).await?, None);
    assert_eq!(one.send(&Request::get("/after")).await?.status, 200);
    assert_eq!(two.send(&Request::get("/after")).await?.status, 200);

    proxy.metric_becomes("weir_panics_total", &[], |count| count == 20.0).await?;
    proxy.metric_becomes("weir_requests_total", &[("reason", "internal")], |count| count == 20.0).await?;
    assert!(upstream.requests().iter().all(|seen| seen.target != "/panics"));
    proxy.process.must_live()
}
