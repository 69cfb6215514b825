//! `/admin/tenants`: share, cap and pause of each.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Deserializer, Serialize};
use shared::caller::Admin;
use shared::clients::Clients;
use shared::config::SLOTS;
use shared::control;
use shared::http::{Body, RequestId};
use shared::job::TenantId;
use shared::lookup::Unreachable;
use shared::number;
use shared::problem::{FieldError, Problem};
use shared::queue::{TenantLine, TenantSettings};

use crate::setting;
use shared::audit::Operator;

const WEIGHTS: std::ops::RangeInclusive<u32> = 1..=1000;

#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Tenants {
    /// Those of which something was set, by name.
    configured: Vec<TenantId>,
    /// Those with the longest lines.
    waiting: Vec<TenantLine>,
}

/// Tenants of which something was set, and those with the longest lines.
#[utoipa::path(
    get,
    path = "/admin/tenants",
    operation_id = "listTenants",
    tag = "operate",
    security(("bearer" = [])),
    responses((status = 200, description = "Both lists", body = Tenants)),
    extensions(("x-problems" = json!(["forbidden"]))),
)]
pub(crate) async fn list(
    State(clients): State<Clients>,
    _: Admin,
) -> Result<Json<Tenants>, Problem> {
    let overview = clients.queue.overview().await.map_err(Unreachable::from)?;
    Ok(Json(Tenants {
        configured: control::configured_tenants(&clients).await?,
        waiting: overview.tenants,
    }))
}

/// What is in force for one tenant.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Tenant {
    tenant: TenantId,
    weight: u32,
    cap: u32,
    paused: bool,
    queued: u64,
    running: u64,
}

/// What is in force for one tenant.
///
/// Also of one that nobody has heard of: the defaults.
#[utoipa::path(
    get,
    path = "/admin/tenants/{tenant}",
    operation_id = "readTenant",
    tag = "operate",
    security(("bearer" = [])),
    params(("tenant" = String, Path, description = "As the token has it (`tenant`, else `sub`), or as the overview shows it")),
    responses((status = 200, description = "What is in force", body = Tenant)),
    extensions(("x-problems" = json!(["forbidden"]))),
)]
pub(crate) async fn read(
    State(clients): State<Clients>,
    _: Admin,
    Path(name): Path<String>,
) -> Result<Json<Tenant>, Problem> {
    let tenant = named(&name);
    let now = control::now(&clients, &tenant).await?;
    shown(&clients, tenant, now.settings).await
}

/// What is left out stays; `null` is the default again.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TenantChange)]
pub(crate) struct Change {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    weight: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 20000)]
    cap: Option<Option<u32>>,
    #[serde(default)]
    paused: Option<bool>,
}

/// Tells `null` from a field that is not there.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<u32>>, D::Error> {
    number::whole(from).map(Some)
}

/// Share, cap and pause of one tenant.
///
/// In force from the next acquire.
#[utoipa::path(
    put,
    path = "/admin/tenants/{tenant}",
    operation_id = "changeTenant",
    tag = "operate",
    security(("bearer" = [])),
    params(("tenant" = String, Path, description = "As the token has it (`tenant`, else `sub`), or as the overview shows it")),
    request_body(content = Change, examples(("share" = (value = json!({"weight": 3, "cap": 2}))), ("back" = (value = json!({"weight": null, "cap": null, "paused": false}))))),
    responses((status = 200, description = "What is in force", body = Tenant)),
    extensions(("x-problems" = json!(["forbidden", "setting_contended"]))),
)]
pub(crate) async fn change(
    State(clients): State<Clients>,
    Admin(caller): Admin,
    request: RequestId,
    Path(name): Path<String>,
    Body(change): Body<Change>,
) -> Result<Json<Tenant>, Problem> {
    let asked = [
        ("/weight", &change.weight, WEIGHTS),
        ("/cap", &change.cap, SLOTS),
    ];
    let wrong: Vec<FieldError> = asked
        .into_iter()
        .filter(|(_, n, range)| n.flatten().is_some_and(|n| !range.contains(&n)))
        .map(|(pointer, _, range)| {
            let most = range.end();
            let detail = format!("This must be a whole number from 1 to {most}, or null.");
            FieldError::new(pointer, "out_of_range", detail)
        })
        .collect();
    if !wrong.is_empty() {
        return Err(Problem::validation(wrong));
    }
    let (tenant, operator) = (named(&name), Operator::new(&caller, request));
    let target = tenant.to_string();
    let apply = |settings: &mut TenantSettings| {
        settings.weight = change.weight.unwrap_or(settings.weight);
        settings.cap = change.cap.unwrap_or(settings.cap);
        settings.paused = change.paused.unwrap_or(settings.paused);
    };
    let done = ("tenant.change", target.as_str());
    let settings = setting::change(&clients, &operator, done, &tenant, apply).await?;
    shown(&clients, tenant, settings).await
}

async fn shown(
    clients: &Clients,
    tenant: TenantId,
    settings: TenantSettings,
) -> Result<Json<Tenant>, Problem> {
    let (queued, running) = clients
        .queue
        .line_of(&tenant)
        .await
        .map_err(Unreachable::from)?;
    Ok(Json(Tenant {
        weight: settings.weight.unwrap_or(1),
        cap: settings.cap.unwrap_or(clients.config.tenant_cap),
        paused: settings.paused,
        tenant,
        queued,
        running,
    }))
}

/// As the token has it, or as the overview shows it where that is a hash.
pub(super) fn named(text: &str) -> TenantId {
    let is_hash = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_hash {
        TenantId::stored(text)
    } else {
        TenantId::new(text)
    }
}
