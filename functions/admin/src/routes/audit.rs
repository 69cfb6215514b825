//! `GET /admin/audit`: who did what, the newest first.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::caller::Admin;
use shared::clients::Clients;
use shared::http::Query;
use shared::list;
use shared::lookup::Unreachable;
use shared::problem::Problem;

use shared::audit::Entry;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    items: Vec<Entry>,
    next_cursor: Option<String>,
}

pub(crate) async fn list(
    State(clients): State<Clients>,
    _: Admin,
    Query(paging): Query<Paging>,
) -> Result<Json<Page>, Problem> {
    let limit = list::limit(paging.limit)?;
    let cursor = paging.cursor.as_deref();
    let sane = |c: &str| c.len() <= 64 && c.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !cursor.is_none_or(sane) {
        let detail = "must come from the same list";
        return Err(list::wrong("cursor", "invalid_cursor", detail));
    }
    let page = clients.store.audit_page::<Entry>(cursor, limit).await;
    let page = page.map_err(Unreachable::from)?;
    let last = page.last().filter(|_| page.len() == limit);
    Ok(Json(Page {
        next_cursor: last.map(|(name, _)| name.clone()),
        items: page.into_iter().map(|(_, entry)| entry).collect(),
    }))
}
