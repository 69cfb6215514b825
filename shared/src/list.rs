//! Lists of jobs: a caller's own, newest first; for an admin everybody's.

use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use tokio::time::timeout;

use crate::audit::Operator;
use crate::callback;
use crate::caller::{Caller, Role};
use crate::clients::Clients;
use crate::http::RequestId;
use crate::job::{JobStatus, UserId};
use crate::keyring::KeyRing;
use crate::lookup::{self, Unreachable};
use crate::problem::{FieldError, Problem};
use crate::queue::{self, Listed, Owner, Position, Snapshot};
use crate::store::StoreError;
use crate::submission::is_tag;
use crate::view::Known;

const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 100;
/// Jobs read from the store at the same time.
pub const READS: usize = 16;
/// All reads of one page: a slow store must not hold the caller until Lambda ends the function.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a list is asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only jobs with this status.
    status: Option<JobStatus>,
    /// Only jobs with this tag.
    #[param(pattern = "^[A-Za-z0-9_.-]{1,64}$")]
    tag: Option<String>,
    /// A `sub`; somebody else's is for admins only.
    user: Option<String>,
    /// `nextCursor` of the page before; good for the same caller and filter only.
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
}

/// Some jobs, and the cursor behind which the list goes on.
#[derive(Debug)]
pub struct Page {
    pub items: Vec<Known>,
    pub next_cursor: Option<String>,
}

impl Page {
    /// Puts on record that an admin is shown others' jobs in the list of this name.
    pub async fn look(
        &self,
        clients: &Clients,
        caller: &Caller,
        request: RequestId,
        name: &str,
    ) -> Result<(), Problem> {
        if self.items.iter().all(|known| known.job.user == caller.user) {
            return Ok(());
        }
        let operator = Operator::new(caller, request);
        operator.look(clients, "job.list", name).await
    }
}

/// Filtered by status, tag and (admins) user. The cursor works for the same caller and filter only.
pub async fn list(clients: &Clients, caller: &Caller, filter: &Filter) -> Result<Page, Problem> {
    let limit = limit(filter.limit)?;
    let owner = &filter.owner(caller)?;
    let (status, tag) = (filter.status, filter.tag()?);
    let bind = format!("{}\n{owner}\n{status:?}\n{tag:?}", caller.sub);
    let listed = Listed::Jobs { owner, status, tag };
    page(
        clients,
        caller,
        &listed,
        &bind,
        filter.cursor.as_deref(),
        limit,
    )
    .await
}

/// One page of a list, whose cursor works for the same `bind` only.
pub async fn page(
    clients: &Clients,
    caller: &Caller,
    listed: &Listed<'_>,
    bind: &str,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page, Problem> {
    let keys = &clients.config.keys;
    let from = cursor.map(|text| position(keys, bind, text)).transpose()?;
    let (queue, tenant) = (&clients.queue, &caller.tenant);
    let found = queue.list(tenant, listed, from, limit).await;
    let (found, left) = found.map_err(Unreachable::from)?;
    lookup::note_quota("read", queue.policy().read_per_minute, left);
    let (jobs, next) = match found {
        queue::Page::Page { jobs, next } => (jobs, next),
        queue::Page::Limited { retry_ms } => return Err(lookup::too_often(retry_ms)),
    };
    let known = stream::iter(jobs).map(|snapshot| known(clients, snapshot));
    let known = known.buffered(READS).try_collect::<Vec<_>>();
    let late = |_| Unreachable::from(StoreError::TimedOut(PATIENCE));
    let known = timeout(PATIENCE, known).await.map_err(late)??;
    let next_cursor = next.and_then(|position| {
        let bytes = serde_json::to_vec(&position).ok()?;
        Some(callback::seal(keys, bind, &bytes))
    });
    let items = known.into_iter().flatten().collect();
    Ok(Page { items, next_cursor })
}

/// How many entries of a list, 1–100; 20 where the caller does not say.
pub fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(LIMIT_DEFAULT);
    let fits = (1..=LIMIT_MAX).contains(&limit);
    fits.then_some(limit)
        .ok_or_else(|| wrong("limit", "out_of_range", "must be from 1 to 100"))
}

async fn known(clients: &Clients, snapshot: Snapshot) -> Result<Option<Known>, Problem> {
    if snapshot.unrecorded {
        let known = lookup::known(clients, snapshot).await?;
        return Ok(known.map(|known| Known {
            plan: None,
            ..known
        }));
    }
    let Some(request) = lookup::envelope(clients, &snapshot.job).await? else {
        return Ok(None);
    };
    let known = lookup::without_plan(snapshot, request).map_err(Unreachable::from)?;
    Ok(Some(known))
}

/// 400: a parameter of the query is not what it must be.
pub fn wrong(name: &str, code: &'static str, detail: &str) -> Problem {
    let field = FieldError::new(format!("/{name}"), code, detail);
    Problem::bad_request("invalid_query", format!("the parameter {name}: {detail}"))
        .with_errors(vec![field])
}

impl Filter {
    fn owner(&self, caller: &Caller) -> Result<Owner, Problem> {
        match (&self.user, caller.role) {
            (None, Role::Admin) => Ok(Owner::Everybody),
            (None, _) => Ok(Owner::User(caller.user.clone())),
            (Some(user), _) if caller.may_see(&UserId::new(user)) => {
                Ok(Owner::User(UserId::new(user)))
            }
            (Some(_), _) => Err(Problem::forbidden(
                "only an admin may list another user's jobs",
            )),
        }
    }

    fn tag(&self) -> Result<Option<&str>, Problem> {
        let detail = "must be 1 to 64 letters, digits, '_', '.' or '-'";
        match self.tag.as_deref() {
            Some(tag) if !is_tag(tag) => Err(wrong("tag", "malformed", detail)),
            tag => Ok(tag),
        }
    }
}

fn position(keys: &KeyRing, bind: &str, text: &str) -> Result<Position, Problem> {
    let bytes = callback::open(keys, bind, text).ok();
    let position = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let detail = "must come from the same list with the same filter";
    position.ok_or_else(|| wrong("cursor", "invalid_cursor", detail))
}
