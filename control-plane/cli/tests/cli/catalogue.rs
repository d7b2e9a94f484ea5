use crate::world::World;

#[test]
fn filters_are_listed_with_what_they_do() {
    let world = World::new();
    let ran = world.weir(&["filters"]).exits(0);
    for kind in ["rate_limit", "deny", "log_fields"] {
        assert!(ran.stdout.lines().any(|line| line.starts_with(kind)), "{kind} is not in {ran:#?}");
    }
    let list = world.weir(&["filters", "-o", "json"]).exits(0).json();
    for filter in list.as_array().expect("a list") {
        for key in ["kind", "help", "description", "settings", "example"] {
            assert!(!filter[key].is_null(), "{key} is missing in {filter}");
        }
    }
}

#[test]
fn one_filter_is_shown_in_full() {
    let ran = World::new().weir(&["filters", "rate_limit"]).exits(0);
    ran.says("Settings:").says("rate").says("required").says("Example:").says("kind = \"rate_limit\"");
}

#[test]
fn an_unknown_filter_is_wrong_usage_and_names_the_known_ones() {
    World::new().weir(&["filters", "rate-limit"]).exits(2).complains("rate_limit").complains("deny");
}

#[test]
fn the_schemas_are_json_schemas_and_the_mesh_has_the_filters_settings() {
    let world = World::new();
    let mesh = world.weir(&["schema"]).exits(0).json();
    assert_eq!(mesh["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(mesh["properties"]["routes"].is_object());
    assert!(mesh.to_string().contains("rate_limit"));
    let bootstrap = world.weir(&["schema", "bootstrap"]).exits(0).json();
    assert!(bootstrap["properties"]["listeners"].is_object());
}

#[test]
fn completions_come_for_every_shell_and_know_the_commands() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = world.weir(&["completions", shell]).exits(0);
        assert!(ran.stdout.contains("explain") && ran.stdout.contains("edge-port"), "{shell}");
    }
    assert!(world.weir(&["completions", "bash"]).stdout.contains("rate_limit"));
    world.weir(&["completions", "tcsh"]).exits(2).complains("bash");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    use std::process::Stdio;
    let world = World::new();
    let mut child =
        world.command(&["schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
