//! Programs are built of the same dependencies whether their tests are built too or not: `local/demo` after `local/test`, and the other
//! way round, compiles nothing twice.

use std::collections::BTreeSet;
use std::process::Command;

use crate::project::root;

/// `name version|features|` of every package that is reached over these edges.
fn packages(edges: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--offline", "--locked"])
        .args(["--edges", edges, "--prefix", "none"])
        .args(["--format", "{p}|{f}|"])
        .current_dir(root())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree: {complaint}");
    let tree = String::from_utf8(output.stdout).unwrap();
    // A star follows where a package is met again.
    let package = |line: &str| line.trim_end_matches(" (*)").to_owned();
    tree.lines().map(package).collect()
}

#[test]
fn tests_ask_no_more_of_a_dependency_than_programs_do() {
    let (programs, tests) = (packages("normal,build"), packages("normal,build,dev"));
    let twice: Vec<_> = programs.difference(&tests).collect();
    assert!(programs.len() > 100, "{programs:?}");
    assert!(
        twice.is_empty(),
        "built twice, as tests ask more of them (tests/Cargo.toml): {twice:#?}"
    );
}
