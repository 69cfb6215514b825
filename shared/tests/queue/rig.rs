//! A queue over a Redis of its own, with the verbs that tests are written in. Each transition is followed by `check`.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use redis::{Cmd, FromRedisValue};
use shared::job::{Fence, JobError, JobId, JobRecord, JobStatus, Progress, RenderKey};
use shared::job::{TenantId, UserId};
use shared::priority::Priority;
use shared::queue::{
    Acquired, Adopted, Answer, Breaker, Cancelled, Deleted, Enqueued, Failed, Heartbeat, Held,
    Mended,
};
use shared::queue::{
    Holder, NewJob, Next, Parked, Policy, Queue, Redis, Refusal, Reported, Restored,
};
use shared::queue::{
    Reprioritised, Retried, Settings, Settled, Showed, Snapshot, Spent, SweepStep,
};
use shared::stage::Stage;
use shared::track::{Format, Measurement, Track};

use crate::check::check;
use crate::redis::Server;

/// Nobody settled it before.
pub(crate) const SETTLED: Settled = Settled::Ok { first: true };

/// How long the queue of a rig keeps settled jobs.
pub(crate) const RETENTION: Duration = Duration::from_secs(3600);
/// A deadline that no test reaches.
pub(crate) const LONG: Duration = Duration::from_secs(600);
pub(crate) const NOW: Duration = Duration::ZERO;

pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) queue: Queue,
    fence: AtomicU64,
}

impl Rig {
    /// Four slots, two for each tenant.
    pub(crate) fn start() -> Self {
        Self::with(4, 2)
    }

    pub(crate) fn with(slots: u32, cap: u32) -> Self {
        Self::over(Server::start(), slots, cap)
    }

    pub(crate) fn over(server: Server, slots: u32, cap: u32) -> Self {
        let redis = Redis::open(&server.address()).unwrap();
        let mut policy = Policy::new(slots, cap, 100, RETENTION);
        // Tests are quicker than models.
        policy.progress_ms = 0;
        let queue = Queue::new(redis, "p", policy);
        Self {
            server,
            queue,
            fence: AtomicU64::new(0),
        }
    }

    /// Straight to Redis, past the queue.
    pub(crate) async fn raw<T: FromRedisValue>(&self, command: &Cmd) -> T {
        self.queue.redis().run(command).await.unwrap()
    }

    /// Fences only grow.
    pub(crate) fn fence_is_now(&self, fence: u64) {
        let before = self.fence.swap(fence, SeqCst);
        assert!(fence >= before, "fence {fence} after {before}");
    }

    /// As if all memory were used that Redis may use.
    pub(crate) async fn fill_redis(&self) {
        let mut full = redis::cmd("CONFIG");
        full.arg(&["SET", "maxmemory", "1"]);
        let _: () = self.raw(&full).await;
    }

    /// As if Redis had been replaced by an empty one.
    pub(crate) async fn empty_redis(&self) {
        let _: () = self.raw(&redis::cmd("FLUSHALL")).await;
        self.fence.store(0, SeqCst);
    }

    /// Moves the moment at which a job is due in `key` into the past.
    pub(crate) async fn let_pass(&self, key: String, id: JobId) {
        let known: Option<f64> = self.raw(&Cmd::zscore(&key, id.to_string())).await;
        assert!(known.is_some(), "{id} is not in {key}");
        let _: () = self.raw(&Cmd::zadd(key, id.to_string(), 1)).await;
    }

    /// Milliseconds from now until a job is due in `key`, by the clock of this machine, which is also Redis's.
    pub(crate) async fn due_in(&self, key: String, id: JobId) -> Option<i64> {
        let due: Option<f64> = self.raw(&Cmd::zscore(key, id.to_string())).await;
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds fit")]
        due.map(|ms| ms as i64 - Utc::now().timestamp_millis())
    }

    pub(crate) async fn set_tenant(&self, tenant: &str, field: &str, value: u32) {
        let key = self.queue.keys().tenant(&TenantId::new(tenant));
        let _: () = self.raw(&Cmd::hset(key, field, value)).await;
        self.queue.sweep("").await.unwrap();
    }

    pub(crate) async fn is_ready(&self, tenant: &str) -> bool {
        let score: Option<f64> = self
            .raw(&Cmd::zscore(self.queue.keys().ready(), tenant))
            .await;
        score.is_some()
    }

    pub(crate) async fn job(&self, id: JobId) -> Snapshot {
        self.queue.read(id).await.unwrap().expect("a known job")
    }

    pub(crate) async fn status(&self, id: JobId) -> JobStatus {
        self.job(id).await.job.status
    }
}

macro_rules! verbs {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl Rig {
            $(pub(crate) async fn $name(&self, $($arg: $type),*) -> $answer {
                let answer = self.queue.$name($($arg),*).await.unwrap();
                check(self).await;
                answer
            })*
        }
    };
}

verbs! {
    enqueue(job: &NewJob) -> Answer<Enqueued>;
    restore(job: &NewJob, proven: Restored) -> Answer<Enqueued>;
    cancel(id: JobId, reason: &str) -> Answer<Cancelled>;
    retry(id: JobId, generation: u32, start_by: DateTime<Utc>, finish_by: DateTime<Utc>, reason: &str) -> Answer<Retried>;
    delete(id: JobId) -> Deleted;
    mend(id: JobId) -> Answer<Mended>;
    reprioritise(id: JobId, priority: Priority, reason: &str) -> Answer<Reprioritised>;
    enqueue_cached(job: &NewJob, track: &Track) -> Answer<Enqueued>;
    configure(settings: &Settings) -> Answer<u32>;
    adopt(job: &JobRecord, result: Option<String>) -> Answer<Adopted>;
    renew(holder: &Holder) -> Held;
    advance(holder: &Holder, to: Stage, usage: Spent) -> Answer<Held>;
    park(holder: &Holder, stage: Stage, deadline: Duration, usage: Spent) -> Answer<Parked>;
    fail(id: JobId, fence: Option<&Fence>, error: &JobError, delay: Duration, change: Next, usage: Spent) -> Answer<Failed>;
    release(holder: &Holder, delay: Duration, reason: &str, usage: Spent) -> Answer<Held>;
    breaker(service: &str, showed: Showed, hold: bool) -> Answer<Breaker>;
    sweep(after: &str) -> Answer<SweepStep>;
    expire() -> Answer<u32>;
    settle(id: JobId, generation: u32) -> Settled;
}

// Several steps in one word.
impl Rig {
    /// As a worker: what operators set is loaded first where Redis has forgotten it.
    pub(crate) async fn acquire(&self) -> Answer<Acquired> {
        let mut answer = self.queue.acquire().await.unwrap();
        if answer.outcome == Acquired::Unconfigured {
            self.load().await;
            answer = self.queue.acquire().await.unwrap();
        }
        check(self).await;
        answer
    }

    /// Operators have set nothing.
    pub(crate) async fn load(&self) {
        let loaded = true;
        self.configure(&Settings {
            loaded,
            ..Settings::default()
        })
        .await;
    }

    /// The track, remembered by no cache.
    pub(crate) async fn complete(
        &self,
        holder: &Holder,
        track: &Track,
        usage: Spent,
    ) -> Answer<Held> {
        let answer = self.queue.complete(holder, track, usage, &[]).await;
        check(self).await;
        answer.unwrap()
    }

    /// A report that cost nothing to hear.
    pub(crate) async fn progress(
        &self,
        id: JobId,
        fence: Option<&Fence>,
        progress: Option<&Progress>,
        deadline: Duration,
    ) -> Heartbeat {
        let said = self
            .queue
            .progress(id, fence, progress, deadline, Spent::default());
        let said = said.await.unwrap();
        check(self).await;
        said.outcome
    }

    /// A delivery that cost nothing to take.
    pub(crate) async fn report(
        &self,
        id: JobId,
        stage: Stage,
        render: Option<&RenderKey>,
    ) -> Answer<Reported> {
        let answer = self.queue.report(id, stage, render, Spent::default()).await;
        check(self).await;
        answer.unwrap()
    }

    /// Until Redis counts a later millisecond.
    pub(crate) async fn next_millisecond(&self) {
        let clock = async || self.raw::<(u64, u64)>(&redis::cmd("TIME")).await;
        let ms = |(seconds, micros): (u64, u64)| seconds * 1000 + micros / 1000;
        let now = ms(clock().await);
        while ms(clock().await) == now {}
    }

    /// A new job of this tenant, waiting.
    pub(crate) async fn put(&self, tenant: &str) -> JobId {
        let job = new_job(tenant);
        assert_eq!(self.enqueue(&job).await.outcome, Enqueued::Enqueued);
        job.id
    }

    /// What a worker gets that comes now.
    pub(crate) async fn take_job(&self) -> (JobRecord, Holder) {
        match self.acquire().await.outcome {
            Acquired::Job(job, holder, _) => (*job, holder),
            other => panic!("no job but {other:?}"),
        }
    }

    pub(crate) async fn take(&self) -> Holder {
        self.take_job().await.1
    }

    /// The holder goes on to this stage.
    pub(crate) async fn on_to(&self, holder: &Holder, stage: Stage) {
        let answer = self.advance(holder, stage, Spent::default()).await;
        assert_eq!(answer.outcome, Held::Ok);
    }

    /// A job that a worker has in `finish`.
    pub(crate) async fn finishing(&self, tenant: &str) -> Holder {
        self.put(tenant).await;
        let holder = self.take().await;
        self.on_to(&holder, Stage::Finish).await;
        holder
    }

    /// A job whose audio a model is making.
    pub(crate) async fn parked(&self, tenant: &str) -> Holder {
        self.put(tenant).await;
        let holder = self.take().await;
        self.on_to(&holder, Stage::Audio).await;
        self.park_audio(&holder).await;
        holder
    }

    pub(crate) async fn park_audio(&self, holder: &Holder) {
        let answer = self
            .park(holder, Stage::Audio, LONG, Spent::default())
            .await;
        assert_eq!(answer.outcome, Parked::Ok);
    }

    /// The worker's attempt failed; the next may start at once.
    pub(crate) async fn fail_now(&self, holder: &Holder, error: &JobError) -> Answer<Failed> {
        let usage = Spent::default();
        self.fail(
            holder.id,
            Some(&holder.fence),
            error,
            NOW,
            Next::default(),
            usage,
        )
        .await
    }

    pub(crate) async fn give_back(&self, holder: &Holder) {
        let answer = self
            .release(holder, NOW, "released", Spent::default())
            .await;
        assert_eq!(answer.outcome, Held::Ok);
    }

    /// A job that ended in this way.
    pub(crate) async fn ended(&self, tenant: &str, status: JobStatus) -> JobId {
        let holder = self.finishing(tenant).await;
        match status {
            JobStatus::Completed => {
                self.complete(&holder, &track(), Spent::default()).await;
            }
            JobStatus::Failed => {
                self.fail_now(&holder, &error(false)).await;
            }
            JobStatus::Cancelled => {
                self.cancel(holder.id, "cancelled").await;
            }
            _ => {
                self.let_pass(self.queue.keys().finish_by(), holder.id)
                    .await;
                self.expire().await;
            }
        }
        assert_eq!(self.status(holder.id).await, status);
        holder.id
    }
}

/// Of a tenant who is also the user.
pub(crate) fn new_job(tenant: &str) -> NewJob {
    let now = Utc::now();
    NewJob {
        id: JobId::mint(),
        tenant: TenantId::new(tenant),
        user: UserId::new(tenant),
        created_at: now,
        start_by: now + TimeDelta::hours(1),
        finish_by: now + TimeDelta::hours(2),
        cost: 30,
        seed: 7,
        seed_fixed: false,
        max_attempts: 3,
        request_id: "request-1".to_owned(),
        priority: Priority::Normal,
        tags: Vec::new(),
        spent: Spent::default(),
        refusal: Refusal::Final,
    }
}

pub(crate) fn error(retryable: bool) -> JobError {
    JobError {
        code: "model_down".to_owned(),
        message: "The model did not answer; \"503\".".to_owned(),
        stage: Stage::Audio,
        retryable,
    }
}

pub(crate) fn track() -> Track {
    Track {
        measured: Measurement {
            format: Format::Wav,
            duration_seconds: 30.25,
            sample_rate: 44_100,
            channels: 2,
            peak_dbfs: -1.5,
            loudness_lufs: -14.2,
            waveform: vec![[-0.5, 0.5]],
            warnings: Vec::new(),
        },
        sha256: "ab".repeat(32),
        bytes: 1_000,
        seed: Some(7),
        model: None,
        version: None,
        source: None,
    }
}

/// Times that a worker says it spent.
pub(crate) const SPENT: Spent = Spent {
    plan_ms: 5,
    audio_ms: 0,
    finish_ms: 0,
    billed_ms: 9,
};

/// The holder with the fence of another.
pub(crate) fn stale(holder: &Holder) -> Holder {
    let fence = Fence(format!("{}0", holder.fence.0));
    Holder {
        id: holder.id,
        fence,
    }
}
