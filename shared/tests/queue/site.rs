//! A receiver, and everything that delivers to it.

use std::fs::File;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use redis::Cmd;
use serde_json::{Value, json};
use shared::audit::Operator;
use shared::caller::{Caller, Role};
use shared::clients::Clients;
use shared::config::Config;
use shared::delivery::{self, DeliveryPage};
use shared::endpoint::{Endings, EndpointUrl, SigningSecret, Target};
use shared::http::RequestId;
use shared::job::{JobId, TenantId, UserId};
use shared::problem::Problem;
use shared::queue::{Acquired, Spent};
use shared::stage::Stage;
use shared::submit::{self, Context};
use shared::view::Known;
use shared::webhook::{self, Hooks, Registered, Secret};
use shared::{change, control, lookup, settle};
use uuid::Uuid;

use crate::redis::Server;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Everything that delivers, and a receiver that answers with a status that can be changed.
pub(crate) struct Site {
    pub(crate) clients: Clients,
    status: Arc<Mutex<StatusCode>>,
    calls: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    pub(crate) url: String,
    _redis: Server,
    files: local::Scratch,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these variables beside what it needs.
    pub(crate) async fn with(variables: &'static [(&str, &str)]) -> Self {
        Self::standing_in(&[], variables).await
    }

    /// The receiver stands in for these services as well, each at a path of its name.
    pub(crate) async fn with_services(services: &[&str]) -> Self {
        Self::standing_in(services, &[]).await
    }

    async fn standing_in(services: &[&str], variables: &'static [(&str, &str)]) -> Self {
        let redis = Server::start();
        let files = local::Scratch::new().unwrap();
        let (address, folder) = (redis.address(), files.path().display().to_string());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let config = Config::read(|name| match name {
            "REDIS_URL" => Some(address.clone()),
            "ARTIFACTS_URL" => Some(format!("file://{folder}")),
            "JWT_SECRET" => Some("a-secret-of-more-than-thirty-two-bytes".to_owned()),
            "DEV_MODE" => Some("1".to_owned()),
            name if services.contains(&name) => Some(format!("{base}/{}", name.to_lowercase())),
            "ORCHESTRATOR_TOKEN" => services.contains(&"API_URL").then(|| "t".repeat(32)),
            _ => {
                let own = variables.iter().find(|(own, _)| *own == name);
                own.map(|(_, value)| (*value).to_owned())
            }
        });
        let status = Arc::new(Mutex::new(StatusCode::OK));
        let calls: Arc<Mutex<Vec<(HeaderMap, Value)>>> = Arc::default();
        let (answer, heard) = (status.clone(), calls.clone());
        let receive = async move |uri: Uri, headers: HeaderMap, body: String| {
            let body = serde_json::from_str(&body).unwrap_or_else(|_| json!(uri.path()));
            heard.lock().unwrap().push((headers, body));
            *answer.lock().unwrap()
        };
        let url = format!("{base}/hook?token=hunter2");
        let router = Router::new().fallback(receive);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            clients: Clients::new(config.unwrap()).unwrap(),
            status,
            calls,
            url,
            _redis: redis,
            files,
        }
    }

    /// Where in the store this text stands.
    pub(crate) fn objects_with(&self, text: &str) -> Vec<String> {
        let root = self.files.path();
        let (mut folders, mut found) = (vec![root.to_owned()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(text) {
                    let path = path.strip_prefix(root).unwrap();
                    found.push(path.display().to_string());
                }
            }
        }
        found.sort();
        found
    }

    pub(crate) fn answer(&self, status: u16) {
        *self.status.lock().unwrap() = StatusCode::from_u16(status).unwrap();
    }

    /// The objects of a folder cannot be read or removed until they are shown again.
    pub(crate) fn hide(&self, folder: &str) {
        let root = self.files.path();
        std::fs::rename(root.join(folder), root.join("hidden")).unwrap();
        std::fs::write(root.join(folder), "").unwrap();
    }

    pub(crate) fn show(&self, folder: &str) {
        let root = self.files.path();
        std::fs::remove_file(root.join(folder)).unwrap();
        std::fs::rename(root.join("hidden"), root.join(folder)).unwrap();
    }

    /// What was noted of a job was noted an hour ago.
    pub(crate) fn let_notes_age(&self, id: JobId) {
        let earlier = SystemTime::now() - Duration::from_secs(3600);
        let folder = self.files.path().join("due").join(id.to_string());
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = File::options().write(true).open(entry.unwrap().path());
            file.unwrap().set_modified(earlier).unwrap();
        }
    }

    pub(crate) fn heard(&self) -> Vec<(HeaderMap, Value)> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) async fn submit(&self, webhook: Value) -> JobId {
        let body = json!({"narrative": "rain", "webhook": webhook});
        let known = self.submit_as("alice", None, body).await;
        known.unwrap().job.id
    }

    /// A submission of a user of tenant `alice`, under an `Idempotency-Key` or without one.
    pub(crate) async fn submit_as(
        &self,
        user: &str,
        key: Option<&str>,
        body: Value,
    ) -> Result<Known, Problem> {
        let caller = Caller {
            sub: user.to_owned(),
            user: UserId::new(user),
            tenant: TenantId::new("alice"),
            role: Role::User,
        };
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            headers.insert("idempotency-key", key.parse().unwrap());
        }
        let context = Context::new(RequestId("rq-1".to_owned()), &headers).unwrap();
        submit::submit(&self.clients, caller, context, body).await
    }

    /// The names of the objects in a folder of the store, without those of folders in it.
    pub(crate) fn objects(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.files.path().join(folder));
        let files = entries.into_iter().flatten().map(|entry| entry.unwrap());
        let files = files.filter(|entry| entry.file_type().unwrap().is_file());
        let mut names: Vec<_> = files
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        // The store writes under such a name first.
        names.retain(|name| !name.contains('#'));
        names.sort();
        names
    }

    pub(crate) async fn found(&self, id: JobId) -> Option<Known> {
        lookup::find(&self.clients, id).await.unwrap()
    }

    pub(crate) async fn delete(&self, id: JobId) {
        let known = self.found(id).await.unwrap();
        change::delete(&self.clients, &known).await.unwrap();
    }

    pub(crate) fn own(&self) -> Value {
        json!({"url": self.url, "secret": SECRET})
    }

    /// A job that was cancelled, and whose end is settled.
    pub(crate) async fn ended(&self, webhook: Value) -> JobId {
        let id = self.submit(webhook).await;
        self.cancel(id).await;
        id
    }

    pub(crate) async fn cancel(&self, id: JobId) {
        let known = lookup::find(&self.clients, id).await.unwrap().unwrap();
        change::cancel(&self.clients, &known.job, "user")
            .await
            .unwrap();
        // A caller does not wait for it for ever.
        settle::settle(&self.clients, id).await.unwrap();
    }

    /// A worker has planned the job, and its audio is being rendered; the name of the render.
    pub(crate) async fn begin_audio(&self, id: JobId) -> String {
        control::sync(&self.clients).await.unwrap();
        let queue = &self.clients.queue;
        let Acquired::Job(_, holder, _) = queue.acquire().await.unwrap().outcome else {
            panic!("a job waits")
        };
        let spent = Spent::default();
        queue.advance(&holder, Stage::Audio, spent).await.unwrap();
        let job = queue.read(id).await.unwrap().unwrap().job;
        job.render_key(Stage::Audio).as_str().to_owned()
    }

    /// A sender's shift; how many messages it took.
    pub(crate) async fn deliver(&self) -> usize {
        let end = Instant::now() + Duration::from_secs(60);
        delivery::deliver(&self.clients, end).await.unwrap()
    }

    pub(crate) async fn page(&self, id: JobId) -> DeliveryPage {
        delivery::page(&self.clients, id).await.unwrap()
    }

    pub(crate) async fn is_due(&self, id: JobId) -> bool {
        !self.clients.store.due_names(id).await.unwrap().is_empty()
    }

    /// An endpoint of the tenant, with a secret.
    pub(crate) async fn register(&self) -> Uuid {
        let id = Uuid::now_v7();
        let endpoint = Registered {
            id,
            url: EndpointUrl::parse(&json!(self.url), true).unwrap(),
            events: Endings::default(),
            disabled: None,
            created_at: chrono::Utc::now(),
        };
        self.change(|hooks| {
            hooks.items.push(endpoint.clone());
            let secret = Secret {
                id: Uuid::now_v7(),
                fresh: Some(SigningSecret::parse(&json!(SECRET)).unwrap()),
                created_at: chrono::Utc::now(),
                expires_at: None,
            };
            hooks.rotate(secret, std::time::Duration::ZERO);
        })
        .await;
        id
    }

    pub(crate) async fn change(&self, change: impl Fn(&mut Hooks) + Send + Sync) {
        let caller = Caller {
            sub: "ops".to_owned(),
            user: UserId::new("ops"),
            tenant: TenantId::new("ops"),
            role: Role::Admin,
        };
        let operator = Operator::new(&caller, RequestId("rq-2".to_owned()));
        let tenant = TenantId::new("alice");
        let apply = |hooks: &mut Hooks| {
            change(hooks);
            Ok(())
        };
        webhook::change(&self.clients, &operator, "webhook.change", &tenant, apply)
            .await
            .unwrap();
    }

    pub(crate) async fn hooks(&self) -> Hooks {
        webhook::hooks(&self.clients, &TenantId::new("alice"))
            .await
            .unwrap()
    }

    pub(crate) async fn raw(&self, command: &Cmd) {
        let _: redis::Value = self.clients.queue.redis().run(command).await.unwrap();
    }

    pub(crate) async fn make_due(&self, id: JobId, target: Target) {
        let (log, _) = self.clients.queue.deliveries(id).await.unwrap();
        let found = log.unwrap().deliveries.into_iter();
        let line = found
            .filter(|d| d.target == target)
            .map(|d| d.line)
            .next()
            .unwrap();
        let keys = self.clients.queue.keys();
        self.raw(&Cmd::zadd(keys.owed(&line), format!("{id}:{target}"), 1))
            .await;
        self.raw(&Cmd::zadd(keys.owing(), line.to_string(), 1))
            .await;
    }
}
