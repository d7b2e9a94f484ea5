//! The help texts, held against `tests/help/*.txt`. After a change on purpose, run the tests with `WRITE_HELP=1` and
//! read the difference.

use std::path::Path;

use crate::world::World;

const COMMANDS: [&str; 7] = ["dev", "check", "diff", "explain", "filters", "schema", "completions"];

#[test]
fn the_help_texts_are_those_that_were_read_and_approved() {
    let world = World::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let whole = (vec!["--help"], "weir".to_owned());
    let commands = COMMANDS.map(|command| (vec![command, "--help"], command.to_owned()));
    for (arguments, name) in [whole].into_iter().chain(commands) {
        let shown = world.weir(&arguments).exits(0).stdout;
        let file = folder.join(format!("{name}.txt"));
        if std::env::var_os("WRITE_HELP").is_some() {
            std::fs::write(&file, &shown).expect("written");
        }
        let approved = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(shown, approved, "{}", file.display());
    }
}

#[test]
fn every_command_has_one_line_in_the_short_help_and_an_example_in_its_own() {
    let world = World::new();
    let short = world.weir(&["-h"]).exits(0).stdout;
    for command in COMMANDS {
        assert!(short.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))), "{command}: {short}");
        let own = world.weir(&[command, "--help"]).exits(0).stdout;
        assert!(own.contains(&format!("\n  weir {command}")), "{command}: {own}");
    }
}

#[test]
fn no_command_shows_the_help_as_wrong_usage() {
    World::new().weir(&[]).exits(2).complains("Usage: weir");
}

#[test]
fn an_unknown_command_is_wrong_usage_with_a_suggestion() {
    World::new().weir(&["chekc"]).exits(2).complains("check");
}

#[test]
fn the_version_is_told() {
    World::new().weir(&["--version"]).exits(0).says(concat!("weir ", env!("CARGO_PKG_VERSION")));
}
