//! From a document to its table.
//!
//! The document is one that [`weir_config::check`] has passed; what a check would have refused is refused here too, with
//! the check's own words. Beyond that, only what needs the policy itself can be wrong here: a regex, a filter, too many
//! methods or listeners.

mod forms;
mod rule;
mod unreachable;

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_config::check;
use weir_config::mesh::{Mesh, Route};
use weir_config::names::{Host, Name};
use weir_config::problem::{Path, Problem};

use crate::index::{Hook, Index, Kind};
use crate::method::Methods;
use crate::pattern::{Condition, Regexes};
use crate::rule::{Form, Rule};
use crate::table::{Candidate, Gate, Listeners, MAX_LISTENERS, Table, UpstreamId};

/// What came of a document.
#[derive(Debug)]
pub struct Compiled {
    pub table: Table,
    /// What the document says to no effect: rules that can never match.
    pub warnings: Vec<Problem>,
}

/// Compiles a document, or says all that is wrong with it. Problems have paths and no spans:
/// [`placed`](weir_config::placed) finds them for whoever has the text.
pub fn compile(mesh: &Mesh) -> Result<Compiled, Vec<Problem>> {
    let mut compiler = Compiler::new(mesh);
    for (name, route) in &mesh.routes {
        compiler.route(name, route);
    }
    compiler.finish()
}

/// A document on its way to a table.
struct Compiler<'m> {
    mesh: &'m Mesh,
    upstreams: Vec<Name>,
    rules: Vec<Rule>,
    listeners: Vec<Name>,
    named: Vec<(Name, Name)>,
    methods: Methods,
    forms: Vec<Form>,
    /// The literal head of each form whose path is a regex, by the form.
    heads: BTreeMap<u32, Vec<u8>>,
    conditions: Vec<Condition>,
    regexes: Regexes,
    /// "0", "1", …: the names of rules that have none.
    positions: Vec<Arc<str>>,
    problems: Vec<Problem>,
    /// Something was met that the document's check refuses.
    unchecked: bool,
}

/// A rule of the document, and where it stands.
#[derive(Clone, Copy)]
struct Place<'m> {
    route: &'m Name,
    rule: usize,
}

impl Place<'_> {
    fn at(self) -> Path {
        Path::root().key("routes").key(self.route.to_string()).key("rules").index(self.rule)
    }
}

impl<'m> Compiler<'m> {
    fn new(mesh: &'m Mesh) -> Self {
        let rules = mesh.routes.values().map(|route| route.rules.len()).sum();
        let longest = mesh.routes.values().map(|route| route.rules.len()).max().unwrap_or(0);
        Self {
            mesh,
            upstreams: mesh.upstreams.keys().cloned().collect(),
            rules: Vec::with_capacity(rules),
            listeners: Vec::new(),
            named: Vec::new(),
            methods: Methods::default(),
            forms: Vec::with_capacity(rules),
            heads: BTreeMap::new(),
            conditions: Vec::new(),
            regexes: Regexes::default(),
            positions: (0..longest).map(|position| position.to_string().into()).collect(),
            problems: Vec::new(),
            unchecked: false,
        }
    }

    fn route(&mut self, name: &Name, route: &Route) {
        let listeners = self.listeners(name, route);
        let mut hosts = route.hosts.clone();
        hosts.sort_unstable();
        hosts.dedup();
        let hosts: Arc<[Host]> = hosts.into();
        for (position, rule) in route.rules.iter().enumerate() {
            self.rule(Place { route: name, rule: position }, rule, &hosts, listeners);
        }
    }

    fn listeners(&mut self, route_name: &Name, route: &Route) -> Listeners {
        let Some(names) = &route.listeners else { return Listeners { named: 0, default: true } };
        let mut bits = 0;
        for (index, name) in names.iter().enumerate() {
            let known = self.listeners.iter().position(|known| known == name);
            let bit = known.unwrap_or_else(|| {
                self.listeners.push(name.clone());
                self.listeners.len() - 1
            });
            if bit < MAX_LISTENERS {
                bits |= 1 << bit;
                self.named.push((name.clone(), route_name.clone()));
            } else if known.is_none() {
                let at = Path::root().key("routes").key(route_name.to_string()).key("listeners").index(index);
                let message = format!("`{name}` is one listener too many");
                let hint = format!("the routes of a document can name {MAX_LISTENERS} listeners");
                self.problems.push(Problem::error(&at, message).hint(hint));
            }
        }
        Listeners { named: bits, default: false }
    }

    /// The id of an upstream that the document has.
    fn upstream(&mut self, name: &Name) -> Option<UpstreamId> {
        let found = self.upstreams.binary_search(name);
        self.unchecked |= found.is_err();
        found.ok().map(|position| UpstreamId(position as u32))
    }

    fn finish(mut self) -> Result<Compiled, Vec<Problem>> {
        if self.unchecked {
            self.problems.extend(check::mesh(self.mesh).into_iter().filter(Problem::is_error));
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let (hosts, hooked) = self.hooked();
        let hooks: Vec<Hook<'_>> = hooked.iter().map(|(hook, _)| *hook).collect();
        let index = Index::build(&hosts, &hooks);
        let (candidates, gates) = self.candidates(&hooked);
        let warnings = unreachable::warnings(self.mesh, &self.rules, &self.forms, &self.conditions, &hooked);
        let table = Table {
            index,
            candidates,
            gates,
            rules: self.rules,
            upstreams: self.upstreams,
            listeners: self.listeners,
            named: self.named,
            methods: self.methods,
            forms: self.forms,
            conditions: self.conditions,
            regexes: self.regexes.into_compiled(),
        };
        Ok(Compiled { table, warnings })
    }

    /// Every form at each of its hosts, in the order of the index; and the hosts, by number.
    fn hooked(&self) -> (Vec<Option<&Host>>, Vec<(Hook<'_>, u32)>) {
        let mut numbers: BTreeMap<&Host, u32> = BTreeMap::new();
        let mut hosts = vec![None];
        let mut hooked = Vec::with_capacity(self.forms.len());
        for (form, position) in self.forms.iter().zip(0u32..) {
            let (path, kind) = match &form.path {
                weir_config::names::PathPattern::Exact(path) => (path.as_bytes(), Kind::Exact),
                weir_config::names::PathPattern::Prefix(prefix) => (prefix.as_bytes(), Kind::Prefix),
                weir_config::names::PathPattern::Regex(_) => (self.heads[&position].as_slice(), Kind::Regex),
            };
            let rule_hosts = &self.rules[form.rule.0 as usize].hosts;
            if rule_hosts.is_empty() {
                hooked.push((Hook { host: 0, path, kind }, position));
            }
            for host in rule_hosts.iter() {
                let number = *numbers.entry(host).or_insert_with(|| {
                    hosts.push(Some(host));
                    hosts.len() as u32 - 1
                });
                hooked.push((Hook { host: number, path, kind }, position));
            }
        }
        hooked.sort_unstable_by(|(one, form), (other, other_form)| {
            let ranks = || self.forms[*form as usize].rank.cmp(&self.forms[*other_form as usize].rank);
            (one.host, one.path, one.kind).cmp(&(other.host, other.path, other.kind)).then_with(ranks)
        });
        (hosts, hooked)
    }

    /// The candidates in the order of the index, and the gates that they share.
    fn candidates(&self, hooked: &[(Hook<'_>, u32)]) -> (Vec<Candidate>, Vec<Gate>) {
        let mut numbers: BTreeMap<Gate, u32> = BTreeMap::new();
        let mut gates = Vec::new();
        let candidate = |(_, position): &(Hook<'_>, u32)| {
            let form = &self.forms[*position as usize];
            let rule = &self.rules[form.rule.0 as usize];
            let gate = Gate { listeners: rule.listeners, methods: form.methods, cors: rule.cors.is_some() };
            let number = *numbers.entry(gate).or_insert_with(|| {
                gates.push(gate);
                gates.len() as u32 - 1
            });
            Candidate::new(*position, form, number, rule.plain().filter(|_| form.is_as_written()))
        };
        (hooked.iter().map(candidate).collect(), gates)
    }
}
