//! What Tutti asks of a Cog server, asked of a real one: that of the harness or, with `COG_URL` set, anybody's.
//!
//! `COG_URL=http://127.0.0.1:5000 cargo test -p tests contract_cog -- --nocapture`. A server on another machine calls back to the
//! address of this one that leads to it, or to `COG_WEBHOOK_HOST`.

use std::net::UdpSocket;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use bytes::Bytes;
use local::CogOptions;
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::job::JobId;
use shared::models::{
    Callback, Cog, Fault, Fetcher, NamedInputs, Outcome, Outgoing, Prediction, RenderAnswer,
    RenderRequest, http_client,
};
use shared::plan::Plan;
use tokio::sync::{Mutex, MutexGuard, mpsc};
use url::Url;

/// As long as Tutti waits for a synchronous render.
const RENDER: Duration = Duration::from_secs(600);
/// How long the first webhook may take: a server that cannot reach us sends none.
const FIRST: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_secs(30);
/// Slots that are filled in search of the last one.
const MANY: usize = 8;
const SECONDS: u32 = 8;

/// A given server has few slots: one test at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// The server in question.
struct Subject {
    url: Url,
    cog: Cog,
    own: Option<local::Cog>,
    /// It takes the input that makes our own model slow.
    slow: bool,
    _turn: MutexGuard<'static, ()>,
}

#[allow(
    clippy::disallowed_methods,
    reason = "of the suite's user, not of a function"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

impl Subject {
    async fn new(schema: bool) -> Self {
        let turn = TURN.lock().await;
        let (url, own) = match variable("COG_URL") {
            Some(url) => (url, None),
            None => {
                let options = CogOptions {
                    schema,
                    ..CogOptions::default()
                };
                let own = local::Cog::start(options).await.expect("Cog starts");
                (own.url().to_owned(), Some(own))
            }
        };
        let url: Url = url.parse().expect("COG_URL is an address");
        let named = variable("COG_INPUTS").unwrap_or_default();
        let named = NamedInputs::parse(&named).expect("COG_INPUTS names inputs");
        Self {
            cog: Cog::new(http_client().unwrap(), url.clone(), named),
            slow: schema && own.is_some(),
            url,
            own,
            _turn: turn,
        }
    }

    async fn over(self) {
        if let Some(own) = self.own {
            own.stop().await;
        }
    }

    /// Asks for a render under this key; with a webhook it need not be over.
    async fn render(&self, key: &str, webhook: Option<&str>) -> Result<RenderAnswer, Fault> {
        let callback = webhook.map(|webhook| Callback {
            url: String::new(),
            token: String::new(),
            expires_at: chrono::Utc::now(),
            webhook: webhook.to_owned(),
            every_seconds: 5,
        });
        let plan = Plan::parse(json!({"title": "Rain"})).unwrap();
        let options = match self.slow {
            true => json!({"render_seconds": 2}),
            false => json!({}),
        };
        let ask = RenderRequest {
            job: JobId::mint(),
            request_id: "contract",
            prompt: "a calm piano evening in the rain",
            plan: &plan,
            duration: SECONDS,
            seed: 7,
            model: "contract",
            options: options.as_object().unwrap(),
            callback,
            upload: None,
        };
        let answer = self.cog.generate(&ask, &out(key), RENDER).await;
        answer.map_err(|error| error.fault)
    }

    async fn cancel(&self, key: &str) {
        let cancelled = self.cog.cancel(key, &out(key)).await;
        cancelled.expect("it may be cancelled");
    }

    /// Waits until it says this of itself.
    async fn is(&self, state: &str) {
        let http = http_client().unwrap();
        let probe = async || {
            let url = format!("{}/health-check", self.url.as_str().trim_end_matches('/'));
            let health: Value = http.get(url).send().await.ok()?.json().await.ok()?;
            (health["status"] == state).then_some(())
        };
        let reached = local::until(SOON, probe).await;
        reached.unwrap_or_else(|| panic!("it is not {state}"));
    }
}

fn out(key: &str) -> Outgoing {
    Outgoing {
        request_id: "contract".to_owned(),
        traceparent: None,
        idempotency_key: Some(key.to_owned()),
    }
}

/// A render key that nobody had before.
fn key() -> String {
    format!("{}:audio:7:0", JobId::mint())
}

/// Where webhooks arrive.
struct Inbox {
    url: String,
    arrivals: mpsc::Receiver<Bytes>,
}

impl Inbox {
    async fn open(subject: &Subject) -> Self {
        let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, arrivals) = mpsc::channel(100);
        let take = post(async move |body: Bytes| {
            let _ = sender.try_send(body);
        });
        let routes = Router::new()
            .route("/hook", take)
            .layer(DefaultBodyLimit::max(100 << 20));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let host = variable("COG_WEBHOOK_HOST").unwrap_or_else(|| address_towards(&subject.url));
        let url = format!("http://{host}:{port}/hook");
        Self { url, arrivals }
    }

    /// The next one, or `None` if nothing comes.
    async fn next(&mut self, limit: Duration) -> Option<Outcome> {
        let body = tokio::time::timeout(limit, self.arrivals.recv()).await;
        let body = body.ok().flatten()?;
        let prediction: Prediction = serde_json::from_slice(&body).expect("a prediction");
        Some(prediction.outcome())
    }

    /// How the prediction ended.
    async fn end(&mut self) -> Outcome {
        loop {
            match self.next(RENDER).await.expect("its end is reported") {
                Outcome::Running => {}
                end => return end,
            }
        }
    }
}

/// Our address on the way to the server; nothing is sent.
fn address_towards(url: &Url) -> String {
    let at = url.socket_addrs(|| None).expect("the host has an address")[0];
    let any = if at.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(at).unwrap();
    let ip = socket.local_addr().unwrap().ip();
    if ip.is_ipv6() {
        format!("[{ip}]")
    } else {
        ip.to_string()
    }
}

/// The gate lets it pass.
async fn passes(url: Option<String>, bytes: Option<Bytes>) {
    let fetcher = Fetcher::new(http_client().unwrap(), Vec::<String>::new(), true);
    let bytes = match (bytes, url) {
        (Some(bytes), _) => bytes,
        (None, Some(url)) => fetcher.fetch(&url, &out("fetch")).await.expect("its file"),
        (None, None) => panic!("neither audio nor an address"),
    };
    let delivered = shared::audio::recognise(bytes).expect("a container");
    let measured = shared::audio::examine(&delivered, f64::from(SECONDS)).expect("the gate");
    assert!(measured.duration_seconds > 0.0);
}

#[tokio::test]
async fn it_says_that_it_is_up() {
    let subject = Subject::new(false).await;
    subject.cog.health(&out("health")).await.unwrap();
    subject.over().await;
}

#[tokio::test]
async fn it_shows_its_inputs_or_says_that_it_has_no_schema() {
    for schema in [true, false] {
        let subject = Subject::new(schema).await;
        let url = format!(
            "{}/openapi.json",
            subject.url.as_str().trim_end_matches('/')
        );
        let answer = http_client().unwrap().get(url).send().await.unwrap();
        let (status, document) = (answer.status(), answer.json::<Value>().await.unwrap());
        let inputs = document.pointer("/components/schemas/Input/properties");
        match inputs {
            Some(inputs) => {
                let has = |name: &&str| inputs.get(*name).is_some();
                assert!(
                    ["prompt", "text", "description"].iter().any(has),
                    "{inputs:#}"
                );
            }
            None => {
                let none = [StatusCode::NOT_FOUND, StatusCode::SERVICE_UNAVAILABLE];
                assert!(none.contains(&status), "{status} {document}");
            }
        }
        if subject.own.is_some() {
            assert_eq!(inputs.is_some(), schema);
        }
        subject.over().await;
    }
}

#[tokio::test]
async fn it_answers_with_audio_that_passes_the_gate() {
    for schema in [true, false] {
        let subject = Subject::new(schema).await;
        match subject.render(&key(), None).await.expect("audio") {
            RenderAnswer::Audio { bytes, .. } => passes(None, Some(bytes)).await,
            RenderAnswer::Url { url, .. } => passes(Some(url), None).await,
            RenderAnswer::Accepted { .. } => panic!("nobody asked for a webhook"),
        }
        subject.over().await;
    }
}

#[tokio::test]
async fn it_reports_start_and_end_to_a_webhook() {
    let subject = Subject::new(true).await;
    let mut inbox = Inbox::open(&subject).await;
    let key = key();
    let answer = subject.render(&key, Some(&inbox.url)).await;
    assert!(
        matches!(answer, Ok(RenderAnswer::Accepted { .. })),
        "{answer:?}"
    );
    match inbox.next(FIRST).await {
        Some(first) => assert_eq!(first, Outcome::Running),
        None => {
            assert!(subject.own.is_none(), "no webhook came");
            println!(
                "skipped: the server cannot reach {}; set COG_WEBHOOK_HOST",
                inbox.url
            );
            subject.cancel(&key).await;
            return subject.over().await;
        }
    }
    match inbox.end().await {
        Outcome::Audio(bytes) => passes(None, Some(bytes)).await,
        Outcome::Url(url) => passes(Some(url), None).await,
        other => panic!("{other:?}"),
    }
    subject.over().await;
}

#[tokio::test]
async fn the_same_render_is_one_prediction_while_it_runs() {
    let subject = Subject::new(true).await;
    let inbox = Inbox::open(&subject).await;
    let key = key();
    for _ in 0..3 {
        let answer = subject.render(&key, Some(&inbox.url)).await;
        assert!(
            matches!(answer, Ok(RenderAnswer::Accepted { .. })),
            "{answer:?}"
        );
    }
    if subject.own.is_some() {
        subject.is("BUSY").await;
    }
    // One cancel ends all there is.
    subject.cancel(&key).await;
    subject.is("READY").await;
    subject.over().await;
}

#[tokio::test]
async fn it_turns_away_what_it_has_no_slot_for() {
    let subject = Subject::new(true).await;
    let inbox = Inbox::open(&subject).await;
    let keys: Vec<_> = (0..MANY).map(|_| key()).collect();
    let mut turned_away = false;
    for key in &keys {
        match subject.render(key, Some(&inbox.url)).await {
            Ok(RenderAnswer::Accepted { .. }) => {}
            Err(Fault::Busy { .. }) => turned_away = true,
            other => panic!("{other:?}"),
        }
        if turned_away {
            break;
        }
    }
    for key in &keys {
        subject.cancel(key).await;
    }
    if !turned_away {
        assert!(subject.own.is_none(), "it has one slot");
        println!("skipped: the server has room for {MANY} predictions and more");
    }
    subject.is("READY").await;
    subject.over().await;
}

#[tokio::test]
async fn a_render_is_cancelled_whether_it_is_known_or_not() {
    let subject = Subject::new(true).await;
    subject.cancel(&key()).await;
    let inbox = Inbox::open(&subject).await;
    let key = key();
    let answer = subject.render(&key, Some(&inbox.url)).await;
    assert!(
        matches!(answer, Ok(RenderAnswer::Accepted { .. })),
        "{answer:?}"
    );
    subject.cancel(&key).await;
    subject.is("READY").await;
    subject.over().await;
}
