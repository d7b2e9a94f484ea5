//! How many connections a listener has, in all and from each client.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::front::{Front, ListenerIndex, Rejected};
use super::terms::Terms;

/// The seats of one listener. Counts are exact: a connection holds its [`Seat`] and gives it back by dropping it.
pub(super) struct Seats {
    listener: ListenerIndex,
    most: u32,
    most_per_client: u32,
    taken: Mutex<Taken>,
    tally: Arc<Tally>,
    front: Arc<dyn Front>,
}

/// Bounded by the connections there are: a client without any has no entry.
#[derive(Default)]
struct Taken {
    total: u32,
    by_client: HashMap<IpAddr, u32, foldhash::fast::RandomState>,
}

/// A connection's place. It is held until the last exchange over the connection is over.
pub(super) struct Seat {
    seats: Arc<Seats>,
    client: IpAddr,
}

impl Seats {
    pub fn new(listener: ListenerIndex, terms: &Terms, tally: Arc<Tally>, front: Arc<dyn Front>) -> Arc<Self> {
        Arc::new(Self {
            listener,
            most: terms.connections,
            most_per_client: terms.connections_per_client,
            taken: Mutex::default(),
            tally,
            front,
        })
    }

    pub fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Seat, Rejected> {
        let client = client(peer);
        {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            if taken.total >= self.most {
                return Err(Rejected::TotalLimit);
            }
            let of_client = taken.by_client.entry(client).or_default();
            if *of_client >= self.most_per_client {
                return Err(Rejected::ClientLimit);
            }
            *of_client += 1;
            taken.total += 1;
        }
        self.tally.add();
        self.front.opened(self.listener);
        Ok(Seat { seats: self.clone(), client })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        {
            let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.total -= 1;
            if let Some(of_client) = taken.by_client.get_mut(&self.client) {
                *of_client -= 1;
                if *of_client == 0 {
                    taken.by_client.remove(&self.client);
                }
            }
        }
        self.seats.front.closed(self.seats.listener);
        self.seats.tally.remove();
    }
}

/// Whose seats a peer takes. Whoever has an IPv6 address has the 2⁶⁴ of its network, so the network counts.
fn client(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

/// The connections of all listeners together.
#[derive(Default)]
pub(super) struct Tally {
    count: AtomicUsize,
    none_left: Notify,
}

impl Tally {
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Resolves when there is no connection.
    pub async fn none(&self) {
        loop {
            let none_left = self.none_left.notified();
            if self.count() == 0 {
                return;
            }
            none_left.await;
        }
    }

    fn add(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    fn remove(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.none_left.notify_waiters();
        }
    }
}
