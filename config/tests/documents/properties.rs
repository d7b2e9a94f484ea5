//! What holds for all documents.

use std::sync::LazyLock;

use proptest::prelude::*;
use weir_config::bootstrap::Bootstrap;
use weir_config::diff::diff;
use weir_config::mesh::Mesh;
use weir_config::node::Node;
use weir_config::problem::Problems;
use weir_config::schema::mesh_schema;

use crate::generate::mesh;

/// Texts with the words of our documents in them, in no order.
fn rubbish() -> impl Strategy<Value = String> {
    let words = proptest::sample::select(
        &[
            "routes",
            "upstreams",
            "rules",
            "match",
            "to",
            "listeners",
            "endpoints",
            "tls",
            "limits",
            "state_dir",
            "[",
            "]",
            "[[",
            "]]",
            "{",
            "}",
            "=",
            ".",
            ",",
            "\n",
            "\"",
            "\"\"\"",
            "'",
            "#",
            "0",
            "1e999",
            "2026-12-01",
            "2026-12-01T10:00:00Z",
            "null",
            "true",
            "a",
            "/a/*",
            "~(",
            "5%",
            "30s",
            "é",
            "\u{0}",
            "\r\n",
            ":",
            "\\u0000",
            "9223372036854775808",
            "0x",
            "inf",
            "nan",
        ][..],
    );
    proptest::collection::vec(words, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(text in prop_oneof![rubbish(), ".{0,80}"]) {
        for problems in [
            Mesh::parse_toml(&text).problems,
            Mesh::parse_json(&text).problems,
            Bootstrap::parse_toml(&text).problems,
            Bootstrap::parse_json(&text).problems,
        ] {
            let problems = Problems::new("x", &text, &problems);
            let _ = (problems.to_string(), problems.json());
        }
    }

    /// One byte of a good document is another one.
    #[test]
    fn no_typing_error_makes_the_reader_panic(at in any::<prop::sample::Index>(), byte in 0x09..0x7fu8) {
        for text in [include_str!("../../examples/everything.toml"), include_str!("../../examples/everything.bootstrap.toml")] {
            let mut bytes = text.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let text = String::from_utf8_lossy(&bytes);
            for problems in [Mesh::parse_toml(&text).problems, Bootstrap::parse_toml(&text).problems] {
                let _ = Problems::new("x", &text, &problems).to_string();
            }
        }
    }
}

proptest! {
    #[test]
    fn a_document_reads_back_from_its_json_and_its_toml(mesh in mesh()) {
        let json = serde_json::to_string(&mesh).expect("JSON");
        let parsed = Mesh::parse_json(&json);
        prop_assert_eq!(parsed.value.as_ref(), Some(&mesh), "{:?}\n{}", parsed.problems, json);
        let toml = mesh.to_toml().expect("TOML");
        let parsed = Mesh::parse_toml(&toml);
        prop_assert_eq!(parsed.value.as_ref(), Some(&mesh), "{:?}\n{}", parsed.problems, toml);
    }

    #[test]
    fn a_document_that_the_reader_takes_fits_the_schema(mesh in mesh()) {
        static SCHEMA: LazyLock<jsonschema::Validator> =
            LazyLock::new(|| jsonschema::validator_for(&mesh_schema()).expect("a schema"));
        let json = serde_json::to_value(&mesh).expect("JSON");
        let errors: Vec<String> = SCHEMA.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect();
        prop_assert!(errors.is_empty(), "{errors:?}\n{json}");
    }

    #[test]
    fn a_document_does_not_differ_from_itself(mesh in mesh()) {
        prop_assert_eq!(diff(&mesh, &mesh.clone()), vec![]);
    }

    #[test]
    fn a_difference_is_empty_exactly_when_the_documents_are_equal(old in mesh(), new in mesh()) {
        prop_assert_eq!(diff(&old, &new).is_empty(), old == new);
        prop_assert_eq!(diff(&new, &old).is_empty(), old == new);
    }

    /// Two documents by chance differ everywhere; here they differ in one place.
    #[test]
    fn one_small_change_is_seen(old in mesh(), other in mesh(), pick in any::<prop::sample::Index>()) {
        let mut new = old.clone();
        let rules: Vec<_> = other.routes.values().flat_map(|route| &route.rules).cloned().collect();
        if let (Some(route), false) = (new.routes.values_mut().next(), rules.is_empty()) {
            let given = pick.get(&rules).clone();
            let at = pick.index(route.rules.len());
            let rule = &mut route.rules[at];
            match pick.index(12) {
                0 => rule.timeout = given.timeout,
                1 => rule.filters = given.filters,
                2 => rule.r#match = given.r#match,
                3 => rule.to = given.to,
                4 => rule.cors = given.cors,
                5 => rule.version = given.version,
                6 => rule.request_headers = given.request_headers,
                7 => rule.reply = given.reply,
                8 => rule.redirect = given.redirect,
                9 => rule.mirror = given.mirror,
                10 => rule.name = None,
                _ => route.rules.rotate_left(1),
            }
        }
        prop_assert_eq!(diff(&old, &new).is_empty(), old == new);
    }

    #[test]
    fn json_numbers_keep_their_kind(number: i64, float in -1e300..1e300f64) {
        let text = format!("[{number}, {}]", serde_json::to_string(&float).expect("a number"));
        prop_assert_eq!(Node::from_json(&text).node.to_string().replace(' ', ""), text.replace(' ', ""));
    }
}
