//! Long-lived tokens of services: listed, and taken back by their `jti`. The token itself is kept nowhere.

use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::revoked::Revoked;
use crate::keyring::{AccessClaims, CannotSign, KeyRing, Role};
use crate::store::{Store, StoreError};

/// A year.
pub const LIFE_DEFAULT: Duration = Duration::from_secs(365 * 24 * 3600);
/// Seconds: a minute to ten years.
pub const LIFE_RANGE: RangeInclusive<u64> = 60..=3650 * 24 * 3600;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServiceToken {
    /// 1–64 characters.
    pub sub: String,
    /// A service role.
    pub role: Role,
    /// Seconds.
    pub expires_in: u64,
}

/// A long-lived token of a service, without itself: `auth/service-tokens/<jti>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceToken {
    #[schema(value_type = String, format = "uuid")]
    pub jti: Uuid,
    pub sub: String,
    pub role: Role,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// Once it was taken back; not stored here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ServiceToken {
    /// A new one, and the token.
    pub fn issue(ring: &KeyRing, asked: NewServiceToken) -> Result<(Self, String), CannotSign> {
        let life = Duration::from_secs(asked.expires_in.min(*LIFE_RANGE.end()));
        let mut claims = AccessClaims::new(&asked.sub, asked.role, life);
        let jti = Uuid::now_v7();
        claims.jti = Some(jti.to_string());
        let token = ring.sign_access(&claims)?;
        // Whole seconds, as the token has them.
        let created_at = claims
            .iat
            .and_then(|s| DateTime::from_timestamp(i64::try_from(s).ok()?, 0));
        let created_at = created_at.unwrap_or_else(Utc::now);
        let life = TimeDelta::from_std(life).unwrap_or_default();
        let issued = Self {
            jti,
            sub: asked.sub,
            role: asked.role,
            created_at,
            expires_at: created_at + life,
            revoked_at: None,
        };
        Ok((issued, token))
    }

    /// When it ends by itself, in seconds since 1970.
    pub fn exp(&self) -> u64 {
        u64::try_from(self.expires_at.timestamp()).unwrap_or(0)
    }

    /// One that was issued, with whether it was taken back.
    pub async fn read(store: &Store, jti: Uuid) -> Result<Option<Self>, StoreError> {
        let found: Option<Self> = store.service_token(jti).await?;
        let Some(found) = found else { return Ok(None) };
        let revoked: Option<Revoked> = store.revoked(jti).await?;
        Ok(Some(Self {
            revoked_at: revoked.map(|revoked| revoked.at),
            ..found
        }))
    }
}
