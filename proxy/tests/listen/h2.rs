//! HTTP/2, by prior knowledge.

use bytes::Bytes;
use h2::client::{SendRequest, handshake};
use http::Request;
use tokio::task::JoinHandle;
use weir_proxy::listen::{Phase, Rejected};

use crate::world::{Client, World};

pub struct Streams {
    pub send: SendRequest<Bytes>,
    /// Ends with the connection.
    pub connection: JoinHandle<Result<(), h2::Error>>,
}

/// A client on `io`.
pub async fn greet(io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static) -> Streams {
    let (send, connection) = handshake(io).await.expect("an HTTP/2 server");
    Streams { send, connection: tokio::spawn(connection) }
}

impl Streams {
    pub async fn get(&self, path: &str) -> Result<String, h2::Error> {
        let mut send = self.send.clone().ready().await?;
        let request = Request::get(format!("http://a{path}")).body(()).expect("a request");
        let (answer, _) = send.send_request(request, true)?;
        let mut body = answer.await?.into_body();
        let mut text = Vec::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            text.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8(text).expect("text"))
    }
}

#[tokio::test]
async fn streams_are_served_beside_each_other() {
    let world = World::start("h2c = true");
    let client = greet(world.connect().await).await;
    let wait = client.get("/wait");
    let others = async {
        world.app.waiting.subscribe().wait_for(|waiting| *waiting == 1).await.expect("a request");
        assert_eq!(client.get("/facts").await.expect("an answer"), "h2=true tls=- sni=- peer=127.0.0.1");
        assert_eq!(client.get("/large").await.expect("an answer").len(), 1_000_000);
        world.app.go.add_permits(1);
    };
    let (waited, ()) = tokio::join!(wait, others);
    assert_eq!(waited.expect("an answer"), "GET /wait body= n=3");
}

#[tokio::test]
async fn a_listener_with_h2c_serves_http_1_too() {
    let world = World::start("h2c = true");
    let mut client = Client::new(world.connect().await);
    // `P` may begin the preface of HTTP/2, `PO` may not.
    client.send("P").await;
    client.send("OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await;
    assert_eq!(client.answer().await.body, "POST / body=x n=1");
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(client.answer().await.body, "Http2", "not in the middle of HTTP/1");
}

#[tokio::test]
async fn a_preface_that_does_not_go_on_is_refused_at_the_deadline() {
    let world = World::start("h2c = true\nlimits = { header_timeout = \"50ms\" }");
    let mut client = Client::new(world.connect().await);
    client.send("PRI * HTTP/2.0\r\n\r\nS").await;
    assert_eq!(client.answer().await.body, "TooSlow");

    // A whole preface, and then no settings: the handshake's deadline.
    let mut client = Client::new(world.connect().await);
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.send([0, 0, 1, 9, 9]).await;
    drop(client);
    world.heard.wait_for(|said| said.closed == said.opened).await;
}

#[tokio::test]
async fn a_panic_ends_its_stream_and_nothing_else() {
    let world = World::start("h2c = true");
    let client = greet(world.connect().await).await;
    assert!(client.get("/panic").await.is_err());
    assert_eq!(world.heard.wait_for(|said| said.panics == 1).await.closed, 0);
    assert_eq!(client.get("/").await.expect("the connection lives"), "GET / body= n=2");
}

#[tokio::test]
async fn who_sends_many_malformed_requests_is_cut_off() {
    let world = World::start("h2c = true");
    let client = greet(world.connect().await).await;
    let mut answered = 0;
    while let Ok(mut send) = client.send.clone().ready().await {
        let request = Request::get("http://user@a/").body(()).expect("a request");
        let Ok((answer, _)) = send.send_request(request, true) else { break };
        if answer.await.is_ok_and(|answer| answer.status() == 400) {
            answered += 1;
        }
        assert!(answered <= 32, "nobody stops it");
    }
    let rejected = world.heard.wait_for(|said| said.closed == 1).await.rejected;
    assert_eq!(rejected, [Rejected::H2Request; 32]);
}

#[tokio::test]
async fn a_connection_that_served_its_requests_is_told_to_go() {
    let world = World::start("h2c = true\nlimits = { max_requests = 2 }");
    let client = greet(world.connect().await).await;
    assert!(client.get("/").await.is_ok());
    assert_eq!(client.get("/").await.expect("the last one is answered"), "GET / body= n=2");
    client.connection.await.expect("no panic").expect("a friendly end");
    world.heard.wait_for(|said| said.closed == 1).await;
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go() {
    let world = World::start("h2c = true\nlimits = { idle_timeout = \"50ms\" }");
    let client = greet(world.connect().await).await;
    assert!(client.get("/").await.is_ok());
    client.connection.await.expect("no panic").expect("a friendly end");
    world.heard.wait_for(|said| said.closed == 1).await;
}

#[tokio::test]
async fn who_leaves_tells_clients_to_go_and_finishes_what_runs() {
    let mut world = World::start("h2c = true");
    let idle = greet(world.connect().await).await;
    assert!(idle.get("/").await.is_ok());
    let busy = greet(world.connect().await).await;
    let wait = busy.get("/wait");
    let leave = async {
        world.app.waiting.subscribe().wait_for(|waiting| *waiting == 1).await.expect("a request");
        world.phase.send_replace(Phase::Leaving);
        idle.connection.await.expect("no panic").expect("a friendly end");
        world.phase.send_replace(Phase::Stopped);
        world.app.go.add_permits(1);
    };
    let (waited, ()) = tokio::join!(wait, leave);
    assert_eq!(waited.expect("what runs is finished"), "GET /wait body= n=1");
    busy.connection.await.expect("no panic").expect("a friendly end");
    world.serving.idle().await;
}

#[tokio::test]
async fn a_connection_counts_until_its_last_exchange_has_ended() {
    let mut world = World::start("h2c = true");
    let client = greet(world.connect().await).await;
    let mut send = client.send.clone().ready().await.expect("a connection");
    let request = Request::get("http://a/wait").body(()).expect("a request");
    let (answer, _) = send.send_request(request, true).expect("room for a stream");
    world.app.waiting.subscribe().wait_for(|waiting| *waiting == 1).await.expect("a request");
    assert_eq!(world.serving.connections(), 1);
    // The client vanishes; the exchange hears of it and ends.
    client.connection.abort();
    drop((answer, send, client.send));
    world.serving.idle().await;
}
