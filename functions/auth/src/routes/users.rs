//! `/auth/users`: who may sign in. For admins; every change is put on record.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde_json::{Map, Value};
use shared::audit::{Act, Effect, Operator};
use shared::caller::{Admin, Caller, Role};
use shared::clients::Clients;
use shared::http::{Body, IdPath, Query, RequestId};
use shared::identity::{self, Account, Hasher, PasswordHash, Reserved, User};
use shared::lookup::Unreachable;
use shared::problem::Problem;
use shared::store::Put;
use uuid::Uuid;

use super::{Page, Paging};
use crate::form::{Change, Form};

/// Of two admins one is first; the other looks again.
const TRIES: usize = 8;

/// Makes a user.
#[utoipa::path(
    post,
    path = "/auth/users",
    operation_id = "createUser",
    tag = "auth",
    security(("bearer" = [])),
    request_body(content = crate::document::NewUser, example = json!({
        "email": "ann@example.com", "username": "ann", "password": "correct horse battery"
    })),
    responses((
        status = 201,
        description = "The user",
        body = User,
        headers(("Location" = String, description = "`/auth/users/{id}`")),
        links(
            ("read" = (operation_id = "readUser", parameters(("id" = "$response.body#/id")))),
            ("change" = (operation_id = "changeUser", parameters(("id" = "$response.body#/id")))),
        )
    )),
    extensions(("x-problems" = json!(["forbidden", "name_taken", "sign_in_busy"]))),
)]
pub(crate) async fn create(
    State(clients): State<Clients>,
    State(hasher): State<Hasher>,
    Admin(caller): Admin,
    request: RequestId,
    Body(body): Body<Map<String, Value>>,
) -> Result<Response, Problem> {
    let (person, password) = Form::person(body)?;
    let hash = hasher.hash(password).await?;
    let reserved = Account::reserve(&clients.store, &person).await;
    let id = match reserved.map_err(Unreachable::from)? {
        Reserved::For(id) => id,
        Reserved::Taken(name) => return Err(taken(name)),
    };
    let account = Account::new(id, person, hash);
    let operator = Operator::new(&caller, request);
    let begin = async {
        match account.begin(&clients.store).await {
            Ok(Put::Stored) => Ok(Effect::Changed(())),
            Ok(Put::Existed) => Err(taken("email")),
            Err(error) => Err(Unreachable::from(error).into()),
        }
    };
    let act = Act::user("user.create", None, &account);
    operator.act(&clients, act, begin).await?;
    let location = [(LOCATION, format!("/auth/users/{id}"))];
    let user = Json(User::from(&account));
    Ok((StatusCode::CREATED, location, user).into_response())
}

/// Every user, the oldest first.
#[utoipa::path(
    get,
    path = "/auth/users",
    operation_id = "listUsers",
    tag = "auth",
    security(("bearer" = [])),
    params(Paging),
    responses((
        status = 200,
        description = "A page of users",
        body = Page<User>,
        links(
            ("next" = (operation_id = "listUsers", parameters(("query.cursor" = "$response.body#/nextCursor")))),
            ("read" = (operation_id = "readUser", parameters(("id" = "$response.body#/items/0/id")))),
        )
    )),
    extensions(("x-problems" = json!(["forbidden"]))),
)]
pub(crate) async fn list(
    State(clients): State<Clients>,
    _: Admin,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<User>>, Problem> {
    let (after, limit) = paging.read()?;
    let ids = clients.store.user_page(after, limit).await;
    let read = async |id| {
        let found = Account::read(&clients.store, id).await?;
        Ok(found.map(|(account, _)| User::from(&account)))
    };
    Page::of(ids.map_err(Unreachable::from)?, limit, read).await
}

/// One user.
#[utoipa::path(
    get,
    path = "/auth/users/{id}",
    operation_id = "readUser",
    tag = "auth",
    security(("bearer" = [])),
    params(("id" = crate::document::Id, Path)),
    responses((status = 200, description = "The user", body = User)),
    extensions(("x-problems" = json!(["forbidden", "unknown_user"]))),
)]
pub(crate) async fn read(
    State(clients): State<Clients>,
    _: Admin,
    IdPath(id): IdPath,
) -> Result<Json<User>, Problem> {
    let (account, _) = known(&clients, id).await?;
    Ok(Json(User::from(&account)))
}

/// Changes a user.
///
/// A new password and a disabling end all sessions and open sockets; a role holds from the next
/// access token.
#[utoipa::path(
    patch,
    path = "/auth/users/{id}",
    operation_id = "changeUser",
    tag = "auth",
    security(("bearer" = [])),
    params(("id" = crate::document::Id, Path)),
    request_body(content = crate::document::UserChange, example = json!({"disabled": true})),
    responses((status = 200, description = "The user as it is now", body = User)),
    extensions(("x-problems" = json!([
        "forbidden", "unknown_user", "own_account", "setting_contended", "sign_in_busy"
    ]))),
)]
pub(crate) async fn change(
    State(clients): State<Clients>,
    State(hasher): State<Hasher>,
    Admin(caller): Admin,
    request: RequestId,
    IdPath(id): IdPath,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<User>, Problem> {
    let change = Form::change(body)?;
    not_oneself(&caller, id, &change)?;
    known(&clients, id).await?;
    let hash = match change.password.clone() {
        Some(password) => Some(hasher.hash(password).await?),
        None => None,
    };
    let operator = Operator::new(&caller, request);
    for _ in 0..TRIES {
        let (now, revision) = known(&clients, id).await?;
        let Some(next) = changed(&now, &change, hash.as_ref()) else {
            // Again: Redis may not have heard of it.
            if now.disabled {
                identity::hang_up(&clients, &id.to_string(), None).await?;
            }
            return Ok(Json(User::from(&now)));
        };
        let put = async {
            match clients.store.put_user(id, revision + 1, &next).await {
                Ok(Put::Stored) => Ok(Effect::Changed(Put::Stored)),
                Ok(Put::Existed) => Ok(Effect::Unchanged(Put::Existed)),
                Err(error) => Err(Unreachable::from(error).into()),
            }
        };
        let act = Act::user("user.change", Some(&now), &next);
        if operator.act(&clients, act, put).await? == Put::Stored {
            if next.sessions != now.sessions {
                identity::hang_up(&clients, &id.to_string(), None).await?;
            }
            return Ok(Json(User::from(&next)));
        }
    }
    let detail = "others are changing the same user; try again";
    Err(Problem::unavailable(
        "setting_contended",
        detail,
        Duration::from_secs(1),
    ))
}

/// None if that changes nothing.
fn changed(now: &Account, change: &Change, hash: Option<&PasswordHash>) -> Option<Account> {
    let mut next = now.clone();
    next.disabled = change.disabled.unwrap_or(now.disabled);
    next.role = change.role.unwrap_or(now.role);
    if let Some(hash) = hash {
        next.password_hash = hash.clone();
    }
    if next == *now {
        return None;
    }
    if hash.is_some() || (next.disabled && !now.disabled) {
        next.sessions += 1;
    }
    next.updated_at = Utc::now();
    Some(next)
}

/// The last admin who does that has nobody to undo it.
fn not_oneself(caller: &Caller, id: Uuid, change: &Change) -> Result<(), Problem> {
    let resigns = change.role.is_some_and(|role| role != Role::Admin);
    if caller.sub == id.to_string() && (change.disabled == Some(true) || resigns) {
        let detail = "another admin must disable you or take your role";
        return Err(Problem::conflict("own_account", detail));
    }
    Ok(())
}

async fn known(clients: &Clients, id: Uuid) -> Result<(Account, u64), Problem> {
    let found = Account::read(&clients.store, id).await;
    let unknown = || Problem::not_found("unknown_user", "there is no such user");
    found.map_err(Unreachable::from)?.ok_or_else(unknown)
}

fn taken(name: &str) -> Problem {
    Problem::conflict("name_taken", format!("somebody has this {name} already"))
}
