//! One client connection, plain or TLS: sends a request, reads what comes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use weir_bench::answer::{Answer, Fault, Whole};

/// For a connect and a TLS handshake, which block: nothing else runs at that time.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Whom to connect to, and what each answer must be.
pub struct Target {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    length: usize,
}

impl Target {
    /// `trusted` is the PEM file of the server's own certificate; without one the connection is plain.
    pub fn new(address: SocketAddr, trusted: Option<&Path>, length: usize) -> anyhow::Result<Self> {
        let tls = trusted.map(client_config).transpose()?.map(Arc::new);
        Ok(Self { address, tls, length })
    }
}

/// One cipher and one key exchange, so that all peers do the same work whatever they would rather choose; and no
/// resumption.
fn client_config(trusted: &Path) -> anyhow::Result<ClientConfig> {
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(trusted);
    roots.add(certificate.with_context(|| format!("no certificate in {}", trusted.display()))?)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

pub struct Connection {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    answer: Answer,
}

impl Connection {
    /// Connects, and shakes hands if the target asks for TLS.
    pub fn open(target: &Target) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&target.address, OPEN_TIMEOUT)
            .with_context(|| format!("cannot connect to {}", target.address))?;
        stream.set_nodelay(true)?;
        let mut tls = None;
        if let Some(config) = &target.tls {
            stream.set_read_timeout(Some(OPEN_TIMEOUT))?;
            let mut session = ClientConnection::new(config.clone(), ServerName::try_from("localhost")?)?;
            while session.is_handshaking() {
                session.complete_io(&mut stream).context("the TLS handshake failed")?;
            }
            tls = Some(Box::new(session));
        }
        stream.set_nonblocking(true)?;
        Ok(Self { stream, tls, answer: Answer::of_length(target.length) })
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends one request. It is far smaller than a socket's buffer, which is empty then: what is not taken whole is a
    /// fault.
    pub fn send(&mut self, request: &[u8]) -> Result<(), Fault> {
        let Some(tls) = &mut self.tls else {
            return match self.stream.write(request) {
                Ok(count) if count == request.len() => Ok(()),
                _ => Err(Fault::Send),
            };
        };
        tls.writer().write_all(request).map_err(|_| Fault::Send)?;
        tls.write_tls(&mut self.stream).map_err(|_| Fault::Send)?;
        if tls.wants_write() { Err(Fault::Send) } else { Ok(()) }
    }

    /// Reads once. `Some` if the answer is whole now.
    pub fn receive(&mut self, space: &mut [u8]) -> Result<Option<Whole>, Fault> {
        let Some(tls) = &mut self.tls else {
            return match self.stream.read(space) {
                Ok(0) => Err(Fault::Closed),
                Ok(count) => self.answer.take(&space[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                Err(_) => Err(Fault::Closed),
            };
        };
        match tls.read_tls(&mut self.stream) {
            Ok(0) => return Err(Fault::Closed),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(_) => return Err(Fault::Closed),
        }
        tls.process_new_packets().map_err(|_| Fault::Closed)?;
        let mut whole = None;
        loop {
            match tls.reader().read(space) {
                Ok(0) => return Err(Fault::Closed),
                Ok(_) if whole.is_some() => return Err(Fault::Surplus),
                Ok(count) => whole = self.answer.take(&space[..count])?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(whole),
                Err(_) => return Err(Fault::Closed),
            }
        }
    }
}
