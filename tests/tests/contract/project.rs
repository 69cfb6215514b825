//! The project's files, and what cargo knows about its crates.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Made by tools, or none of ours.
const SKIPPED: [&str; 4] = [".git", ".local", "target", "node_modules"];

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_owned()
}

/// The text of the file at `path`, from the root.
pub(crate) fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The folders of functions/, sorted.
pub(crate) fn function_folders() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("functions")).unwrap();
    let mut names: Vec<_> = entries
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// One text file; `path` is from the root, with slashes.
pub(crate) struct Text {
    pub(crate) path: String,
    pub(crate) body: String,
}

impl Text {
    /// The lines that are not comments alone.
    pub(crate) fn code(&self) -> impl Iterator<Item = &str> {
        self.body
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
    }

    /// Whether the file has the tests of a program, and nothing of the program.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/src/tests.rs")
    }

    /// Whether the file is, or lies below, one of these: `a/b/` or `a/b.rs`.
    pub(crate) fn is_of(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }
}

/// Every text file of the project, binary files left out.
pub(crate) fn texts() -> Vec<Text> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            let name = entry.file_name();
            if SKIPPED.iter().any(|skipped| name == *skipped) {
                continue;
            } else if kind.is_dir() {
                folders.push(entry.path());
            } else if let Ok(body) = std::fs::read_to_string(entry.path()) {
                let path = entry.path();
                let path = path.strip_prefix(&root).unwrap();
                let path = path.to_str().unwrap().replace('\\', "/");
                found.push(Text { path, body });
            }
        }
    }
    found
}

/// The program text of the project: Rust and Lua.
pub(crate) fn sources() -> Vec<Text> {
    let source = |text: &Text| text.path.ends_with(".rs") || text.path.ends_with(".lua");
    texts().into_iter().filter(source).collect()
}

/// `cargo metadata`: packages with their dependencies, and `metadata` of the workspace.
pub(crate) fn cargo() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(root())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}
