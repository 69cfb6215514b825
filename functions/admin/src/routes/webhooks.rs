//! `/admin/tenants/{tenant}/webhooks`: who is told of a tenant's jobs, and what signs.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use shared::audit::Operator;
use shared::caller::Admin;
use shared::clients::Clients;
use shared::endpoint::SigningSecret;
use shared::http::{Body, RequestId};
use shared::job::{TenantId, uuid_of};
use shared::lookup::Unreachable;
use shared::problem::{FieldError, Problem};
use shared::webhook::{self, ENDPOINTS_MAX, Hooks, Registered, SECRETS_MAX, Secret};
use uuid::Uuid;

use super::tenants::named;
use crate::form::Form;

/// The endpoints of a tenant, and its secrets without what they are.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = TenantWebhooks)]
pub(crate) struct Webhooks {
    /// Those that sign, the oldest first.
    secrets: Vec<SecretShown>,
    /// In the order of their creation.
    items: Vec<Registered>,
}

/// A secret without what it is.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookSecret)]
pub(crate) struct SecretShown {
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    created_at: DateTime<Utc>,
    /// It signs until then; without it until there is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
}

impl From<&Secret> for SecretShown {
    fn from(secret: &Secret) -> Self {
        Self {
            id: secret.id,
            created_at: secret.created_at,
            expires_at: secret.expires_at,
        }
    }
}

/// The endpoints of a tenant, and which secrets sign.
#[utoipa::path(
    get,
    path = "/admin/tenants/{tenant}/webhooks",
    operation_id = "listWebhooks",
    tag = "operate",
    security(("bearer" = [])),
    params(("tenant" = String, Path, description = "As the token has it (`tenant`, else `sub`), or as the overview shows it")),
    responses((status = 200, description = "All of them", body = Webhooks)),
    extensions(("x-problems" = json!(["forbidden"]))),
)]
pub(crate) async fn list(
    State(clients): State<Clients>,
    _: Admin,
    Path(name): Path<String>,
) -> Result<Json<Webhooks>, Problem> {
    let hooks = webhook::hooks(&clients, &named(&name)).await?;
    let mut secrets: Vec<_> = hooks.in_force(Utc::now()).map(SecretShown::from).collect();
    secrets.reverse();
    Ok(Json(Webhooks {
        secrets,
        items: hooks.items,
    }))
}

/// A secret, which is shown this once.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewWebhookSecret)]
pub(crate) struct NewSecret {
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    /// `whsec_` and base64.
    secret: String,
    created_at: DateTime<Utc>,
}

/// An endpoint; with the first one of a tenant comes its first secret, which is shown this once.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = NewTenantWebhook)]
pub(crate) struct Created {
    #[serde(flatten)]
    endpoint: Registered,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<NewSecret>,
}

/// Registers an endpoint of a tenant.
///
/// It is told of each job of the tenant that ends from now on. A tenant without a secret gets one.
#[utoipa::path(
    post,
    path = "/admin/tenants/{tenant}/webhooks",
    operation_id = "createWebhook",
    tag = "operate",
    security(("bearer" = [])),
    params(("tenant" = String, Path, description = "As the token has it (`tenant`, else `sub`), or as the overview shows it")),
    request_body(content = crate::document::NewWebhook, example = json!({"url": "https://example.com/tutti", "events": ["job.completed", "job.failed"]})),
    responses((
        status = 201,
        description = "The endpoint",
        body = Created,
        links(
            ("change" = (operation_id = "changeWebhook", parameters(("tenant" = "$request.path.tenant"), ("id" = "$response.body#/id")))),
            ("delete" = (operation_id = "deleteWebhook", parameters(("tenant" = "$request.path.tenant"), ("id" = "$response.body#/id")))),
        ),
    )),
    extensions(("x-problems" = json!(["forbidden", "limit_reached", "setting_contended"]))),
)]
pub(crate) async fn create(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    Path(name): Path<String>,
    Body(body): Body<Map<String, Value>>,
) -> Result<(StatusCode, Json<Created>), Problem> {
    let (url, events) = Form::webhook(body, clients.config.dev_mode)?;
    let endpoint = Registered {
        id: Uuid::now_v7(),
        url,
        events,
        disabled: None,
        created_at: Utc::now(),
    };
    let (secret, shown) = new_secret()?;
    let (tenant, operator) = (named(&name), Operator::new(&caller, request));
    let add = |hooks: &mut Hooks| {
        if hooks.items.len() >= ENDPOINTS_MAX {
            let detail = format!("a tenant has at most {ENDPOINTS_MAX} endpoints");
            return Err(Problem::conflict("limit_reached", detail));
        }
        hooks.items.push(endpoint.clone());
        let unsigned = hooks.in_force(Utc::now()).next().is_none();
        if unsigned {
            hooks.rotate(secret.clone(), Duration::ZERO);
        }
        Ok(unsigned)
    };
    let signs = webhook::change(&clients, &operator, "webhook.create", &tenant, add).await?;
    let secret = signs.then_some(shown);
    let created = Created { endpoint, secret };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Changes an endpoint: what is left out stays.
///
/// A disabled one is told of nothing; enabled again it begins anew.
#[utoipa::path(
    patch,
    path = "/admin/tenants/{tenant}/webhooks/{id}",
    operation_id = "changeWebhook",
    tag = "operate",
    security(("bearer" = [])),
    params(
        ("tenant" = String, Path, description = "As the token has it (`tenant`, else `sub`), or as the overview shows it"),
        ("id" = crate::document::Id, Path),
    ),
    request_body(content = crate::document::WebhookChange, example = json!({"disabled": false})),
    responses((status = 200, description = "The endpoint as it is now", body = Registered)),
    extensions(("x-problems" = json!(["forbidden", "malformed_id", "unknown_webhook", "setting_contended"]))),
)]
pub(crate) async fn change(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    Path((name, id)): Path<(String, String)>,
    Body(body): Body<Map<String, Value>>,
) -> Result<Json<Registered>, Problem> {
    let id = endpoint_id(&id)?;
    let wanted = Form::webhook_change(body, clients.config.dev_mode)?;
    let (tenant, operator) = (named(&name), Operator::new(&caller, request));
    let apply = |hooks: &mut Hooks| {
        let found = hooks.items.iter_mut().find(|item| item.id == id);
        let item = found.ok_or_else(unknown)?;
        wanted.apply(item);
        Ok(item.clone())
    };
    let item = webhook::change(&clients, &operator, "webhook.change", &tenant, apply).await?;
    if wanted.begins_anew() {
        forget_failures(&clients, &tenant, id).await?;
    }
    Ok(Json(item))
}

/// Removes an endpoint; messages that are not over go nowhere.
#[utoipa::path(
    delete,
    path = "/admin/tenants/{tenant}/webhooks/{id}",
    operation_id = "deleteWebhook",
    tag = "operate",
    security(("bearer" = [])),
    params(
        ("tenant" = String, Path, description = "As the token has it (`tenant`, else `sub`), or as the overview shows it"),
        ("id" = crate::document::Id, Path),
    ),
    responses((status = 204, description = "It is gone")),
    extensions(("x-problems" = json!(["forbidden", "malformed_id", "unknown_webhook", "setting_contended"]))),
)]
pub(crate) async fn remove(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let id = endpoint_id(&id)?;
    let (tenant, operator) = (named(&name), Operator::new(&caller, request));
    let remove = |hooks: &mut Hooks| {
        hooks.find(id).ok_or_else(unknown)?;
        hooks.items.retain(|item| item.id != id);
        Ok(())
    };
    webhook::change(&clients, &operator, "webhook.delete", &tenant, remove).await?;
    forget_failures(&clients, &tenant, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a new secret, which is shown this once.
///
/// Those before it sign beside it until `keepFor` is over; `0` ends them at once.
#[utoipa::path(
    post,
    path = "/admin/tenants/{tenant}/webhooks/secrets",
    operation_id = "rotateWebhookSecret",
    tag = "operate",
    security(("bearer" = [])),
    params(("tenant" = String, Path, description = "As the token has it (`tenant`, else `sub`), or as the overview shows it")),
    request_body(content = crate::document::Rotation, example = json!({"keepFor": 86_400})),
    responses((status = 201, description = "The secret", body = NewSecret)),
    extensions(("x-problems" = json!(["forbidden", "limit_reached", "setting_contended"]))),
)]
pub(crate) async fn rotate(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    Path(name): Path<String>,
    Body(body): Body<Map<String, Value>>,
) -> Result<(StatusCode, Json<NewSecret>), Problem> {
    let keep = Form::rotation(body)?;
    let (secret, shown) = new_secret()?;
    let (tenant, operator) = (named(&name), Operator::new(&caller, request));
    let add = |hooks: &mut Hooks| {
        if hooks.rotate(secret.clone(), keep) {
            return Ok(());
        }
        let detail = format!(
            "at most {SECRETS_MAX} secrets sign at a time; wait, or end the others with keepFor 0"
        );
        Err(Problem::conflict("limit_reached", detail))
    };
    webhook::change(&clients, &operator, "webhook.secret", &tenant, add).await?;
    Ok((StatusCode::CREATED, Json(shown)))
}

/// A secret, and how it is shown this once.
fn new_secret() -> Result<(Secret, NewSecret), Problem> {
    let made = SigningSecret::make();
    let made = made.map_err(|error| Problem::internal().with_source(error))?;
    let (id, created_at) = (Uuid::now_v7(), Utc::now());
    let shown = NewSecret {
        id,
        secret: made.expose().to_owned(),
        created_at,
    };
    let secret = Secret {
        id,
        fresh: Some(made),
        created_at,
        expires_at: None,
    };
    Ok((secret, shown))
}

async fn forget_failures(clients: &Clients, tenant: &TenantId, id: Uuid) -> Result<(), Problem> {
    let name = webhook::failing_name(tenant, id);
    let forgotten = clients.queue.forget_failures(&name).await;
    Ok(forgotten.map_err(Unreachable::from)?)
}

fn endpoint_id(text: &str) -> Result<Uuid, Problem> {
    uuid_of(text).ok_or_else(|| {
        let detail = "an id is a UUID, in lower case and with its hyphens";
        let field = FieldError::new("/id", "malformed_id", detail);
        Problem::bad_request("malformed_id", detail).with_errors(vec![field])
    })
}

fn unknown() -> Problem {
    Problem::not_found("unknown_webhook", "the tenant has no such endpoint")
}
