//! The table of routes in docs/api.md, and a request for each row that is in order but for who sends it.

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::app::App;

/// The columns of the table that say who asks.
pub(crate) const COLUMNS: [&str; 8] = [
    "nobody",
    "owner",
    "other",
    "admin",
    "service",
    "model",
    "other model",
    "link",
];

/// What there must be, above all of a job, for a route to do its work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// Its track is made.
    Completed,
    /// A model holds it.
    Held,
    /// It ended without a track, and nobody has changed that.
    Ended,
    /// No job but a user.
    User,
    /// The refresh token of a new session.
    Session,
    /// A service token that was issued.
    Issued,
    /// An endpoint of its tenant.
    Endpoint,
}

/// What is sent beside the address.
#[derive(Clone, Copy)]
enum Sends {
    Nothing,
    Json(&'static str),
    Audio,
}

const SUBMISSION: Sends = Sends::Json(r#"{"narrative": "rain", "duration": 5}"#);

/// Where nobody listens.
pub(crate) const ENDPOINT: &str = r#"{"url": "http://127.0.0.1:9/hook"}"#;

const SESSION: Sends = Sends::Json(r#"{"refreshToken": "{token}"}"#);
const PERSON: Sends =
    Sends::Json(r#"{"email": "{new}@example.com", "password": "correct horse battery"}"#);

/// Every route that there is.
const RECIPES: [(&str, Needs, Sends); 49] = [
    ("GET /compose", Needs::Nothing, Sends::Nothing),
    ("POST /compose", Needs::Nothing, SUBMISSION),
    ("POST /jobs", Needs::Nothing, SUBMISSION),
    ("GET /jobs", Needs::Nothing, Sends::Nothing),
    ("GET /jobs/{id}", Needs::Completed, Sends::Nothing),
    ("GET /jobs/{id}/events", Needs::Completed, Sends::Nothing),
    ("GET /jobs/{id}/audio", Needs::Completed, Sends::Nothing),
    (
        "GET /jobs/{id}/deliveries",
        Needs::Completed,
        Sends::Nothing,
    ),
    (
        "POST /jobs/{id}/deliveries/redeliver",
        Needs::Ended,
        Sends::Json("{}"),
    ),
    ("POST /jobs/{id}/cancel", Needs::Held, Sends::Nothing),
    ("POST /jobs/{id}/retry", Needs::Ended, Sends::Nothing),
    ("DELETE /jobs/{id}", Needs::Ended, Sends::Nothing),
    (
        "POST /jobs/report",
        Needs::Held,
        Sends::Json(r#"{"jobId": "{id}", "type": "status"}"#),
    ),
    ("PUT /jobs/{id}/audio", Needs::Held, Sends::Audio),
    (
        "POST /hooks/cog/{token}",
        Needs::Held,
        Sends::Json(r#"{"id": "p", "status": "processing"}"#),
    ),
    ("GET /health", Needs::Nothing, Sends::Nothing),
    ("GET /openapi.json", Needs::Nothing, Sends::Nothing),
    ("GET /health/ready", Needs::Nothing, Sends::Nothing),
    ("GET /metrics", Needs::Nothing, Sends::Nothing),
    ("GET /admin/overview", Needs::Nothing, Sends::Nothing),
    ("GET /admin/jobs", Needs::Nothing, Sends::Nothing),
    ("POST /admin/jobs/{id}/cancel", Needs::Held, Sends::Nothing),
    ("POST /admin/jobs/{id}/retry", Needs::Ended, Sends::Nothing),
    (
        "POST /admin/jobs/{id}/priority",
        Needs::Held,
        Sends::Json(r#"{"priority": "low"}"#),
    ),
    ("GET /admin/tenants", Needs::Nothing, Sends::Nothing),
    (
        "GET /admin/tenants/{tenant}",
        Needs::Nothing,
        Sends::Nothing,
    ),
    (
        "PUT /admin/tenants/{tenant}",
        Needs::Nothing,
        Sends::Json(r#"{"weight": 1}"#),
    ),
    (
        "GET /admin/tenants/{tenant}/webhooks",
        Needs::Nothing,
        Sends::Nothing,
    ),
    (
        "POST /admin/tenants/{tenant}/webhooks",
        Needs::Nothing,
        Sends::Json(ENDPOINT),
    ),
    (
        "PATCH /admin/tenants/{tenant}/webhooks/{id}",
        Needs::Endpoint,
        Sends::Json(r#"{"events": ["job.failed"]}"#),
    ),
    (
        "DELETE /admin/tenants/{tenant}/webhooks/{id}",
        Needs::Endpoint,
        Sends::Nothing,
    ),
    (
        "POST /admin/tenants/{tenant}/webhooks/secrets",
        Needs::Nothing,
        Sends::Json("{}"),
    ),
    ("POST /admin/queue/pause", Needs::Nothing, Sends::Nothing),
    ("POST /admin/queue/resume", Needs::Nothing, Sends::Nothing),
    (
        "PUT /admin/queue/slots",
        Needs::Nothing,
        Sends::Json(r#"{"slots": null}"#),
    ),
    ("GET /admin/dead", Needs::Nothing, Sends::Nothing),
    (
        "POST /admin/dead/redrive",
        Needs::Nothing,
        Sends::Json(r#"{"limit": 1}"#),
    ),
    ("GET /admin/audit", Needs::Nothing, Sends::Nothing),
    (
        "POST /auth/login",
        Needs::User,
        Sends::Json(r#"{"emailOrUsername": "ann", "password": "correct horse battery"}"#),
    ),
    ("POST /auth/refresh", Needs::Session, SESSION),
    ("POST /auth/logout", Needs::Session, SESSION),
    ("POST /auth/ticket", Needs::Nothing, Sends::Nothing),
    ("GET /auth/users", Needs::Nothing, Sends::Nothing),
    ("POST /auth/users", Needs::Nothing, PERSON),
    ("GET /auth/users/{id}", Needs::User, Sends::Nothing),
    (
        "PATCH /auth/users/{id}",
        Needs::User,
        Sends::Json(r#"{"disabled": false}"#),
    ),
    ("GET /auth/service-tokens", Needs::Nothing, Sends::Nothing),
    (
        "POST /auth/service-tokens",
        Needs::Nothing,
        Sends::Json(r#"{"sub": "gpu-1"}"#),
    ),
    (
        "DELETE /auth/service-tokens/{jti}",
        Needs::Issued,
        Sends::Nothing,
    ),
];

/// One row of the table.
pub(crate) struct Route {
    /// `GET /jobs/{id}`
    pub(crate) name: String,
    method: Method,
    path: String,
    cells: BTreeMap<&'static str, u16>,
    pub(crate) needs: Needs,
    sends: Sends,
}

impl Route {
    /// What the table promises to somebody.
    pub(crate) fn status(&self, who: &str) -> u16 {
        self.cells[who]
    }

    /// The token is in its path, not in a header.
    pub(crate) fn holds_token(&self) -> bool {
        self.path.contains("{token}")
    }

    /// A request about `job` (or user, or service token); `token` is for the path or the body, if it has a place for one, and
    /// `query` comes after the path.
    pub(crate) fn request(&self, app: &App, job: &str, token: &str, query: &str) -> RequestBuilder {
        let path = self
            .path
            .replace("{id}", job)
            .replace("{jti}", job)
            .replace("{tenant}", "alice")
            .replace("{token}", token);
        let url = format!("{}{path}{query}", app.stack.api());
        let request = app
            .http
            .request(self.method.clone(), url)
            .header("prefer", "respond-async");
        match self.sends {
            Sends::Nothing => request,
            Sends::Audio => request.header("content-type", "audio/wav").body("RIFF"),
            Sends::Json(text) => request.header("content-type", "application/json").body(
                text.replace("{id}", job)
                    .replace("{token}", token)
                    .replace("{new}", &uuid::Uuid::now_v7().to_string()),
            ),
        }
    }
}

/// The rows of the table, each with its recipe; one without the other is a fault.
pub(crate) fn routes() -> Vec<Route> {
    let page = std::fs::read_to_string(local::root().join("docs/api.md")).unwrap();
    let section = page.split("\n## Routes\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut rows = section.lines().filter_map(|line| {
        let cells = line.strip_prefix('|')?.strip_suffix('|')?.split('|');
        Some(cells.map(str::trim).collect::<Vec<_>>())
    });
    let heading = rows.next().unwrap();
    assert_eq!(heading[3..], COLUMNS, "the columns of the table");
    let routes: Vec<_> = rows.skip(1).map(|cells| row(&cells)).collect();
    let mut named: Vec<_> = routes.iter().map(|route| route.name.as_str()).collect();
    let mut known = RECIPES.map(|(name, ..)| name);
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(json!(named), json!(known.to_vec()), "rows and recipes");
    routes
}

fn row(cells: &[&str]) -> Route {
    let name = cells[0].trim_matches('`').to_owned();
    let recipe = RECIPES.iter().find(|(known, ..)| *known == name);
    let (_, needs, sends) = recipe.unwrap_or_else(|| panic!("nobody knows how to ask {name}"));
    let (method, path) = name.split_once(' ').unwrap();
    let statuses = cells[3..].iter().map(|cell| {
        let status = cell.parse::<u16>();
        status.unwrap_or_else(|_| panic!("{name}: {cell:?} is no status"))
    });
    Route {
        method: method.parse().unwrap(),
        path: path.to_owned(),
        cells: COLUMNS.into_iter().zip(statuses).collect(),
        needs: *needs,
        sends: *sends,
        name,
    }
}
