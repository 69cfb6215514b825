//! Shifts over a Redis and a folder of their own, which can be taken away.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use serde_json::json;
use shared::caller::{Caller, Role};
use shared::clients::Clients;
use shared::config::Config;
use shared::http::RequestId;
use shared::job::{JobId, JobRecord, JobStatus, TenantId, UserId};
use shared::submit::{self, Context};

use crate::shift::{self, TimeLeft};

fn clients(redis: &str, folder: &Path) -> Clients {
    let folder = folder.display().to_string();
    let config = Config::read(|name| match name {
        "REDIS_URL" => Some(redis.to_owned()),
        "ARTIFACTS_URL" => Some(format!("file://{folder}")),
        "JWT_SECRET" => Some("a-secret-of-more-than-thirty-two-bytes".to_owned()),
        "DEV_MODE" => Some("1".to_owned()),
        _ => None,
    });
    Clients::new(config.unwrap()).unwrap()
}

struct Site {
    clients: Clients,
    redis: local::Redis,
    files: local::Scratch,
}

impl Site {
    async fn start() -> Self {
        let redis = local::Redis::start().await.unwrap();
        let files = local::Scratch::new().unwrap();
        Self {
            clients: clients(redis.url(), files.path()),
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

    async fn job(&self, id: JobId) -> JobRecord {
        self.clients.queue.read(id).await.unwrap().unwrap().job
    }

    /// A worker that has read nothing before.
    fn worker(&self) -> Clients {
        clients(self.redis.url(), self.files.path())
    }

    async fn shift(&self) {
        self.shift_of(&self.worker()).await;
    }

    /// What a bell brings.
    async fn shift_of(&self, clients: &Clients) {
        let time = TimeLeft::until(SystemTime::now() + Duration::from_secs(800));
        shift::work(clients, time).await.unwrap();
    }

    /// The job's rest is over.
    async fn wake(&self, id: JobId) {
        let delayed = self.clients.queue.keys().delayed();
        self.order(&redis::Cmd::zadd(delayed, id.to_string(), 1))
            .await;
    }

    async fn order(&self, command: &redis::Cmd) {
        let redis = self.clients.queue.redis();
        let _: redis::Value = redis.run(command).await.unwrap();
    }
}

#[tokio::test]
async fn an_outage_of_the_store_costs_no_attempt() {
    let site = Site::start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(site.submit().await);
    }
    let root = site.files.path().to_owned();
    let away = root.with_extension("away");
    // The folder of the jobs cannot be read, then there is no folder at all.
    for gone in [root.join("jobs"), root] {
        let worker = site.worker();
        fs::rename(&gone, &away).unwrap();
        let blocked = gone.ends_with("jobs");
        if blocked {
            fs::write(&gone, "no folder").unwrap();
        }
        for _ in 0..4 {
            site.shift_of(&worker).await;
            for id in &ids {
                let job = site.job(*id).await;
                assert_eq!((job.status, job.attempt), (JobStatus::Queued, 1));
                assert!(job.delayed_until.is_some() && job.fence.is_none());
                site.wake(*id).await;
            }
        }
        if blocked {
            fs::remove_file(&gone).unwrap();
        }
        fs::rename(&away, &gone).unwrap();
    }
    site.shift().await;
    for id in &ids {
        // No planner is configured here: the job went on to its first stage, in its first attempt.
        let snapshot = site.clients.queue.read(*id).await.unwrap().unwrap();
        assert_eq!(
            (snapshot.job.status, snapshot.job.attempt),
            (JobStatus::Failed, 1)
        );
        let error = snapshot.outcome.unwrap();
        assert!(error.contains("not_configured"), "{error}");
    }
    site.redis.stop().await;
}

#[tokio::test]
async fn a_request_that_cannot_be_read_rests_for_long_and_costs_no_attempt() {
    let site = Site::start().await;
    let (bad, good) = (site.submit().await, site.submit().await);
    let request = site.files.path().join(format!("jobs/{bad}/manifest.json"));
    fs::write(request, "not JSON").unwrap();
    site.shift().await;
    let job = site.job(bad).await;
    assert_eq!((job.status, job.attempt), (JobStatus::Queued, 1));
    let rest = job.delayed_until.unwrap() - job.updated_at;
    assert!((29..91).contains(&rest.num_seconds()), "{rest}");
    assert_eq!(site.job(good).await.status, JobStatus::Failed);
    site.redis.stop().await;
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_given_back_unharmed() {
    let site = Site::start().await;
    let (bad, good) = (site.submit().await, site.submit().await);
    let key = site.clients.queue.keys().job(bad);
    site.order(&redis::Cmd::hset(&key, "max_attempts", "many"))
        .await;
    site.shift().await;
    site.order(&redis::Cmd::hset(&key, "max_attempts", 3)).await;
    let job = site.job(bad).await;
    assert_eq!((job.status, job.attempt), (JobStatus::Queued, 1));
    assert!(job.delayed_until.is_some() && job.fence.is_none());
    assert_eq!(site.job(good).await.status, JobStatus::Failed);
    site.redis.stop().await;
}

#[tokio::test]
async fn debts_of_an_acquire_do_not_delay_the_run() {
    let site = Site::start().await;
    let (late, next) = (site.submit().await, site.submit().await);
    let start_by = site.clients.queue.keys().start_by();
    site.order(&redis::Cmd::zadd(start_by, late.to_string(), 1))
        .await;
    site.shift().await;
    assert_eq!(site.job(late).await.status, JobStatus::Expired);
    assert_eq!(site.job(next).await.status, JobStatus::Failed);
    // Both are settled before the invocation ends.
    assert_eq!(site.clients.queue.counts().await.unwrap().unsettled, 0);
    site.redis.stop().await;
}
