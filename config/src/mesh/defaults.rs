//! What holds where nothing is written. A method goes by its field's name and gives what is in force.

use std::time::Duration as Time;

use super::*;

impl Rule {
    /// Time until the response head where a rule has no `timeout`: Envoy's 15 s, which there also cuts downloads and
    /// streams; here only [`idle_timeout`](Self::idle_timeout) counts after the head.
    pub const HEAD_TIMEOUT: Time = Time::from_secs(15);

    /// 5 min between two bytes: a server-sent event's heartbeat comes more often.
    pub fn idle_timeout(&self) -> Time {
        self.idle_timeout.map_or(Time::from_secs(300), Time::from)
    }
}

impl Redirect {
    /// 302: a mistake in it is not kept by browsers.
    pub fn status(&self) -> u16 {
        self.status.unwrap_or(302)
    }
}

impl Mirror {
    pub fn share(&self) -> Share {
        self.share.unwrap_or(Share::ALL)
    }
}

impl Cors {
    pub fn credentials(&self) -> bool {
        self.credentials.unwrap_or(false)
    }
}

impl Upstream {
    pub fn protocol(&self) -> Protocol {
        self.protocol.unwrap_or_default()
    }

    /// 1 s: in one region a connection takes a millisecond, or a lost SYN's second try comes after one second.
    pub fn connect_timeout(&self) -> Time {
        self.connect_timeout.map_or(Time::from_secs(1), Time::from)
    }

    /// 3 s for TCP and TLS together.
    pub fn handshake_timeout(&self) -> Time {
        self.handshake_timeout.map_or(Time::from_secs(3), Time::from)
    }

    /// 10 s a chunk.
    pub fn write_timeout(&self) -> Time {
        self.write_timeout.map_or(Time::from_secs(10), Time::from)
    }

    /// 4 s: uvicorn closes idle connections after 5 s, and a request that meets a closing connection fails.
    pub fn keepalive(&self) -> Time {
        self.keepalive.map_or(Time::from_secs(4), Time::from)
    }

    /// 100, where Pingora's own default is 1.
    pub fn h2_streams(&self) -> u32 {
        self.h2_streams.unwrap_or(100)
    }
}

impl UpstreamTls {
    pub fn ca(&self) -> Ca {
        self.ca.clone().unwrap_or_default()
    }
}
