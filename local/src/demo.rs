//! The main job, once: a sentence in, a track out.

use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use shared::job::sha256_hex;

use crate::api::Api;
use crate::error::{HarnessError, Result};

/// Nobody waits longer for a demonstration.
const PATIENCE: Duration = Duration::from_secs(600);

/// Composes, follows the job, writes the track to `file`; the finished job in JSON.
pub async fn compose(api: &Api, narrative: &str, duration: u32, file: &Path) -> Result<Value> {
    let accepted = api.compose(narrative, duration).await?;
    let id = accepted["jobId"].as_str().unwrap_or_default().to_owned();
    let job = tokio::time::timeout(PATIENCE, follow(api, &id))
        .await
        .map_err(|_| {
            HarnessError::Job(format!(
                "job {id} did not end within {} s",
                PATIENCE.as_secs()
            ))
        })??;
    let status = text(&job["status"]);
    if status != "completed" {
        let (code, message) = (text(&job["error"]["code"]), text(&job["error"]["message"]));
        return Err(HarnessError::Job(format!(
            "job {id} {status}: {message} ({code})"
        )));
    }
    let audio = api.audio(&id).await?;
    if sha256_hex(&audio) != text(&job["track"]["sha256"]) {
        return Err(HarnessError::Job(format!(
            "the audio of job {id} is not what its track says"
        )));
    }
    std::fs::write(file, audio).map_err(HarnessError::io(format!("write {}", file.display())))?;
    Ok(job)
}

async fn follow(api: &Api, id: &str) -> Result<Value> {
    let display = Display::new(id);
    let mut seq = 0;
    loop {
        let job = api.job(id, seq).await?;
        seq = job["seq"].as_u64().unwrap_or(seq);
        display.show(&job);
        if !matches!(job["status"].as_str(), Some("queued" | "processing")) {
            return Ok(job);
        }
    }
}

/// A bar on a terminal, a line for each change elsewhere.
struct Display {
    bar: ProgressBar,
    terminal: bool,
    started: Instant,
}

impl Display {
    fn new(id: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("  [{bar:32}] {pos:>3} %  {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.println(format!("  job {id}"));
        let terminal = stderr().is_terminal();
        if !terminal {
            eprintln!("  job {id}");
        }
        let started = Instant::now();
        Self {
            bar,
            terminal,
            started,
        }
    }

    fn show(&self, job: &Value) {
        let (share, what) = described(job);
        if !self.terminal {
            eprintln!(
                "  {:>5.1} s  {share:>3} %  {what}",
                self.started.elapsed().as_secs_f64()
            );
        }
        self.bar.set_position(share);
        self.bar.set_message(what);
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The whole job's share in per cent, and a few words: planning is a tenth of it, checking the last twentieth.
fn described(job: &Value) -> (u64, String) {
    let own = job["progress"]["percentage"].as_u64().unwrap_or(0).min(100);
    let share = match (text(&job["status"]), text(&job["stage"])) {
        ("completed", _) => 100,
        ("queued", "plan") => 0,
        (_, "plan") => own / 10,
        (_, "audio") => 10 + own * 85 / 100,
        (_, "finish") => 95 + own / 20,
        _ => 0,
    };
    let mut words = match (text(&job["status"]), job["position"].as_u64()) {
        ("queued", Some(position)) => format!("waiting, number {position} in the line"),
        ("processing", _) => text(&job["stage"]).to_owned(),
        (status, _) => status.to_owned(),
    };
    if let Some(message) = job["progress"]["message"]
        .as_str()
        .filter(|_| job["status"] == "processing")
    {
        words = format!("{words}: {message}");
    }
    if let Some(attempt) = job["attempt"].as_u64().filter(|&attempt| attempt > 1) {
        words = format!("{words} (attempt {attempt})");
    }
    (share, words)
}

/// What was made, in a few lines.
pub fn summary(job: &Value, file: &Path) -> String {
    let track = &job["track"];
    let number = |field: &str| track[field].as_f64().unwrap_or(f64::NAN);
    format!(
        "\n  {title}\n  {file}: {seconds:.1} s, {rate:.1} kHz, {loudness:.1} LUFS\n  sha256 {sha}",
        title = text(&job["plan"]["title"]),
        file = file.display(),
        seconds = number("durationSeconds"),
        rate = number("sampleRate") / 1000.0,
        loudness = number("loudnessLufs"),
        sha = text(&track["sha256"]),
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_bar_only_moves_forward_through_a_job() {
        let job = |status: &str, stage: &str, percentage: u64| json!({"status": status, "stage": stage, "progress": {"percentage": percentage, "message": "m"}});
        let steps = [
            job("queued", "plan", 0),
            job("processing", "plan", 100),
            job("processing", "audio", 0),
            job("processing", "audio", 100),
            job("processing", "finish", 0),
            job("completed", "finish", 100),
        ];
        let shares: Vec<u64> = steps.iter().map(|step| described(step).0).collect();
        assert!(shares.is_sorted(), "{shares:?}");
        assert_eq!((shares.first(), shares.last()), (Some(&0), Some(&100)));
    }

    #[test]
    fn who_waits_is_told_where() {
        let job = json!({"status": "queued", "stage": "plan", "position": 3, "attempt": 2});
        assert_eq!(
            described(&job).1,
            "waiting, number 3 in the line (attempt 2)"
        );
    }
}
