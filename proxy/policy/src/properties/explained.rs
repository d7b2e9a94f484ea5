use std::collections::BTreeMap;

use proptest::prelude::*;
use weir_config::mesh::Mesh;

use super::documents::{Regexes, Request, mesh, request};
use crate::{Lost, Precedence, compile, decide, explain, reference};

/// Whether a request finds the rule in a document that has no other.
fn alone(mesh: &Mesh, route: &str, rule: usize, request: &Request, edit: impl FnOnce(&mut Mesh)) -> bool {
    let mut route_alone = mesh.routes[route].clone();
    route_alone.rules = vec![route_alone.rules[rule].clone()];
    let (name, _) = mesh.routes.get_key_value(route).unwrap();
    let mut alone = Mesh { routes: BTreeMap::from([(name.clone(), route_alone)]), upstreams: mesh.upstreams.clone() };
    edit(&mut alone);
    reference::find(&alone, &request.for_reference()).is_some()
}

fn each_route(mesh: &mut Mesh, edit: impl Fn(&mut weir_config::mesh::Route)) {
    mesh.routes.values_mut().for_each(edit);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn what_is_explained_is_what_is_decided_and_every_reason_is_true(
        mesh in mesh(Regexes::With),
        request in request(),
    ) {
        let table = compile(&mesh).unwrap().table;
        let (head, facts) = (request.head(), request.facts(&table));
        let explanation = explain(&table, &head, &facts, 7);
        let decision = decide(&table, &head, &facts, 7);
        prop_assert_eq!(&explanation.decision, &decision);

        let chosen = explanation.chosen.as_ref().map(|chosen| (chosen.route.to_string(), chosen.rule.clone()));
        let winner = decision.rule().map(|id| table.rule(id));
        prop_assert_eq!(chosen, winner.map(|rule| (rule.route.to_string(), rule.name.to_string())));
        prop_assert_eq!(explanation.others.len() + usize::from(winner.is_some()), table.rules().len());

        for loser in &explanation.others {
            let (route, rule) = (loser.route.as_str(), loser.rule.parse::<usize>().unwrap());
            let finds = |edit: &dyn Fn(&mut Mesh)| alone(&mesh, route, rule, &request, edit);
            let any_listener = |mesh: &mut Mesh| each_route(mesh, |route| {
                route.listeners = Some(vec![super::documents::name(request.listener)]);
            });
            let any_host = |mesh: &mut Mesh| each_route(mesh, |route| route.hosts.clear());
            let without = |clear: fn(&mut weir_config::mesh::Match)| move |mesh: &mut Mesh| each_route(mesh, |route| {
                route.rules[0].r#match.iter_mut().for_each(clear);
            });
            // Alone it does not match, unless it was outranked; and it would, or come further, without what it lost by.
            prop_assert_eq!(finds(&|_| {}), matches!(loser.lost, Lost::Outranked(_)), "{:?}", loser);
            match &loser.lost {
                Lost::Listener => {
                    let listeners = &mesh.routes[route].listeners;
                    prop_assert!(listeners.as_ref().map_or(!request.default, |names| {
                        names.iter().all(|name| name.as_str() != request.listener)
                    }));
                }
                Lost::Host => {
                    let everything = |mesh: &mut Mesh| each_route(mesh, |route| {
                        route.rules[0].r#match.clear();
                        route.rules[0].version = None;
                    });
                    prop_assert!(!finds(&everything));
                    prop_assert!(finds(&|mesh| { everything(mesh); any_host(mesh); }));
                }
                Lost::Path => {
                    let cleared = |mesh: &mut Mesh| each_route(mesh, |route| {
                        route.rules[0].r#match.iter_mut().for_each(|alternative| {
                            alternative.methods.clear();
                            alternative.headers.clear();
                            alternative.query.clear();
                        });
                    });
                    let accepts = with_versions(&request);
                    prop_assert!(!alone(&mesh, route, rule, &accepts, cleared), "{:?}", loser);
                }
                Lost::Method => {
                    let accepts = with_versions(&request);
                    let no_conditions = |alternative: &mut weir_config::mesh::Match| {
                        alternative.headers.clear();
                        alternative.query.clear();
                    };
                    prop_assert!(!alone(&mesh, route, rule, &accepts, without(no_conditions)));
                    prop_assert!(alone(&mesh, route, rule, &accepts, without(|alternative| {
                        alternative.methods.clear();
                        alternative.headers.clear();
                        alternative.query.clear();
                    })));
                }
                Lost::Header(name) => {
                    let accepts = with_versions(&request);
                    prop_assert!(!finds(&without(|alternative| alternative.query.clear())));
                    prop_assert!(alone(&mesh, route, rule, &accepts, without(|alternative| {
                        alternative.headers.clear();
                        alternative.query.clear();
                    })));
                    prop_assert!(["x-a", "x-b", "accept-version"].contains(&name.as_str()));
                }
                Lost::Query(_) => prop_assert!(finds(&without(|alternative| alternative.query.clear()))),
                Lost::Outranked(point) => {
                    let winner = winner.unwrap();
                    if *point == Precedence::FirstRule {
                        prop_assert_eq!(winner.route.as_str(), route);
                        prop_assert!(winner.position < rule);
                    } else if *point == Precedence::RouteName {
                        prop_assert!(winner.route.as_str() < route);
                    } else if *point != Precedence::Host {
                        // At one host for all, the point is the same.
                        let _ = any_listener;
                        let mut flat = mesh.clone();
                        each_route(&mut flat, |route| route.hosts.clear());
                        let found = reference::find(&flat, &request.for_reference()).unwrap();
                        prop_assert_ne!((found.route.as_str(), found.rule), (route, rule));
                    }
                }
            }
        }
    }
}

/// The request, accepting every version.
fn with_versions(request: &Request) -> Request {
    let mut request = request.clone();
    request.headers.extend([("accept-version", "v1"), ("accept-version", "v2")]);
    request
}
