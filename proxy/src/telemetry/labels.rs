//! The closed sets that label values come from. Each value indexes an array of cells, so recording looks nothing up.

/// A closed set whose values are also indices, from 0 and without a gap.
macro_rules! closed_set {
    ($(#[$doc:meta])* $set:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $set { $($(#[$variant_doc])* $variant),+ }

        impl $set {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The label's value.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

closed_set! {
    /// The class of an answer's status.
    CodeClass {
        /// No status was sent: the client left before, or the connection broke.
        None = "none",
        Informational = "1xx",
        Success = "2xx",
        Redirection = "3xx",
        ClientError = "4xx",
        ServerError = "5xx",
    }
}

impl From<u16> for CodeClass {
    /// 0 and whatever is not a status is [`CodeClass::None`].
    #[inline]
    fn from(status: u16) -> Self {
        match status / 100 {
            1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            5 => Self::ServerError,
            _ => Self::None,
        }
    }
}

closed_set! {
    /// What came of one attempt at an endpoint.
    AttemptOutcome {
        /// An answer came and was passed on, or could have been.
        Ok = "ok",
        /// An answer came whose status the rule calls a failure.
        Status = "status",
        ConnectFail = "connect_fail",
        ConnectTimeout = "connect_timeout",
        /// The attempt's time was over before the answer's head.
        Timeout = "timeout",
        /// The connection broke, before the head or within the body.
        Reset = "reset",
        /// Given up because the client left; says nothing about the endpoint.
        ClientGone = "client_gone",
    }
}

closed_set! {
    /// What was decided about a retry that a failed attempt called for.
    RetryOutcome {
        /// Another attempt was made.
        Made = "made",
        /// The budget of the upstream was used up.
        OverBudget = "over_budget",
        /// The rule's number of retries was used up.
        Exhausted = "exhausted",
        /// The request must not or cannot be sent twice.
        NotReplayable = "not_replayable",
        /// No endpoint was left to ask.
        NoEndpoint = "no_endpoint",
    }
}

closed_set! {
    /// What a rate limit said.
    RateDecision { Allowed = "allowed", Limited = "limited" }
}

closed_set! {
    /// Why a connection was closed before its first request.
    ConnectionRejection {
        /// The listener's number of connections was reached.
        Limit = "limit",
        /// The client address' number of connections was reached.
        ClientLimit = "client_limit",
        /// The TLS handshake failed.
        Handshake = "handshake",
        /// The TLS handshake took too long.
        HandshakeTimeout = "handshake_timeout",
        /// The client speaks what this listener does not.
        Protocol = "protocol",
        /// The process was leaving.
        Draining = "draining",
    }
}

closed_set! {
    /// The version of a TLS connection.
    TlsVersion { V1_2 = "1.2", V1_3 = "1.3" }
}

closed_set! {
    /// The version of HTTP that a client speaks.
    HttpVersion { V1_0 = "1.0", V1_1 = "1.1", V2 = "2" }
}

closed_set! {
    /// Who moved the bytes of an exchange.
    Driver {
        /// pingora-proxy.
        Pingora = "pingora",
        /// Nobody: the answer is our own, given before a driver was chosen.
        None = "-",
    }
}

closed_set! {
    /// What an HTTP/2 client did.
    H2Abuse {
        /// A stream or frame that the HTTP/2 layer refused.
        Rejected = "rejected",
    }
}

closed_set! {
    /// The state of an endpoint.
    EndpointState { Ready = "ready", Unhealthy = "unhealthy", Ejected = "ejected", Draining = "draining" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_indices() {
        assert!(CodeClass::ALL.iter().enumerate().all(|(at, &class)| class as usize == at));
        assert!(AttemptOutcome::ALL.iter().enumerate().all(|(at, &outcome)| outcome as usize == at));
    }

    #[test]
    fn a_status_has_the_class_of_its_first_digit() {
        for status in 0..=u16::MAX {
            let class = CodeClass::from(status).as_str();
            match status {
                100..=599 => assert_eq!(class, format!("{}xx", status / 100)),
                _ => assert_eq!(class, "none"),
            }
        }
    }
}
