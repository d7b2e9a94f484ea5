//! Station 2: the rule, and what it says: an answer of its own, or an upstream.

use weir_policy::{Action, Decision, Reason, RequestHead, decide};

use super::Inbound;
use super::exchange::Exchange;
use super::reply::{self, LocalReply, Refusal};
use crate::node::Node;

/// Finds the rule. `Some` when it answers by itself.
pub fn route(
    node: &Node,
    exchange: &mut Exchange,
    head: &RequestHead<'_>,
    inbound: &Inbound<'_>,
    chance: u64,
) -> Result<Option<LocalReply>, Refusal> {
    if head.path == "*" {
        return Ok(Some(reply::options(exchange)));
    }
    let generation = exchange.generation.clone();
    let decision = decide(&generation.table, head, &exchange.facts, chance);
    exchange.rule = decision.rule();
    match decision {
        Decision::Forward(forward) => {
            exchange.upstream = Some(forward.upstream);
            exchange.mirror = forward.mirror;
            exchange.rewritten = forward.target;
            exchange.set_cookie = forward.set_cookie;
            Ok(None)
        }
        Decision::NoRoute => match node.listener(exchange.downstream.listener).redirect_to_https {
            Some(port) if !head.host.is_empty() => Ok(Some(reply::to_https(exchange, head, inbound.target, port))),
            _ => Err(Reason::NoRoute.into()),
        },
        // What a rule answers by itself passes its filters too: a rate limit holds for it, a patch hides it.
        Decision::Redirect { status, location, .. } => {
            super::admit::admit(node, exchange, head)?;
            Ok(Some(reply::redirect(exchange, status, &location)))
        }
        Decision::Reply { rule } => {
            super::admit::admit(node, exchange, head)?;
            match &generation.table.rule(rule).action {
                Action::Reply(fixed) => Ok(Some(reply::fixed(exchange, fixed))),
                _ => Err(Reason::Internal.into()),
            }
        }
        Decision::Preflight { headers, .. } => Ok(Some(reply::preflight(exchange, headers))),
    }
}
