//! The harness against itself: clients and upstreams with nothing between them.

use bytes::Bytes;
use futures::FutureExt;
use weir_tests::upstream::{Refusing, Silent, sha256};
use weir_tests::{Authority, Claim, Exchange, H1, H2, Request, Upstream, authority, until};

#[tokio::test]
async fn http1_echoes_on_one_connection() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let mut client = H1::connect(upstream.address()).await?;
    client.send(&Request::get("/one?x=1").header("X-Case", "Kept")).await?;
    let echo = client.send(&Request::post("/two", "hello")).await?.echo()?;
    assert_eq!((echo.method.as_str(), echo.target.as_str(), echo.body_length), ("POST", "/two", 5));
    assert_eq!(echo.body_sha256, sha256(b"hello"));
    assert_eq!((upstream.ledger().connections(), upstream.ledger().count()), (1, 2));
    assert_eq!(upstream.requests()[0].headers[1], ("X-Case".into(), "Kept".into()));
    Ok(())
}

#[tokio::test]
async fn http2_echoes_streams_of_one_connection() -> Claim {
    let upstream = Upstream::h2("a").await?;
    let client = H2::connect(upstream.address()).await?;
    let (one, two) = (Request::get("/one"), Request::post("/two", vec![7; 300_000]));
    let (one, two) = tokio::try_join!(client.send(&one), client.send(&two))?;
    assert_eq!((one.echo()?.target, two.echo()?.body_length), ("/one".into(), 300_000));
    assert_eq!(upstream.ledger().connections(), 1);
    Ok(())
}

#[tokio::test]
async fn tls_chooses_by_alpn_and_tells_the_name() -> Claim {
    let ca = Authority::new("harness")?;
    let upstream = Upstream::tls("a", &ca, &["a.test"], authority::BOTH).await?;
    let over2 = H2::connect_tls(upstream.address(), ca.client(authority::BOTH)?, "a.test").await?;
    let over1 = H1::connect_tls(upstream.address(), ca.client(authority::H1)?, "a.test").await;
    let (two, one) = (over2.send(&Request::get("/")).await?.echo()?, over1?.send(&Request::get("/")).await?.echo()?);
    assert_eq!((two.version.as_str(), one.version.as_str()), ("HTTP/2", "HTTP/1.1"));
    assert_eq!(two.sni.as_deref(), Some("a.test"));
    Ok(())
}

async fn scripted(x: &mut Exchange) -> std::io::Result<()> {
    x.interim(103, &[("link", "</a.css>")]).await?;
    x.head(200, &[]).await?;
    while let Some(chunk) = x.chunk().await? {
        x.send(chunk).await?;
    }
    x.end_with(&[("x-end", "yes")]).await
}

#[tokio::test]
async fn scripts_stream_both_ways_with_interim_heads_and_trailers() -> Claim {
    let upstream = Upstream::scripted("a", |x| scripted(x).boxed()).await?;
    let mut client = H1::connect(upstream.address()).await?;
    client.write("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    let mut response = client.head("POST").await?;
    assert_eq!(response.interim[0].0, 103);
    for piece in ["one", "two"] {
        client.write(format!("3\r\n{piece}\r\n")).await?;
        assert_eq!(client.chunk(&mut response).await?, Some(Bytes::from(piece)));
    }
    client.write("0\r\n\r\n").await?;
    assert_eq!(client.chunk(&mut response).await?, None);
    assert_eq!(response.trailers, [("x-end".to_owned(), "yes".to_owned())]);

    let upstream = Upstream::scripted_h2("b", |x| scripted(x).boxed()).await?;
    let client = H2::connect(upstream.address()).await?;
    let mut open = client.open(&Request::new("POST", "/"), false).await?;
    open.write(Bytes::from("one"), false).await?;
    let mut response = open.head().await?;
    assert_eq!(open.chunk(&mut response).await?, Some(Bytes::from("one")));
    open.write(Bytes::from("two"), true).await?;
    assert_eq!(open.chunk(&mut response).await?, Some(Bytes::from("two")));
    assert_eq!(open.chunk(&mut response).await?, None);
    assert_eq!(response.trailers, [("x-end".to_owned(), "yes".to_owned())]);
    Ok(())
}

#[tokio::test]
async fn resets_refusals_and_silence_are_what_they_say() -> Claim {
    let upstream = Upstream::scripted("a", |x| async move { x.reset() }.boxed()).await?;
    let mut client = H1::connect(upstream.address()).await?;
    assert!(client.send(&Request::get("/")).await.is_err());
    assert!(H1::connect(Refusing::new()?.address()).await.is_err());
    let silent = Silent::new().await?;
    let connect = H1::connect(silent.address());
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), connect).await.is_err());

    let waiting = Upstream::scripted("b", |x| async move { x.given_up().await }.boxed()).await?;
    let mut client = H1::connect(waiting.address()).await?;
    client.write(Request::get("/").bytes()).await?;
    waiting.received(1).await?;
    drop(client);
    until("the upstream to notice", || (waiting.ledger().given_up() == 1).then_some(())).await?;

    let waiting = Upstream::scripted_h2("c", |x| {
        async move {
            x.head(200, &[]).await?;
            x.send("some").await?;
            x.given_up().await
        }
        .boxed()
    })
    .await?;
    let client = H2::connect(waiting.address()).await?;
    let mut open = client.open(&Request::get("/"), true).await?;
    open.head().await?;
    open.cancel();
    until("the upstream to notice", || (waiting.ledger().given_up() == 1).then_some(())).await
}
