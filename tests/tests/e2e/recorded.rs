//! Invocations as AWS sends them: every function is handed a recorded event of tests/events/, and its whole answer and what came of
//! it are looked at. The shapes are those that API Gateway, SQS and the EventBridge Scheduler were seen to send.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use local::{BellFaults, StackOptions};
use serde_json::{Value, json};

use crate::app::{ALICE, App, Model, PATIENCE, at};
use crate::doors::quiet;

/// The connection of the recorded handshake.
const CONNECTION: &str = "TWegAcC4EowCHnA=";

/// What every HTTP answer has, beside its own.
const HEADERS: [&str; 11] = [
    "access-control-expose-headers",
    "cache-control",
    "content-length",
    "content-security-policy",
    "content-type",
    "referrer-policy",
    "strict-transport-security",
    "vary",
    "x-content-type-options",
    "x-frame-options",
    "x-request-id",
];

fn folder() -> PathBuf {
    local::root().join("tests/events")
}

/// `compose`, `live-connect`: the function, and which of its events.
fn recorded() -> BTreeSet<String> {
    let files = std::fs::read_dir(folder()).unwrap();
    let name = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files.map(|file| name(file.unwrap().path())).collect()
}

fn function(name: &str) -> &str {
    name.split('-').next().unwrap()
}

/// A system in which no bell reaches a worker but those of the recorded events.
struct Scene {
    app: App,
    sent: RefCell<BTreeSet<String>>,
}

impl Scene {
    async fn start() -> Self {
        let bell_faults = BellFaults {
            seed: 1,
            drop: 1.0,
            duplicate: 0.0,
        };
        let app = App::with(StackOptions {
            bell_faults,
            ..quiet()
        })
        .await;
        let never = json!({"mode": "callback", "neverReportTimes": 9, "renderSeconds": 0});
        app.faults(Model::Muscgen, never).await;
        Self {
            app,
            sent: RefCell::default(),
        }
    }

    /// Sends a recorded event with what is alive in the place of `{…}`; the function's answer.
    async fn send(&self, name: &str, alive: &[(&str, &str)]) -> Value {
        let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        let tokens = [("user", ALICE), ("admin", "root")];
        let tokens = tokens.map(|(role, sub)| (role, self.app.stack.token(role, sub).unwrap()));
        let tokens = tokens.iter().map(|(role, token)| (*role, token.as_str()));
        let filled = tokens.chain(alive.iter().copied());
        let text = filled.fold(text, |text, (place, value)| {
            text.replace(&format!("{{{place}}}"), value)
        });
        self.sent.borrow_mut().insert(name.to_owned());
        let event = serde_json::from_str(&text).unwrap();
        let answer = self.app.stack.invoke(function(name), &event).await;
        answer.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The body of an answer to API Gateway (payload 2.0), which has all that is promised of one and nothing else.
    async fn http(&self, name: &str, alive: &[(&str, &str)], status: u16, more: &[&str]) -> Value {
        let answer = self.send(name, alive).await;
        let members: Vec<_> = answer.as_object().unwrap().keys().collect();
        assert_eq!(
            members,
            [
                "body",
                "cookies",
                "headers",
                "isBase64Encoded",
                "multiValueHeaders",
                "statusCode"
            ],
            "{name}"
        );
        assert_eq!(answer["statusCode"], status, "{name}: {answer:#}");
        assert_eq!(answer["isBase64Encoded"], false, "{name}");
        assert_eq!(answer["cookies"], json!([]), "{name}");
        let names: BTreeSet<_> = answer["headers"].as_object().unwrap().keys().collect();
        let expected: BTreeSet<_> = HEADERS
            .iter()
            .chain(more)
            .map(|n| (*n).to_owned())
            .collect();
        assert_eq!(names, expected.iter().collect(), "{name}");
        let headers = &answer["headers"];
        let kind = if status < 400 { "json" } else { "problem+json" };
        assert_eq!(
            headers["content-type"],
            format!("application/{kind}"),
            "{name}"
        );
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
    }

    async fn is_connected(&self, connection: &str) -> bool {
        let key = format!("{{{}}}:socket:{connection}", self.app.stack.partition());
        self.app.redis::<u64>(&["EXISTS", &key]).await == 1
    }
}

#[tokio::test]
async fn every_function_does_its_work_when_aws_asks_for_it() {
    let scene = Scene::start().await;
    let health = scene.http("health", &[], 200, &[]).await;
    assert_eq!(health, json!({"status": "ok"}));

    let job = a_job_is_submitted(&scene).await;
    a_worker_is_woken(&scene, &job).await;
    a_model_reports(&scene, &job).await;
    jobs_are_read(&scene, &job).await;
    a_socket_opens_and_closes(&scene).await;
    a_listener_is_told(&scene, &job).await;
    an_admin_cancels(&scene, &job).await;
    a_round_is_made(&scene).await;
    let sent = scene.send("deliver", &[]).await;
    assert_eq!(sent["batchItemFailures"], json!([]), "{sent}");

    let functions = std::fs::read_dir(local::root().join("functions")).unwrap();
    let functions: BTreeSet<_> = functions
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let sent = scene.sent.into_inner();
    let served: BTreeSet<_> = sent.iter().map(|name| function(name).to_owned()).collect();
    assert_eq!(served, functions, "each function has a recorded event");
    assert_eq!(sent, recorded(), "each recorded event is sent");
    scene.app.stop().await;
}

async fn a_job_is_submitted(scene: &Scene) -> String {
    let limits = ["location", "ratelimit", "ratelimit-policy"];
    let told = scene.http("compose", &[], 202, &limits).await;
    let job = told["jobId"].as_str().unwrap().to_owned();
    let known = scene.app.job(&job).await;
    assert_eq!(
        (&known["status"], &known["stage"]),
        (&json!("queued"), &json!("plan"))
    );
    job
}

/// One of the two records is no bell: delivering it again would not help, so neither comes back.
async fn a_worker_is_woken(scene: &Scene, job: &str) {
    let answer = scene.send("worker", &[("job", job)]).await;
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let app = &scene.app;
    let known = app.job(job).await;
    assert!(at("processing", "audio")(&known), "{known:#}");
    assert_eq!(app.logged(&["not a bell", "\"worker\""]).len(), 1);
}

async fn a_model_reports(scene: &Scene, job: &str) {
    let calls = scene.app.calls(Model::Muscgen, job).await;
    let callback = calls[0]["body"]["callback"]["token"].as_str().unwrap();
    let alive = [("job", job), ("callback", callback)];
    let told = scene.http("report", &alive, 200, &[]).await;
    assert_eq!(told, json!({"ok": true}));
    let known = scene.app.job(job).await;
    assert_eq!(known["progress"]["percentage"], 42, "{known:#}");
}

async fn jobs_are_read(scene: &Scene, job: &str) {
    let body = |answer: Value, status: u16| -> Value {
        assert_eq!(answer["statusCode"], status, "{answer:#}");
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
    };
    let told = body(scene.send("jobs", &[("job", job)]).await, 200);
    assert_eq!(told["jobId"], job);
    assert_eq!(told["status"], "processing");
    assert_eq!(told["progress"]["percentage"], 42);
    // Here with the default route, and with all values of a parameter that is given twice.
    let refused = body(scene.send("jobs-default-route", &[]).await, 400);
    assert!(refused.to_string().contains("given twice"), "{refused}");
}

async fn a_socket_opens_and_closes(scene: &Scene) {
    let told = scene
        .http("auth", &[], 200, &["ratelimit", "ratelimit-policy"])
        .await;
    let ticket = told["ticket"].as_str().unwrap();
    let alive = [("ticket", ticket), ("connection", CONNECTION)];
    let opened = scene.send("live-connect", &alive).await;
    let ok = |answer: &Value| {
        assert_eq!(answer["statusCode"], 200, "{answer}");
        assert_eq!(answer["isBase64Encoded"], false, "{answer}");
        assert!(answer.get("body").is_none_or(Value::is_null), "{answer}");
    };
    ok(&opened);
    assert!(scene.is_connected(CONNECTION).await);
    let again = scene.send("live-connect", &alive).await;
    assert_eq!(again["statusCode"], 200, "the same handshake, sent again");
    let other = [("ticket", ticket), ("connection", "AAAA1234=")];
    let other = scene.send("live-connect", &other).await;
    assert_eq!(other["statusCode"], 401, "a ticket is good for one");
    ok(&scene
        .send("live-disconnect", &[("connection", CONNECTION)])
        .await);
    assert!(!scene.is_connected(CONNECTION).await);
}

/// Of a socket that is really open: it hears the answer.
async fn a_listener_is_told(scene: &Scene, job: &str) {
    let mut listener = scene.app.listen(ALICE).await;
    let sockets = format!("{{{}}}:sockets", scene.app.stack.partition());
    let open: Vec<String> = scene.app.redis(&["ZRANGE", &sockets, "0", "-1"]).await;
    let [connection] = &open[..] else {
        panic!("one socket is open: {open:?}")
    };
    let alive = [("connection", connection.as_str()), ("job", job)];
    let said = scene.send("live-message", &alive).await;
    assert_eq!(said["statusCode"], 200, "{said}");
    let last = scene.app.job(job).await["seq"].as_u64();
    let mut newest = None;
    let mut subscribed = false;
    while newest != last || !subscribed {
        let heard = listener.next(PATIENCE).await;
        assert_eq!(heard["jobId"], job, "{heard}");
        match heard["event"] == "subscribed" {
            true => subscribed = true,
            false => newest = heard["seq"].as_u64(),
        }
    }
    listener.hears_nothing_more().await;
    // As if its events had not been sent: whoever is woken sends what is lacking. Whoever tells it now may note once more that they
    // were, so this is done until they come.
    let listeners = format!("{{{}}}:listeners:{job}", scene.app.stack.partition());
    let zadd = ["ZADD", &listeners, "0", connection];
    let deadline = Instant::now() + PATIENCE;
    let first = loop {
        scene.app.redis::<()>(&zadd).await;
        let answer = scene.send("notify", &[("job", job)]).await;
        assert_eq!(answer, json!({"batchItemFailures": []}));
        match listener.try_next(Duration::from_secs(2)).await {
            Ok(heard) => break heard,
            Err(other) => assert!(Instant::now() < deadline, "{other:?}"),
        }
    };
    assert_eq!((&first["jobId"], &first["seq"]), (&json!(job), &json!(1)));
}

async fn an_admin_cancels(scene: &Scene, job: &str) {
    let told = scene.http("admin", &[("job", job)], 200, &[]).await;
    assert_eq!(told["status"], "cancelled");
    assert_eq!(scene.app.job(job).await["status"], "cancelled");
}

async fn a_round_is_made(scene: &Scene) {
    let clock = format!("{{{}}}:clock", scene.app.stack.partition());
    scene.app.redis::<()>(&["HDEL", &clock, "swept_ms"]).await;
    let report = scene.send("sweep", &[]).await;
    let members: Vec<_> = report.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "acts",
            "broken",
            "buried",
            "expired",
            "overdue",
            "passed_over",
            "pruned",
            "reconciled",
            "rung",
            "settings",
            "settled",
            "sockets_ended",
            "steps",
            "unheard"
        ]
    );
    assert_eq!((&report["steps"], &report["rung"]), (&json!(1), &json!(0)));
    let over: Option<u64> = scene.app.redis(&["HGET", &clock, "swept_ms"]).await;
    assert!(over.is_some(), "the round is over");
}
