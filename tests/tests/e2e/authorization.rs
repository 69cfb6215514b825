//! Every cell of the table of routes in docs/api.md, tried.

use reqwest::Method;
use serde_json::{Value, json};
use shared::callback::{CallbackClaims, sign_link};
use shared::job::{Fence, JobId, RenderKey};
use shared::keyring::{KeyRing, now};
use shared::stage::Stage;

use crate::app::{ALICE, App, ten_seconds};
use crate::doors::{held_by_the_model, quiet, with_token};
use crate::routes::{COLUMNS, ENDPOINT, Needs, Route, routes};

/// The roles of the column `service`.
const SERVICES: [&str; 3] = ["orchestrator", "system", "worker"];

/// Jobs of ALICE in every state that a route may need, with what speaks for them, and who may sign in.
struct Jobs {
    ring: KeyRing,
    completed: String,
    ended: String,
    held: (String, String),
    other: (String, String),
    /// A user, the name of a service token, an endpoint of ALICE's tenant.
    user: String,
    issued: String,
    endpoint: String,
}

#[tokio::test]
async fn every_route_answers_everybody_as_the_table_says() {
    let mut options = quiet();
    options.env = vec![("LOGIN_RATE".to_owned(), "0".to_owned())];
    let app = App::with(options).await;
    let jobs = Jobs::prepare(&app).await;
    let mut wrong = Vec::new();
    let mut tried = 0;
    for route in routes() {
        for who in COLUMNS {
            let roles: &[&str] = if who == "service" { &SERVICES } else { &[who] };
            for role in roles {
                let answered = answer(&app, &jobs, &route, who, role).await;
                let promised = route.status(who);
                tried += 1;
                if answered.0 != promised {
                    let (status, text) = answered;
                    wrong.push(format!(
                        "{}, {role}: {promised} promised, {status} {text}",
                        route.name
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(tried, routes().len() * (COLUMNS.len() + SERVICES.len() - 1));
    app.stop().await;
}

impl Jobs {
    async fn prepare(app: &App) -> Self {
        let (completed, _) = app.compose(json!({"renderSeconds": 0})).await;
        let person = json!({"email": "ann@example.com", "username": "ann", "password": "correct horse battery"});
        let endpoint = serde_json::from_str(ENDPOINT).unwrap();
        let endpoint = made(app, "/admin/tenants/alice/webhooks", endpoint).await;
        let (user, issued) = (
            made(app, "/auth/users", person).await,
            made(app, "/auth/service-tokens", json!({"sub": "gpu-1"})).await,
        );
        Self {
            user: user["id"].as_str().unwrap().to_owned(),
            endpoint: endpoint["id"].as_str().unwrap().to_owned(),
            issued: issued["jti"].as_str().unwrap().to_owned(),
            ring: KeyRing::single(app.stack.secret()).unwrap(),
            completed,
            ended: ended(app).await,
            held: held_by_the_model(app).await,
            other: held_by_the_model(app).await,
        }
    }

    /// What a model would be given with this job.
    fn callback(&self, job: &str) -> String {
        if job == self.held.0 {
            return self.held.1.clone();
        }
        let job: JobId = job.parse().unwrap();
        let claims = CallbackClaims {
            job,
            render: RenderKey::new(job, Stage::Audio, 7, 0),
            stage: Stage::Audio,
            fence: Fence("1-x".to_owned()),
            exp: now() + 600,
        };
        claims.sign(&self.ring).unwrap()
    }
}

/// What an admin made.
async fn made(app: &App, path: &str, body: Value) -> Value {
    let token = app.stack.token("admin", "ops").unwrap();
    let request = with_token(app, Method::POST, path, Some(&token)).json(&body);
    request.send().await.unwrap().json().await.unwrap()
}

/// The refresh token of a new session.
async fn session(app: &App) -> String {
    let body = json!({"emailOrUsername": "ann", "password": "correct horse battery"});
    let request = with_token(app, Method::POST, "/auth/login", None).json(&body);
    let session: Value = request.send().await.unwrap().json().await.unwrap();
    session["refreshToken"].as_str().unwrap().to_owned()
}

/// A job that was cancelled.
async fn ended(app: &App) -> String {
    let id = app.submit(ten_seconds()).await;
    let cancel = app.request(Method::POST, &format!("/jobs/{id}/cancel"), ALICE);
    assert_eq!(cancel.send().await.unwrap().status(), 200);
    id
}

/// Status and text of the answer that somebody gets.
async fn answer(app: &App, jobs: &Jobs, route: &Route, who: &str, role: &str) -> (u16, String) {
    let changes = route.status(who) < 300;
    let job = match route.needs {
        Needs::Ended if changes => ended(app).await,
        Needs::Held if route.name.ends_with("/cancel") && changes => held_by_the_model(app).await.0,
        Needs::Ended => jobs.ended.clone(),
        Needs::Held => jobs.held.0.clone(),
        Needs::User | Needs::Session => jobs.user.clone(),
        Needs::Issued => jobs.issued.clone(),
        Needs::Endpoint => jobs.endpoint.clone(),
        Needs::Completed | Needs::Nothing => jobs.completed.clone(),
    };
    let token = match who {
        "nobody" | "link" => None,
        "owner" => Some(app.stack.token("user", ALICE).unwrap()),
        "other" => Some(app.stack.token("user", "bob").unwrap()),
        "admin" => Some(app.stack.token("admin", "ops").unwrap()),
        "service" => Some(app.stack.token(role, role).unwrap()),
        "model" => Some(jobs.callback(&job)),
        "other model" => Some(jobs.other.1.clone()),
        other => panic!("who is {other}?"),
    };
    let link = sign_link(&jobs.ring, &format!("/jobs/{job}/audio"), now() + 600);
    let query = match who {
        "link" => &link[link.find('?').unwrap()..],
        _ => "",
    };
    let placed = match route.needs {
        Needs::Session => session(app).await,
        _ => token.clone().unwrap_or_else(|| "none".to_owned()),
    };
    let mut request = route.request(app, &job, &placed, query);
    if let Some(token) = token.as_deref().filter(|_| !route.holds_token()) {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}
