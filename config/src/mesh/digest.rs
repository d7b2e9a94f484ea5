//! What tells two documents apart, however they are written.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::Mesh;

impl Mesh {
    /// SHA-256 of the document's JSON, in hexadecimal. Maps of a document are ordered by name and units have one
    /// spelling, so documents that are equal have equal digests.
    pub fn digest(&self) -> String {
        // A document is made of strings, numbers and maps with string keys: all of them have a JSON form.
        let json = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(&json).iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_spelling_of_a_document_has_its_digest_and_another_document_has_not() {
        let digest = |text: &str| Mesh::parse_toml(text).value.map(|mesh| mesh.digest());
        let one =
            "[[routes.a.rules]]\nmatch = ['/x']\nto = 'u'\ntimeout = '60s'\n[upstreams.u]\nendpoints = ['127.0.0.1:1']";
        let same = one.replace("'60s'", "\"1m\"").replace("['/x']", "[{ path = '/x' }]");
        assert_eq!(digest(one), digest(&same));
        assert!(digest(one).is_some() && digest(one) != digest(&one.replace("60s", "61s")));
    }
}
