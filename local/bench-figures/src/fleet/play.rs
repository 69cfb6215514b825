//! Callers submit and read, workers come when they are rung for, planners and generators report back.

use std::collections::HashMap;
use std::time::Duration;

use shared::job::{JobId, JobRecord, Progress, TenantId};
use shared::queue::{Acquired, Debt, Holder, NewJob, Policy, Queue, Redis};
use shared::queue::{Settings, Spent, millis};
use shared::stage::Stage;

use super::options::{Options, PLAN, RENDER};
use super::tally::Tally;
use crate::course::Course;
use crate::{Result, made};

/// Reports of progress of a render.
const REPORTS: u64 = 6;
/// What a worker needs to ask a model, and to examine a track, in ms; and a bell to its worker.
const ASK: u64 = 300;
const FINISH: u64 = 700;
const BELL: std::ops::Range<u64> = 20..300;
const DEADLINE: Duration = Duration::from_secs(3_600);
const RETENTION: Duration = Duration::from_secs(6 * 3_600);
/// Seconds of load that wait in the lines from the beginning.
const BACKLOG: u32 = 20;

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival,
    Read(JobId, TenantId),
    /// A worker goes on, or one that was rung for comes.
    Work,
    Asked(JobId),
    Examined(JobId),
    Planned(JobId),
    Report(JobId, u64),
    Rendered(JobId),
}

/// The fleet at work.
pub(super) struct Play<'a> {
    options: &'a Options,
    course: Course<Event>,
    pub(super) tally: Tally,
    random: fastrand::Rng,
    /// In a worker's hands.
    held: HashMap<JobId, (Holder, Stage)>,
    tenants: Vec<TenantId>,
    _server: local::Redis,
}

impl<'a> Play<'a> {
    pub(super) async fn start(options: &'a Options) -> Result<Self> {
        fastrand::seed(options.seed);
        let server = local::Redis::start().await?;
        let policy = Policy::new(options.slots(), options.slots(), 1_000_000, RETENTION);
        let policy = policy.limited(1_000_000, 1_000_000);
        let queue = Queue::new(Redis::open(server.url())?, "tutti", policy);
        let loaded = Settings {
            loaded: true,
            ..Settings::default()
        };
        queue.configure(&loaded).await?;
        let raw = redis::Client::open(server.url())?;
        let raw = raw.get_multiplexed_async_connection().await?;
        let mut random = fastrand::Rng::with_seed(options.seed);
        let tenants = (0..options.tenants).map(|_| made::tenant(&mut random));
        Ok(Self {
            options,
            course: Course::new(queue),
            tally: Tally::new(raw),
            tenants: tenants.collect(),
            random,
            held: HashMap::new(),
            _server: server,
        })
    }

    fn queue(&self) -> Queue {
        self.course.queue()
    }

    fn plan(&mut self, after_ms: u64, event: Event) {
        self.course.plan(after_ms, event);
    }

    fn ring(&mut self, debt: &Debt) {
        for _ in 0..debt.ring {
            self.tally.now.invocations += 1;
            let after = self.random.u64(BELL);
            self.plan(after, Event::Work);
        }
    }

    /// Every slot is taken, by renders that are as far as chance has it, and some jobs wait.
    pub(super) async fn fill(&mut self) -> Result<()> {
        let waiting = self.options.tracks_a_second() * f64::from(BACKLOG);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "thousands of jobs"
        )]
        for _ in 0..self.options.slots() + waiting as u32 {
            let job = self.job()?;
            self.queue().enqueue(&job).await?;
        }
        for _ in 0..self.options.slots() {
            let Acquired::Job(job, holder, _) = self.queue().acquire().await?.outcome else {
                return Err("a free slot was not given".into());
            };
            let (queue, none) = (self.queue(), Spent::default());
            if self.random.u32(0..PLAN + RENDER) < PLAN {
                queue.park(&holder, Stage::Plan, DEADLINE, none).await?;
                let after = self.random.u64(0..u64::from(PLAN) * 1000);
                self.plan(after, Event::Planned(job.id));
            } else {
                queue.advance(&holder, Stage::Audio, none).await?;
                queue.park(&holder, Stage::Audio, DEADLINE, none).await?;
                let left = self.left_of_a_render();
                self.render(job.id, left);
            }
        }
        self.plan(0, Event::Arrival);
        Ok(())
    }

    /// Seconds of a render: from half to one and a half times the average.
    fn of_a_render(&mut self) -> u32 {
        self.random.u32(RENDER / 2..=RENDER * 3 / 2)
    }

    /// Who looks in at some moment meets the long ones more often, somewhere in their course.
    fn left_of_a_render(&mut self) -> u32 {
        loop {
            let whole = self.of_a_render();
            if self.random.u32(0..RENDER * 3 / 2) < whole {
                return self.random.u32(0..whole);
            }
        }
    }

    /// A render that is over in so many seconds.
    fn render(&mut self, id: JobId, seconds: u32) {
        let ms = u64::from(seconds) * 1000 + self.random.u64(0..1000);
        let each = u64::from(RENDER) * 1000 / (REPORTS + 1);
        let left = (ms / each).min(REPORTS);
        for n in 0..left {
            self.plan(ms - (n + 1) * each, Event::Report(id, REPORTS - n));
        }
        self.plan(ms, Event::Rendered(id));
    }

    /// Lets it happen until that much time has passed since the beginning.
    pub(super) async fn until(&mut self, end: Duration) -> Result<()> {
        while let Some(event) = self.course.next(millis(end)) {
            self.happen(event).await?;
        }
        Ok(())
    }

    async fn happen(&mut self, event: Event) -> Result<()> {
        let queue = self.queue();
        let none = Spent::default();
        match event {
            Event::Arrival => self.arrive().await?,
            Event::Read(id, tenant) => {
                self.tally.now.requests += 1;
                self.tally.call("read", queue.read_for(id, &tenant)).await?;
            }
            Event::Work => self.work().await?,
            Event::Asked(id) => {
                let (holder, stage) = self.held(id)?;
                let park = queue.park(&holder, stage, DEADLINE, none);
                self.tally.call("park", park).await?;
                if stage == Stage::Plan {
                    self.plan(u64::from(PLAN) * 1000, Event::Planned(holder.id));
                } else {
                    let seconds = self.of_a_render();
                    self.render(holder.id, seconds);
                }
                self.work().await?;
            }
            Event::Examined(id) => {
                let (holder, _) = self.held(id)?;
                let track = made::track();
                let complete = queue.complete(&holder, &track, none, &[]);
                let answer = self.tally.call("complete", complete).await?;
                self.ring(&answer.debt);
                self.tally.call("read", queue.read(id)).await?;
                self.tally.call("settle", queue.settle(id, 0)).await?;
                self.tally.now.completed += 1;
                self.work().await?;
            }
            Event::Planned(id) => self.reported(id, Stage::Plan).await?,
            Event::Rendered(id) => self.reported(id, Stage::Audio).await?,
            Event::Report(id, n) => {
                self.tally.now.requests += 1;
                self.tally.call("read", queue.read(id)).await?;
                let progress = Progress {
                    current: u32::try_from(n)?,
                    total: u32::try_from(REPORTS)?,
                    percentage: u32::try_from(100 * n / (REPORTS + 1))?,
                    message: "rendering".to_owned(),
                };
                let heartbeat = queue.progress(id, None, Some(&progress), DEADLINE, none);
                let answer = self.tally.call("progress", heartbeat).await?;
                self.ring(&answer.debt);
            }
        }
        Ok(())
    }

    async fn reported(&mut self, id: JobId, stage: Stage) -> Result<()> {
        self.tally.now.requests += 1;
        let queue = self.queue();
        self.tally.call("read", queue.read(id)).await?;
        let report = queue.report(id, stage, None, Spent::default());
        let answer = self.tally.call("report", report).await?;
        self.ring(&answer.debt);
        Ok(())
    }

    async fn arrive(&mut self) -> Result<()> {
        let job = self.job()?;
        self.tally.now.requests += 1;
        self.tally.now.submitted += 1;
        let queue = self.queue();
        self.tally.call("admits", queue.admits(&job.tenant)).await?;
        let answer = self.tally.call("enqueue", queue.enqueue(&job)).await?;
        self.ring(&answer.debt);
        for _ in 0..self.options.reads {
            let after = self
                .random
                .u64(0..u64::from(BACKLOG + PLAN + RENDER) * 1000);
            self.plan(after, Event::Read(job.id, job.tenant.clone()));
        }
        // As independent callers come.
        let pause = -self.random.f64().max(1e-9).ln() / self.options.tracks_a_second();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "milliseconds"
        )]
        let pause = (pause * 1000.0).round() as u64;
        self.plan(pause, Event::Arrival);
        Ok(())
    }

    /// A worker asks for a job.
    async fn work(&mut self) -> Result<()> {
        let queue = self.queue();
        let answer = self.tally.call("acquire", queue.acquire()).await?;
        self.ring(&answer.debt);
        if let Acquired::Job(job, holder, _) = answer.outcome {
            self.begin(*job, holder);
        }
        Ok(())
    }

    fn held(&mut self, id: JobId) -> Result<(Holder, Stage)> {
        let held = self.held.remove(&id);
        held.ok_or_else(|| "nobody holds the job".into())
    }

    fn begin(&mut self, job: JobRecord, holder: Holder) {
        let (takes, then) = match job.stage {
            Stage::Plan | Stage::Audio => (ASK, Event::Asked(job.id)),
            Stage::Finish => (FINISH, Event::Examined(job.id)),
        };
        self.held.insert(job.id, (holder, job.stage));
        self.tally.now.worked_ms += takes;
        self.plan(takes, then);
    }

    /// The first tenants ask for much more than the last ones.
    fn job(&mut self) -> Result<NewJob> {
        let most = f64::from(self.options.tenants);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a tenant's number"
        )]
        let chosen = (most.powf(self.random.f64()) - 1.0) as usize;
        let tenant = self.tenants[chosen.min(self.tenants.len() - 1)].clone();
        let cost = self.random.u32(20..=40);
        Ok(made::job(tenant, self.course.time()?, cost))
    }
}
