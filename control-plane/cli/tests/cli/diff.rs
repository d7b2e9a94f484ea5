use serde_json::json;

use crate::world::{MESH, World};

fn world() -> World {
    let new = MESH
        .replace("{ blue = 95, green = 5 }", "{ blue = 90, green = 10 }")
        .replace("[upstreams.green]", "[upstreams.red]\nendpoints = [\"127.0.0.1:7003\"]\n\n[upstreams.green]");
    let same = format!("# A remark changes nothing.\n{}", MESH.replace("\"2s\"", "\"2000ms\""));
    World::new().with("old.toml", MESH).with("new.toml", &new).with("same.toml", &same)
}

#[test]
fn each_change_is_a_line_with_its_sign_its_sentence_and_its_path() {
    let ran = world().weir(&["diff", "old.toml", "new.toml"]).exits(0);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ran:#?}");
    for (sign, word, path) in [
        ("~ ", "now sends 90% (was 95%) to blue", "  routes.papers.rules[0].to.blue"),
        ("~ ", "now sends 10% (was 5%) to green", "  routes.papers.rules[0].to.green"),
        ("+ ", "upstream red added", "  upstreams.red"),
    ] {
        let holds = |line: &&str| line.starts_with(sign) && line.contains(word) && line.ends_with(path);
        assert!(lines.iter().any(holds), "{word}: {ran:#?}");
    }
}

#[test]
fn what_means_the_same_is_no_change() {
    let world = world();
    world.weir(&["diff", "old.toml", "same.toml"]).exits(0).says("Nothing changes.\n");
    world.weir(&["diff", "--exit-code", "old.toml", "same.toml"]).exits(0);
    assert_eq!(world.weir(&["diff", "-o", "json", "old.toml", "same.toml"]).json(), json!([]));
}

#[test]
fn differing_documents_exit_with_one_only_when_asked_to() {
    let world = world();
    world.weir(&["diff", "old.toml", "new.toml"]).exits(0);
    world.weir(&["diff", "--exit-code", "old.toml", "new.toml"]).exits(1);
}

#[test]
fn changes_as_json_have_kind_path_and_sentence() {
    let changes = world().weir(&["diff", "-o", "json", "old.toml", "new.toml"]).exits(0).json();
    let added =
        changes.as_array().expect("a list").iter().find(|change| change["kind"] == "added").expect("red is new");
    assert_eq!(added["path"], "upstreams.red");
    assert!(added["sentence"].is_string());
}

#[test]
fn one_of_the_two_may_come_from_stdin() {
    let world = world();
    world.weir_with_stdin(&["diff", "-", "new.toml"], MESH).exits(0).says("+ ");
    world.weir(&["diff", "-", "-"]).exits(1).complains("both documents");
}

#[test]
fn a_refused_document_is_shown_with_its_errors() {
    let world = world().with("bad.toml", "[routes.home]\nrules = 5\n");
    world
        .weir(&["diff", "old.toml", "bad.toml"])
        .exits(1)
        .complains("bad.toml:2:")
        .complains("error: bad.toml is refused: 1 error\n");
    let ran = world.weir(&["diff", "-o", "json", "old.toml", "bad.toml"]).exits(1);
    let told: serde_json::Value = serde_json::from_str(&ran.stderr).expect("JSON");
    assert_eq!(told["problems"][0]["line"], 2);
}
