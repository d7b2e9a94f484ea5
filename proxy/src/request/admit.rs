//! Station 3: the rule's filters, in their order.

use weir_policy::filters::{FilterContext, Next};
use weir_policy::{Reason, RequestHead};

use super::exchange::Exchange;
use super::reply::Refusal;
use crate::node::Node;
use crate::telemetry::labels::RateDecision;

/// Asks each filter; the first that refuses decides.
pub fn admit(node: &Node, exchange: &mut Exchange, head: &RequestHead<'_>) -> Result<(), Refusal> {
    let Some(id) = exchange.rule else { return Ok(()) };
    let generation = exchange.generation.clone();
    let rule = generation.table.rule(id);
    for filter in &rule.filters {
        let mut context = FilterContext { head, facts: &exchange.facts, log: &mut exchange.fields };
        let next = filter.request(&mut context);
        if filter.kind == "rate_limit" {
            let decision = if matches!(next, Next::Continue) { RateDecision::Allowed } else { RateDecision::Limited };
            generation.route_cells(id).ratelimit(decision);
        }
        if let Next::Reply(refusal) = next {
            return Err(refusal.into());
        }
    }
    if exchange.has_body {
        exchange.body_limit = body_limit(node, exchange, head);
    }
    Ok(())
}

/// How many bytes of body the request may have, and why it is refused beyond: the listener's bound or the rule's.
fn body_limit(node: &Node, exchange: &Exchange, head: &RequestHead<'_>) -> Option<(u64, Reason)> {
    let listener = node.listener(exchange.downstream.listener).body_bytes.map(|most| (most, Reason::BodyTooLarge));
    let rule = exchange.rule.and_then(|id| exchange.generation.table.rule(id).body_limit(head, &exchange.facts));
    let rule = rule.map(|most| (most, Reason::VirtualPatch));
    [listener, rule].into_iter().flatten().min_by_key(|(most, _)| *most)
}
