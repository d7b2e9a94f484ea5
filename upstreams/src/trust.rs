//! Who may have signed an upstream's certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use weir_config::mesh::Ca;

/// A loaded set of authorities. `generation` differs between different sets, so that a connection pool can keep them
/// apart: Pingora's own key does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The system's authorities.
    System,
    /// These certificates alone, in DER.
    These(Arc<[CertificateDer<'static>]>),
}

/// A CA file that cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("cannot read the CA file {path}: {source}; give the path of a PEM file that the proxy may read")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the CA file {path} holds no valid certificates: {problem}")]
    Malformed { path: PathBuf, problem: String },
    #[error("the CA file {path} holds no certificate")]
    Empty { path: PathBuf },
}

impl Trust {
    /// Loads what the document names; a relative path counts from `base`.
    pub fn load(ca: &Ca, base: &Path) -> Result<Self, TrustError> {
        let Ca::File(file) = ca else { return Ok(Self::System) };
        let path = base.join(file);
        let text = std::fs::read(&path).map_err(|source| TrustError::Unreadable { path: path.clone(), source })?;
        let certificates = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|problem| TrustError::Malformed { path: path.clone(), problem: problem.to_string() })?;
        if certificates.is_empty() {
            return Err(TrustError::Empty { path });
        }
        // Who dials takes them for granted, so they are looked at here.
        for certificate in &certificates {
            x509_parser::parse_x509_certificate(certificate)
                .map_err(|problem| TrustError::Malformed { path: path.clone(), problem: problem.to_string() })?;
        }
        Ok(Self::These(certificates.into()))
    }
}
