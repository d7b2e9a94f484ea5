//! What a listener bears.

use weir_proxy::listen::{Fault, Rejected};

use crate::world::{Client, World};

#[tokio::test]
async fn a_slow_head_is_refused_at_its_deadline() {
    let world = World::start("limits = { header_timeout = \"50ms\" }");
    let mut client = Client::new(world.connect().await);
    assert_eq!(client.get("/in-time").await.status, 200);
    client.send("GET /slow HTTP/1.1\r\nHo").await;
    assert_eq!(client.answer().await.body, "TooSlow");
    assert!(client.is_closed().await);
    let refused = world.heard.now().refused;
    assert_eq!(refused[0].target.as_deref(), Some("/slow"));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let world = World::start("limits = { idle_timeout = \"50ms\" }");
    let mut silent = Client::new(world.connect().await);
    assert!(silent.is_closed().await);
    let mut client = Client::new(world.connect().await);
    assert_eq!(client.get("/").await.status, 200);
    assert!(client.is_closed().await);
    assert!(world.heard.now().refused.is_empty(), "nobody asked for anything");
}

#[tokio::test]
async fn a_head_of_900_kib_is_refused_and_the_answer_arrives() {
    let world = World::start("");
    let mut client = Client::new(world.connect().await);
    let lines = format!("X: {}\r\n", "y".repeat(1000)).repeat(900);
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).await;
    assert_eq!(client.answer().await.body, "HeadTooLarge");
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn the_limits_of_a_head_are_those_of_the_listener() {
    let world = World::start("limits = { header_bytes = \"2KiB\", headers = 5, uri_bytes = \"256B\" }");
    let cases = [
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(256)), Fault::TargetTooLong),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(5)), Fault::TooManyHeaders),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(2048)), Fault::HeadTooLarge),
    ];
    for (request, fault) in cases {
        let mut client = Client::new(world.connect().await);
        client.send(request).await;
        assert_eq!(client.answer().await.body, format!("{fault:?}"));
    }
}

#[tokio::test]
async fn a_connection_more_than_the_listener_takes_is_closed() {
    let world = World::start("limits = { connections = 2 }");
    let mut first = Client::new(world.connect().await);
    let mut second = Client::new(world.connect().await);
    assert_eq!(first.get("/").await.status, 200);
    assert_eq!(second.get("/").await.status, 200);
    let mut third = Client::new(world.connect().await);
    assert!(third.is_closed().await);
    assert_eq!(world.heard.now().rejected, [Rejected::TotalLimit]);

    drop(first);
    world.heard.wait_for(|said| said.closed == 1).await;
    let mut fourth = Client::new(world.connect().await);
    assert_eq!(fourth.get("/").await.status, 200);
}

#[tokio::test]
async fn one_client_cannot_take_every_seat() {
    let world = World::start("limits = { connections_per_client = 1 }");
    let mut first = Client::new(world.connect().await);
    assert_eq!(first.get("/").await.status, 200);
    let mut second = Client::new(world.connect().await);
    assert!(second.is_closed().await);
    assert_eq!(world.heard.now().rejected, [Rejected::ClientLimit]);

    let elsewhere = tokio::net::TcpSocket::new_v4().expect("a socket");
    elsewhere.bind("127.0.0.2:0".parse().expect("an address")).expect("loopback is a whole network");
    let mut other = Client::new(elsewhere.connect(world.address).await.expect("a listener"));
    assert_eq!(other.get("/facts").await.body, "h2=false tls=- sni=- peer=127.0.0.2");
}

#[tokio::test]
async fn the_last_request_of_a_connection_says_so() {
    let world = World::start("limits = { max_requests = 2 }");
    let mut client = Client::new(world.connect().await);
    assert!(!client.get("/").await.says_close());
    assert!(client.get("/").await.says_close());
    assert!(client.is_closed().await);
}
