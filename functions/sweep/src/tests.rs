//! Rounds over a Redis and a folder of their own.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use chrono::{TimeDelta, Utc};
use serde_json::json;
use shared::caller::{Caller, Role};
use shared::clients::Clients;
use shared::config::Config;
use shared::endpoint::{Ending, Line, Target};
use shared::envelope::{Due, DueName, DueTarget};
use shared::http::RequestId;
use shared::identity::Pruner;
use shared::job::{JobId, JobStatus, TenantId, UserId};
use shared::queue::{Acquired, DeliveryState, Outcome};
use shared::reconcile::AT_ONCE;
use shared::submit::{self, Context};

use crate::bookmark::Bookmarks;
use crate::round::{self, Report};

struct Site {
    clients: Clients,
    redis: local::Redis,
    files: local::Scratch,
}

impl Site {
    async fn start() -> Self {
        let redis = local::Redis::start().await.unwrap();
        let files = local::Scratch::new().unwrap();
        let (address, folder) = (redis.url().to_owned(), files.path().display().to_string());
        let config = Config::read(|name| match name {
            "REDIS_URL" => Some(address.clone()),
            "ARTIFACTS_URL" => Some(format!("file://{folder}")),
            "JWT_SECRET" => Some("a-secret-of-more-than-thirty-two-bytes".to_owned()),
            "DEV_MODE" => Some("1".to_owned()),
            "SUBMIT_RATE" => Some("0".to_owned()),
            "MAX_QUEUED" => Some("1000".to_owned()),
            _ => None,
        });
        let clients = Clients::new(config.unwrap()).unwrap();
        Self {
            clients,
            redis,
            files,
        }
    }

    async fn submit(&self) -> JobId {
        let caller = Caller {
            sub: "alice".to_owned(),
            user: UserId::new("alice"),
            tenant: TenantId::new("alice"),
            role: Role::User,
        };
        let context = Context::new(RequestId("rq-1".to_owned()), &HeaderMap::new()).unwrap();
        let body = json!({"narrative": "rain"});
        let known = submit::submit(&self.clients, caller, context, body).await;
        known.unwrap().job.id
    }

    /// Writes an object as another program would.
    fn write(&self, path: &str, text: &str) {
        let path = self.files.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// No object of this folder is young.
    fn let_age(&self, folder: &str) {
        let earlier = SystemTime::now() - Duration::from_secs(3600);
        for entry in fs::read_dir(self.files.path().join(folder)).unwrap() {
            let file = File::options().write(true).open(entry.unwrap().path());
            file.unwrap().set_modified(earlier).unwrap();
        }
    }

    async fn order(&self, command: &redis::Cmd) {
        let redis = self.clients.queue.redis();
        let _: redis::Value = redis.run(command).await.unwrap();
    }

    async fn round(&self) -> Report {
        round::go(&self.clients, &Pruner::default(), &Bookmarks::default())
            .await
            .unwrap()
    }

    async fn status(&self, id: JobId) -> Option<JobStatus> {
        let glance = self.clients.queue.glance(id).await.unwrap();
        glance.map(|known| known.status)
    }

    async fn passed_over(&self) -> Option<u32> {
        self.clients.queue.signs().await.unwrap().passed_over
    }

    async fn stop(self) {
        self.redis.stop().await;
    }
}

#[tokio::test]
async fn a_round_passes_over_what_it_cannot_read_and_reaches_its_bells() {
    let site = Site::start().await;
    let id = site.submit().await;
    site.write(&format!("open/{}.0", JobId::mint()), "not JSON");
    site.write("open/README", "not a marker");
    let noted = DueName::of_end(0);
    let due = format!("due/{}/{}", JobId::mint(), noted.as_str());
    site.write(&due, "{}");
    site.write("due/README", "owes nothing");
    site.write("config/tenants/x/0000000001.json", r#"{"weight": "much"}"#);
    site.write("config/queue/0000000001.json", r#"{"slots": 3}"#);
    site.let_age("open");
    site.order(&redis::cmd("FLUSHALL")).await;

    let report = site.round().await;
    assert_eq!((report.passed_over, report.settings), (5, 1), "{report:?}");
    assert_eq!(site.passed_over().await, Some(5));
    assert_eq!(site.status(id).await, Some(JobStatus::Queued), "put back");
    let report = site.round().await;
    assert_eq!(report.rung, 1, "{report:?}");
    // Notes are read only when Redis may have forgotten them, or when they are old.
    assert_eq!(report.passed_over, 4);
    let acquired = site.clients.queue.acquire().await.unwrap().outcome;
    assert!(matches!(acquired, Acquired::Job(job, ..) if job.id == id));
    site.stop().await;
}

#[tokio::test]
async fn a_round_rings_while_the_store_is_away() {
    let site = Site::start().await;
    site.submit().await;
    fs::remove_dir_all(site.files.path().join("open")).unwrap();
    fs::remove_dir_all(site.files.path().join("jobs")).unwrap();
    for folder in ["open", "jobs", "config"] {
        site.write(folder, "no folder");
    }
    let round = round::go(&site.clients, &Pruner::default(), &Bookmarks::default()).await;
    drop(round);
    let rung = site.clients.doorbell.depth().await.unwrap();
    assert!(rung >= 2, "one by the submission, one by the round: {rung}");
    assert!(site.clients.queue.signs().await.unwrap().round.is_some());
    site.stop().await;
}

#[tokio::test]
async fn a_job_that_cannot_be_settled_does_not_keep_the_others() {
    let site = Site::start().await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        let id = site.submit().await;
        drop(site.clients.queue.cancel(id, "cancelled").await.unwrap());
        ids.push(id);
    }
    let (good, bad) = ids.split_last().unwrap();
    for id in bad {
        site.write(&format!("jobs/{id}/manifest-0.json"), "not JSON");
    }
    let outbox = site.clients.queue.keys().outbox();
    for (place, id) in bad.iter().chain([good]).enumerate() {
        let due = redis::Cmd::zadd(&outbox, id.to_string(), place);
        site.order(&due).await;
    }
    let report = site.round().await;
    assert_eq!((report.settled, report.passed_over), (20, 19), "{report:?}");
    assert_eq!(site.clients.queue.counts().await.unwrap().unsettled, 19);
    let manifest = site
        .files
        .path()
        .join(format!("jobs/{good}/manifest-0.json"));
    assert!(manifest.exists());
    site.stop().await;
}

#[tokio::test]
async fn one_round_expires_and_settles_hundreds_of_jobs() {
    let site = Site::start().await;
    let start_by = site.clients.queue.keys().start_by();
    for _ in 0..300 {
        let id = site.submit().await;
        let due = redis::Cmd::zadd(&start_by, id.to_string(), 1);
        site.order(&due).await;
    }
    let report = site.round().await;
    assert_eq!((report.expired, report.settled), (300, 300), "{report:?}");
    assert_eq!(site.clients.queue.counts().await.unwrap().unsettled, 0);
    site.stop().await;
}

#[tokio::test]
async fn a_round_clears_the_note_of_a_message_that_is_over() {
    let site = Site::start().await;
    let (queue, store) = (&site.clients.queue, &site.clients.store);
    let name = DueName::of_end(0);
    let [over, owed] = [JobId::mint(), JobId::mint()];
    for id in [over, owed] {
        let due = Due {
            generation: 0,
            event: Ending::Failed,
            targets: vec![DueTarget {
                target: Target::Api,
                url: "api.example".to_owned(),
                line: Line::of_service(&format!("{id}.example")),
                until: Utc::now() + TimeDelta::days(3),
            }],
        };
        store.put_due(id, &name, &due).await.unwrap();
        queue.owe(id, &due, &name).await.unwrap();
        site.let_age(&format!("due/{id}"));
    }
    let messages = queue.dispatch(2).await.unwrap().messages;
    let arrived = messages.iter().find(|message| message.id == over).unwrap();
    let outcome = Outcome::Tried {
        state: DeliveryState::Delivered,
        again: Duration::ZERO,
        url: None,
        failing: None,
        took: Duration::ZERO,
        status: None,
        reason: None,
        host: None,
    };
    // Nobody removes what noted it.
    queue.delivered(arrived, &outcome).await.unwrap();
    queue.begin_epoch().await.unwrap();
    queue.sweep("").await.unwrap();
    queue.begin_epoch().await.unwrap();
    site.round().await;
    assert_eq!(store.due_names(over).await.unwrap(), []);
    assert_eq!(store.due_names(owed).await.unwrap(), [name]);
    site.stop().await;
}

#[tokio::test]
async fn one_round_finds_a_lost_job_among_thousands() {
    let site = Site::start().await;
    let keys = site.clients.queue.keys();
    for _ in 0..2500 {
        let id = JobId::mint();
        site.write(&format!("open/{id}.0"), "{}");
        let known = redis::Cmd::hset(keys.job(id), "status", "queued");
        site.order(&known).await;
    }
    let lost = site.submit().await;
    site.let_age("open");
    site.clients.queue.begin_epoch().await.unwrap();
    site.clients.queue.sweep("").await.unwrap();
    site.clients.queue.begin_epoch().await.unwrap();
    site.order(&redis::Cmd::del(keys.job(lost))).await;
    let report = site.round().await;
    assert_eq!((report.reconciled, report.passed_over), (2501, 0));
    assert_eq!(site.status(lost).await, Some(JobStatus::Queued));
    site.stop().await;
}

#[tokio::test]
async fn an_emptied_redis_is_whole_only_when_every_helper_is_done() {
    let site = Site::start().await;
    let lost = site.submit().await;
    // Of nobody's jobs: their markers go.
    let (now, generation) = (Utc::now(), 0);
    let marker = json!({"generation": generation, "startBy": now, "finishBy": now}).to_string();
    for _ in 0..2500 {
        site.write(&format!("open/{}.{generation}", JobId::mint()), &marker);
    }
    site.let_age("open");
    site.order(&redis::cmd("FLUSHALL")).await;
    let queue = &site.clients.queue;
    let lease = Duration::from_secs(60);
    let lost_helper = async {
        let taken = async || queue.take_chunk(AT_ONCE, lease).await.unwrap();
        local::until(lease, taken).await.unwrap();
        let others_done = async || (queue.chunks().await.unwrap() == 1).then_some(());
        local::until(lease, others_done).await.unwrap();
        assert!(!queue.sweep("").await.unwrap().outcome.epoch);
        // Its time is over.
        let chunks = queue.keys().chunks();
        let handed: Vec<String> = (queue.redis())
            .run(&redis::Cmd::zrange(&chunks, 0, 0))
            .await
            .unwrap();
        site.order(&redis::Cmd::zadd(&chunks, &handed[0], 0)).await;
    };
    let (report, ()) = tokio::join!(site.round(), lost_helper);
    assert_eq!((report.reconciled, report.passed_over), (2501, 0));
    assert!(queue.sweep("").await.unwrap().outcome.epoch);
    assert_eq!(site.status(lost).await, Some(JobStatus::Queued));
    let left = fs::read_dir(site.files.path().join("open")).unwrap();
    assert_eq!(left.count(), 1);
    // Three chunks, of which one is the sweep's own, and the job that was put back.
    let rung = site.clients.doorbell.depth().await.unwrap();
    assert_eq!(rung, u64::from(report.rung) + 3, "{report:?}");
    site.stop().await;
}
