use std::collections::BTreeMap;

use proptest::prelude::*;
use weir_config::mesh::{Match, Mesh};

use super::documents::{Request, Words, mesh, request};
use crate::reference::{self, Found};
use crate::{Loser, Lost, Precedence, compile, decide, explain};

/// A document that holds one rule of another.
struct Alone<'a> {
    mesh: Mesh,
    request: &'a Request,
}

impl<'a> Alone<'a> {
    fn new(mesh: &Mesh, loser: &Loser, request: &'a Request) -> Self {
        let mut route = mesh.routes[&loser.route].clone();
        route.rules = vec![route.rules[loser.rule.parse::<usize>().unwrap()].clone()];
        let routes = BTreeMap::from([(loser.route.clone(), route)]);
        Self { mesh: Mesh { routes, upstreams: mesh.upstreams.clone() }, request }
    }

    fn find(&self) -> Option<Found> {
        reference::find(&self.mesh, &self.request.for_reference())
    }

    /// Whether the request finds the rule when it takes everything that comes to its route.
    fn finds_everything(&self) -> bool {
        let mut mesh = self.mesh.clone();
        mesh.routes.values_mut().for_each(|route| {
            route.rules[0].r#match.clear();
            route.rules[0].version = None;
        });
        reference::find(&mesh, &self.request.for_reference()).is_some()
    }

    /// Whether the request, if it accepts all versions, finds an alternative that was made less of.
    fn finds(&self, edit: impl Fn(&mut Match)) -> bool {
        (0..self.alternatives().len()).any(|alternative| self.finds_only(alternative, &edit, true))
    }

    fn finds_only(&self, alternative: usize, edit: impl Fn(&mut Match), accepting: bool) -> bool {
        let mut mesh = self.mesh.clone();
        let mut only = self.alternatives()[alternative].clone();
        edit(&mut only);
        mesh.routes.values_mut().for_each(|route| route.rules[0].r#match = vec![only.clone()]);
        let mut request = self.request.clone();
        if accepting {
            request.headers.extend([("accept-version", "v1"), ("accept-version", "v2")]);
        }
        reference::find(&mesh, &request.for_reference()).is_some()
    }

    fn alternatives(&self) -> Vec<Match> {
        let rule = &self.mesh.routes.values().next().unwrap().rules[0];
        if rule.r#match.is_empty() { vec![Match::default()] } else { rule.r#match.clone() }
    }
}

fn path_only(alternative: &mut Match) {
    alternative.methods.clear();
    path_and_methods(alternative);
}

fn path_and_methods(alternative: &mut Match) {
    alternative.headers.clear();
    alternative.query.clear();
}

fn without_query(alternative: &mut Match) {
    alternative.query.clear();
}

fn is_true(lost: &Lost, alone: &Alone<'_>, winner: Option<&Found>) -> bool {
    let found = alone.find();
    if let Lost::Outranked(point) = lost {
        return found.zip(winner).is_some_and(|(loser, winner)| *point == first_point(&loser, winner));
    }
    if found.is_some() {
        return false;
    }
    let route = alone.mesh.routes.values().next().unwrap();
    let served = match &route.listeners {
        Some(names) => names.iter().any(|name| *name == alone.request.listener),
        None => alone.request.default,
    };
    // Each that failed is the first: what comes before it in the order of the questions holds.
    let alternatives = 0..alone.alternatives().len();
    match lost {
        Lost::Listener => !served,
        Lost::Host => served && !alone.finds_everything(),
        Lost::Path => alone.finds_everything() && !alone.finds(path_only),
        Lost::Method => alone.finds(path_only) && !alone.finds(path_and_methods),
        Lost::Header(name) => alternatives.into_iter().any(|alternative| {
            let that_alone = |alternative: &mut Match| {
                alternative.headers.retain(|header, _| header.as_str() == name);
                alternative.query.clear();
            };
            let version = name == "accept-version";
            alone.finds_only(alternative, path_and_methods, true)
                && !alone.finds_only(alternative, that_alone, !version)
        }),
        Lost::Query(name) => alternatives.into_iter().any(|alternative| {
            let that_alone = |alternative: &mut Match| alternative.query.retain(|parameter, _| parameter == name);
            alone.finds_only(alternative, without_query, false) && !alone.finds_only(alternative, that_alone, false)
        }),
        Lost::Outranked(_) => false,
    }
}

/// Where two ranks first differ.
fn first_point(loser: &Found, winner: &Found) -> Precedence {
    use Precedence::*;
    let points = [Host, ExactPath, LongestPath, PrefixBeforeRegex, Method, MostHeaders, MostQuery];
    let differs = (0..7).find(|point| loser.rank[*point] != winner.rank[*point]);
    match differs {
        Some(point) => {
            assert!(loser.rank[point] < winner.rank[point]);
            points[point]
        }
        None if loser.route == winner.route => FirstRule,
        None => RouteName,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn what_is_explained_is_what_is_decided_and_every_reason_is_true(
        mesh in prop_oneof![mesh(Words::Many), mesh(Words::Few)],
        request in request(),
        chance: u64,
    ) {
        let table = compile(&mesh).unwrap().table;
        let (head, facts) = (request.head(), request.facts(&table));
        let explanation = explain(&table, &head, &facts, chance);
        let decision = decide(&table, &head, &facts, chance);
        prop_assert_eq!(&explanation.decision, &decision);

        let chosen = explanation.chosen.as_ref().map(|chosen| (chosen.route.as_str(), chosen.rule.as_str()));
        let winner = decision.rule().map(|id| table.rule(id));
        prop_assert_eq!(chosen, winner.map(|rule| (rule.route.as_str(), &*rule.name)));
        prop_assert_eq!(explanation.others.len() + usize::from(winner.is_some()), table.rules().len());

        let winner = reference::find(&mesh, &request.for_reference());
        for loser in &explanation.others {
            let alone = Alone::new(&mesh, loser, &request);
            prop_assert!(is_true(&loser.lost, &alone, winner.as_ref()), "{:?} {:?}", loser, winner);
        }
    }
}
