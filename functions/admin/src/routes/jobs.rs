//! `/admin/jobs`: find any job, and cancel it, start it again or move it to another level.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::caller::Admin;
use shared::change;
use shared::clients::Clients;
use shared::http::{Body, JobPath, Query, RequestId};
use shared::job::{JobId, TenantId};
use shared::list::{self, Filter};
use shared::lookup;
use shared::priority::Priority;
use shared::problem::Problem;
use shared::view::{self, JobView, Known};

use shared::audit::{Act, Operator};

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = FoundJob)]
pub(crate) struct Item {
    tenant: TenantId,
    #[serde(flatten)]
    job: JobView,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SearchPage)]
pub(crate) struct Page {
    items: Vec<Item>,
    /// `null` is the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// As `GET /jobs` for an admin, with each job's tenant.
#[utoipa::path(
    get,
    path = "/admin/jobs",
    operation_id = "searchJobs",
    tag = "operate",
    security(("bearer" = [])),
    params(Filter),
    responses((
        status = 200,
        description = "Anybody's jobs, newest first",
        body = Page,
        links(("cancel" = (operation_id = "cancelAnyJob", parameters(("id" = "$response.body#/items/0/id")))))
    )),
    extensions(("x-problems" = json!(["forbidden", "rate_limited"]))),
)]
pub(crate) async fn search(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    Query(filter): Query<Filter>,
) -> Result<Json<Page>, Problem> {
    let page = list::list(&clients, &caller, &filter).await?;
    page.look(&clients, &caller, request, "jobs").await?;
    let item = |known: Known| Item {
        tenant: known.job.tenant.clone(),
        job: view::item(&clients, known),
    };
    Ok(Json(Page {
        items: page.items.into_iter().map(item).collect(),
        next_cursor: page.next_cursor,
    }))
}

pub(super) async fn find(clients: &Clients, id: JobId) -> Result<Known, Problem> {
    let found = lookup::find(clients, id).await?;
    found.ok_or_else(lookup::unknown_job)
}

/// As its owner's cancel.
///
/// 200; of a job that was cancelled before, too. Ended otherwise: 409.
#[utoipa::path(
    post,
    path = "/admin/jobs/{id}/cancel",
    operation_id = "cancelAnyJob",
    tag = "operate",
    security(("bearer" = [])),
    params(("id" = JobId, Path)),
    responses((status = 200, description = "The job as it is now", body = JobView)),
    extensions(("x-problems" = json!(["forbidden", "unknown_job", "already_ended"]))),
)]
pub(crate) async fn cancel(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    JobPath(id): JobPath,
) -> Result<Json<JobView>, Problem> {
    let job = lookup::record(&clients, id).await?;
    let job = job.ok_or_else(lookup::unknown_job)?;
    let operator = Operator::new(&caller, request);
    let cancel = change::cancel(&clients, &job, &operator.who);
    operator.act(&clients, Act::cancel(&job), cancel).await?;
    let now = change::cancelled(find(&clients, id)).await?;
    Ok(Json(view::shown(&clients, now)))
}

/// As its owner's retry.
///
/// 202. Completed or live: 409.
#[utoipa::path(
    post,
    path = "/admin/jobs/{id}/retry",
    operation_id = "retryAnyJob",
    tag = "operate",
    security(("bearer" = [])),
    params(("id" = JobId, Path)),
    responses((
        status = 202,
        description = "The job as it stands",
        body = JobView,
        headers(("Location" = String, description = "`/jobs/{id}`"))
    )),
    extensions(("x-problems" = json!(["forbidden", "unknown_job", "already_completed", "not_ended", "line_full", "rate_limited"]))),
)]
pub(crate) async fn retry(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    JobPath(id): JobPath,
) -> Result<Response, Problem> {
    let known = find(&clients, id).await?;
    retry_known(&clients, &Operator::new(&caller, request), &known).await?;
    let now = find(&clients, id).await?;
    Ok(view::accepted(&clients, now))
}

pub(super) async fn retry_known(
    clients: &Clients,
    operator: &Operator,
    known: &Known,
) -> Result<(), Problem> {
    let retry = change::retry(clients, known, &operator.who);
    operator.act(clients, Act::retry(known), retry).await
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPriority)]
pub(crate) struct Level {
    priority: Priority,
}

/// Moves a live job to another level.
///
/// 200; the next acquire goes by it. Ended: 409.
#[utoipa::path(
    post,
    path = "/admin/jobs/{id}/priority",
    operation_id = "moveJob",
    tag = "operate",
    security(("bearer" = [])),
    params(("id" = JobId, Path)),
    request_body(content = Level, examples(("high" = (value = json!({"priority": "high"}))))),
    responses((status = 200, description = "The job as it is now", body = JobView)),
    extensions(("x-problems" = json!(["forbidden", "unknown_job", "already_ended"]))),
)]
pub(crate) async fn priority(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    JobPath(id): JobPath,
    Body(Level { priority }): Body<Level>,
) -> Result<Json<JobView>, Problem> {
    let known = find(&clients, id).await?;
    let operator = Operator::new(&caller, request);
    let moved = change::reprioritise(&clients, &known, priority, &operator.who);
    let act = Act::reprioritise(&known, priority);
    operator.act(&clients, act, moved).await?;
    let now = find(&clients, id).await?;
    Ok(Json(view::shown(&clients, now)))
}
