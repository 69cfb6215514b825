//! Fairness over long lines. The service is simulated: an event list says which job ends next; who is served, and when
//! nobody is, the real scripts say.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::fmt::Write;
use std::ops::RangeInclusive;

use shared::job::{JobId, TenantId};
use shared::priority::Priority;
use shared::queue::{Acquired, Holder, Policy, Queue, Spent};
use shared::stage::Stage;

use crate::check::check;
use crate::rig::{RETENTION, Rig, new_job, track};

const JOBS: usize = 200;
const SLOTS: u32 = 4;
/// The invariants are looked at after so many turns, and at the end.
const SAMPLE: usize = 150;

/// Sends 200 jobs at once, after so many seconds; how long each takes, chance says.
struct Sender {
    tenant: &'static str,
    weight: u32,
    at: u64,
    seconds: RangeInclusive<u32>,
}

/// A job by its sender, its level, and its place among all of its sender.
type Place = (usize, u32, usize);

/// One job's time in a slot.
struct Turn {
    job: Place,
    from: u64,
    to: u64,
}

struct Service {
    rig: Rig,
    cap: u32,
    senders: Vec<Sender>,
    levels: &'static [Priority],
    chance: fastrand::Rng,
    now: u64,
    sent: HashMap<JobId, (Place, u32)>,
    waiting: BTreeSet<Place>,
    turns: Vec<Turn>,
    holders: Vec<Holder>,
    /// The end of a turn that goes on, and its number.
    ends: BinaryHeap<Reverse<(u64, usize)>>,
    /// When the first line became empty.
    dry: Option<u64>,
}

impl Service {
    async fn of(senders: Vec<Sender>, cap: u32, levels: &'static [Priority]) -> Self {
        let mut rig = Rig::with(SLOTS, cap);
        let policy = Policy::new(SLOTS, cap, 1000, RETENTION);
        rig.queue = Queue::new(rig.queue.redis().clone(), "p", policy);
        rig.load().await;
        for sender in &senders {
            rig.set_tenant(sender.tenant, "weight", sender.weight).await;
        }
        Self {
            rig,
            cap,
            senders,
            levels,
            chance: fastrand::Rng::with_seed(1),
            now: 0,
            sent: HashMap::new(),
            waiting: BTreeSet::new(),
            turns: Vec::new(),
            holders: Vec::new(),
            ends: BinaryHeap::new(),
            dry: None,
        }
    }

    /// To the end of every job.
    async fn run(mut self) -> Self {
        self.send().await;
        loop {
            while self.serve().await {}
            let later = self.senders.iter().map(|sender| sender.at);
            let arrival = later.filter(|at| *at > self.now).min();
            let end = self.ends.peek().map(|Reverse((end, _))| *end);
            let Some(next) = arrival.into_iter().chain(end).min() else {
                break;
            };
            self.now = next;
            self.complete().await;
            if arrival == Some(next) {
                self.send().await;
            }
        }
        assert_eq!(self.turns.len(), JOBS * self.senders.len());
        check(&self.rig).await;
        self
    }

    async fn send(&mut self) {
        for number in 0..self.senders.len() {
            let sender = &self.senders[number];
            if sender.at != self.now {
                continue;
            }
            for place in 0..JOBS {
                let mut job = new_job(sender.tenant);
                job.cost = self.chance.u32(sender.seconds.clone());
                job.priority = self.levels[self.chance.usize(0..self.levels.len())];
                self.rig.queue.enqueue(&job).await.unwrap();
                let place = (number, job.priority.level(), place);
                self.sent.insert(job.id, (place, job.cost));
                self.waiting.insert(place);
            }
        }
    }

    fn running(&self, sender: usize) -> usize {
        let on = self.ends.iter().map(|Reverse((_, n))| &self.turns[*n]);
        on.filter(|turn| turn.job.0 == sender).count()
    }

    /// The first of each line whose tenant is below its cap.
    fn heads(&self) -> Vec<Place> {
        let lines = (0..self.senders.len()).filter(|n| self.running(*n) < self.cap as usize);
        let first = |n| self.waiting.range((n, 0, 0)..(n + 1, 0, 0)).next();
        lines.filter_map(first).copied().collect()
    }

    /// The next turn, if there is one: of the best level, and the oldest of its line. No slot stays free for nothing.
    async fn serve(&mut self) -> bool {
        let heads = self.heads();
        let Acquired::Job(job, holder, _) = self.rig.queue.acquire().await.unwrap().outcome else {
            assert!(heads.is_empty() || self.ends.len() == SLOTS as usize);
            return false;
        };
        let (place, seconds) = self.sent[&job.id];
        assert!(heads.contains(&place), "{place:?} was not next: {heads:?}");
        let best = heads.iter().map(|head| head.1).min();
        assert_eq!(best, Some(place.1), "a better level waits: {heads:?}");
        assert!(self.ends.len() < SLOTS as usize);
        let (from, to) = (self.now, self.now + u64::from(seconds));
        self.ends.push(Reverse((to, self.turns.len())));
        self.turns.push(Turn {
            job: place,
            from,
            to,
        });
        self.holders.push(holder);
        self.waiting.remove(&place);
        let (line, next) = ((place.0, 0, 0), (place.0 + 1, 0, 0));
        if self.waiting.range(line..next).next().is_none() {
            self.dry.get_or_insert(self.now);
        }
        if self.turns.len().is_multiple_of(SAMPLE) {
            check(&self.rig).await;
        }
        true
    }

    async fn complete(&mut self) {
        while let Some(Reverse((end, turn))) = self.ends.peek().copied() {
            if end > self.now {
                return;
            }
            self.ends.pop();
            let (holder, seconds) = (
                &self.holders[turn],
                self.turns[turn].to - self.turns[turn].from,
            );
            let ms = 1000 * u32::try_from(seconds).unwrap();
            let tenant = TenantId::new(self.senders[self.turns[turn].job.0].tenant);
            self.rig.held_for(&tenant, holder.id, ms).await;
            let spent = Spent {
                audio_ms: ms.into(),
                ..Spent::default()
            };
            let queue = &self.rig.queue;
            queue.advance(holder, Stage::Finish, spent).await.unwrap();
            let done = queue.complete(holder, &track(), spent, &[]).await;
            done.unwrap();
        }
    }

    /// While every sender had jobs waiting.
    fn contended(&self) -> (u64, u64) {
        let from = self.senders.iter().map(|sender| sender.at).max();
        (from.unwrap(), self.dry.unwrap())
    }

    /// Seconds that each sender's jobs were in a slot in that time.
    fn served(&self) -> Vec<u64> {
        let (start, end) = self.contended();
        let mut served = vec![0; self.senders.len()];
        for turn in &self.turns {
            let time = turn.to.min(end).saturating_sub(turn.from.max(start));
            served[turn.job.0] += time;
        }
        served
    }

    fn table(&self) -> String {
        let (start, end) = self.contended();
        let served = self.served();
        let all: u64 = served.iter().sum();
        let mut text = format!(
            "{SLOTS} slots, cap {}, contended for {} s\n",
            self.cap,
            end - start
        );
        text += "tenant  weight  from s  job s   GPU s served  share\n";
        for (sender, served) in self.senders.iter().zip(&served) {
            let (tenant, weight, at) = (sender.tenant, sender.weight, sender.at);
            let (short, long) = (sender.seconds.start(), sender.seconds.end());
            let job = format!("{short}-{long}");
            let share = 100.0 * *served as f64 / all as f64;
            let row = format!("{tenant:<7} {weight:<7} {at:<7} {job:<7} {served:<13} {share:.1} %");
            writeln!(text, "{row}").unwrap();
        }
        text
    }

    /// Jain's index of what each was served by its weight: 1 is fair, 1/n is all to one of n.
    fn jain(&self) -> f64 {
        let by_weight = self.served().into_iter().zip(&self.senders);
        let x: Vec<f64> = by_weight
            .map(|(s, sender)| s as f64 / f64::from(sender.weight))
            .collect();
        let sum: f64 = x.iter().sum();
        let squares: f64 = x.iter().map(|x| x * x).sum();
        sum * sum / (x.len() as f64 * squares)
    }
}

fn sender(tenant: &'static str, weight: u32, at: u64, seconds: RangeInclusive<u32>) -> Sender {
    Sender {
        tenant,
        weight,
        at,
        seconds,
    }
}

#[tokio::test]
async fn three_tenants_of_one_weight_share_the_gpus_by_time() {
    let senders = vec![
        sender("a", 1, 0, 10..=60),
        sender("b", 1, 300, 20..=120),
        sender("c", 1, 600, 5..=30),
    ];
    let service = Service::of(senders, 3, &[Priority::Normal]).await;
    let service = service.run().await;
    let jain = service.jain();
    println!("{}Jain index {jain:.5}\n", service.table());
    assert!(jain >= 0.95, "{jain}");
}

#[tokio::test]
async fn a_tenant_of_weight_three_is_served_three_times_as_long() {
    let senders = vec![sender("a", 3, 0, 20..=120), sender("b", 1, 300, 10..=60)];
    let service = Service::of(senders, 4, &[Priority::Normal]).await;
    let service = service.run().await;
    let served = service.served();
    let ratio = served[0] as f64 / served[1] as f64;
    println!("{}ratio {ratio:.3} to 1\n", service.table());
    assert!((2.85..=3.15).contains(&ratio), "{ratio}");
}

#[tokio::test]
async fn over_long_lines_a_better_level_goes_first_and_a_line_goes_by_age() {
    let senders = vec![
        sender("a", 1, 0, 10..=60),
        sender("b", 2, 300, 20..=120),
        sender("c", 1, 600, 5..=30),
    ];
    let service = Service::of(senders, 3, &Priority::ALL).await;
    let service = service.run().await;
    let last = |level| {
        let of_c = service.turns.iter().filter(|turn| turn.job.0 == 2);
        of_c.filter(|turn| turn.job.1 == level)
            .map(|turn| turn.from)
            .max()
    };
    println!(
        "c's last jobs began: high {:?}, normal {:?}, low {:?} s\n",
        last(0),
        last(1),
        last(2)
    );
    assert!(last(0) < last(1) && last(1) < last(2));
}
