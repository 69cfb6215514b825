//! One log file for all processes: each appends whole lines to it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::error::{HarnessError, Result};

/// Shared by everything that one stack starts; a clone is another handle on the same file.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    /// False for a pipe: what was written is gone.
    readable: bool,
}

impl Log {
    /// Starts the file anew; the one of the run before stays beside it as `*.before`.
    pub fn create(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(HarnessError::io(format!("make {}", folder.display())))?;
        }
        if path.exists() {
            let _ = std::fs::rename(path, path.with_extension("log.before"));
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(HarnessError::io(format!("open {}", path.display())))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            readable: true,
        })
    }

    /// Standard error, which somebody else keeps.
    pub(crate) fn stderr() -> Result<Self> {
        let copy = std::io::stderr().as_fd().try_clone_to_owned();
        Ok(Self {
            path: "/dev/stderr".into(),
            file: copy
                .map_err(HarnessError::io("share standard error"))?
                .into(),
            readable: false,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For a child's output and errors.
    pub(crate) fn stdio(&self) -> Result<Stdio> {
        Ok(self.handle()?.into())
    }

    pub(crate) fn handle(&self) -> Result<File> {
        self.file
            .try_clone()
            .map_err(HarnessError::io("share the log"))
    }

    /// One line of the harness itself.
    pub(crate) fn line(&self, level: &str, message: &str, fields: Value) {
        let mut line = json!({
            "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
            "level": level,
            "message": message,
            "service": "harness",
        });
        if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
            line.extend(fields);
        }
        // A full disk must not stop the harness.
        let _ = (&self.file).write_all(format!("{line}\n").as_bytes());
    }

    /// The lines that are JSON objects, oldest first; Redis and `cargo lambda` write plain text.
    pub fn json_lines(&self) -> Vec<Value> {
        self.text()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(Value::is_object)
            .collect()
    }

    /// The last `count` lines that a process wrote, shortened, for an error's text.
    pub(crate) fn tail(&self, count: usize) -> String {
        let text = self.text();
        let own = r#""service":"harness""#;
        let lines: Vec<&str> = text.lines().filter(|line| !line.contains(own)).collect();
        let from = lines.len().saturating_sub(count);
        let short = |line: &&str| format!("  {}", line.chars().take(300).collect::<String>());
        lines[from..]
            .iter()
            .map(short)
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn text(&self) -> String {
        if !self.readable {
            return String::new();
        }
        let bytes = std::fs::read(&self.path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Scratch;

    #[test]
    fn plain_and_json_lines_live_in_one_file() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().join("one.log");
        let log = Log::create(&path).unwrap();
        writeln!(log.handle().unwrap(), "plain text").unwrap();
        log.line("INFO", "ready", json!({"port": 7}));
        let lines = log.json_lines();
        assert_eq!(lines.len(), 1);
        assert_eq!(
            (&lines[0]["message"], &lines[0]["port"]),
            (&json!("ready"), &json!(7))
        );
        assert_eq!(log.tail(2), "  plain text");

        let next = Log::create(&path).unwrap();
        assert_eq!(next.json_lines().len(), 0);
        assert!(scratch.path().join("one.log.before").exists());
    }
}
