//! Which names have series of their own, and for how long.
//!
//! A name (of a route, of an upstream) has a handle, [`Series`], from when a generation first holds it; making one costs
//! a map entry. Its cells are made at its first request, if a place is left among a bounded number; if none is, it
//! shares the cells of [`names::OTHER`] from then on. A name that no generation holds any more keeps its handle and
//! cells, so its counts go on if it comes back, until more than half of the places are taken
//! ([`Registry::sweep`]).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use weir_config::names::Name;

use super::names;

/// A bounded number of places.
#[derive(Debug)]
struct Places {
    taken: AtomicUsize,
    bound: usize,
}

impl Places {
    fn new(bound: usize) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), bound })
    }

    /// A place, given back by drop. None when all are taken.
    fn take(self: &Arc<Self>) -> Option<Place> {
        let more = |taken| (taken < self.bound).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Place(self.clone()))
    }

    /// Whether names that are no longer in use have to make room.
    fn are_scarce(&self) -> bool {
        self.taken.load(Ordering::Relaxed) > self.bound / 2
    }
}

#[derive(Debug)]
struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The cells of one name.
#[derive(Debug)]
pub(super) struct Labelled<C> {
    /// No other cells of this process have, had or will have it. Never 0 nor `u64::MAX`.
    pub(super) id: u64,
    /// The label's value: the name, or [`names::OTHER`].
    pub(super) label: Arc<str>,
    pub(super) cells: C,
    _place: Option<Place>,
}

impl<C: Default> Labelled<C> {
    fn new(label: &str, place: Option<Place>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { id, label: label.into(), cells: C::default(), _place: place })
    }
}

/// The handle of a name, kept by what is compiled from the document.
#[derive(Debug)]
pub struct Series<C> {
    /// `None` for what has no name, whose cells are there from the start.
    name: Option<Name>,
    places: Arc<Places>,
    other: Arc<Labelled<C>>,
    cells: OnceLock<Arc<Labelled<C>>>,
}

impl<C: Default> Series<C> {
    /// The cells to record in: made now if this is the first request.
    #[inline]
    pub(super) fn cells(&self) -> &Arc<Labelled<C>> {
        self.cells.get_or_init(|| match self.places.take() {
            Some(place) => Labelled::new(self.name.as_ref().map_or(names::NONE, Name::as_str), Some(place)),
            None => self.other.clone(),
        })
    }

    /// The cells of names without a place.
    pub(super) fn other(&self) -> &Arc<Labelled<C>> {
        &self.other
    }

    /// Whether it has cells of its own.
    fn has_place(&self) -> bool {
        self.cells.get().is_some_and(|cells| !Arc::ptr_eq(cells, &self.other))
    }
}

/// All names of one kind.
#[derive(Debug)]
pub(super) struct Registry<C> {
    series: Mutex<HashMap<Name, Arc<Series<C>>>>,
    places: Arc<Places>,
    other: Arc<Labelled<C>>,
    nameless: Arc<Labelled<C>>,
}

impl<C: Default> Registry<C> {
    /// At most `bound` names have cells of their own.
    pub(super) fn new(bound: usize) -> Self {
        let other = Labelled::new(names::OTHER, None);
        let nameless = Labelled::new(names::NONE, None);
        Self { series: Mutex::default(), places: Places::new(bound), other, nameless }
    }

    /// The handle for what has no name, labelled [`names::NONE`].
    pub(super) fn nameless(&self) -> Arc<Series<C>> {
        Arc::new(Series {
            name: None,
            places: self.places.clone(),
            other: self.other.clone(),
            cells: OnceLock::from(self.nameless.clone()),
        })
    }

    /// The handle of a name.
    pub(super) fn series(&self, name: &Name) -> Arc<Series<C>> {
        let mut series = self.lock();
        if let Some(known) = series.get(name) {
            return known.clone();
        }
        let new = Series {
            name: Some(name.clone()),
            places: self.places.clone(),
            other: self.other.clone(),
            cells: OnceLock::new(),
        };
        series.entry(name.clone()).or_insert(Arc::new(new)).clone()
    }

    /// All cells that there are, ordered by label; those of [`names::OTHER`] and of [`names::NONE`] are always among
    /// them.
    pub(super) fn all(&self) -> Vec<Arc<Labelled<C>>> {
        let mut all = vec![self.other.clone(), self.nameless.clone()];
        all.extend(
            self.lock().values().filter(|series| series.has_place()).filter_map(|series| series.cells.get().cloned()),
        );
        all.sort_by(|a, b| a.label.cmp(&b.label));
        all
    }

    /// Forgets names that nobody holds: those without cells at once, those with cells when places are scarce. What their
    /// last holders recorded is seen by the caller.
    pub(super) fn sweep(&self) {
        let scarce = self.places.are_scarce();
        self.lock().retain(|_, series| {
            // Nobody can take another handle, because we have the lock.
            let held = Arc::get_mut(series).is_none();
            held || (series.has_place() && !scarce)
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Arc<Series<C>>>> {
        // The map is whole after any panic: nothing that can panic runs between two of its states.
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
