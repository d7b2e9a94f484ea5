use proptest::collection::vec;
use proptest::prelude::*;

use super::documents::{Words, mesh, request};
use crate::decide::{Asked, find};
use crate::{Decision, compile, decide, reference};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_matcher_finds_what_the_reference_finds(
        mesh in prop_oneof![mesh(Words::Many), mesh(Words::Few)],
        requests in vec(request(), 16),
    ) {
        let table = compile(&mesh).unwrap().table;
        for request in requests {
            let (head, facts) = (request.head(), request.facts(&table));
            let found = find(&table, &Asked::new(&table, &head, &facts)).map(|candidate| {
                let (rule, form) = (table.rule(candidate.rule), table.form(candidate));
                (rule.route.to_string(), rule.position, form.alternative)
            });
            let expected = reference::find(&mesh, &request.for_reference());
            prop_assert_eq!(&found, &expected.as_ref().map(|found| (found.route.clone(), found.rule, found.alternative)),
                "{:?}", request);

            match decide(&table, &head, &facts, 0) {
                Decision::NoRoute => prop_assert!(expected.is_none()),
                Decision::Forward(forward) => {
                    let path = expected.unwrap().path;
                    let asked = match request.query {
                        Some(query) => format!("{path}?{query}"),
                        None => path.clone(),
                    };
                    match forward.target {
                        Some(target) => prop_assert_eq!(target, asked, "{:?}", request),
                        None => prop_assert_eq!(path.as_str(), request.path, "{:?}", request),
                    }
                }
                Decision::Preflight { .. } => prop_assert_eq!(request.method, "OPTIONS"),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn a_table_is_a_function_of_its_document(mesh in mesh(Words::Many)) {
        let table = |mesh| format!("{:?}", compile(mesh).unwrap().table);
        prop_assert_eq!(table(&mesh), table(&mesh.clone()));
    }
}
