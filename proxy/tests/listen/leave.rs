//! How listeners leave.

use weir_proxy::listen::Phase;

use crate::world::{Client, World};

#[tokio::test]
async fn who_leaves_says_close_then_stops_and_finishes_what_runs() {
    let mut world = World::start("");
    let mut idle = Client::new(world.connect().await);
    let mut late = Client::new(world.connect().await);
    let mut busy = Client::new(world.connect().await);
    for client in [&mut idle, &mut late] {
        assert!(!client.get("/").await.says_close());
    }
    busy.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
    world.app.waiting.subscribe().wait_for(|waiting| *waiting == 1).await.expect("a request");
    assert_eq!(world.serving.connections(), 3);

    world.phase.send_replace(Phase::Leaving);
    // A new connection shows that the phase has been seen.
    let mut new = Client::new(world.connect().await);
    while !new.get("/").await.says_close() {}
    assert!(new.is_closed().await, "a new connection is served once");
    assert!(late.get("/").await.says_close(), "an idle one lingers for a last request");
    assert!(late.is_closed().await);

    world.phase.send_replace(Phase::Stopped);
    assert!(idle.is_closed().await);
    world.heard.wait_for(|said| said.opened - said.closed == 1).await;
    assert_eq!(world.serving.connections(), 1);
    assert!(tokio::net::TcpStream::connect(world.address).await.is_err());

    world.app.go.add_permits(1);
    let last = busy.answer().await;
    assert_eq!(last.body, "GET /wait body= n=1");
    assert!(last.says_close());
    drop(busy);
    world.serving.idle().await;
}

#[tokio::test]
async fn without_connections_there_is_nothing_to_wait_for() {
    let mut world = World::start("");
    world.serving.idle().await;
    world.phase.send_replace(Phase::Stopped);
    world.serving.idle().await;
}

#[tokio::test]
async fn a_cut_ends_everything() {
    let mut world = World::start("");
    let mut busy = Client::new(world.connect().await);
    busy.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
    world.app.waiting.subscribe().wait_for(|waiting| *waiting == 1).await.expect("a request");
    world.serving.cut();
    assert!(busy.is_closed().await);
    world.serving.idle().await;
    assert_eq!(world.serving.connections(), 0);
}
