//! Lists of jobs: a caller's own, newest first; for an admin everybody's.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;

use crate::audit::Operator;
use crate::callback;
use crate::caller::{Caller, Role};
use crate::clients::Clients;
use crate::http::RequestId;
use crate::job::{JobStatus, UserId};
use crate::lookup::{self, Unreachable};
use crate::problem::{FieldError, Problem};
use crate::queue::{Owner, Position, Snapshot};
use crate::submission::is_tag;
use crate::view::Known;

const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 100;
/// Index pages that one request looks through for jobs that match a second filter.
const PAGES: usize = 10;

/// Jobs read from the store at the same time.
pub const READS: usize = 16;

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
    /// Puts on record that an admin is shown others' jobs.
    pub async fn look(
        &self,
        clients: &Clients,
        caller: &Caller,
        request: RequestId,
    ) -> Result<(), Problem> {
        if self.items.iter().all(|known| known.job.user == caller.user) {
            return Ok(());
        }
        let operator = Operator::new(caller, request);
        operator.look(clients, "job.list", "jobs").await
    }
}

/// Filtered by status, tag and (admins) user. The cursor works for the same caller and filter only.
pub async fn list(clients: &Clients, caller: &Caller, filter: &Filter) -> Result<Page, Problem> {
    let limit = limit(filter.limit)?;
    let owner = filter.owner(caller)?;
    let index = filter.index()?;
    let bind = format!(
        "{}\n{owner}\n{:?}\n{:?}",
        caller.sub, filter.status, filter.tag
    );
    let mut from = filter.position(clients, &bind)?;
    lookup::count_read(clients, &caller.tenant).await?;
    let mut items = Vec::new();
    let mut more = true;
    for _ in 0..PAGES {
        let page = clients
            .queue
            .list(&owner, index.as_deref(), from, limit)
            .await
            .map_err(Unreachable::from)?;
        more = page.len() == limit;
        let ids: Vec<_> = page.iter().map(|position| position.id).collect();
        let found = clients
            .queue
            .read_all(&ids)
            .await
            .map_err(Unreachable::from)?;
        let mut wanted = Vec::new();
        for position in page {
            if items.len() + wanted.len() == limit {
                more = true;
                break;
            }
            from = Some(position);
            let snapshot = found.iter().find(|s| s.job.id == position.id);
            wanted.extend(
                snapshot
                    .filter(|s| filter.status.is_none_or(|status| s.job.status == status))
                    .cloned(),
            );
        }
        let known: Vec<_> = stream::iter(wanted)
            .map(|snapshot| known(clients, snapshot))
            .buffered(READS)
            .try_collect()
            .await?;
        items.extend(known.into_iter().flatten());
        if !more || items.len() == limit {
            break;
        }
    }
    let next_cursor = from.filter(|_| more).and_then(|position| {
        let bytes = serde_json::to_vec(&position).ok()?;
        Some(callback::seal(&clients.config.keys, &bind, &bytes))
    });
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

    /// The narrower of two indices; the rest is filtered by reading.
    fn index(&self) -> Result<Option<String>, Problem> {
        match (&self.tag, self.status) {
            (Some(tag), _) if is_tag(tag) => Ok(Some(format!("#{tag}"))),
            (Some(_), _) => Err(wrong(
                "tag",
                "malformed",
                "must be 1 to 64 letters, digits, '_', '.' or '-'",
            )),
            (None, status) => Ok(status.map(|status| status.as_str().to_owned())),
        }
    }

    fn position(&self, clients: &Clients, bind: &str) -> Result<Option<Position>, Problem> {
        let Some(text) = &self.cursor else {
            return Ok(None);
        };
        let bytes = callback::open(&clients.config.keys, bind, text).ok();
        let position = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let malformed = || {
            wrong(
                "cursor",
                "invalid_cursor",
                "must come from the same list with the same filter",
            )
        };
        position.map(Some).ok_or_else(malformed)
    }
}
