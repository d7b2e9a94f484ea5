//! One named service: its endpoints, and the right to send one of them an attempt.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use weir_config::mesh::{Protocol, Upstream as Spec};
use weir_config::names::Name;
use weir_resilience::budget::Budget;
use weir_resilience::choice::two_choices;

use crate::trust::Trust;
use crate::window::Window;

/// One address of an upstream. Shared by all generations that know it, so its count survives a push.
#[derive(Debug)]
pub struct Endpoint {
    pub address: SocketAddr,
    in_flight: AtomicU32,
}

impl Endpoint {
    pub fn new(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self { address, in_flight: AtomicU32::new(0) })
    }

    /// Attempts under way at this endpoint.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }
}

/// The right to make one attempt at one endpoint. Given back when dropped.
#[derive(Debug)]
pub struct Lease {
    endpoint: Arc<Endpoint>,
}

impl Lease {
    fn new(endpoint: Arc<Endpoint>) -> Self {
        endpoint.in_flight.fetch_add(1, Relaxed);
        Self { endpoint }
    }

    pub fn address(&self) -> SocketAddr {
        self.endpoint.address
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A named service behind the proxy.
pub struct Upstream {
    pub name: Name,
    pub protocol: Protocol,
    pub tls: Option<Tls>,
    pub timeouts: Timeouts,
    /// Requests at a time over one HTTP/2 connection.
    pub h2_streams: usize,
    /// Keeps connections of different settings apart in a pool whose own key ignores some of them.
    pub pool_group: u64,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    retries: Arc<Retries>,
    for_driver: OnceLock<Box<dyn Any + Send + Sync>>,
}

/// TLS to an upstream. `sni` is never empty: the document is refused otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub sni: String,
    pub trust: Trust,
}

/// How long an upstream may take for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The TCP connection.
    pub connect: Duration,
    /// The TCP connection and the TLS handshake together.
    pub handshake: Duration,
    /// One chunk of a request.
    pub write: Duration,
    /// An unused connection is closed after this.
    pub keepalive: Duration,
}

/// The upstream's retry budget with the counts it is measured by.
#[derive(Default)]
struct Retries {
    budget: Budget,
    requests: Window,
    retries: Window,
}

impl Upstream {
    /// An upstream as the document has it, with the endpoints known so far.
    pub fn new(name: Name, spec: &Spec, tls: Option<Tls>, endpoints: Vec<Arc<Endpoint>>) -> Self {
        let protocol = spec.protocol.unwrap_or_default();
        Self {
            pool_group: pool_group(&name, protocol, tls.as_ref()),
            name,
            protocol,
            tls,
            timeouts: Timeouts {
                connect: spec.connect_timeout(),
                handshake: spec.handshake_timeout(),
                write: spec.write_timeout(),
                keepalive: spec.keepalive(),
            },
            h2_streams: spec.h2_streams() as usize,
            endpoints: ArcSwap::from_pointee(endpoints),
            retries: Arc::default(),
            for_driver: OnceLock::new(),
        }
    }

    /// Goes on with the counts of the upstream that had this name before: a changed setting is no fresh budget.
    pub fn inherit(mut self, old: &Self) -> Self {
        self.retries = old.retries.clone();
        self
    }

    /// The endpoints now, in the document's order or by address.
    pub fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// Takes a new set of addresses; those that stay keep their counts. An empty set is not taken: a source that
    /// answers nothing is more often broken than right. Returns whether the set changed.
    pub fn set_addresses(&self, mut addresses: Vec<SocketAddr>) -> bool {
        addresses.sort();
        addresses.dedup();
        let old = self.endpoints.load();
        if addresses.is_empty() || old.iter().map(|e| e.address).eq(addresses.iter().copied()) {
            return false;
        }
        self.endpoints.store(Arc::new(keep(&old, &addresses)));
        true
    }

    /// Picks the endpoint of the next attempt: two random choices by requests in flight, none of `tried` while there is
    /// another. `None` when the upstream has no endpoint at all.
    pub fn lease(&self, chance: u64, tried: &[SocketAddr]) -> Option<Lease> {
        let endpoints = self.endpoints.load();
        let load = |at: usize| endpoints[at].in_flight();
        let untried = |at: usize| !tried.contains(&endpoints[at].address);
        let at = two_choices(endpoints.len(), chance, load, untried)
            .or_else(|| two_choices(endpoints.len(), chance, load, |_| true))?;
        Some(Lease::new(endpoints[at].clone()))
    }

    /// Counts a request's first attempt; the budget's share is of these. `second` counts from any fixed moment.
    pub fn count_request(&self, second: u32) {
        self.retries.requests.add(second);
    }

    /// Charges one more attempt to the budget, or says that it is spent.
    pub fn charge_retry(&self, second: u32) -> bool {
        let Retries { budget, requests, retries } = &*self.retries;
        let fits = budget.allows(requests.sum(second), retries.sum(second));
        if fits {
            retries.add(second);
        }
        fits
    }

    /// What is left of the retry budget, 0.0 to 1.0.
    pub fn budget_left(&self, second: u32) -> f64 {
        let Retries { budget, requests, retries } = &*self.retries;
        budget.left(requests.sum(second), retries.sum(second))
    }

    /// What a driver keeps beside the upstream in its own form, such as its certificates; made once.
    pub fn kept_for_driver(&self, make: impl FnOnce() -> Box<dyn Any + Send + Sync>) -> &(dyn Any + Send + Sync) {
        &**self.for_driver.get_or_init(make)
    }

    /// Attempts under way at all endpoints of the present set.
    pub fn in_flight(&self) -> u32 {
        self.endpoints.load().iter().map(|e| e.in_flight()).sum()
    }
}

/// The endpoints of `addresses`, those of `old` among them as they are.
pub(crate) fn keep(old: &[Arc<Endpoint>], addresses: &[SocketAddr]) -> Vec<Arc<Endpoint>> {
    addresses
        .iter()
        .map(|&address| match old.iter().find(|e| e.address == address) {
            Some(known) => known.clone(),
            None => Endpoint::new(address),
        })
        .collect()
}

/// A stable 64-bit digest (FNV-1a) of what must not share connections.
fn pool_group(name: &str, protocol: Protocol, tls: Option<&Tls>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut eat = |bytes: &[u8]| {
        for &byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    eat(name.as_bytes());
    eat(&[protocol as u8]);
    if let Some(tls) = tls {
        eat(tls.sni.as_bytes());
        if let Trust::These(certificates) = &tls.trust {
            certificates.iter().for_each(|c| eat(c));
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(ports: &[u16]) -> Upstream {
        let endpoints = ports.iter().map(|&p| Endpoint::new(([127, 0, 0, 1], p).into())).collect();
        Upstream::new(Name::parse("x").unwrap(), &Spec::default(), None, endpoints)
    }

    #[test]
    fn trap_18_a_lease_counts_while_it_lives() {
        let upstream = upstream(&[1]);
        let lease = upstream.lease(0, &[]).unwrap();
        assert_eq!(upstream.in_flight(), 1);
        drop(lease);
        assert_eq!(upstream.in_flight(), 0);
    }

    #[test]
    fn a_tried_endpoint_is_taken_again_only_when_there_is_no_other() {
        let both = upstream(&[1, 2]);
        let first: SocketAddr = ([127, 0, 0, 1], 1).into();
        for chance in 0..64 {
            assert_ne!(both.lease(chance << 26 | chance << 58, &[first]).unwrap().address(), first);
        }
        assert_eq!(upstream(&[1]).lease(0, &[first]).unwrap().address(), first);
        assert!(upstream(&[]).lease(0, &[]).is_none());
    }

    #[test]
    fn trap_12_an_empty_answer_keeps_the_old_set_and_a_changed_one_keeps_counts() {
        let upstream = upstream(&[1, 2]);
        let _leases: Vec<_> = (0..4).map(|n| upstream.lease(n << 61 | n << 30, &[])).collect();
        assert!(!upstream.set_addresses(vec![]));
        assert!(upstream.set_addresses(vec![([127, 0, 0, 1], 2).into(), ([127, 0, 0, 1], 3).into()]));
        let counts: Vec<u32> = upstream.endpoints().iter().map(|e| e.in_flight()).collect();
        assert!(counts[0] > 0 && counts[1] == 0, "{counts:?}");
    }

    #[test]
    fn the_budget_is_spent_at_a_fifth_of_the_requests_and_three_a_second() {
        let upstream = upstream(&[1]);
        (0..100).for_each(|_| upstream.count_request(50));
        assert_eq!((0..1000).filter(|_| upstream.charge_retry(50)).count(), 20 + 30);
        assert_eq!(upstream.budget_left(50), 0.0);
        assert_eq!(upstream.budget_left(70), 1.0);
    }

    #[test]
    fn trap_2_another_ca_or_protocol_is_another_pool_group() {
        let tls = |bytes: &[u8]| Tls { sni: "a".into(), trust: Trust::These([bytes.to_vec().into()].into()) };
        let groups = [
            pool_group("x", Protocol::H1, None),
            pool_group("x", Protocol::H2, None),
            pool_group("x", Protocol::H1, Some(&tls(b"one"))),
            pool_group("x", Protocol::H1, Some(&tls(b"two"))),
            pool_group("y", Protocol::H1, None),
        ];
        let distinct: std::collections::HashSet<_> = groups.iter().collect();
        assert_eq!(distinct.len(), groups.len());
    }
}
