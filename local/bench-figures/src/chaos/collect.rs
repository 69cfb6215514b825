//! After the run: everything that can still be read is read into one record.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use local::{HarnessError, Stack};
use reqwest::Method;
use serde_json::Value;
use shared::job::sha256_hex;

use super::callers::{Door, tag};
use super::history::{Call, History, Played, Stored, moment};

/// Reads at a time.
const SIDE_BY_SIDE: usize = 8;
/// A read that fails is tried so often, with a pause of this, ±50 %.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// The last word of the API on each job, and its events.
pub(super) async fn add_last(history: &mut History, door: &Door) -> Result<(), HarnessError> {
    let tenants: BTreeMap<usize, usize> = history
        .submissions
        .iter()
        .map(|one| (one.number, one.tenant))
        .collect();
    let reads = history.jobs.iter_mut().filter_map(|(id, job)| {
        let tenant = *tenants.get(&job.submission?)?;
        Some(async move {
            job.last = read(door, &format!("/jobs/{id}"), tenant).await?;
            if job.status() == Some("completed") {
                job.heard = hear(door, &format!("/jobs/{id}/audio"), tenant).await?;
            }
            let page = read(door, &format!("/jobs/{id}/events"), tenant).await?;
            let events = page.and_then(|page| page["events"].as_array().cloned());
            job.events = events.unwrap_or_default();
            Ok::<(), HarnessError>(())
        })
    });
    let mut reads = stream::iter(reads).buffer_unordered(SIDE_BY_SIDE);
    while let Some(read) = reads.next().await {
        read?;
    }
    Ok(())
}

/// None: 404.
async fn read(door: &Door, path: &str, tenant: usize) -> Result<Option<Value>, HarnessError> {
    let unreadable = |error| HarnessError::Job(format!("GET {path}: {error}"));
    let body = fetch(door, path, tenant).await?;
    let body = body.map(|body| serde_json::from_slice(&body).map_err(unreadable));
    body.transpose()
}

/// SHA-256 of what is delivered. None: 404.
async fn hear(door: &Door, path: &str, tenant: usize) -> Result<Option<String>, HarnessError> {
    let body = fetch(door, path, tenant).await?;
    Ok(body.map(|body| sha256_hex(&body)))
}

/// Without an answer nothing can be said of the job, so that is no fact but the end of the run.
async fn fetch(door: &Door, path: &str, tenant: usize) -> Result<Option<Bytes>, HarnessError> {
    let mut last = String::new();
    for _ in 0..TRIES {
        match answer(door, path, tenant).await {
            Ok((200, body)) => return Ok(Some(body)),
            Ok((404, _)) => return Ok(None),
            Ok((status, _)) => last = format!("answered {status}"),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
    }
    Err(HarnessError::Job(format!("GET {path}: {last}")))
}

async fn answer(door: &Door, path: &str, tenant: usize) -> reqwest::Result<(u16, Bytes)> {
    let answer = door.request(Method::GET, path, tenant).send().await?;
    Ok((answer.status().as_u16(), answer.bytes().await?))
}

/// What each model was asked.
pub(super) async fn calls(stack: &Stack) -> Result<Vec<(String, Call)>, HarnessError> {
    let mut all = Vec::new();
    for (model, address) in [("jen1", stack.jen1()), ("muscgen", stack.muscgen())] {
        let calls: Vec<Value> = reqwest::get(format!("{address}/calls"))
            .await?
            .json()
            .await?;
        let posts = calls.iter().filter(|call| call["method"] == "POST");
        all.extend(posts.filter_map(|call| {
            let key = call["idempotencyKey"].as_str()?;
            let (job, _) = key.split_once(':')?;
            let body = &call["body"];
            let asked = body["prompt"].as_str().or(body["narrative"].as_str());
            let call = Call {
                at: moment(&call["at"])?,
                model,
                key: key.to_owned(),
                fate: call["fate"].as_str()?.to_owned(),
                asked: asked.unwrap_or_default().to_owned(),
                plan: call["planSha256"].as_str().map(str::to_owned),
                delivered: texts(&call["delivered"]),
            };
            Some((job.to_owned(), call))
        }));
    }
    Ok(all)
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The jobs that answers name, with their submissions.
pub(super) fn name_submissions(history: &mut History) {
    for submission in &history.submissions {
        for id in submission
            .answers
            .iter()
            .filter_map(|answer| answer.reply.job())
        {
            let job = history.jobs.entry(id.to_owned()).or_default();
            job.submission.get_or_insert(submission.number);
        }
    }
}

/// Everything that the store holds; the tag of a request tells whose it is, where no answer did.
pub(super) fn add_stored(history: &mut History, artifacts: &Path) {
    let numbers: BTreeMap<String, usize> = history
        .submissions
        .iter()
        .map(|one| (tag(one.number), one.number))
        .collect();
    let jobs = artifacts.join("jobs");
    for id in names(&jobs) {
        let folder = jobs.join(&id);
        let shares = names(&folder.join("shared"));
        // With a `#` it is what a killed writer left of an object that never came to be.
        let is_object = |name: &String| name != "shared" && !name.contains('#');
        let objects: Vec<_> = names(&folder).into_iter().filter(is_object).collect();
        // Folders are no objects: a file store leaves those of removed ones.
        if objects.is_empty() && shares.is_empty() {
            continue;
        }
        let request = json_file(&folder.join("request.json"));
        let generation = |name: &String| {
            let number = name.strip_prefix("manifest-")?.strip_suffix(".json")?;
            number.parse::<u32>().ok()
        };
        let newest = objects.iter().filter_map(generation).max();
        let manifest =
            newest.and_then(|newest| json_file(&folder.join(format!("manifest-{newest}.json"))));
        let is_track = |name: &String| name.starts_with("track-");
        let (tracks, others) = objects.into_iter().partition(is_track);
        let plays = manifest.as_ref().and_then(|it| played(&jobs, &id, it));
        let job = history.jobs.entry(id).or_default();
        job.stored = Stored {
            accepted: request.is_some(),
            manifest: manifest.as_ref().map(status),
            tracks,
            shares,
            others,
            plays,
            ..Stored::default()
        };
        let tag = request
            .as_ref()
            .and_then(|request| request["tags"][0].as_str());
        let by_tag = tag.and_then(|tag| numbers.get(tag));
        job.submission = job.submission.or(by_tag.copied());
    }
    // A refused id has one too, and no answer names it.
    for dead in names(&artifacts.join("deleted")) {
        if let Some(job) = history.jobs.get_mut(&dead) {
            job.stored.tombstone = true;
        }
    }
    for marker in names(&artifacts.join("open")) {
        let id = marker.split('.').next().unwrap_or_default().to_owned();
        history.jobs.entry(id).or_default().stored.open = true;
    }
}

/// The track that a manifest names, with the hash of the bytes that lie at its place.
fn played(jobs: &Path, id: &str, manifest: &Value) -> Option<Played> {
    let track = &manifest["track"];
    let home = track["source"].as_str().unwrap_or(id).to_owned();
    let named = format!("track-{}.", track["sha256"].as_str()?);
    let folder = jobs.join(&home);
    let file = names(&folder)
        .into_iter()
        .find(|name| name.starts_with(&named) && !name.contains('#'));
    let bytes = file.and_then(|file| std::fs::read(folder.join(file)).ok());
    let sha256 = bytes.map(|bytes| sha256_hex(&bytes));
    Some(Played { home, sha256 })
}

/// How many jobs the store holds for unfinished.
pub(super) fn open(artifacts: &Path) -> usize {
    names(&artifacts.join("open")).len()
}

/// How many jobs owe somebody a message about their end.
pub(super) fn owed(artifacts: &Path) -> usize {
    let due = artifacts.join("due");
    let jobs = names(&due).into_iter();
    jobs.filter(|id| !names(&due.join(id)).is_empty()).count()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

fn json_file(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn status(manifest: &Value) -> String {
    let status = manifest["job"]["status"].as_str();
    status.unwrap_or("unreadable").to_owned()
}

/// Hands every line to the job that it names, without those of mere reads, and counts what became of bells.
pub(super) fn add_lines(history: &mut History, lines: Vec<Value>) {
    for line in lines {
        match line["fate"].as_str() {
            Some("dropped") => history.bells.dropped += 1,
            Some("duplicated") => history.bells.duplicated += 1,
            _ => {}
        }
        let read = line["service"] == "jobs" && line["method"] == "GET";
        let job = line["job_id"].as_str().filter(|_| !read);
        if let Some(job) = job.and_then(|id| history.jobs.get_mut(id)) {
            job.lines.push(line);
        }
    }
}
