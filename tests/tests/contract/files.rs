//! What holds for each file.

use crate::project;

/// Lines of a source file; a longer one is two.
const LONGEST: usize = 400;

#[test]
fn no_source_file_is_too_long_to_read() {
    let sources = project::sources();
    assert!(sources.iter().any(|text| text.path.ends_with(".lua")));
    for text in sources {
        let lines = text.body.lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines", text.path);
    }
}

#[test]
fn no_file_reaches_out_of_the_project() {
    // Whole crates are named by the workspace, so that a clone needs nothing beside it.
    let outside = concat!("..", "/shared");
    let texts = project::texts();
    assert!(texts.iter().any(|text| text.path == "Cargo.toml"));
    for text in texts {
        let line = text.body.lines().find(|line| line.contains(outside));
        assert_eq!(line, None, "{}", text.path);
    }
}
