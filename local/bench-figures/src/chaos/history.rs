//! What a run leaves behind: facts, written down as they were seen. The checker knows nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Milliseconds since 1970 by this machine's clock.
pub type Ms = i64;

/// This moment.
pub fn now() -> Ms {
    chrono::Utc::now().timestamp_millis()
}

/// RFC 3339 as milliseconds.
pub fn moment(text: &Value) -> Option<Ms> {
    let at = chrono::DateTime::parse_from_rfc3339(text.as_str()?).ok()?;
    Some(at.timestamp_millis())
}

/// Everything of one run.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub submissions: Vec<Submission>,
    /// By job id; also jobs that the store knows and no caller was told of.
    pub jobs: BTreeMap<String, Job>,
    pub faults: Vec<Injected>,
    pub samples: Vec<Sample>,
    pub bells: Bells,
    /// The jobs of whose end the API with its own job table was told, where there is one.
    pub told: Option<BTreeSet<String>>,
}

/// One submission, with everything that was answered to it.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    pub number: usize,
    pub tenant: usize,
    pub key: Option<String>,
    /// Sent over two connections at the same moment.
    pub twins: bool,
    /// What the song is to be about.
    pub narrative: String,
    pub answers: Vec<Answer>,
    /// What was answered to the wish to cancel, last try last.
    pub cancels: Vec<Answer>,
    /// What was answered to the wish to delete the accepted job, last try last.
    pub deletes: Vec<Answer>,
}

/// What the answers tell of a job that its user wanted to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It was not asked for, or refused.
    Kept,
    /// Nobody can know.
    Unsure,
    /// An answer of this time says that there is no such job, after a try whose answer was lost.
    Gone(Ms),
    /// An answer of this time says that it is done.
    Done(Ms),
}

/// One try: when it was made, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub asked: Ms,
    pub at: Ms,
    pub reply: Reply,
    /// When the API wants to be asked again, in seconds.
    pub retry_after: Option<u64>,
}

/// What a caller learns from one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The API has spoken.
    Ours {
        status: u16,
        /// The job that it names.
        job: Option<String>,
        /// The problem's code.
        code: Option<String>,
    },
    /// A 5xx of whoever stands before the API and has lost its answer: the API may have done anything.
    Foreign(u16),
    /// Nothing came that can be read, and why: the same.
    Silence(&'static str),
}

impl Reply {
    /// Reads what came over the wire. The API's own 5xx are problems with a code; the emulator's are problems without one.
    pub fn read(status: u16, content_type: &str, body: &[u8]) -> Self {
        let body = match status {
            204 => Ok(Value::Null),
            _ => serde_json::from_slice::<Value>(body),
        };
        let text = |name: &str| Some(body.as_ref().ok()?[name].as_str()?.to_owned());
        let (job, code) = (text("jobId"), text("code"));
        let is_problem = content_type == "application/problem+json" && code.is_some();
        if status >= 500 && !is_problem {
            Self::Foreign(status)
        } else if body.is_err() {
            Self::Silence("a broken answer")
        } else {
            Self::Ours { status, job, code }
        }
    }

    /// The status with which the API answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Ours { status, .. } => Some(*status),
            Self::Foreign(_) | Self::Silence(_) => None,
        }
    }

    /// The job that the API named.
    pub fn job(&self) -> Option<&str> {
        match self {
            Self::Ours { job, .. } => job.as_deref(),
            Self::Foreign(_) | Self::Silence(_) => None,
        }
    }

    /// The problem's code.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Ours { code, .. } => code.as_deref(),
            Self::Foreign(_) | Self::Silence(_) => None,
        }
    }

    /// Whether asking again may help: nobody answered, or the API could not.
    pub fn invites_another(&self) -> bool {
        self.status().is_none_or(|status| status >= 500)
    }
}

/// One job from every side.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// The number of its submission, by its tag or by an answer.
    pub submission: Option<usize>,
    /// What its owner saw over time.
    pub seen: Vec<Seen>,
    /// `GET /jobs/{id}` after the run.
    pub last: Option<Value>,
    /// `GET /jobs/{id}/events` after the run; those that a Redis which was emptied had are gone.
    pub events: Vec<Value>,
    /// SHA-256 of the bytes that `GET /jobs/{id}/audio` delivered after the run.
    pub heard: Option<String>,
    pub stored: Stored,
    pub calls: Vec<Call>,
    /// Log lines that name it.
    pub lines: Vec<Value>,
}

/// In place of a status: no such job.
pub const MISSING: &str = "missing";

/// One read of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub asked: Ms,
    pub at: Ms,
    /// [`MISSING`] where the answer was 404.
    pub status: String,
    pub seq: u64,
}

/// What the store holds of a job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stored {
    /// The request is there.
    pub accepted: bool,
    /// `open/<id>` is there.
    pub open: bool,
    /// The status that the manifest tells.
    pub manifest: Option<String>,
    /// The names of `track-*` objects.
    pub tracks: Vec<String>,
    /// The jobs that play its track: the names of `shared/*` objects.
    pub shares: Vec<String>,
    /// The names of its other objects.
    pub others: Vec<String>,
    /// `deleted/<id>` is there.
    pub tombstone: bool,
    /// The track that the manifest names.
    pub plays: Option<Played>,
}

/// A completed job's track.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Played {
    /// The job among whose objects it lies.
    pub home: String,
    /// Of the bytes that lie there; none if nothing does.
    pub sha256: Option<String>,
}

/// One call to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub at: Ms,
    pub model: &'static str,
    pub key: String,
    pub fate: String,
    /// The narrative, or the prompt.
    pub asked: String,
    /// SHA-256 of the plan that came with it.
    pub plan: Option<String>,
    /// SHA-256 of each plan, or audio, that was delivered under its key.
    pub delivered: Vec<String>,
}

/// A fault that was really made.
#[derive(Debug, Clone, PartialEq)]
pub struct Injected {
    pub at: Ms,
    pub until: Ms,
    pub kind: Kind,
    /// Of a worker: which.
    pub worker: Option<usize>,
}

/// Which fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Kill,
    Freeze,
    Restart,
    Flush,
    Hole,
    Deaf,
    Cut,
    Full,
    ApiHangs,
    StoreAway,
}

impl Kind {
    /// As it stands in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "worker killed",
            Self::Freeze => "worker frozen",
            Self::Restart => "Redis restarted",
            Self::Flush => "Redis emptied",
            Self::Hole => "wire black-holed",
            Self::Deaf => "replies swallowed",
            Self::Cut => "connections cut",
            Self::Full => "Redis full",
            Self::ApiHangs => "API hung",
            Self::StoreAway => "store away",
        }
    }

    /// The functions may be without Redis, or without what it held, while it lasts.
    pub fn is_of_redis(self) -> bool {
        matches!(
            self,
            Self::Restart | Self::Flush | Self::Hole | Self::Deaf | Self::Cut
        )
    }

    /// No job can go on while it lasts. A full Redis only refuses new ones.
    pub fn stops_all(self) -> bool {
        self.is_of_redis() || self == Self::StoreAway
    }
}

/// One look into Redis, over a connection of the harness's own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    pub at: Ms,
    /// How much later than planned this look came: this machine's own delay.
    pub late_ms: i64,
    /// None: Redis did not answer.
    pub queue: Option<Queue>,
}

/// What Redis held at one moment; times are ages, in milliseconds by its own clock.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Queue {
    /// The acquire counter.
    pub fence: u64,
    /// Whether it knows that it holds every unfinished job.
    pub epoch: bool,
    /// Jobs in plan or audio.
    pub running: u64,
    /// A slot is free, and a tenant below its cap has a job in line; or a job waits to be finished.
    pub could_run: bool,
    /// How long the oldest due job has waited to be finished.
    pub finish_due_ms: Option<i64>,
    /// How long the oldest lease has been over.
    pub lease_over_ms: Option<i64>,
    /// How long the oldest retry has been due.
    pub retry_due_ms: Option<i64>,
    /// Tenants that may run a job and do not stand in `ready`.
    pub unready: Vec<String>,
}

/// What became of bells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bells {
    pub dropped: usize,
    pub duplicated: usize,
}

impl Job {
    /// The status after the run, as the API tells it.
    pub fn status(&self) -> Option<&str> {
        self.last.as_ref()?["status"].as_str()
    }

    /// The status with which it ended, also of one that was deleted since.
    pub fn end(&self) -> Option<&str> {
        let seen = self.seen.iter().map(|seen| seen.status.as_str());
        self.status()
            .or_else(|| seen.rev().find(|status| is_terminal(status)))
    }

    /// The code of its last error, as the API tells it.
    pub fn error(&self) -> Option<&str> {
        self.last.as_ref()?["error"]["code"].as_str()
    }
}

impl Submission {
    /// The jobs of all answers that accepted it.
    pub fn accepted(&self) -> impl Iterator<Item = &str> {
        let replies = self.answers.iter().map(|answer| &answer.reply);
        let accepting = replies.filter(|reply| reply.status() == Some(202));
        accepting.filter_map(Reply::job)
    }

    /// All that was tried: submitting, cancelling and deleting.
    pub fn tries(&self) -> impl Iterator<Item = &Reply> {
        let answers = self.answers.iter().chain(&self.cancels);
        let answers = answers.chain(&self.deletes);
        answers.map(|answer| &answer.reply)
    }

    /// Whether the job that was accepted first is deleted.
    pub fn deletion(&self) -> Deletion {
        let answered = |status| {
            let mut deletes = self.deletes.iter();
            deletes.find(|answer| answer.reply.status() == Some(status))
        };
        let unsure = self
            .deletes
            .iter()
            .any(|answer| answer.reply.invites_another());
        match (answered(204), answered(404)) {
            (Some(done), _) => Deletion::Done(done.at),
            (None, Some(gone)) if unsure => Deletion::Gone(gone.at),
            (None, _) if unsure => Deletion::Unsure,
            (None, _) => Deletion::Kept,
        }
    }

    /// Whether nobody can know what became of it from the answers alone.
    pub fn is_unknown(&self) -> bool {
        let unsure = |answer: &Answer| match &answer.reply {
            Reply::Ours { job, .. } => job.is_some(),
            Reply::Foreign(_) | Reply::Silence(_) => true,
        };
        self.accepted().next().is_none() && self.answers.iter().any(unsure)
    }
}

/// Whether a job with this status will not move by itself any more.
pub fn is_terminal(status: &str) -> bool {
    ["completed", "failed", "cancelled", "expired"].contains(&status)
}
