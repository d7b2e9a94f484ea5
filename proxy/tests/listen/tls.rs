//! TLS.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, SupportedProtocolVersion, version};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use weir_config::bootstrap::TlsVersion;
use weir_proxy::listen::Rejected;

use crate::h2::greet;
use crate::world::{Client, World, bind};

/// A folder with a self-signed certificate for `a.test` and `*.a.test`, and one for `b.test`; and a client that trusts both.
struct Authority {
    folder: TempDir,
    roots: Arc<RootCertStore>,
}

const BOTH: &str =
    "tls = { certificates = [{ cert = \"a.pem\", key = \"a.key\" }, { cert = \"b.pem\", key = \"b.key\" }] }";

impl Authority {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut roots = RootCertStore::empty();
        for (file, names) in [("a", ["a.test", "*.a.test"]), ("b", ["b.test", "*.c.b.test"])] {
            let CertifiedKey { cert, signing_key } =
                generate_simple_self_signed(names.map(String::from)).expect("a certificate");
            roots.add(cert.der().clone()).expect("a root");
            write(&folder, &format!("{file}.pem"), &cert.pem());
            write(&folder, &format!("{file}.key"), &signing_key.serialize_pem());
        }
        Self { folder, roots: Arc::new(roots) }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn world(&self, settings: &str) -> World {
        World::start_in(settings, self.path())
    }

    fn client(&self, versions: &[&'static SupportedProtocolVersion], alpn: &[&str]) -> Arc<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

fn write(folder: &TempDir, file: &str, text: &str) {
    fs::write(folder.path().join(file), text).expect("a file");
}

async fn shake(world: &World, config: Arc<ClientConfig>, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(config).connect(name, world.connect().await).await
}

#[tokio::test]
async fn tls_1_3_with_the_post_quantum_group_is_spoken() {
    let authority = Authority::new();
    let world = authority.world(BOTH);
    let stream =
        shake(&world, authority.client(&[&version::TLS13], &["http/1.1"]), "a.test").await.expect("a handshake");
    let (_, session) = stream.get_ref();
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = session.negotiated_key_exchange_group().map(|group| group.name());
    assert_eq!(group, Some(rustls::NamedGroup::X25519MLKEM768));

    let mut client = Client::new(stream);
    assert_eq!(client.get("/facts").await.body, "h2=false tls=Tls13 sni=a.test peer=127.0.0.1");
    assert_eq!(client.get("/large").await.body.len(), 1_000_000);
    assert_eq!(world.heard.now().handshakes, [TlsVersion::Tls13]);
}

#[tokio::test]
async fn http_2_is_chosen_by_alpn() {
    let authority = Authority::new();
    let world = authority.world(BOTH);
    let both = authority.client(&[&version::TLS13], &["http/1.1", "h2"]);
    let stream = shake(&world, both, "a.test").await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let client = greet(stream).await;
    assert_eq!(client.get("/facts").await.expect("an answer"), "h2=true tls=Tls13 sni=a.test peer=127.0.0.1");

    let none = authority.client(&[&version::TLS13], &[]);
    let mut client = Client::new(shake(&world, none, "a.test").await.expect("a handshake"));
    assert_eq!(client.get("/").await.status, 200);
    let other = authority.client(&[&version::TLS13], &["spdy/1"]);
    assert!(shake(&world, other, "a.test").await.is_err());
}

#[tokio::test]
async fn tls_1_2_is_spoken_only_where_the_listener_says_so() {
    let authority = Authority::new();
    let old = authority.client(&[&version::TLS12], &["http/1.1"]);
    let world = authority.world(BOTH);
    assert!(shake(&world, old.clone(), "a.test").await.is_err());
    world.heard.wait_for(|said| said.rejected == [Rejected::HandshakeFailed] && said.closed == 1).await;

    let world = authority.world(&BOTH.replace("tls = {", "tls = { min_version = \"1.2\","));
    let mut client = Client::new(shake(&world, old, "a.test").await.expect("a handshake"));
    assert_eq!(client.get("/facts").await.body, "h2=false tls=Tls12 sni=a.test peer=127.0.0.1");
    assert_eq!(world.heard.now().handshakes, [TlsVersion::Tls12]);
}

#[tokio::test]
async fn the_certificate_is_chosen_by_the_name_the_client_asks_for() {
    let authority = Authority::new();
    let world = authority.world(BOTH);
    let config = authority.client(&[&version::TLS13], &[]);
    let file = |name: &str| CertificateDer::from_pem_file(authority.path().join(name)).expect("a certificate");
    for (name, expected) in [("a.test", "a.pem"), ("X.A.TEST", "a.pem"), ("b.test", "b.pem"), ("x.c.b.test", "b.pem")] {
        let stream = shake(&world, config.clone(), name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let shown = stream.get_ref().1.peer_certificates().expect("a certificate");
        assert_eq!(shown, [file(expected)], "{name}");
    }
    // A wildcard stands for one label, not for two and not for none.
    for name in ["c.test", "x.y.a.test", "c.b.test", "x.b.test"] {
        assert!(shake(&world, config.clone(), name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_client_that_names_no_host_gets_the_first_certificate() {
    let authority = Authority::new();
    let world = authority.world(BOTH);
    let mut silent = ClientConfig::clone(&authority.client(&[&version::TLS13], &[]));
    silent.enable_sni = false;
    let silent = Arc::new(silent);
    let mut client = Client::new(shake(&world, silent.clone(), "a.test").await.expect("the first is for a.test"));
    assert_eq!(client.get("/facts").await.body, "h2=false tls=Tls13 sni=- peer=127.0.0.1");
    assert!(shake(&world, silent, "b.test").await.is_err(), "the first is not for b.test");
}

#[tokio::test]
async fn a_session_is_resumed_without_a_full_handshake() {
    let authority = Authority::new();
    let world = authority.world(BOTH);
    let config = authority.client(&[&version::TLS13], &[]);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut client = Client::new(shake(&world, config.clone(), "a.test").await.expect("a handshake"));
        assert_eq!(client.get("/").await.status, 200, "the tickets have come too");
        kinds.push(client.stream.get_ref().1.handshake_kind());
    }
    assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_ends_at_its_deadline() {
    let authority = Authority::new();
    let world = authority.world(&format!("{BOTH}\nlimits = {{ handshake_timeout = \"50ms\", connections = 1 }}"));
    let mut silent = Client::new(world.connect().await);
    let mut shed = Client::new(world.connect().await);
    assert!(shed.is_closed().await, "before TLS");
    assert!(silent.is_closed().await);
    let said = world.heard.wait_for(|said| said.closed == 1).await;
    assert_eq!(said.rejected, [Rejected::TotalLimit, Rejected::HandshakeTimeout]);
}

#[tokio::test]
async fn certificates_are_described() {
    let authority = Authority::new();
    let settings = format!("address = \"127.0.0.1:0\"\n{BOTH}");
    let listeners = bind(&settings, authority.path()).expect("a listener");
    let certificates = listeners.certificates();
    assert_eq!(certificates.len(), 2);
    assert_eq!(&*certificates[0].listener, "edge");
    assert_eq!(certificates[0].names, ["a.test", "*.a.test"]);
    assert_eq!(certificates[1].file, authority.path().join("b.pem"));
    // What rcgen writes where nobody says otherwise: the year 4096.
    assert!(certificates[0].not_after > 60_000_000_000);
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_with_its_setting() {
    let authority = Authority::new();
    let folder = &authority.folder;
    write(folder, "empty.pem", "nothing here");
    write(folder, "broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    write(folder, "torn.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    write(folder, "encrypted.key", encrypted);
    write(folder, "bad.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let other = KeyPair::generate().expect("a key");
    write(folder, "other.key", &other.serialize_pem());

    let cases = [
        ("missing.pem", "a.key", "missing.pem cannot be read: No such file", ".cert`"),
        ("empty.pem", "a.key", "empty.pem holds no certificate in PEM form", ".cert`"),
        ("torn.pem", "a.key", "torn.pem is not valid PEM", ".cert`"),
        ("broken.pem", "a.key", "broken.pem holds a certificate that cannot be parsed", ".cert`"),
        ("a.pem", "missing.key", "missing.key cannot be read: No such file", ".key`"),
        ("a.pem", "empty.pem", "empty.pem holds no private key in PEM form", ".key`"),
        ("a.pem", "a.pem", "a.pem holds no private key in PEM form", ".key`"),
        ("a.pem", "encrypted.key", "encrypted.key holds an encrypted private key", ".key`"),
        ("a.pem", "bad.key", "bad.key holds a private key of a kind or size that cannot be used", ".key`"),
        ("a.pem", "other.key", "other.key does not belong to the certificate in", ".key`"),
    ];
    for (cert, key, problem, setting) in cases {
        let settings = format!(
            "address = \"127.0.0.1:0\"\ntls = {{ certificates = [{{ cert = \"b.pem\", key = \"b.key\" }}, {{ cert = \"{cert}\", key = \"{key}\" }}] }}"
        );
        let error = bind(&settings, authority.path()).err().expect("an error").to_string();
        assert!(error.starts_with("listener `edge` on 127.0.0.1:0: "), "{error}");
        assert!(error.contains(problem), "{error}");
        assert!(error.ends_with(&format!("set by `listeners.edge.tls.certificates[1]{setting}")), "{error}");
        assert!(!error.contains("AAAA"), "nothing of what the file holds: {error}");
    }
}

#[test]
fn a_port_in_use_is_named_with_its_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let error = bind(&format!("address = \"{address}\""), Path::new(".")).err().expect("an error").to_string();
    assert!(error.contains(&format!("port {} of 127.0.0.1 is in use", address.port())), "{error}");
    assert!(error.contains("`listeners.edge.address`"), "{error}");
}
