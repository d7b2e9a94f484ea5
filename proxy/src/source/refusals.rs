//! The document that was refused last, kept for operators to see until one takes over again. What only this process can
//! know (a file that it cannot read, a listener that it does not have) is nowhere else to be read but in its log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwapOption;
use serde::Serialize;
use serde_json::{Value, json};

use super::SourceError;

/// A document that was refused.
#[derive(Debug, Serialize)]
pub struct Refused {
    /// Counts up by one with each refusal: who was told of one knows the next from it.
    pub number: u64,
    /// Its file.
    pub document: String,
    /// As [`Generation::digest`](crate::generation::Generation::digest); `null` where the text is no document at all.
    pub digest: Option<String>,
    /// As `weir check --output json` lists them.
    pub problems: Value,
    /// The same for people, each with its line underlined.
    pub report: String,
}

/// All refusals of this process, of which the last may still stand.
#[derive(Debug, Default)]
pub struct Refusals {
    count: AtomicU64,
    last: ArcSwapOption<Refused>,
}

impl Refusals {
    /// Notes a refusal, in place of the one before.
    pub fn note(&self, document: String, error: &SourceError) {
        let (digest, problems) = match error {
            SourceError::Refused { digest, problems, .. } => (digest.clone(), problems.clone()),
            other => (None, json!([{ "severity": "error", "path": "", "message": other.to_string() }])),
        };
        let number = self.count.fetch_add(1, Relaxed) + 1;
        let report = error.to_string();
        self.last.store(Some(Arc::new(Refused { number, document, digest, problems, report })));
    }

    /// The document in the file serves: what was refused before stands no more.
    pub fn clear(&self) {
        self.last.store(None);
    }

    /// The refusal that stands.
    pub fn last(&self) -> Option<Arc<Refused>> {
        self.last.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_refusal_stands_until_a_document_serves_and_each_has_its_number() {
        let refusals = Refusals::default();
        assert!(refusals.last().is_none());
        refusals.note("mesh.toml".into(), &SourceError::Empty { file: "mesh.toml".into() });
        refusals.clear();
        assert!(refusals.last().is_none());
        let problems = json!([{ "message": "no such file" }]);
        let error = SourceError::Refused { report: "underlined".into(), digest: Some("d".into()), problems };
        refusals.note("mesh.toml".into(), &error);
        let told = refusals.last().expect("a refusal");
        assert_eq!((told.number, told.digest.as_deref(), &*told.report), (2, Some("d"), "underlined"));
        assert_eq!(told.problems[0]["message"], "no such file");
    }
}
