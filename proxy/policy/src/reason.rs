//! The one word that says why a request ended as it did: the same in log, metric, trace and problem body.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)+) => {
        /// Why a request ended as it did. A closed set: a label's value never comes from traffic.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of their declaration: `ALL[reason as usize] == reason`.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)+];

            /// The word, as it stands in a log line or a label.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$variant => $word,)+
                }
            }
        }
    };
}

reasons! {
    /// An answer, the upstream's or the rule's own, was delivered whole, whatever its status.
    Ok = "ok",
    /// No rule matches the request.
    NoRoute = "no_route",
    /// The upstream has no endpoint that could be asked.
    NoHealthy = "no_healthy",
    /// No connection to an endpoint could be made.
    ConnectFail = "connect_fail",
    /// A connection to an endpoint was not made in time.
    ConnectTimeout = "connect_timeout",
    /// The upstream ended the exchange before its answer was whole.
    UpstreamReset = "upstream_reset",
    /// The upstream did not answer in time.
    UpstreamTimeout = "upstream_timeout",
    /// The client did not send its request in time.
    RequestTimeout = "request_timeout",
    /// Refused, because there is more load than can be served.
    OverloadShed = "overload_shed",
    /// Waited too long for a place at the upstream.
    QueueTimeout = "queue_timeout",
    /// The upstream's breaker is open.
    BreakerOpen = "breaker_open",
    /// A rate limit of the rule refused it.
    RateLimited = "rate_limited",
    /// The tenant's quota is used up.
    QuotaExceeded = "quota_exceeded",
    /// Who the request is from could not be established.
    AuthnFailed = "authn_failed",
    /// Who the request is from is known, and may not do this.
    AuthzDenied = "authz_denied",
    /// Not a request that can be understood.
    BadRequest = "bad_request",
    /// The head is larger, or has more fields, than the listener takes.
    HeaderTooLarge = "header_too_large",
    /// The target is longer than the listener takes.
    UriTooLong = "uri_too_long",
    /// The request came through this proxy too often already.
    LoopDetected = "loop_detected",
    /// A fault was injected on purpose.
    FaultInjected = "fault_injected",
    /// The body is larger than the rule takes.
    BodyTooLarge = "body_too_large",
    /// The client reads or writes more slowly than the listener bears.
    SlowClient = "slow_client",
    /// The client left.
    ClientGone = "client_gone",
    /// Every attempt failed.
    RetryExhausted = "retry_exhausted",
    /// A retry would have been allowed, but the budget for retries is used up.
    BudgetExhausted = "budget_exhausted",
    /// A stale answer from the cache was served.
    CacheStaleServed = "cache_stale_served",
    /// The fallback was served.
    FallbackServed = "fallback_served",
    /// An operator's patch (the filter `deny`) refused it.
    VirtualPatch = "virtual_patch",
    /// The process is on its way out.
    Draining = "draining",
    /// A fault of our own.
    Internal = "internal",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_the_closed_set_of_the_contract_in_its_order() {
        let contract = "ok no_route no_healthy connect_fail connect_timeout upstream_reset upstream_timeout \
             request_timeout overload_shed queue_timeout breaker_open rate_limited quota_exceeded authn_failed \
             authz_denied bad_request header_too_large uri_too_long loop_detected fault_injected body_too_large \
             slow_client client_gone retry_exhausted budget_exhausted cache_stale_served fallback_served \
             virtual_patch draining internal";
        let words: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words, contract.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn a_reason_indexes_itself_and_is_serialised_as_its_word() {
        for (position, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, position);
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            assert_eq!(serde_json::from_value::<Reason>(reason.as_str().into()).unwrap(), *reason);
        }
    }
}
