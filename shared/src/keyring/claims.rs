//! What an access token says, read claim by claim: whoever is refused learns which claim it was.

use std::time::Duration;

use jsonwebtoken::get_current_timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{LEEWAY, Refused, Role};

/// The longest `sub` or `tenant`, in bytes.
const MAX_NAME: usize = 256;
/// The role that holds where a token has several.
const STRONGEST_FIRST: [Role; 5] = [
    Role::Admin,
    Role::Orchestrator,
    Role::System,
    Role::Worker,
    Role::User,
];

/// Whom an access token speaks for. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who; 1–256 bytes.
    pub sub: String,
    #[serde(default)]
    pub role: Role,
    pub exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// Shares a line, a cap and a cache; `sub` itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Names the token, so that it can be revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

impl AccessClaims {
    /// Valid from now.
    pub fn new(sub: &str, role: Role, life: Duration) -> Self {
        Self {
            sub: sub.to_owned(),
            role,
            exp: now().saturating_add(life.as_secs()),
            iat: Some(now()),
            tenant: None,
            jti: None,
            email: None,
        }
    }

    /// How long the token was meant to live; from now when it does not say, or says it is from the future.
    pub fn life(&self) -> Duration {
        let from = self.iat.map_or_else(now, |iat| iat.min(now()));
        Duration::from_secs(self.exp.saturating_sub(from))
    }
}

/// The claims as they stand in the token. `null` counts as absent; a claim that stands there twice
/// makes the token malformed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Said {
    sub: Option<Value>,
    exp: Option<Value>,
    nbf: Option<Value>,
    iat: Option<Value>,
    iss: Option<Value>,
    aud: Option<Value>,
    role: Option<Value>,
    tenant: Option<Value>,
    jti: Option<Value>,
    email: Option<Value>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Said {
    /// The token has begun and has not ended.
    pub(crate) fn is_in_time(&self, now: u64) -> Result<(), Refused> {
        if self.end()? < now.saturating_sub(LEEWAY) {
            return Err(Refused::Expired);
        }
        let begin = seconds(
            self.nbf.as_ref(),
            "beginning (nbf) must be a time in seconds",
        )?;
        if begin.is_some_and(|begin| begin > now + LEEWAY) {
            return Err(Refused::NotYet);
        }
        Ok(())
    }

    /// The token comes from this issuer and is for this audience.
    pub(crate) fn is_between(&self, issuer: &str, audience: &str) -> Result<(), Refused> {
        match &self.iss {
            None => return Err(Refused::Missing("issuer (iss)")),
            Some(said) if said != issuer => return Err(Refused::WrongIssuer),
            Some(_) => {}
        }
        let names_us = match &self.aud {
            None => return Err(Refused::Missing("audience (aud)")),
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            Some(one) => one == audience,
        };
        names_us.then_some(()).ok_or(Refused::WrongAudience)
    }

    /// The role of a token that is signed with our secret: ours, or of an issuer that knows our
    /// roles.
    pub(super) fn own_role(&self) -> Result<Role, Refused> {
        let Some(said) = &self.role else {
            return Ok(Role::default());
        };
        let known = said.as_str().and_then(|text| text.parse().ok());
        let wrong = "role must be user, admin, orchestrator, system or worker";
        known.ok_or(Refused::WrongClaim(wrong))
    }

    /// The role that a stranger's token has for us. `claim` is the name of a claim, or a path with
    /// dots into one; it holds a role or a list of roles. What is no role of ours is none: another
    /// system's `authenticated` or `member` is a user.
    pub(crate) fn role_at(&self, claim: &str) -> Role {
        let found = self.top(claim).or_else(|| {
            let mut path = claim.split('.');
            let top = self.top(path.next()?)?;
            path.try_fold(top, |value, name| value.get(name))
        });
        let is_said = |role: &Role| match found {
            Some(Value::Array(several)) => several.iter().any(|one| one == role.as_str()),
            Some(one) => one == role.as_str(),
            None => false,
        };
        let strongest = STRONGEST_FIRST.into_iter().find(is_said);
        strongest.unwrap_or_default()
    }

    /// Whom the token speaks for, in this role.
    pub(crate) fn speaks_for(&self, role: Role) -> Result<AccessClaims, Refused> {
        let sub = named(
            self.sub.as_ref(),
            "subject (sub) must be a text of 1 to 256 bytes",
        )?;
        let tenant = named(
            self.tenant.as_ref(),
            "tenant must be a text of 1 to 256 bytes",
        )?;
        let text = |claim: &Option<Value>| claim.as_ref()?.as_str().map(str::to_owned);
        Ok(AccessClaims {
            sub: sub.ok_or(Refused::Missing("subject (sub)"))?,
            role,
            exp: self.end()?,
            iat: seconds(
                self.iat.as_ref(),
                "time of issue (iat) must be a time in seconds",
            )?,
            tenant,
            jti: text(&self.jti),
            email: text(&self.email),
        })
    }

    fn end(&self) -> Result<u64, Refused> {
        let end = seconds(self.exp.as_ref(), "end (exp) must be a time in seconds")?;
        end.ok_or(Refused::Missing("end (exp)"))
    }

    fn top(&self, claim: &str) -> Option<&Value> {
        match claim {
            "role" => self.role.as_ref(),
            "tenant" => self.tenant.as_ref(),
            other => self.others.get(other),
        }
        .filter(|value| !value.is_null())
    }
}

fn named(claim: Option<&Value>, wrong: &'static str) -> Result<Option<String>, Refused> {
    let name = |value: &Value| match value {
        Value::String(name) if (1..=MAX_NAME).contains(&name.len()) => Ok(name.clone()),
        _ => Err(Refused::WrongClaim(wrong)),
    };
    claim.map(name).transpose()
}

/// A NumericDate may have a fraction (RFC 7519 §2).
fn seconds(claim: Option<&Value>, wrong: &'static str) -> Result<Option<u64>, Refused> {
    let time = |value: &Value| match value.as_f64() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast stops at the ends, and it is not negative"
        )]
        Some(seconds) if seconds >= 0.0 => Ok(seconds as u64),
        _ => Err(Refused::WrongClaim(wrong)),
    };
    claim.map(time).transpose()
}

/// Seconds since 1970.
pub fn now() -> u64 {
    get_current_timestamp()
}
