//! What came of the messages about a job's end, and sending them again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use shared::audit::{Act, Effect};
use shared::caller::Caller;
use shared::change;
use shared::clients::Clients;
use shared::delivery::{self, DeliveryPage};
use shared::http::{Body, JobPath, RequestId};
use shared::job::JobId;
use shared::problem::Problem;

use super::{act, owned};

/// The messages to webhooks about the job's last end, and every try.
///
/// Kept as long as the job's log; of a job that Redis has forgotten the list is empty, with `gap`.
#[utoipa::path(
    get,
    path = "/jobs/{id}/deliveries",
    operation_id = "listDeliveries",
    tag = "jobs",
    security(("bearer" = [])),
    params(("id" = JobId, Path)),
    responses((
        status = 200,
        description = "All of them",
        body = DeliveryPage,
        links(("again" = (operation_id = "redeliver", parameters(("id" = "$request.path.id")))))
    )),
    extensions(("x-problems" = json!(["unknown_job", "rate_limited"]))),
)]
pub(crate) async fn list(
    State(clients): State<Clients>,
    caller: Caller,
    JobPath(id): JobPath,
) -> Result<Json<DeliveryPage>, Problem> {
    owned(&clients, &caller, id).await?;
    Ok(Json(delivery::page(&clients, id).await?))
}

/// Which message; all that are over where it is left out.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redeliver {
    /// Its `webhook-id`.
    id: Option<String>,
}

/// Makes a message due again at once, whatever became of it.
///
/// Its `webhook-id` stays, so a receiver that had it can tell. A message is sent again once a minute, and 30 of a tenant and to a host.
#[utoipa::path(
    post,
    path = "/jobs/{id}/deliveries/redeliver",
    operation_id = "redeliver",
    tag = "jobs",
    security(("bearer" = [])),
    params(("id" = JobId, Path)),
    request_body(content = Redeliver, example = json!({})),
    responses((status = 202, description = "All of them, as they stand now", body = DeliveryPage)),
    extensions(("x-problems" = json!(["unknown_job", "unknown_delivery", "not_ended", "rate_limited"]))),
)]
pub(crate) async fn redeliver(
    State(clients): State<Clients>,
    caller: Caller,
    request: RequestId,
    JobPath(id): JobPath,
    Body(wanted): Body<Redeliver>,
) -> Result<(StatusCode, Json<DeliveryPage>), Problem> {
    let known = owned(&clients, &caller, id).await?;
    if !known.job.status.is_terminal() {
        return Err(change::not_ended());
    }
    let message = wanted.id.as_deref();
    let again = async {
        let again = delivery::redeliver(&clients, &known, message).await;
        again.map(Effect::Changed)
    };
    let (who, redeliver) = ((&caller, request), Act::redeliver(&known, message));
    act(&clients, who, &known.job, redeliver, again).await?;
    let page = delivery::page(&clients, id).await?;
    Ok((StatusCode::ACCEPTED, Json(page)))
}
