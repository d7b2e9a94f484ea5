//! Which research services a mesh document asks for: an upstream with the name of a service and an endpoint on this
//! machine is one to start there.

use std::net::SocketAddr;
use std::path::Path;

use weir_config::mesh::Mesh;

use super::children::Plan;
use super::folder::Folder;
use super::ports::Claim;

/// The services of the `research` program. The last one asks the others.
const SOURCES: [&str; 4] = ["arxiv", "pubmed", "github", "firecrawl"];
const SEARCH: &str = "search";

/// One process of the `research` program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The upstream's name, which is the service's; a second endpoint of it is `arxiv-2`.
    pub name: String,
    pub upstream: &'static str,
    pub address: SocketAddr,
}

/// Whether an upstream of this name is a research service.
pub fn is_service(upstream: &str) -> bool {
    upstream == SEARCH || SOURCES.contains(&upstream)
}

/// What to start for `mesh`, in a fixed order: the search only where it has a source to ask.
pub fn wanted(mesh: &Mesh) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    for upstream in SOURCES.into_iter().chain([SEARCH]) {
        if upstream == SEARCH && services.is_empty() {
            break;
        }
        let endpoints = mesh.upstreams.get(upstream).map(|upstream| upstream.endpoints.as_slice()).unwrap_or_default();
        for (index, address) in endpoints.iter().filter(|address| address.ip().is_loopback()).enumerate() {
            let name = if index == 0 { upstream.to_owned() } else { format!("{upstream}-{}", index + 1) };
            services.push(Service { name, upstream, address: *address });
        }
    }
    services
}

/// The addresses that the services need. `mesh` is the document's file.
pub fn claims(services: &[Service], mesh: &Path) -> Vec<Claim> {
    let claim = |service: &Service| Claim {
        address: service.address,
        who: format!("the service {}", service.name),
        setting: format!("upstreams.{}.endpoints in {} (or --no-services)", service.upstream, mesh.display()),
    };
    services.iter().map(claim).collect()
}

/// How each service is started.
pub fn plans(services: &[Service], program: &Path, folder: &Folder) -> Vec<Plan> {
    // The first of each kind; the search takes one of a kind.
    let first = services.iter().filter(|service| service.name == service.upstream && service.upstream != SEARCH);
    let sources: Vec<_> = first.map(|source| format!("{}=http://{}", source.name, source.address)).collect();
    let plan = |service: &Service| {
        let state = folder.file(&service.name).display().to_string();
        let listen = service.address.to_string();
        let mut arguments = vec![service.upstream, "--listen", &listen, "--state-dir", &state];
        if service.upstream == SEARCH {
            arguments.extend(sources.iter().flat_map(|source| ["--source", source]));
        } else {
            arguments.push("--offline");
        }
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        Plan { name: service.name.clone(), program: program.to_owned(), arguments, state: service.name.clone() }
    };
    services.iter().map(plan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_on_this_machine_is_a_service_and_the_search_knows_the_others() {
        let text = r#"
[upstreams]
arxiv  = { endpoints = ["127.0.0.1:7001", "127.0.0.1:7011"] }
github = { endpoints = ["192.0.2.1:80"] }
search = { endpoints = ["[::1]:7005"] }
other  = { endpoints = ["127.0.0.1:7009"] }
"#;
        let mesh = Mesh::parse_toml(text).value.expect("a good document");
        let services = wanted(&mesh);
        let names: Vec<_> = services.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, ["arxiv", "arxiv-2", "search"]);

        let world = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(world.path()).expect("opens");
        let search = &plans(&services, Path::new("/bin/research"), &folder)[2];
        assert_eq!(search.arguments[..3], ["search", "--listen", "[::1]:7005"]);
        assert_eq!(search.arguments[5..], ["--source", "arxiv=http://127.0.0.1:7001"]);
        let claims = claims(&services, Path::new("mesh.toml"));
        assert_eq!(claims[1].setting, "upstreams.arxiv.endpoints in mesh.toml (or --no-services)");
    }
}
