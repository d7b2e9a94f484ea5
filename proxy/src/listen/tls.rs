//! TLS towards clients: versions, ciphers and groups of a listener, its certificates and their keys.
//!
//! 1.3 only, 1.2 by explicit setting; the post-quantum hybrid X25519MLKEM768 before X25519 and P-256; AES-128-GCM,
//! AES-256-GCM and ChaCha20, of which the client's first choice is taken: it knows whether it has AES in hardware. Key
//! material is never printed: no error here carries more than a file's name and what is wrong with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use tokio_rustls::TlsAcceptor;
use weir_config::bootstrap::{CertificateFiles, ListenerTls, TlsVersion};
use weir_config::names::Name;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::resolver::{Certificate, Resolver};

/// The names of the protocols in the TLS handshake (ALPN), as we prefer them.
pub(super) const H2: &[u8] = b"h2";
const H1: &[u8] = b"http/1.1";

/// A certificate that a listener serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    pub listener: Name,
    /// Where it was read from.
    pub file: PathBuf,
    /// The DNS names it is good for, in lower case.
    pub names: Vec<String>,
    /// When it expires, in seconds since 1970.
    pub not_after: i64,
}

/// What is wrong with a certificate or its key.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
    #[error("holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
    #[error("holds no private key in PEM form (`-----BEGIN PRIVATE KEY-----`)")]
    NoKey,
    #[error("holds an encrypted private key; keys are read unencrypted (`openssl pkey -in … -out …` writes one)")]
    EncryptedKey,
    #[error("is not valid PEM: {0}")]
    Pem(String),
    #[error("holds a certificate that cannot be parsed: {0}")]
    Certificate(String),
    #[error("holds a private key of a kind or size that cannot be used")]
    Key,
    #[error("does not belong to the certificate in {}", .0.display())]
    Mismatch(PathBuf),
    #[error("the TLS library refuses this listener's settings: {0}")]
    Settings(rustls::Error),
}

/// A [`CertificateError`], and the file and the setting it is about.
#[derive(Debug, thiserror::Error)]
#[error("{} {error}; set by `{setting}`", .file.display())]
pub struct CertificateFault {
    pub file: PathBuf,
    /// The bootstrap document's key, below the listener.
    pub setting: String,
    #[source]
    pub error: CertificateError,
}

/// Everything a TLS listener needs to accept.
pub(super) fn acceptor(
    listener: &Name,
    tls: &ListenerTls,
    base: &Path,
) -> Result<(TlsAcceptor, Vec<CertificateInfo>), CertificateFault> {
    let provider = Arc::new(provider());
    let mut certificates = Vec::new();
    let mut infos = Vec::new();
    for (index, files) in tls.certificates.iter().enumerate() {
        let (certificate, info) = load(listener, index, files, base, &provider)?;
        warn_of_dates(&info, &certificate);
        infos.push(info);
        certificates.push(certificate);
    }
    let settings =
        |error| CertificateFault { file: base.to_owned(), setting: format!("listeners.{listener}.tls"), error };
    let resolver = Resolver::new(certificates).ok_or_else(|| settings(CertificateError::NoCertificate))?;
    let versions: &[_] = match tls.min_version() {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let refused = |error| settings(CertificateError::Settings(error));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(refused)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![H2.to_vec(), H1.to_vec()];
    // Resumption without a table of sessions here. The ticketer makes a new key every six hours and keeps the last.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(refused)?;
    Ok((TlsAcceptor::from(Arc::new(config)), infos))
}

fn provider() -> CryptoProvider {
    use aws_lc_rs::{cipher_suite as suite, kx_group as group};
    CryptoProvider {
        kx_groups: vec![group::X25519MLKEM768, group::X25519, group::SECP256R1],
        cipher_suites: vec![
            suite::TLS13_AES_128_GCM_SHA256,
            suite::TLS13_AES_256_GCM_SHA384,
            suite::TLS13_CHACHA20_POLY1305_SHA256,
            // Used only where the listener allows 1.2.
            suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    }
}

fn load(
    listener: &Name,
    index: usize,
    files: &CertificateFiles,
    base: &Path,
    provider: &CryptoProvider,
) -> Result<(Certificate, CertificateInfo), CertificateFault> {
    let (cert_file, key_file) = (base.join(&files.cert), base.join(&files.key));
    let fault = |file: &Path, key: &str| {
        let (file, setting) = (file.to_owned(), format!("listeners.{listener}.tls.certificates[{index}].{key}"));
        move |error| CertificateFault { file, setting, error }
    };
    let chain = read_chain(&cert_file).map_err(fault(&cert_file, "cert"))?;
    let (names, not_before, not_after) = describe(&chain).map_err(fault(&cert_file, "cert"))?;
    let key = read_key(&key_file).map_err(fault(&key_file, "key"))?;
    let certified = CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                CertificateError::Mismatch(cert_file.clone())
            }
            _ => CertificateError::Key,
        })
        .map_err(fault(&key_file, "key"))?;
    let info = CertificateInfo { listener: listener.clone(), file: cert_file, names: names.clone(), not_after };
    Ok((Certificate { names, not_before, key: Arc::new(certified) }, info))
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let text = fs::read(file).map_err(CertificateError::Unreadable)?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CertificateError::Pem(error.to_string()))?;
    if chain.is_empty() { Err(CertificateError::NoCertificate) } else { Ok(chain) }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let text = fs::read(file).map_err(CertificateError::Unreadable)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound if memchr::memmem::find(&text, b"ENCRYPTED").is_some() => {
            CertificateError::EncryptedKey
        }
        pem::Error::NoItemsFound => CertificateError::NoKey,
        // The library's words may quote the file.
        _ => CertificateError::Pem("a section is broken off or is not base64".to_owned()),
    })
}

/// Names, and the first and the last second of validity, of a chain's leaf.
fn describe(chain: &[CertificateDer<'_>]) -> Result<(Vec<String>, i64, i64), CertificateError> {
    let unparsed = |error: &dyn std::fmt::Display| CertificateError::Certificate(error.to_string());
    let leaf = chain.first().ok_or(CertificateError::NoCertificate)?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|error| unparsed(&error))?;
    let names = match leaf.subject_alternative_name().map_err(|error| unparsed(&error))? {
        None => Vec::new(),
        Some(alternatives) => {
            let dns = |name: &GeneralName<'_>| match name {
                GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            };
            alternatives.value.general_names.iter().filter_map(dns).collect()
        }
    };
    let validity = leaf.validity();
    Ok((names, validity.not_before.timestamp(), validity.not_after.timestamp()))
}

/// A certificate out of its time is served all the same: no client would be better off without, and the clock that is
/// wrong may be ours.
fn warn_of_dates(info: &CertificateInfo, certificate: &Certificate) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let file = info.file.display();
    if info.not_after < now {
        tracing::warn!(listener = %info.listener, %file, not_after = info.not_after, "certificate has expired");
    } else if certificate.not_before > now {
        let not_before = certificate.not_before;
        tracing::warn!(listener = %info.listener, %file, not_before, "certificate is not valid yet");
    }
}
