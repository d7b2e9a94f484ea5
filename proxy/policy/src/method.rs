//! Methods as bits, so that a set of them is tested in one step.

use weir_config::names::Method;

/// RFC 9110 §9.3 and RFC 5789.
const STANDARD: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// How many methods a document can name: the standard ones and as many others as there are bits left.
pub(crate) const MAX_METHODS: usize = 64;

/// A set of methods, or one. Empty where nothing is named: any method as a condition, an unknown one as a request's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MethodSet(u64);

/// The methods that a document names beyond the standard ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Methods {
    others: Vec<Method>,
}

impl MethodSet {
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the two have a method in common.
    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether a request's method meets this as a condition.
    pub(crate) fn takes(self, method: Self) -> bool {
        self.is_empty() || self.meets(method)
    }
}

impl Methods {
    /// The method's bit; no bit if the document does not name it.
    pub(crate) fn of(&self, method: &str) -> MethodSet {
        let standard = STANDARD.iter().position(|known| *known == method);
        let position = standard.or_else(|| {
            let other = self.others.iter().position(|known| known.as_str() == method)?;
            Some(STANDARD.len() + other)
        });
        position.map_or(MethodSet::default(), |position| MethodSet(1 << position))
    }

    /// The same, giving a method a bit if it has none yet. `None` when there is none left.
    pub(crate) fn intern(&mut self, method: &Method) -> Option<MethodSet> {
        let known = self.of(method);
        if !known.is_empty() {
            return Some(known);
        }
        if STANDARD.len() + self.others.len() == MAX_METHODS {
            return None;
        }
        self.others.push(method.clone());
        Some(self.of(method))
    }
}
