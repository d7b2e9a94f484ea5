//! The rules of the house that a reader of the sources can check: which crate knows which, and which file alone may do
//! what.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use toml::{Table, Value};
use weir_tests::Claim;

/// Who may depend on whom, dev-dependencies included. Whoever is not here may depend on anything.
const ARROWS: &[(&str, &[&str])] = &[
    ("weir-config", &[]),
    ("weir-policy", &["weir-config"]),
    ("weir-resilience", &["weir-config"]),
    ("weir-simulate", &["weir-config", "weir-policy", "weir-resilience"]),
    ("weir-identity", &["weir-config"]),
    ("weir-upstreams", &["weir-config", "weir-resilience", "weir-identity"]),
    ("weir-proxy", &["weir-config", "weir-policy", "weir-resilience", "weir-identity", "weir-upstreams"]),
    ("weir-control", &["weir-config", "weir-policy", "weir-resilience", "weir-identity"]),
    ("weir", &["weir-config", "weir-policy", "weir-simulate", "weir-identity"]),
    ("research", &[]),
];
const ANYTHING: &[&str] = &["weir-tests", "weir-bench"];

/// What stands at the top of the repository.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "config",
    "proxy",
    "upstreams",
    "control-plane",
    "tests",
    "bench",
    "deploy",
    ".ci",
    ".gitignore",
    ".rustfmt.toml",
];
/// What is there but not of the repository.
const PASSING: &[&str] = &[".git", "target", ".weir"];

/// Crates of pure policy: text and values in, values out.
const PURE: &[&str] = &["config/src", "proxy/policy/src", "upstreams/resilience/src"];
/// Clocks, dice, sockets, files, runtimes.
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "tokio::",
    "pingora",
    "std::net::Tcp",
    "std::net::Udp",
    "std::fs",
    "std::env",
    "std::thread",
    "rand::",
    "RandomState::new",
];

#[test]
fn no_crate_knows_one_it_must_not() -> Claim {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut broken = Vec::new();
    for manifest in manifests()? {
        let text = fs::read_to_string(&manifest)?;
        let table: Table = toml::from_str(&text).with_context(|| manifest.display().to_string())?;
        let Some(name) = table.get("package").and_then(|package| package.get("name")?.as_str()) else { continue };
        if ANYTHING.contains(&name) {
            continue;
        }
        let Some(may) = allowed.get(name) else {
            broken.push(format!("{name} is not on the map"));
            continue;
        };
        for on in dependencies(&table) {
            let ours = on.starts_with("weir") || on == "research";
            if ours && !may.contains(&on.as_str()) {
                broken.push(format!("{name} -> {on}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    Ok(())
}

#[test]
fn the_pure_crates_have_no_runtime_among_their_dependencies() -> Claim {
    for folder in PURE {
        let manifest = root().join(folder).parent().context("a folder")?.join("Cargo.toml");
        let table: Table = toml::from_str(&fs::read_to_string(&manifest)?)?;
        let normal = table.get("dependencies").and_then(Value::as_table).into_iter().flat_map(|t| t.keys());
        let runtimes: Vec<_> =
            normal.filter(|name| ["tokio", "pingora", "rand", "notify"].contains(&name.as_str())).collect();
        assert!(runtimes.is_empty(), "{folder}: {runtimes:?}");
    }
    Ok(())
}

#[test]
fn the_top_of_the_repository_has_only_its_fixed_entries() -> Claim {
    let mut strangers = BTreeSet::new();
    for entry in fs::read_dir(root())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if fs::read_dir(entry.path()).is_ok_and(|mut folder| folder.next().is_none()) {
            continue; // An empty folder is nothing that a repository keeps.
        }
        if !TOP.contains(&name.as_str()) && !PASSING.contains(&name.as_str()) {
            strangers.insert(name);
        }
    }
    assert!(strangers.is_empty(), "{strangers:?}");
    Ok(())
}

#[test]
fn pure_policy_reads_no_clock_rolls_no_dice_and_opens_nothing() -> Claim {
    for folder in PURE {
        none(folder, &[], |line| IMPURE.iter().any(|word| line.contains(word)))?;
    }
    Ok(())
}

#[test]
fn only_generation_rs_swaps_generations() -> Claim {
    none("proxy/src", &["generation.rs"], |line| {
        let generation = line.to_lowercase().contains("generation");
        let swaps = [".store(", ".swap(", ".rcu(", ".compare_and_swap("].iter().any(|call| line.contains(call));
        generation && (line.contains("ArcSwap") || (swaps && !line.contains("Ordering::")))
    })
}

#[test]
fn only_telemetry_names_rs_spells_a_metric() -> Claim {
    none("proxy/src", &["telemetry/names.rs"], |line| {
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("\"weir_") {
            let word: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if !["proxy", "policy", "config", "upstreams", "resilience", "identity"].contains(&word.as_str()) {
                return true;
            }
            rest = after;
        }
        false
    })
}

#[test]
fn only_reply_rs_chooses_the_status_of_an_error() -> Claim {
    // The admin server is an ordinary server of its own. 400 and 500 are left out: they are sizes and rates, too.
    none("proxy/src", &["request/reply.rs", "admin.rs", "admin"], |line| {
        let constant = ["NOT_FOUND", "BAD_GATEWAY", "SERVICE_UNAVAILABLE", "GATEWAY_TIMEOUT", "BAD_REQUEST"];
        let spelled = constant.iter().any(|name| line.contains(&format!("StatusCode::{name}")));
        spelled
            || line
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .any(|word| ["404", "408", "413", "414", "429", "431", "502", "503", "504", "508"].contains(&word))
    })
}

#[test]
fn no_type_of_pingora_crosses_into_the_stations() -> Claim {
    none("proxy/src/request", &[], |line| line.to_lowercase().contains("pingora"))
}

/// Fails with every line of code under `folder` for which `wrong` holds. Comments, tests and the files in `but` (paths
/// inside of the folder, or whole sub-folders) do not count. A folder without sources fails: the rule would hold for
/// nothing.
fn none(folder: &str, but: &[&str], wrong: impl Fn(&str) -> bool) -> Claim {
    let top = root().join(folder);
    let mut found = Vec::new();
    let files = sources(&top)?;
    assert!(!files.is_empty(), "{folder} has no sources");
    for file in files {
        let inside = file.strip_prefix(&top)?;
        let name = inside.display().to_string();
        if but.iter().any(|but| inside.starts_with(but)) || name.ends_with("tests.rs") || name.contains("tests/") {
            continue;
        }
        let text = fs::read_to_string(&file)?;
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            if wrong(line) {
                found.push(format!("{folder}/{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).to_path_buf()
}

fn manifests() -> anyhow::Result<Vec<PathBuf>> {
    let table: Table = toml::from_str(&fs::read_to_string(root().join("Cargo.toml"))?)?;
    let members = table.get("workspace").and_then(|w| w.get("members")?.as_array()).context("workspace.members")?;
    Ok(members.iter().filter_map(Value::as_str).map(|member| root().join(member).join("Cargo.toml")).collect())
}

/// Every crate that a manifest names, in whatever section, by its package name.
fn dependencies(table: &Table) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (key, value) in table {
        let Some(inner) = value.as_table() else { continue };
        if key.ends_with("dependencies") {
            found.extend(
                inner.iter().map(|(name, spec)| spec.get("package").and_then(Value::as_str).unwrap_or(name).to_owned()),
            );
        } else {
            found.extend(dependencies(inner));
        }
    }
    found
}

fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
