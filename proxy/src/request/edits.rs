//! Header edits, in the form in which they are applied: names and values checked and made once for each generation.

use http::{HeaderMap, HeaderName, HeaderValue};
use weir_policy::Edits;

/// A head on its way to the next hop, in whichever form its driver has it.
pub trait HeadMut {
    fn remove(&mut self, name: &HeaderName);
    /// In place of all lines of that name.
    fn set(&mut self, name: &HeaderName, value: HeaderValue);
    /// One more line.
    fn add(&mut self, name: &HeaderName, value: HeaderValue);
}

impl HeadMut for HeaderMap {
    fn remove(&mut self, name: &HeaderName) {
        HeaderMap::remove(self, name);
    }

    fn set(&mut self, name: &HeaderName, value: HeaderValue) {
        self.insert(name.clone(), value);
    }

    fn add(&mut self, name: &HeaderName, value: HeaderValue) {
        self.append(name.clone(), value);
    }
}

/// A rule's edits of one head.
#[derive(Clone, Debug, Default)]
pub struct HeadEdits {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
}

impl HeadEdits {
    /// `None` where there is nothing to edit. The document's checks let only valid names and values through.
    pub fn prepare(edits: &Edits) -> Option<Box<Self>> {
        if edits.remove.is_empty() && edits.set.is_empty() && edits.add.is_empty() {
            return None;
        }
        let name = |name: &str| HeaderName::from_bytes(name.as_bytes()).ok();
        let line =
            |(n, v): &(std::sync::Arc<str>, std::sync::Arc<str>)| Some((name(n)?, HeaderValue::from_str(v).ok()?));
        Some(Box::new(Self {
            remove: edits.remove.iter().filter_map(|n| name(n)).collect(),
            set: edits.set.iter().filter_map(line).collect(),
            add: edits.add.iter().filter_map(line).collect(),
        }))
    }

    pub fn apply(&self, head: &mut dyn HeadMut) {
        self.remove.iter().for_each(|name| head.remove(name));
        self.set.iter().for_each(|(name, value)| head.set(name, value.clone()));
        self.add.iter().for_each(|(name, value)| head.add(name, value.clone()));
    }
}
