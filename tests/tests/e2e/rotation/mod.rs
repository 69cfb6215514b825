//! Keys are changed while callers come and go, two changes of the key that signs, and nobody is refused (docs/admin.md).
//!
//! `gateway` stands before the replicas, `load` is the callers.

mod gateway;
mod load;

use std::time::{Duration, Instant};

use local::stand_ins::{jen1, muscgen};
use local::{Artifacts, Redis, RedisChoice, Scratch, StackOptions};
use reqwest::Method;
use serde_json::{Value, json};
use shared::keyring::{AccessClaims, KeyRing, Role};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::app::{ALICE, App, Model};
use crate::doors::{held_by_the_model, quiet, tone};
use gateway::Gateway;
use load::{Given, Load};

/// Of the submission that every caller repeats.
const ORDER: &str = "order-1";

/// The rings that every replica gets one after the other; the first key signs. A key is heard of everywhere before it signs anywhere,
/// and goes when what it signed has ended.
const RINGS: [&[&str]; 6] = [
    &["k1"],
    &["k1", "k2"],
    &["k2", "k1"],
    &["k2", "k3"],
    &["k3", "k2"],
    &["k3"],
];

/// Answered under each ring, at least.
const REQUESTS: usize = 100;

/// What all replicas share, as they would in the cloud.
struct Site {
    redis: Redis,
    files: Scratch,
    jen1: String,
    muscgen: String,
    gateway: Gateway,
}

#[tokio::test]
async fn keys_are_rotated_twice_under_load_and_no_request_is_refused() {
    let site = Site::start().await;
    let (mut a, mut b) = tokio::join!(site.replica(RINGS[0]), site.replica(RINGS[0]));
    site.gateway.join(a.stack.api());
    site.gateway.join(b.stack.api());
    let job = site.order(&a).await;
    let load = Load::new(&site.gateway.url, &job);
    load.give(site.given(&a, RINGS[0], &job).await).await;
    let callers = load.start();

    let began = Instant::now();
    let mut ended = JoinSet::new();
    let mut served = Vec::new();
    for ring in &RINGS[1..] {
        load.forget_all_but(ring).await;
        let (id, token) = held_by_the_model(&a).await;
        // Both are up before one of the old ones is told to go; then one goes after the other.
        let (new_a, new_b) = tokio::join!(site.replica(ring), site.replica(ring));
        for (old, new) in [(&mut a, new_a), (&mut b, new_b)] {
            site.gateway.join(new.stack.api());
            served.push(site.gateway.leave(old.stack.api()).await);
            ended.spawn(std::mem::replace(old, new).stop());
        }
        site.deliver(&a, &id, &token).await;
        load.give(site.given(&b, ring, &job).await).await;
        load.goes_on(REQUESTS).await;
    }
    let took = began.elapsed();
    let (requests, refusals) = load.stop(callers).await;
    println!("{requests} requests in {took:?}, none refused");
    assert_eq!(refusals, Vec::<String>::new(), "of {requests} requests");
    assert!(served.iter().all(|count| *count > 0), "{served:?}");

    the_wrong_order_refuses(&site, &a, &job).await;
    tokio::join!(a.stop(), b.stop());
    ended.join_all().await;
    site.redis.stop().await;
}

/// The control: a key that signs before all have heard of it, and one that goes while what it signed is still in use.
async fn the_wrong_order_refuses(site: &Site, app: &App, job: &str) {
    let hasty = site.replica(&["k4", "k3"]).await;
    let given = site.given(&hasty, &["k4", "k3"], job).await;
    let get = |path: &str| app.http.get(format!("{}{path}", app.stack.api()));
    let events = format!("/jobs/{job}/events");
    for (name, request) in [
        ("token of k4", get(&events).bearer_auth(&given.token)),
        ("link of k4", get(&given.link)),
        ("token of k1", get(&events).bearer_auth(access("k1"))),
    ] {
        assert_eq!(request.send().await.unwrap().status(), 401, "{name}");
    }
    let list = get(&format!("/jobs?limit=1&cursor={}", given.cursor));
    let list = list.bearer_auth(access("k3")).send().await.unwrap();
    assert_eq!(list.status(), 400, "cursor of k4");
    hasty.stop().await;
}

fn secret(kid: &str) -> String {
    format!("the-secret-of-more-than-thirty-two-bytes-of-{kid}")
}

fn ring(kids: &[&str]) -> String {
    let entry = |kid: &&str| format!("{kid}:{}", secret(kid));
    kids.iter().map(entry).collect::<Vec<_>>().join(",")
}

/// A token of ALICE, signed with this key.
fn access(kid: &str) -> String {
    let claims = AccessClaims::new(ALICE, Role::User, Duration::from_secs(900));
    let keys = KeyRing::parse(&ring(&[kid])).unwrap();
    keys.sign_access(&claims).unwrap()
}

impl Site {
    async fn start() -> Self {
        let jen1 = listen().await;
        let muscgen = listen().await;
        let address = muscgen.local_addr().unwrap();
        let font = music::font::load(None).unwrap();
        Self {
            redis: Redis::start().await.unwrap(),
            files: Scratch::new().unwrap(),
            jen1: serve(jen1, jen1::router().unwrap()),
            muscgen: serve(muscgen, muscgen::router(font, 16, address).unwrap()),
            gateway: Gateway::start().await,
        }
    }

    /// A whole set of functions with these keys, on the same Redis and files as the others.
    async fn replica(&self, kids: &[&str]) -> App {
        let set = [
            ("JWT_SECRET", ""),
            ("JWT_SECRETS", &ring(kids)),
            ("PUBLIC_URL", &self.gateway.url),
            ("SLOTS", "100"),
            ("TENANT_CAP", "100"),
            ("SUBMIT_RATE", "0"),
            ("READ_RATE", "0"),
        ];
        let options = StackOptions {
            redis: RedisChoice::Url(self.redis.url().to_owned()),
            artifacts: Artifacts::Folder(self.files.path().to_owned()),
            jen1_url: Some(self.jen1.clone()),
            muscgen_url: Some(self.muscgen.clone()),
            secret: Some(secret(kids[0])),
            workers: 1,
            env: set
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..quiet()
        };
        App::with(options).await
    }

    /// A job with a track, submitted as all callers will submit it again.
    async fn order(&self, app: &App) -> String {
        app.faults(Model::Muscgen, json!({"renderSeconds": 0.2}))
            .await;
        let request = app.request(Method::POST, "/jobs", ALICE);
        let request = request.header("idempotency-key", ORDER).json(&submission());
        let job: Value = request.send().await.unwrap().json().await.unwrap();
        let id = job["jobId"].as_str().unwrap();
        app.until_completed(id).await;
        id.to_owned()
    }

    /// What the system gives out while this ring is in force.
    async fn given(&self, app: &App, kids: &[&'static str], job: &str) -> Given {
        let held = held_by_the_model(app).await;
        let list = app.get("/jobs?limit=1", ALICE).await;
        let list: Value = list.json().await.unwrap();
        let job = app.job(job).await;
        Given {
            kid: kids[0],
            token: access(kids[0]),
            link: job["track"]["url"].as_str().unwrap().to_owned(),
            cursor: list["nextCursor"].as_str().unwrap().to_owned(),
            held,
        }
    }

    /// What a model does with a token that it was given before a change: it uploads and reports to whoever is up, and the job completes.
    async fn deliver(&self, app: &App, id: &str, token: &str) {
        let at = |path: String| format!("{}{path}", self.gateway.url);
        let put = app.http.put(at(format!("/jobs/{id}/audio")));
        let put = put.bearer_auth(token).header("content-type", "audio/wav");
        let put = put.body(tone()).send().await.unwrap();
        assert_eq!(put.status(), 200);
        let completed = json!({"jobId": id, "type": "completed", "payload": {"uploaded": true}});
        let post = app.http.post(at("/jobs/report".to_owned()));
        let post = post.bearer_auth(token).json(&completed);
        assert_eq!(post.send().await.unwrap().status(), 200);
        let job = app.until_completed(id).await;
        assert_eq!(job["attempt"], 1);
    }
}

/// What every caller submits.
fn submission() -> Value {
    json!({"narrative": "rain", "duration": 10})
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn serve(listener: TcpListener, router: axum::Router) -> String {
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
