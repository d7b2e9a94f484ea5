//! HTTP/1.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weir_proxy::listen::Fault;

use crate::world::{Client, World};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let world = World::start("");
    let mut client = Client::new(world.connect().await);
    assert_eq!(client.get("/one").await.body, "GET /one body= n=1");
    assert_eq!(client.get("/two").await.body, "GET /two body= n=2");
    assert_eq!(client.get("/facts").await.body, "h2=false tls=- sni=- peer=127.0.0.1");
    assert_eq!(world.heard.now().opened, 1);
    drop(client);
    world.heard.wait_for(|said| said.closed == 1).await;
}

#[tokio::test]
async fn requests_in_one_packet_are_answered_in_order() {
    let world = World::start("");
    let mut client = Client::new(world.connect().await);
    client
        .send(
            "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none\
             POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n\
             GET /3 HTTP/1.1\r\nHost: a\r\n\r\n\
             \r\nPOST /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nfo",
        )
        .await;
    for expected in ["POST /1 body=one n=1", "POST /2 body=two n=2", "GET /3 body= n=3"] {
        assert_eq!(client.answer().await.body, expected);
    }
    client.send("ur").await;
    assert_eq!(client.answer().await.body, "POST /4 body=four n=4");
}

#[tokio::test]
async fn a_request_that_comes_during_another_waits_its_turn() {
    let world = World::start("");
    let mut client = Client::new(world.connect().await);
    client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
    world.app.waiting.subscribe().wait_for(|waiting| *waiting == 1).await.expect("a request");
    client.send("GET /next HTTP/1.1\r\nHo").await;
    client.send("st: a\r\n\r\n").await;
    world.app.go.add_permits(1);
    assert_eq!(client.answer().await.body, "GET /wait body= n=1");
    assert_eq!(client.answer().await.body, "GET /next body= n=2");
}

#[tokio::test]
async fn a_head_in_single_bytes_is_read() {
    let world = World::start("");
    let mut client = Client::new(world.connect().await);
    client.stream.set_nodelay(true).expect("an open socket");
    for byte in GET.bytes() {
        client.send([byte]).await;
    }
    assert_eq!(client.answer().await.body, "GET / body= n=1");
}

#[tokio::test]
async fn a_client_that_half_closes_gets_its_answer() {
    let world = World::start("");
    let mut client = Client::new(world.connect().await);
    client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.stream.shutdown().await.expect("an open connection");
    world.app.waiting.subscribe().wait_for(|waiting| *waiting == 1).await.expect("a request");
    world.app.go.add_permits(1);
    assert_eq!(client.answer().await.body, "GET /wait body= n=1");
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn a_client_that_resets_ends_its_request() {
    let mut world = World::start("");
    let mut client = Client::new(world.connect().await);
    client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
    world.app.waiting.subscribe().wait_for(|waiting| *waiting == 1).await.expect("a request");
    client.stream.set_zero_linger().expect("an open socket");
    drop(client);
    world.serving.idle().await;
    assert_eq!(world.app.go.available_permits(), 0, "nobody let it go");
}

#[tokio::test]
async fn a_refused_request_is_answered_and_the_connection_closed() {
    let world = World::start("");
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", Fault::HostMissing),
        ("GET / HTTP/1.1\nHost: a\n\n", Fault::BareLf),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            Fault::LengthAndEncoding,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello", Fault::Chunk),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Fault::Connect),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Fault::Http2),
        ("\u{16}\u{3}\u{1}\u{2}\0", Fault::Method),
    ];
    for (request, fault) in cases {
        let mut client = Client::new(world.connect().await);
        client.send(request).await;
        assert_eq!(client.answer().await.body, format!("{fault:?}"));
        assert!(client.is_closed().await, "{fault:?}");
        assert_eq!(world.heard.now().refused.last().map(|refusal| refusal.fault), Some(fault));
    }
}

#[tokio::test]
async fn an_answer_in_the_middle_of_an_upload_arrives_without_a_reset() {
    let world = World::start("");
    let mut client = Client::new(world.connect().await);
    let upload = "x".repeat(500_000);
    client.send(format!("POST /too-large HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n{upload}")).await;
    assert_eq!(client.answer().await.status, 413);
    client.stream.shutdown().await.expect("an open connection");
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).await.expect("an end, not a reset");
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn what_was_good_before_a_bad_request_is_answered() {
    let world = World::start("");
    let mut client = Client::new(world.connect().await);
    client.send(format!("{GET}{GET}GET / HTTP/1.1\r\nHost: a b\r\n\r\n{GET}")).await;
    assert_eq!(client.answer().await.body, "GET / body= n=1");
    assert_eq!(client.answer().await.body, "GET / body= n=2");
    assert_eq!(client.answer().await.body, "Host");
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn an_answer_larger_than_any_buffer_arrives_whole() {
    let world = World::start("");
    let mut client = Client::new(world.connect().await);
    assert_eq!(client.get("/large").await.body.len(), 1_000_000);
    assert_eq!(client.get("/after").await.body, "GET /after body= n=2");
}

#[tokio::test]
async fn a_panic_ends_its_connection_and_nothing_else() {
    let world = World::start("");
    let mut other = Client::new(world.connect().await);
    assert_eq!(other.get("/").await.status, 200);
    let mut client = Client::new(world.connect().await);
    client.send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(client.is_closed().await);
    let said = world.heard.wait_for(|said| said.panics == 1 && said.closed == 1).await;
    assert_eq!(said.opened, 2);
    assert_eq!(other.get("/").await.status, 200);
}
