//! Shifts over a Redis, a folder and models of their own; the folder can be taken away.

use std::fs::{self, File};
use std::io::Cursor;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use hound::{SampleFormat, WavSpec, WavWriter};
use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};
use shared::caller::{Caller, Role};
use shared::clients::Clients;
use shared::config::Config;
use shared::envelope::Open;
use shared::http::RequestId;
use shared::job::{JobId, JobRecord, JobStatus, TenantId, UserId};
use shared::queue::Chunk;
use shared::submit::{self, Context};
use tokio::net::TcpListener;

use crate::batch;
use crate::shift::{self, TimeLeft};

/// What every job asks for.
const SECONDS: u32 = 2;

async fn plan() -> Json<Value> {
    Json(json!({"title": "Rain", "genre": "ambient"}))
}

/// A tone of the requested length.
async fn audio() -> impl IntoResponse {
    let spec = WavSpec {
        channels: 1,
        sample_rate: 44_100,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut wav = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut wav, spec).unwrap();
    for n in 0..spec.sample_rate * SECONDS {
        let sample: i16 = if n / 50 % 2 == 0 { 8000 } else { -8000 };
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    ([(CONTENT_TYPE, "audio/wav")], wav.into_inner())
}

/// Serves a planner and a generator; returns their address.
async fn models() -> String {
    let router = Router::new()
        .route("/jen1/generate", post(plan))
        .route("/muscgen/generate", post(audio));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn clients(redis: &str, folder: &Path, models: &str) -> Clients {
    let folder = folder.display().to_string();
    let config = Config::read(|name| match name {
        "REDIS_URL" => Some(redis.to_owned()),
        "ARTIFACTS_URL" => Some(format!("file://{folder}")),
        "JWT_SECRET" => Some("a-secret-of-more-than-thirty-two-bytes".to_owned()),
        "DEV_MODE" => Some("1".to_owned()),
        "JEN1_URL" => Some(format!("{models}/jen1")),
        "MUSCGEN_URL" => Some(format!("{models}/muscgen")),
        _ => None,
    });
    Clients::new(config.unwrap()).unwrap()
}

struct Site {
    clients: Clients,
    redis: local::Redis,
    files: local::Scratch,
    models: String,
}

impl Site {
    async fn start() -> Self {
        let redis = local::Redis::start().await.unwrap();
        let files = local::Scratch::new().unwrap();
        let models = models().await;
        Self {
            clients: clients(redis.url(), files.path(), &models),
            redis,
            files,
            models,
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
        let body = json!({"narrative": "rain", "duration": SECONDS});
        let known = Box::pin(submit::submit(&self.clients, caller, context, body)).await;
        known.unwrap().job.id
    }

    async fn job(&self, id: JobId) -> JobRecord {
        self.clients.queue.read(id).await.unwrap().unwrap().job
    }

    /// A worker that has read nothing before.
    fn worker(&self) -> Clients {
        clients(self.redis.url(), self.files.path(), &self.models)
    }

    async fn shift(&self) {
        self.shift_of(&self.worker()).await;
    }

    /// The function is invoked with this message.
    async fn answer(&self, body: &str) {
        let (mut event, mut message) = (SqsEvent::default(), SqsMessage::default());
        message.body = Some(body.to_owned());
        event.records = vec![message];
        let event = LambdaEvent::new(event, lambda_runtime::Context::default());
        let response = batch::receive(&self.worker(), event).await.unwrap();
        assert!(response.batch_item_failures.is_empty());
    }

    /// What a bell brings.
    async fn shift_of(&self, clients: &Clients) {
        let time = TimeLeft::until(SystemTime::now() + Duration::from_secs(800));
        Box::pin(shift::work(clients, time)).await.unwrap();
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
        let job = site.job(*id).await;
        assert_eq!((job.status, job.attempt), (JobStatus::Completed, 1));
    }
    site.redis.stop().await;
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_rests_for_long_and_costs_no_attempt() {
    let site = Site::start().await;
    let (bad, good) = (site.submit().await, site.submit().await);
    let request = site
        .files
        .path()
        .join(format!("jobs/{bad}/manifest-0.json"));
    fs::write(request, "not JSON").unwrap();
    site.shift().await;
    let job = site.job(bad).await;
    assert_eq!((job.status, job.attempt), (JobStatus::Queued, 1));
    let rest = job.delayed_until.unwrap() - job.updated_at;
    assert!((29..91).contains(&rest.num_seconds()), "{rest}");
    assert_eq!(site.job(good).await.status, JobStatus::Completed);
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
    assert_eq!(site.job(good).await.status, JobStatus::Completed);
    site.redis.stop().await;
}

#[tokio::test]
async fn debts_of_an_acquire_do_not_delay_the_run() {
    let site = Site::start().await;
    let (late, next) = (site.submit().await, site.submit().await);
    let start_by = site.clients.queue.keys().start_by();
    site.order(&redis::Cmd::zadd(start_by, late.to_string(), 1))
        .await;
    // Whoever settles the late one reads its request, and hangs until the pipe has a writer.
    let request = site.files.path().join(format!("jobs/{late}/request.json"));
    let pipe = request.with_extension("pipe");
    fs::remove_file(&request).unwrap();
    let made = Command::new("mkfifo").arg(&request).status().unwrap();
    assert!(made.success());
    let next_ends = async {
        let completed = async { while site.job(next).await.status != JobStatus::Completed {} };
        let ended = tokio::time::timeout(Duration::from_secs(10), completed).await;
        fs::rename(&request, &pipe).unwrap();
        File::options().write(true).open(&pipe).unwrap();
        ended
    };
    let ((), ended) = tokio::join!(site.shift(), next_ends);
    assert!(ended.is_ok(), "the run waited for another job's settling");
    assert_eq!(site.job(late).await.status, JobStatus::Expired);
    // Before the invocation ends each is settled or left to the sweep.
    let manifest = site
        .files
        .path()
        .join(format!("jobs/{next}/manifest-0.json"));
    assert!(manifest.exists());
    assert_eq!(site.clients.queue.counts().await.unwrap().unsettled, 1);
    site.redis.stop().await;
}

#[tokio::test]
async fn a_worker_that_is_asked_compares_a_chunk_and_asks_the_next_one() {
    let site = Site::start().await;
    let ids = [site.submit().await, site.submit().await];
    let opened = |id: JobId| Open { id, generation: 0 };
    let open = site.files.path().join("open");
    for id in ids {
        let marker = File::options()
            .write(true)
            .open(open.join(opened(id).to_string()));
        let earlier = SystemTime::now() - Duration::from_secs(60);
        marker.unwrap().set_modified(earlier).unwrap();
    }
    site.order(&redis::cmd("FLUSHALL")).await;
    let queue = &site.clients.queue;
    let chunks = [(None, ids[0]), (Some(ids[0]), ids[1])];
    for (after, last) in chunks {
        let (after, last) = (after.map(opened), opened(last));
        queue.hand_out(Chunk::Open { after, last }).await.unwrap();
    }
    let ask = r#"{"v": 1, "job": null, "partition": "tutti", "compare": true}"#;
    // Those that it rang for restored jobs, and for the next chunk.
    let bells = async || site.clients.doorbell.depth().await.unwrap();
    for left in [1, 0] {
        let before = bells().await;
        site.answer(ask).await;
        assert_eq!(queue.chunks().await.unwrap(), left);
        assert!(bells().await > before);
    }
    let before = bells().await;
    site.answer(ask).await;
    assert_eq!(bells().await, before, "nothing is left");
    for id in ids {
        assert_eq!(site.job(id).await.status, JobStatus::Queued);
    }
    site.redis.stop().await;
}
