//! A proxy with named upstreams behind it: what most tests of routing need.

use std::collections::BTreeMap;

use crate::message::{Request, Response};
use crate::proxy::Proxy;
use crate::setup::Setup;
use crate::upstream::Upstream;

/// A proxy and the echoing upstreams that its document names.
pub struct World {
    pub proxy: Proxy,
    pub upstreams: BTreeMap<String, Upstream>,
}

impl World {
    /// Starts plain HTTP/1.1 echoes by these names, and a proxy with these routes. `routes` is a mesh document without
    /// upstreams.
    pub async fn start(names: &[&str], routes: &str) -> anyhow::Result<Self> {
        Self::start_with(names, routes, Ok).await
    }

    /// [`World::start`] with more in the bootstrap.
    pub async fn start_with(
        names: &[&str],
        routes: &str,
        more: impl FnOnce(Setup) -> anyhow::Result<Setup>,
    ) -> anyhow::Result<Self> {
        let mut upstreams = BTreeMap::new();
        for name in names {
            upstreams.insert((*name).to_owned(), Upstream::h1(name).await?);
        }
        let proxy = more(Setup::new(document(routes, upstreams.values()))?)?.start().await?;
        Ok(Self { proxy, upstreams })
    }

    /// These routes in front of this world's upstreams, as a document.
    pub fn document(&self, routes: &str) -> String {
        document(routes, self.upstreams.values())
    }

    /// Changes the routes and waits until they are in force.
    pub async fn apply(&self, routes: &str) -> anyhow::Result<()> {
        self.proxy.apply(&self.document(routes)).await
    }

    pub fn upstream(&self, name: &str) -> &Upstream {
        self.upstreams.get(name).unwrap_or_else(|| panic!("no upstream {name}"))
    }

    pub async fn send(&self, request: &Request) -> anyhow::Result<Response> {
        self.proxy.send(request).await
    }

    /// Who answered: the upstream's name, or `404 no_route`, or the bare status.
    pub async fn who(&self, request: &Request) -> anyhow::Result<String> {
        Ok(who(&self.send(request).await?))
    }
}

/// Who answered: the upstream's name, or `404 no_route`, or the bare status.
pub fn who(response: &Response) -> String {
    match (response.echo(), response.reason()) {
        (Ok(echo), _) => echo.upstream,
        (Err(_), Some(reason)) => format!("{} {reason}", response.status),
        (Err(_), None) => response.status.to_string(),
    }
}

/// A mesh document of these routes and upstreams.
pub fn document<'a>(routes: &str, upstreams: impl IntoIterator<Item = &'a Upstream>) -> String {
    let tables: String = upstreams.into_iter().map(Upstream::table).collect();
    format!("{routes}\n{tables}")
}
