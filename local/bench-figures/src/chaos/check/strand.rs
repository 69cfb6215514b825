//! Nobody waits without a reason.
//!
//! Measured from looks into Redis, several a second: a *strand* is the time in which, at every look, something could be done
//! and nothing was. Something could be done when the functions reached Redis, a worker was not frozen, and
//! - a slot was free and a tenant below its cap had a job in line, or a job waited to be finished, while the acquire counter
//!   stood still; or
//! - a lease was over and nobody took the job back; or a retry was due and did not stand in line; or
//! - a tenant that could run a job did not stand in `ready`.
//!
//! A fault of Redis or of the wire begins the count anew when it is over.

use super::{Bounds, Violation};
use crate::chaos::history::{History, Injected, Kind, Ms, Sample};

/// The longest strands of a run, in milliseconds, and when they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strands {
    /// A job could run and none was acquired.
    pub acquire: Strand,
    /// A lease was over.
    pub lease: Strand,
    /// A retry was due.
    pub retry: Strand,
    /// A tenant was missing in `ready`.
    pub ready: Strand,
    /// Looks at which the functions could work; only these count.
    pub looks: usize,
}

/// One strand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strand {
    pub ms: Ms,
    pub at: Ms,
    /// By how much this machine itself came late meanwhile.
    pub late_ms: Ms,
}

impl Strands {
    fn all(&self) -> [(&'static str, Strand); 4] {
        [
            ("a job could run and none was acquired", self.acquire),
            (
                "a lease was over and the job was not taken back",
                self.lease,
            ),
            ("a retry was due and did not stand in line", self.retry),
            (
                "a tenant could run a job and did not stand in ready",
                self.ready,
            ),
        ]
    }

    /// The longest of all.
    pub fn worst(&self) -> Strand {
        let all = self.all().map(|(_, strand)| strand);
        all.into_iter()
            .max_by_key(|strand| strand.ms)
            .unwrap_or_default()
    }
}

pub(super) fn check(history: &History, bounds: &Bounds) -> Vec<Violation> {
    let strands = strands(history, bounds.workers);
    let (counted, all) = (strands.looks, history.samples.len());
    let blind = (counted * 2 < all || all == 0)
        .then(|| Violation::general("blind", format!("{counted} of {all} looks count")));
    let too_long = strands
        .all()
        .into_iter()
        .filter(|(_, strand)| strand.ms > bounds.strand_ms + strand.late_ms);
    too_long
        .map(|(what, strand)| {
            let what = format!("{what} for {} ms until {}", strand.ms, strand.at);
            Violation::general("stranded", what)
        })
        .chain(blind)
        .collect()
}

/// The longest strands of the whole run.
pub fn strands(history: &History, workers: usize) -> Strands {
    let mut found = Strands::default();
    let mut before: Option<&Sample> = None;
    // Since when the functions could work, since when nobody was acquired though somebody could, since when a tenant is missing.
    let (mut able, mut idle, mut missing) = (Ms::MIN, None, None);
    for sample in &history.samples {
        let from = before.map_or(sample.at, |before| before.at);
        let helpless = out_of_reach(&history.faults, from, sample.at)
            || frozen(&history.faults, sample.at) >= workers;
        let last = before
            .replace(sample)
            .and_then(|before| before.queue.as_ref());
        let Some(queue) = sample.queue.as_ref().filter(|_| !helpless) else {
            (able, idle, missing) = (sample.at, None, None);
            continue;
        };
        found.looks += 1;
        let came = last.is_none_or(|last| last.fence != queue.fence);
        let note = |place: &mut Strand, ms: Ms| place.note(history, sample.at, ms);
        let lasts = |since: &mut Option<Ms>, is_so: bool| {
            let from = *since.get_or_insert(sample.at);
            *since = Some(from).filter(|_| is_so);
            since.map_or(0, |since| sample.at - since)
        };
        if came {
            idle = None;
        }
        note(&mut found.acquire, lasts(&mut idle, queue.could_run));
        note(
            &mut found.ready,
            lasts(&mut missing, !queue.unready.is_empty()),
        );
        // Redis tells these ages itself; what was so before the functions could work does not count.
        let age = |age: Option<i64>| age.unwrap_or_default().min(sample.at.saturating_sub(able));
        note(&mut found.lease, age(queue.lease_over_ms));
        note(&mut found.retry, age(queue.retry_due_ms));
    }
    found
}

impl Strand {
    /// Keeps the longest.
    fn note(&mut self, history: &History, at: Ms, ms: Ms) {
        if ms > self.ms {
            let meanwhile = history.samples.iter().rev();
            let meanwhile = meanwhile
                .skip_while(|one| one.at > at)
                .take_while(|one| one.at >= at - ms);
            let late_ms = meanwhile.map(|one| one.late_ms).sum();
            *self = Self { ms, at, late_ms };
        }
    }
}

/// Whether a fault that stops all work was there at any time between two looks.
fn out_of_reach(faults: &[Injected], from: Ms, to: Ms) -> bool {
    let mut stopping = faults.iter().filter(|fault| fault.kind.stops_all());
    stopping.any(|fault| fault.at <= to && fault.until >= from)
}

fn frozen(faults: &[Injected], at: Ms) -> usize {
    let freezes = faults.iter().filter(|fault| fault.kind == Kind::Freeze);
    freezes
        .filter(|fault| (fault.at..fault.until).contains(&at))
        .count()
}

/// How the queue came back after a fault that stopped all work, in milliseconds after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    pub kind: Kind,
    pub at: Ms,
    /// To the next acquire.
    pub acquire_ms: Option<Ms>,
    /// Of an emptied Redis: until it was told of every unfinished job.
    pub whole_ms: Option<Ms>,
}

/// One for each fault that stops all work, by time.
pub fn recoveries(history: &History) -> Vec<Recovery> {
    let mut faults: Vec<_> = history
        .faults
        .iter()
        .filter(|fault| fault.kind.stops_all())
        .collect();
    faults.sort_by_key(|fault| fault.at);
    let recovery = |fault: &&Injected| {
        let looks = history
            .samples
            .iter()
            .filter(|sample| sample.at >= fault.until);
        let looks = looks.filter_map(|sample| Some((sample.at, sample.queue.as_ref()?)));
        let mut pairs = looks.clone().zip(looks.clone().skip(1));
        let next = pairs.find(|((_, before), (_, after))| after.fence > before.fence);
        let whole = looks
            .clone()
            .find(|(_, queue)| queue.epoch)
            .filter(|_| fault.kind == Kind::Flush);
        Recovery {
            kind: fault.kind,
            at: fault.at,
            acquire_ms: next.map(|(_, (at, _))| at - fault.until),
            whole_ms: whole.map(|(at, _)| at - fault.until),
        }
    };
    faults.iter().map(recovery).collect()
}
