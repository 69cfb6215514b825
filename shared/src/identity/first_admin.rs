//! The first admin, from the configuration: made once, so that what is changed of it later stays changed.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{Account, Email, PasswordHash, Person, Reserved};
use crate::audit::{Act, Effect, Operator};
use crate::clients::Clients;
use crate::keyring::Role;
use crate::lookup::Unreachable;
use crate::problem::Problem;
use crate::store::Put;

/// Who is made, as long as nobody was. Clones share that it has been seen to.
#[derive(Clone, Default)]
pub struct FirstAdmin(Arc<OnceCell<()>>);

/// `auth/first-admin.json`.
#[derive(Serialize)]
struct Made {
    user: Uuid,
    at: DateTime<Utc>,
}

impl FirstAdmin {
    /// Makes it, unless that was done; asks the store at the first call only.
    pub async fn ensure(&self, clients: &Clients) -> Result<(), Problem> {
        let Some((email, hash)) = &clients.config.first_admin else {
            return Ok(());
        };
        let made = || async {
            let made = clients.store.first_admin_made().await;
            if made.map_err(Unreachable::from)? {
                return Ok(());
            }
            make(clients, email, hash).await
        };
        self.0.get_or_try_init(made).await.copied()
    }
}

/// The marker comes last: what breaks off is done by the next one.
async fn make(clients: &Clients, email: &Email, hash: &PasswordHash) -> Result<(), Problem> {
    let person = Person {
        email: email.clone(),
        username: None,
        role: Role::Admin,
        tenant: None,
    };
    let reserved = Account::reserve(&clients.store, &person).await;
    let user = match reserved.map_err(Unreachable::from)? {
        Reserved::For(id) => {
            let account = Account::new(id, person, hash.clone());
            let begin = async {
                let put = account.begin(&clients.store).await;
                Ok(match put.map_err(Unreachable::from)? {
                    Put::Stored => Effect::Changed(()),
                    Put::Existed => Effect::Unchanged(()),
                })
            };
            let act = Act::user("user.create", None, &account);
            Operator::configuration().act(clients, act, begin).await?;
            id
        }
        // Somebody has made a user of that address: it is left as it is.
        Reserved::Taken(_) => {
            let found = Account::by_name(&clients.store, email.as_str()).await;
            let found = found.map_err(Unreachable::from)?;
            found.map_or(Uuid::nil(), |(account, _)| account.id)
        }
    };
    let at = Utc::now();
    let noted = clients.store.put_first_admin(&Made { user, at }).await;
    noted.map_err(Unreachable::from)?;
    Ok(())
}
