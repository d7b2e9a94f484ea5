//! Which certificate a client is shown.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// A certificate with its key.
pub(super) struct Certificate {
    /// DNS names, in lower case; `*.` at the start stands for one label.
    pub names: Vec<String>,
    /// Seconds since 1970.
    pub not_before: i64,
    pub key: Arc<CertifiedKey>,
}

/// Certificates by name: the exact one, else the wildcard one label above. Where two certificates have a name, the first
/// one has it.
///
/// A client that names no host, or an address, gets the first certificate. One that names a host that no certificate is
/// good for is refused: what it would be shown, it could not accept.
pub(super) struct Resolver {
    first: Arc<CertifiedKey>,
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// By what stands behind `*.`.
    wildcard: HashMap<Box<str>, Arc<CertifiedKey>>,
}

impl Resolver {
    /// `None` where there is no certificate.
    pub fn new(certificates: Vec<Certificate>) -> Option<Self> {
        let first = certificates.first()?.key.clone();
        let mut this = Self { first, exact: HashMap::new(), wildcard: HashMap::new() };
        for Certificate { names, key, .. } in certificates {
            for name in names {
                let (table, name) = match name.strip_prefix("*.") {
                    Some(above) => (&mut this.wildcard, above),
                    None => (&mut this.exact, &*name),
                };
                table.entry(name.into()).or_insert_with(|| key.clone());
            }
        }
        Some(this)
    }

    fn find(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let Some(name) = name else { return Some(&self.first) };
        // A TLS library may hand the name over as it was sent, with a trailing dot too.
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        self.exact.get(&*name).or_else(|| {
            let (_, above) = name.split_once('.')?;
            self.wildcard.get(above)
        })
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name()).cloned()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("exact", &self.exact.keys())
            .field("wildcard", &self.wildcard.keys())
            .finish_non_exhaustive()
    }
}
