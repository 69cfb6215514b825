//! The whole queue: pause, resume, slots. What is set survives a loss of Redis.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::caller::Admin;
use shared::clients::Clients;
use shared::config::SLOTS;
use shared::http::{Body, RequestId};
use shared::number;
use shared::problem::{FieldError, Problem};
use shared::queue::QueueSettings;

use crate::setting;
use shared::audit::Operator;

/// What is in force now.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct InForce {
    paused: bool,
    slots: u32,
}

/// Gives out no job until the queue is resumed.
///
/// Nothing is given out any more; what runs goes on, and what is rendered is finished.
#[utoipa::path(
    post,
    path = "/admin/queue/pause",
    operation_id = "pauseQueue",
    tag = "operate",
    security(("bearer" = [])),
    responses((status = 200, description = "What is in force", body = InForce)),
    extensions(("x-problems" = json!(["forbidden", "setting_contended"]))),
)]
pub(crate) async fn pause(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
) -> Result<Json<InForce>, Problem> {
    let operator = Operator::new(&caller, request);
    set(&clients, &operator, "queue.pause", |queue| {
        queue.paused = true
    })
    .await
}

/// Gives out jobs again.
///
/// Waiting jobs are rung for at once.
#[utoipa::path(
    post,
    path = "/admin/queue/resume",
    operation_id = "resumeQueue",
    tag = "operate",
    security(("bearer" = [])),
    responses((status = 200, description = "What is in force", body = InForce)),
    extensions(("x-problems" = json!(["forbidden", "setting_contended"]))),
)]
pub(crate) async fn resume(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
) -> Result<Json<InForce>, Problem> {
    let operator = Operator::new(&caller, request);
    set(&clients, &operator, "queue.resume", |queue| {
        queue.paused = false
    })
    .await
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSlots)]
pub(crate) struct Slots {
    /// `null`: as configured.
    #[serde(default, deserialize_with = "number::whole")]
    #[schema(minimum = 1, maximum = 20000)]
    slots: Option<u32>,
}

/// How many jobs may be in plan or audio at once; running ones above it go on.
#[utoipa::path(
    put,
    path = "/admin/queue/slots",
    operation_id = "setSlots",
    tag = "operate",
    security(("bearer" = [])),
    request_body(content = Slots, examples(("eight" = (value = json!({"slots": 8}))), ("configured" = (value = json!({"slots": null}))))),
    responses((status = 200, description = "What is in force", body = InForce)),
    extensions(("x-problems" = json!(["forbidden", "setting_contended"]))),
)]
pub(crate) async fn slots(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    Body(Slots { slots }): Body<Slots>,
) -> Result<Json<InForce>, Problem> {
    if slots.is_some_and(|n| !SLOTS.contains(&n)) {
        let most = SLOTS.end();
        let detail = format!("The slots must be a whole number from 1 to {most}, or null.");
        let field = FieldError::new("/slots", "out_of_range", detail);
        return Err(Problem::validation(vec![field]));
    }
    let operator = Operator::new(&caller, request);
    set(&clients, &operator, "queue.slots", |queue| {
        queue.slots = slots
    })
    .await
}

async fn set(
    clients: &Clients,
    operator: &Operator,
    action: &'static str,
    change: impl Fn(&mut QueueSettings) + Send + Sync,
) -> Result<Json<InForce>, Problem> {
    let now = setting::change(clients, operator, (action, "queue"), &(), change).await?;
    Ok(Json(InForce {
        paused: now.paused,
        slots: now.slots.unwrap_or(clients.config.slots),
    }))
}
