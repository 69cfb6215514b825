//! `/admin/dead`: jobs that used up their attempts, and another chance for them.

use axum::Json;
use axum::extract::State;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use shared::caller::Admin;
use shared::clients::Clients;
use shared::http::{Body, Query, RequestId};
use shared::job::JobId;
use shared::list;
use shared::lookup::{self, Unreachable};
use shared::number;
use shared::problem::{FieldError, Problem};
use shared::view::{self, JobView};

use super::jobs;
use shared::audit::Operator;

/// Jobs of one redrive.
const MOST: usize = 100;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// How many to pass over.
    offset: Option<usize>,
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
    extensions(("x-problems" = json!(["forbidden"]))),
)]
pub(crate) async fn list(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    Query(paging): Query<Paging>,
) -> Result<Json<Page>, Problem> {
    let limit = list::limit(paging.limit)?;
    let offset = paging.offset.unwrap_or(0);
    let queue = &clients.queue;
    let ids = queue.dead_page(offset, limit).await;
    let known: Vec<_> = stream::iter(ids.map_err(Unreachable::from)?)
        .map(|id| lookup::find(&clients, id))
        .buffered(list::READS)
        .try_collect()
        .await?;
    if known
        .iter()
        .flatten()
        .any(|known| known.job.user != caller.user)
    {
        let operator = Operator::new(&caller, request);
        operator.look(&clients, "job.list", "dead").await?;
    }
    let shown = |known| view::shown(&clients, known);
    let items = known.into_iter().flatten().map(shown).collect();
    let total = queue.counts().await.map_err(Unreachable::from)?.dead;
    Ok(Json(Page { items, total }))
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
    let ids = which.ids(&clients).await?;
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
    async fn ids(self, clients: &Clients) -> Result<Vec<JobId>, Problem> {
        let wrong = |pointer: &'static str, code: &'static str, detail: &str| {
            Problem::validation(vec![FieldError::new(pointer, code, detail)])
        };
        match (self.job_ids, self.limit) {
            (Some(ids), None) if (1..=MOST).contains(&ids.len()) => Ok(ids),
            (None, Some(limit)) if (1..=MOST).contains(&limit) => {
                let ids = clients.queue.dead_page(0, limit).await;
                Ok(ids.map_err(Unreachable::from)?)
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
