//! Lets a day happen: people submit and give up, workers come when they are rung for, models work, an operator steers, the
//! sweep goes round. Everything goes through the real scripts, one call after the other, each at its moment of that day.

use std::collections::HashMap;
use std::time::Duration;

use chrono::TimeDelta;
use shared::job::JobId;
use shared::queue::{Debt, Holder, NewJob, Policy, Queue, QueueSettings, Redis};
use shared::queue::{Revised, Settings, TenantSettings};

use super::day::{ATTEMPTS, Arrival, Attempt, Day, Order, Tenant};
use crate::course::Course;
use crate::{Result, made};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);
const MINUTE_MS: u64 = 60_000;
/// From a bell to the worker who comes for it, in ms.
const BELL_MS: std::ops::Range<u64> = 20..300;

/// What a job was promised and what it got, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// When it was submitted.
    pub(super) at: f64,
    /// p50 and p90. `None`: nothing was promised, because everything was paused.
    pub(super) promised: Option<(f64, f64)>,
    /// `None`: it was cancelled before it started.
    pub(super) waited: Option<f64>,
    /// It waited while everything was paused.
    pub(super) over_pause: bool,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Arrival(usize),
    Cancel(JobId),
    /// A worker comes.
    Bell,
    /// A worker has the plan and gives the job to the model.
    Planned(JobId),
    /// The model has the audio, or has failed.
    Rendered(JobId),
    Order(usize),
    Sweep,
}

/// A day with its people.
pub(super) struct Play {
    pub(super) course: Course<Event>,
    pub(super) day: Day,
    random: fastrand::Rng,
    pub(super) numbers: HashMap<JobId, usize>,
    pub(super) seen: Vec<Seen>,
    /// Who runs, and what each will do.
    pub(super) running: HashMap<JobId, (Holder, Attempt)>,
    settings: QueueSettings,
}

/// Every job of the day, in the order of submission. Starts a queue of its own.
pub(super) async fn day(day: Day, seed: u64) -> Result<Vec<Seen>> {
    fastrand::seed(seed); // for the delays of retries
    let server = local::Redis::start().await?;
    let policy = Policy::new(day.slots, day.slots, 100_000, WEEK);
    let queue = Queue::new(Redis::open(server.url())?, "tutti", policy);
    let mut play = Play {
        course: Course::new(queue),
        day,
        random: fastrand::Rng::with_seed(seed),
        numbers: HashMap::new(),
        seen: Vec::new(),
        running: HashMap::new(),
        settings: QueueSettings::default(),
    };
    play.open().await?;
    while let Some(event) = play.course.next(u64::MAX) {
        play.happen(event).await?;
    }
    Ok(play.seen)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds of a day"
)]
pub(super) fn ms(seconds: f64) -> u64 {
    (seconds * 1_000.0) as u64
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of some days")]
pub(super) fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

impl Play {
    /// The queue at this moment of the day.
    pub(super) fn queue(&self) -> Queue {
        self.course.queue()
    }

    pub(super) fn plan(&mut self, after_ms: u64, event: Event) {
        self.course.plan(after_ms, event);
    }

    pub(super) fn ring(&mut self, debt: &Debt) {
        for _ in 0..debt.ring {
            let after = self.random.u64(BELL_MS);
            self.plan(after, Event::Bell);
        }
    }

    /// What operators had set before, and all that is decided already.
    async fn open(&mut self) -> Result<()> {
        let set = |tenant: &Tenant| {
            let settings = TenantSettings {
                weight: Some(tenant.weight),
                cap: Some(tenant.cap),
                paused: false,
            };
            (
                tenant.id.clone(),
                Revised {
                    revision: 1,
                    settings,
                },
            )
        };
        for some in self.day.tenants.chunks(shared::queue::MAX_TENANTS) {
            let tenants = some.iter().map(set).collect();
            self.queue()
                .configure(&Settings {
                    tenants,
                    loaded: true,
                    queue: None,
                })
                .await?;
        }
        for (number, arrival) in self.day.arrivals.iter().enumerate() {
            self.course.plan(ms(arrival.at), Event::Arrival(number));
        }
        for (number, (at, _)) in self.day.orders.iter().enumerate() {
            self.course.plan(ms(*at), Event::Order(number));
        }
        self.plan(MINUTE_MS, Event::Sweep);
        Ok(())
    }

    async fn happen(&mut self, event: Event) -> Result<()> {
        let debt = match event {
            Event::Arrival(number) => self.submit(number).await?,
            Event::Cancel(id) => self.cancel(id).await?,
            Event::Bell => self.work().await?,
            Event::Planned(id) => self.planned(id).await?,
            Event::Rendered(id) => self.rendered(id).await?,
            Event::Order(number) => self.order(number).await?,
            Event::Sweep => self.sweep().await?,
        };
        self.ring(&debt);
        Ok(())
    }

    async fn submit(&mut self, number: usize) -> Result<Debt> {
        let arrival = self.day.arrivals[number].clone();
        let job = self.new_job(number, &arrival)?;
        let debt = self.queue().enqueue(&job).await?.debt;
        let found = self.queue().read(job.id).await?.ok_or("a job is gone")?;
        let promised = found.eta.map(|eta| (seconds(eta.p50), seconds(eta.p90)));
        self.seen.push(Seen {
            at: arrival.at,
            promised,
            waited: None,
            over_pause: self.settings.paused,
        });
        self.numbers.insert(job.id, number);
        if let Some(after) = arrival.cancel_after {
            self.plan(ms(after), Event::Cancel(job.id));
        }
        Ok(debt)
    }

    fn new_job(&self, number: usize, arrival: &Arrival) -> Result<NewJob> {
        let tenant = self.day.tenants[arrival.tenant].id.clone();
        let now = self.course.time()?;
        Ok(NewJob {
            start_by: now + TimeDelta::hours(48),
            finish_by: now + TimeDelta::hours(50),
            max_attempts: ATTEMPTS,
            request_id: format!("arrival-{number}"),
            priority: arrival.priority,
            ..made::job(tenant, now, arrival.cost)
        })
    }

    async fn cancel(&mut self, id: JobId) -> Result<Debt> {
        self.running.remove(&id);
        Ok(self
            .queue()
            .cancel(id, "cancelled by its owner")
            .await?
            .debt)
    }

    async fn order(&mut self, number: usize) -> Result<Debt> {
        match self.day.orders[number].1 {
            Order::Slots(slots) => self.settings.slots = Some(slots),
            Order::Pause => self.settings.paused = true,
            Order::Resume => self.settings.paused = false,
        }
        if self.settings.paused {
            self.seen
                .iter_mut()
                .filter(|seen| seen.waited.is_none())
                .for_each(|seen| seen.over_pause = true);
        }
        let revision = u64::try_from(number)? + 1;
        let queue = Some(Revised {
            revision,
            settings: self.settings.clone(),
        });
        Ok(self
            .queue()
            .configure(&Settings {
                queue,
                tenants: Vec::new(),
                loaded: true,
            })
            .await?
            .debt)
    }

    /// Every minute, as long as anything goes on.
    async fn sweep(&mut self) -> Result<Debt> {
        let mut debt = Debt::default();
        let mut after = String::new();
        loop {
            let answer = self.queue().sweep(&after).await?;
            let unsettled = self.queue().unsettled(64).await?;
            for id in unsettled.iter().chain(&answer.debt.ended) {
                self.queue().settle(*id, 0).await?;
            }
            after = answer.outcome.after;
            debt.ring = answer.outcome.bells;
            if after.is_empty() && !answer.outcome.busy && unsettled.is_empty() {
                break;
            }
        }
        let counts = self.queue().counts().await?;
        let live = counts.queued + counts.running + counts.finishing + counts.delayed > 0;
        if live || !self.course.is_over() {
            self.plan(MINUTE_MS, Event::Sweep);
        }
        Ok(debt)
    }
}
