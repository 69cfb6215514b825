//! A receiver, and everything that delivers to it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use redis::Cmd;
use serde_json::{Value, json};
use shared::audit::Operator;
use shared::caller::{Caller, Role};
use shared::clients::Clients;
use shared::config::Config;
use shared::endpoint::{Endings, EndpointUrl, SigningSecret, Target};
use shared::http::RequestId;
use shared::job::{JobId, TenantId, UserId};
use shared::submit::{self, Context};
use shared::webhook::{self, DeliveryPage, Hooks, Registered, Secret};
use shared::{change, lookup};
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
        let redis = Server::start();
        let files = local::Scratch::new().unwrap();
        let (address, folder) = (redis.address(), files.path().display().to_string());
        let config = Config::read(|name| match name {
            "REDIS_URL" => Some(address.clone()),
            "ARTIFACTS_URL" => Some(format!("file://{folder}")),
            "JWT_SECRET" => Some("a-secret-of-more-than-thirty-two-bytes".to_owned()),
            "DEV_MODE" => Some("1".to_owned()),
            _ => None,
        });
        let status = Arc::new(Mutex::new(StatusCode::OK));
        let calls: Arc<Mutex<Vec<(HeaderMap, Value)>>> = Arc::default();
        let (answer, heard) = (status.clone(), calls.clone());
        let receive = async move |headers: HeaderMap, body: String| {
            let body = serde_json::from_str(&body).unwrap();
            heard.lock().unwrap().push((headers, body));
            *answer.lock().unwrap()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://{}/hook?token=hunter2",
            listener.local_addr().unwrap()
        );
        let router = Router::new().route("/hook", post(receive));
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

    pub(crate) fn heard(&self) -> Vec<(HeaderMap, Value)> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) async fn submit(&self, webhook: Value) -> JobId {
        let caller = Caller {
            sub: "alice".to_owned(),
            user: UserId::new("alice"),
            tenant: TenantId::new("alice"),
            role: Role::User,
        };
        let context = Context::new(RequestId("rq-1".to_owned()), &HeaderMap::new()).unwrap();
        let body = json!({"narrative": "rain", "webhook": webhook});
        let known = submit::submit(&self.clients, caller, context, body).await;
        known.unwrap().job.id
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
        change::cancel(&self.clients, &known, "user").await.unwrap();
    }

    pub(crate) async fn deliver(&self, id: JobId) -> usize {
        webhook::deliver(&self.clients, id).await.unwrap()
    }

    pub(crate) async fn page(&self, id: JobId) -> DeliveryPage {
        webhook::page(&self.clients, id).await.unwrap()
    }

    pub(crate) async fn is_due(&self, id: JobId) -> bool {
        self.clients.store.due(id).await.unwrap().is_some()
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
        let key = self.clients.queue.keys().deliveries();
        self.raw(&Cmd::zadd(key, format!("{id}:{target}"), 1)).await;
    }
}
