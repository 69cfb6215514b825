//! Passwords: Argon2id with what OWASP advises (19 MiB, two passes, one lane), kept as PHC strings.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::problem::Problem;

/// The shortest password that is taken, in characters.
pub const PASSWORD_MIN: usize = 12;
/// The longest password that is looked at, in characters.
pub const PASSWORD_MAX: usize = 1024;

/// KiB, passes and lanes.
const TODAY: (u32, u32, u32) = (19 * 1024, 2, 1);
/// The dearest hash that is checked: what an operator gives us must not stop the function.
const DEAREST: (u32, u32, u32) = (64 * 1024, 10, 4);
/// The longest PHC string that is read.
const PHC_MAX: usize = 256;
/// Of no password: checked in place of the hash of somebody who does not exist.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$5n3XW0w7sXlC1nJmD0Q2Bg$q0b8yO6yA4kZ8nB1v4sGm3xJw5rT7uH2eL9dKcFiP0M";
/// Each check takes 19 MiB and a core.
const MOST: usize = 4;
/// How long a password may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// A PHC string of Argon2id that is cheap enough to be checked. Never shows itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Reads `$argon2id$v=19$m=…,t=…,p=…$salt$hash`; the error says what it must be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "must be a PHC string of Argon2id, as local/hash-password prints it";
        if text.len() > PHC_MAX {
            return Err(wrong().to_owned());
        }
        let hash = phc::PasswordHash::new(text).map_err(|_| wrong())?;
        let ours = hash.algorithm == Algorithm::Argon2id.ident() && hash.version == Some(19);
        if !ours || hash.salt.is_none() || hash.hash.is_none() {
            return Err(wrong().to_owned());
        }
        let (m, t, p) = costs(&hash).ok_or_else(wrong)?;
        if m > DEAREST.0 || t > DEAREST.1 || p > DEAREST.2 {
            return Err("costs more than m=65536, t=10, p=4".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it costs what a new one costs.
    pub fn is_of_today(&self) -> bool {
        phc::PasswordHash::new(&self.0).is_ok_and(|hash| costs(&hash) == Some(TODAY))
    }

    /// Takes some 20 ms of one core.
    fn of(password: &[u8]) -> Result<Self, HashError> {
        let (m, t, p) = TODAY;
        let params = Params::new(m, t, p, None).map_err(|e| HashError::Failed(e.to_string()))?;
        let hash: phc::PasswordHash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password(password)
            .map_err(|e| HashError::Failed(e.to_string()))?;
        Ok(Self(hash.to_string()))
    }

    fn is_of(&self, password: &[u8]) -> bool {
        Argon2::default()
            .verify_password(password, self.0.as_str())
            .is_ok()
    }
}

fn costs(hash: &phc::PasswordHash) -> Option<(u32, u32, u32)> {
    let params = Params::try_from(hash).ok()?;
    Some((params.m_cost(), params.t_cost(), params.p_cost()))
}

impl TryFrom<String> for PasswordHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<PasswordHash> for String {
    fn from(hash: PasswordHash) -> Self {
        hash.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// A password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    #[error("too many passwords wait for their turn")]
    Busy,
    #[error("a password could not be hashed: {0}")]
    Failed(String),
}

impl From<HashError> for Problem {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::unavailable(
                "sign_in_busy",
                "too many people sign in at this moment; try again",
                Duration::from_secs(2),
            )
            .with_source(error),
            HashError::Failed(_) => Self::internal().with_source(error),
        }
    }
}

/// Hashes and checks passwords beside the other work, a few at a time; clones share the turns.
#[derive(Clone)]
pub struct Hasher {
    turns: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Hasher {
    /// As many at a time as there are cores, at most four.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            turns: Arc::new(Semaphore::new(cores.min(MOST))),
            patience: PATIENCE,
        }
    }
}

impl Hasher {
    /// The hash of a password, with a salt of its own.
    pub async fn hash(&self, password: String) -> Result<PasswordHash, HashError> {
        self.run(move || PasswordHash::of(password.as_bytes()))
            .await?
    }

    /// Whether it is the password of this hash; without one it takes as long, and it is not.
    pub async fn check(
        &self,
        password: String,
        hash: Option<PasswordHash>,
    ) -> Result<bool, HashError> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| PasswordHash(DECOY.to_owned()));
        let right = self.run(move || hash.is_of(password.as_bytes())).await?;
        Ok(right && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let turn = tokio::time::timeout(self.patience, self.turns.clone().acquire_owned());
        let turn = turn
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or(HashError::Busy)?;
        // Its turn ends with the work, also when nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        });
        done.await.map_err(|e| HashError::Failed(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_hash_and_no_other_one_does() {
        let hasher = Hasher::default();
        let hash = hasher.hash("correct horse battery".to_owned()).await;
        let hash = hash.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let fits = async |password: &str| {
            let hash = Some(hash.clone());
            hasher.check(password.to_owned(), hash).await.unwrap()
        };
        assert!(fits("correct horse battery").await);
        assert!(!fits("correct horse batterz").await);
        let again = hasher.hash("correct horse battery".to_owned()).await;
        assert_ne!(again.unwrap(), hash);
        assert!(!hasher.check(String::new(), None).await.unwrap());
    }

    #[test]
    fn the_decoy_costs_what_a_new_hash_costs() {
        let decoy = PasswordHash::parse(DECOY).unwrap();
        assert!(decoy.is_of_today());
        let real = PasswordHash::of(b"x").unwrap();
        assert_eq!(decoy.as_str().len(), real.as_str().len());
    }

    #[test]
    fn only_hashes_of_argon2id_that_are_cheap_enough_are_read() {
        let with = |old: &str, new: &str| PasswordHash::parse(&DECOY.replace(old, new));
        assert!(with("t=2", "t=3").is_ok_and(|hash| !hash.is_of_today()));
        for (old, new) in [
            ("argon2id", "argon2i"),
            ("v=19", "v=16"),
            ("m=19456", "m=1000000"),
            ("t=2", "t=11"),
            ("p=1", "p=5"),
        ] {
            assert!(with(old, new).is_err(), "{new}");
        }
        for wrong in ["", "hunter2", "$2b$12$abc", &DECOY[..60], &"$".repeat(300)] {
            assert!(PasswordHash::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn whoever_waits_too_long_for_a_turn_is_told_so() {
        let hasher = Hasher {
            turns: Arc::new(Semaphore::new(0)),
            patience: Duration::from_millis(1),
        };
        let answer = hasher.check("x".to_owned(), None).await;
        assert!(matches!(answer, Err(HashError::Busy)));
    }

    #[test]
    fn a_hash_does_not_show_itself() {
        let hash = PasswordHash::parse(DECOY).unwrap();
        assert_eq!(format!("{hash:?}"), "PasswordHash");
    }
}
