//! `GET /jobs`: the caller's own jobs, newest first; for an admin everybody's.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::caller::Caller;
use shared::clients::Clients;
use shared::http::Query;
use shared::list::{self, Filter};
use shared::lookup;
use shared::problem::Problem;
use shared::view::{self, JobView};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    items: Vec<JobView>,
    next_cursor: Option<String>,
}

pub(crate) async fn list(
    State(clients): State<Clients>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<Page>, Problem> {
    lookup::count_read(&clients, &caller.tenant).await?;
    let page = list::list(&clients, &caller, &filter).await?;
    let shown = |known| view::shown(&clients, known);
    Ok(Json(Page {
        items: page.items.into_iter().map(shown).collect(),
        next_cursor: page.next_cursor,
    }))
}
