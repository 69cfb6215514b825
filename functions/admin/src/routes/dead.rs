//! `/admin/dead`: jobs that used up their attempts, and another chance for them.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::caller::{Admin, Caller};
use shared::clients::Clients;
use shared::http::{Body, Query, RequestId};
use shared::job::JobId;
use shared::list;
use shared::lookup::Unreachable;
use shared::number;
use shared::problem::{FieldError, Problem};
use shared::queue::Listed;
use shared::view::{self, JobView};

use super::jobs;
use shared::audit::Operator;

/// Jobs of one redrive.
const MOST: usize = 100;
/// What a cursor of the list is bound to.
const DEAD: &str = "dead";

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeadPage)]
pub(crate) struct Page {
    items: Vec<JobView>,
    /// All that are kept.
    total: u64,
    /// `null` is the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Jobs that used up their attempts.
///
/// The latest first.
#[utoipa::path(
    get,
    path = "/admin/dead",
    operation_id = "listDeadJobs",
    tag = "operate",
    security(("bearer" = [])),
    params(Paging),
    responses((status = 200, description = "The latest first", body = Page)),
    extensions(("x-problems" = json!(["forbidden", "rate_limited"]))),
)]
pub(crate) async fn list(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    Query(paging): Query<Paging>,
) -> Result<Json<Page>, Problem> {
    let limit = list::limit(paging.limit)?;
    let cursor = paging.cursor.as_deref();
    let page = list::page(&clients, &caller, &Listed::Dead, DEAD, cursor, limit).await?;
    page.look(&clients, &caller, request, DEAD).await?;
    let total = clients
        .queue
        .counts()
        .await
        .map_err(Unreachable::from)?
        .dead;
    let item = |known| view::item(&clients, known);
    Ok(Json(Page {
        items: page.items.into_iter().map(item).collect(),
        total,
        next_cursor: page.next_cursor,
    }))
}

/// These jobs, or the latest `limit`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Redrive)]
pub(crate) struct Which {
    #[schema(min_items = 1, max_items = 100)]
    job_ids: Option<Vec<JobId>>,
    #[serde(default, deserialize_with = "number::whole")]
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Redriven {
    redriven: Vec<JobId>,
    refused: Vec<Refused>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Refused {
    job_id: JobId,
    code: String,
}

/// Starts dead jobs afresh.
///
/// Each is started afresh, as by a retry; one that cannot be is named with the reason, and the others go on.
#[utoipa::path(
    post,
    path = "/admin/dead/redrive",
    operation_id = "redriveJobs",
    tag = "operate",
    security(("bearer" = [])),
    request_body(content = Which, examples(("latest" = (value = json!({"limit": 20}))), ("these" = (value = json!({"jobIds": ["01a20428-f7d9-735f-b27d-e74c71c63de9"]}))))),
    responses((status = 200, description = "Which were started, and why others were not", body = Redriven)),
    extensions(("x-problems" = json!(["forbidden"]))),
)]
pub(crate) async fn redrive(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    Body(which): Body<Which>,
) -> Result<Json<Redriven>, Problem> {
    let operator = Operator::new(&caller, request);
    let ids = which.ids(&clients, &caller).await?;
    let (mut redriven, mut refused) = (Vec::new(), Vec::new());
    for job_id in ids {
        let tried = match jobs::find(&clients, job_id).await {
            Ok(known) => jobs::retry_known(&clients, &operator, &known).await,
            Err(problem) => Err(problem),
        };
        match tried {
            Ok(()) => redriven.push(job_id),
            // Nothing of ours answers: the caller comes again with the same list, and what was done is then refused.
            Err(problem) if problem.status().is_server_error() => return Err(problem),
            Err(problem) => refused.push(Refused {
                job_id,
                code: problem.code().to_owned(),
            }),
        }
    }
    Ok(Json(Redriven { redriven, refused }))
}

impl Which {
    async fn ids(self, clients: &Clients, caller: &Caller) -> Result<Vec<JobId>, Problem> {
        let wrong = |pointer: &'static str, code: &'static str, detail: &str| {
            Problem::validation(vec![FieldError::new(pointer, code, detail)])
        };
        match (self.job_ids, self.limit) {
            (Some(ids), None) if (1..=MOST).contains(&ids.len()) => Ok(ids),
            (None, Some(limit)) if (1..=MOST).contains(&limit) => {
                let page = list::page(clients, caller, &Listed::Dead, DEAD, None, limit).await?;
                Ok(page.items.into_iter().map(|known| known.job.id).collect())
            }
            (Some(_), None) => Err(wrong("/jobIds", "out_of_range", "Name 1 to 100 jobs.")),
            (None, Some(_)) => Err(wrong(
                "/limit",
                "out_of_range",
                "The limit must be from 1 to 100.",
            )),
            _ => Err(wrong("", "required", "Say either jobIds or limit.")),
        }
    }
}
