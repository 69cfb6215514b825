//! Signing in. Nothing that a caller can see or measure tells whether a name is somebody's: every attempt is counted alike, costs the
//! same requests to the store and one check of a password, and is refused in the same words.

use chrono::Utc;

use super::{Account, Hasher, Tokens};
use crate::clients::Clients;
use crate::lookup::Unreachable;
use crate::problem::Problem;
use crate::store::Put;

/// The user and a new session; 401 `wrong_credentials`. `found`: whom the name means, with the
/// number of the revision.
pub async fn login(
    clients: &Clients,
    hasher: &Hasher,
    found: Option<(Account, u64)>,
    password: String,
) -> Result<(Account, Tokens), Problem> {
    let hash = found
        .as_ref()
        .map(|(account, _)| account.password_hash.clone());
    let right = hasher.check(password.clone(), hash).await?;
    let Some((account, revision)) = found.filter(|(account, _)| right && !account.disabled) else {
        let detail = "the name or the password is wrong";
        return Err(Problem::unauthorized("wrong_credentials", detail));
    };
    let account = renewed(clients, hasher, account, revision, password).await?;
    let tokens = Tokens::begin(clients, &account).await?;
    Ok((account, tokens))
}

/// The account, with a hash as new ones are.
async fn renewed(
    clients: &Clients,
    hasher: &Hasher,
    account: Account,
    revision: u64,
    password: String,
) -> Result<Account, Problem> {
    if account.password_hash.is_of_today() {
        return Ok(account);
    }
    let next = Account {
        password_hash: hasher.hash(password).await?,
        updated_at: Utc::now(),
        ..account.clone()
    };
    let put = clients
        .store
        .put_user(account.id, revision + 1, &next)
        .await;
    // Who was changed meanwhile is renewed at the next login.
    let stored = put.map_err(Unreachable::from)? == Put::Stored;
    Ok(if stored { next } else { account })
}
