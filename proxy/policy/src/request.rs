//! What a decision looks at: views of a request, in our own types, so that each driver can make them from its own.

use std::net::IpAddr;
use std::time::Duration;

use crate::table::ListenerId;

/// The head of a request. Host and path are in their one spelling ([`crate::host`], [`crate::path`]); the driver makes
/// them so before it asks.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    pub method: &'a str,
    /// In lower case and without a port; empty where the request names none.
    pub host: &'a str,
    /// Normalised, without the query.
    pub path: &'a str,
    /// What stands after `?`, as it came.
    pub query: Option<&'a str>,
    pub headers: &'a dyn Headers,
    /// `None` where the request does not say.
    pub content_length: Option<u64>,
}

/// What else is known about a request when it is decided.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub listener: ListenerId,
    /// Who sent it, behind the trusted hops.
    pub client: IpAddr,
    /// Whether the client came by TLS.
    pub https: bool,
    /// The port that the client connected to.
    pub port: u16,
    /// Monotonic time since the process started.
    pub now: Duration,
}

/// The header lines of a request. Names are asked for in lower case, and found in any.
pub trait Headers {
    /// The value of the first line of that name.
    fn get(&self, name: &str) -> Option<&[u8]>;

    /// Calls `f` with the value of each line of that name, in their order.
    fn for_each(&self, name: &str, f: &mut dyn FnMut(&[u8]));
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for &[(N, V)] {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(own, _)| own.as_ref().eq_ignore_ascii_case(name)).map(|(_, value)| value.as_ref())
    }

    fn for_each(&self, name: &str, f: &mut dyn FnMut(&[u8])) {
        let lines = self.iter().filter(|(own, _)| own.as_ref().eq_ignore_ascii_case(name));
        lines.for_each(|(_, value)| f(value.as_ref()));
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for Vec<(N, V)> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(own, _)| own.as_ref().eq_ignore_ascii_case(name)).map(|(_, value)| value.as_ref())
    }

    fn for_each(&self, name: &str, f: &mut dyn FnMut(&[u8])) {
        self.as_slice().for_each(name, f);
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const LINES: usize> Headers for [(N, V); LINES] {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(own, _)| own.as_ref().eq_ignore_ascii_case(name)).map(|(_, value)| value.as_ref())
    }

    fn for_each(&self, name: &str, f: &mut dyn FnMut(&[u8])) {
        self.as_slice().for_each(name, f);
    }
}
