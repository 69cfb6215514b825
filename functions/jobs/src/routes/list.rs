//! `GET /jobs`: the caller's own jobs, newest first; for an admin everybody's.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::caller::Caller;
use shared::clients::Clients;
use shared::http::{Query, RequestId};
use shared::list::{self, Filter};
use shared::problem::Problem;
use shared::view::{self, JobView};

/// Jobs in short: without plan, options, webhook and waveform, the narrative cut to 280 characters.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = JobPage)]
pub(crate) struct Page {
    items: Vec<JobView>,
    /// `null` is the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// The caller's own jobs, newest first; for an admin everybody's.
#[utoipa::path(
    get,
    path = "/jobs",
    operation_id = "listJobs",
    tag = "jobs",
    security(("bearer" = [])),
    params(Filter),
    responses((
        status = 200,
        description = "A page of the jobs that Redis keeps",
        body = Page,
        links(
            ("next" = (operation_id = "listJobs", parameters(("query.cursor" = "$response.body#/nextCursor")))),
            ("read" = (operation_id = "readJob", parameters(("id" = "$response.body#/items/0/id")))),
        )
    )),
    extensions(("x-problems" = json!(["forbidden", "rate_limited"]))),
)]
pub(crate) async fn list(
    State(clients): State<Clients>,
    caller: Caller,
    request: RequestId,
    Query(filter): Query<Filter>,
) -> Result<Json<Page>, Problem> {
    let page = list::list(&clients, &caller, &filter).await?;
    page.look(&clients, &caller, request, "jobs").await?;
    let item = |known| view::item(&clients, known);
    Ok(Json(Page {
        items: page.items.into_iter().map(item).collect(),
        next_cursor: page.next_cursor,
    }))
}
