//! The jobs that are watched: each is read by its owner again and again, also after its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::callers::Door;
use super::history::{MISSING, Seen, is_terminal, now};

/// Readers at a time; each has its own share of the jobs, so that the reads of one job never overtake each other.
const READERS: usize = 8;
/// Between two reads of one reader.
const PACE: Duration = Duration::from_millis(150);
/// Of so many reads one looks at a job that has ended.
const BACK: usize = 3;

/// Everything that was seen, by job.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<BTreeMap<String, Watched>>);

#[derive(Debug, Clone)]
struct Watched {
    tenant: usize,
    reader: usize,
    ended: bool,
    /// When it was read last, by the count of all reads.
    read: usize,
    seen: Vec<Seen>,
}

impl Board {
    /// From now on this job is read.
    pub(super) fn add(&self, job: &str, tenant: usize) {
        let mut jobs = self.lock();
        let reader = jobs.len() % READERS;
        jobs.entry(job.to_owned()).or_insert(Watched {
            tenant,
            reader,
            ended: false,
            read: 0,
            seen: Vec::new(),
        });
    }

    /// Jobs that have not been seen to end; one that never was is not waited for.
    pub(super) fn unfinished(&self) -> usize {
        let jobs = self.lock();
        jobs.values().filter(|job| !job.ended).count()
    }

    /// What was seen of each.
    pub(super) fn seen(&self) -> BTreeMap<String, Vec<Seen>> {
        let jobs = self.lock();
        jobs.iter()
            .map(|(id, job)| (id.clone(), job.seen.clone()))
            .collect()
    }

    /// Reads until it is dropped.
    pub(super) async fn watch(self: Arc<Self>, door: Door) {
        let readers = (0..READERS).map(|reader| self.clone().read_on(reader, door.clone()));
        futures_util::future::join_all(readers).await;
    }

    async fn read_on(self: Arc<Self>, reader: usize, door: Door) {
        let mut tick = interval(PACE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for turn in 1_usize.. {
            tick.tick().await;
            let Some((id, tenant)) = self.next(reader, turn) else {
                continue;
            };
            if let Some(seen) = look(&door, &id, tenant).await {
                self.note(&id, seen);
            }
        }
    }

    /// The job of this reader that was not read for the longest time.
    fn next(&self, reader: usize, turn: usize) -> Option<(String, usize)> {
        let mut jobs = self.lock();
        let back = turn.is_multiple_of(BACK);
        let own = jobs.iter_mut().filter(|(_, job)| job.reader == reader);
        let (id, job) = own.min_by_key(|(_, job)| (job.ended != back, job.read))?;
        job.read = turn;
        Some((id.clone(), job.tenant))
    }

    fn note(&self, id: &str, seen: Seen) {
        if let Some(job) = self.lock().get_mut(id) {
            job.ended = is_terminal(&seen.status) || seen.status == MISSING;
            // Only changes are kept, and the last look.
            match job.seen.as_mut_slice() {
                [.., before, last]
                    if before.status == last.status
                        && last.status == seen.status
                        && before.seq == last.seq
                        && last.seq == seen.seq =>
                {
                    *last = seen;
                }
                _ => job.seen.push(seen),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// None where nothing was learnt: no answer, or one that says so.
async fn look(door: &Door, id: &str, tenant: usize) -> Option<Seen> {
    let asked = now();
    let request = door.request(Method::GET, &format!("/jobs/{id}"), tenant);
    let answer = request.send().await.ok()?;
    let (status, job) = (answer.status(), answer.json::<Value>().await.ok()?);
    let status = match status {
        StatusCode::OK => job["status"].as_str()?,
        StatusCode::NOT_FOUND if job["code"] == "unknown_job" => MISSING,
        _ => return None,
    };
    Some(Seen {
        asked,
        at: now(),
        status: status.to_owned(),
        seq: job["seq"].as_u64().unwrap_or_default(),
    })
}
