//! Whether everything that is about to be started will get its port, asked before anything is started.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use crate::failure::{Failure, Result};

/// An address that one of the children will listen on.
#[derive(Clone, Debug)]
pub struct Claim {
    pub address: SocketAddr,
    /// Who: `the edge listener`.
    pub who: String,
    /// What to change when it cannot be had: `--edge-port`.
    pub setting: String,
}

/// Tries all claims at once, so that an operator learns of all that cannot be had. Port 0 is always free.
pub fn all_free(claims: &[Claim]) -> Result<()> {
    let mut held: BTreeMap<SocketAddr, (TcpListener, &Claim)> = BTreeMap::new();
    let mut refused: Vec<(String, &str)> = Vec::new();
    for claim in claims.iter().filter(|claim| claim.address.port() != 0) {
        if let Some((_, first)) = held.get(&claim.address) {
            let error = format!("{} and {} both want port {}", first.who, claim.who, claim.address.port());
            refused.push((error, &claim.setting));
            continue;
        }
        match TcpListener::bind(claim.address) {
            Ok(listener) => drop(held.insert(claim.address, (listener, claim))),
            Err(error) => refused.push((cannot(claim, error.kind(), &error), &claim.setting)),
        }
    }
    let (errors, settings): (Vec<_>, Vec<_>) = refused.into_iter().unzip();
    if errors.is_empty() {
        return Ok(());
    }
    Err(Failure::new(errors.join("; "), format!("choose another with {}", settings.join(", "))))
}

fn cannot(claim: &Claim, kind: ErrorKind, error: &std::io::Error) -> String {
    let (who, port) = (&claim.who, claim.address.port());
    match kind {
        ErrorKind::AddrInUse => format!("port {port} for {who} is in use by another process"),
        ErrorKind::PermissionDenied => format!("port {port} for {who} is reserved for the superuser"),
        ErrorKind::AddrNotAvailable => format!("{} for {who} is no address of this machine", claim.address),
        _ => format!("port {port} for {who} cannot be had: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Told;

    fn claim(address: SocketAddr, who: &str, setting: &str) -> Claim {
        Claim { address, who: who.to_owned(), setting: setting.to_owned() }
    }

    fn refusal(claims: &[Claim]) -> Told {
        match all_free(claims) {
            Err(Failure::Told(told)) => told,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn every_port_in_use_is_named_with_the_setting_that_changes_it() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let also = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (first, second) = (taken.local_addr().expect("bound"), also.local_addr().expect("bound"));
        let told =
            refusal(&[claim(first, "the edge listener", "--edge-port"), claim(second, "metrics", "--metrics-port")]);
        assert_eq!(
            told.error,
            format!(
                "port {} for the edge listener is in use by another process; port {} for metrics is in use by another process",
                first.port(),
                second.port()
            )
        );
        assert_eq!(told.hint, "choose another with --edge-port, --metrics-port");
    }

    #[test]
    fn one_port_wanted_twice_is_named_with_both_who_want_it() {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let told =
            refusal(&[claim(free, "the edge listener", "--edge-port"), claim(free, "metrics", "--metrics-port")]);
        assert_eq!(told.error, format!("the edge listener and metrics both want port {}", free.port()));
    }

    #[test]
    fn port_zero_is_always_free() {
        let zero = SocketAddr::from(([127, 0, 0, 1], 0));
        all_free(&[claim(zero, "one", "--one"), claim(zero, "two", "--two")]).expect("free");
    }
}
