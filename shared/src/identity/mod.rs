//! Who may sign in, and what is given to them. The truth is in the object store (`auth/…`); Redis counts attempts and remembers which
//! tokens were taken back.
//!
//! Reading order: `password`, `user`, `limit`, `login`, `refresh`; `first_admin` (from the configuration, once); `service_token` and
//! `revoked` (long-lived tokens); `ticket` (for sockets); `prune` (what the sweep forgets).

mod first_admin;
mod limit;
mod login;
mod password;
mod prune;
mod refresh;
mod revoked;
mod service_token;
mod ticket;
mod user;

pub use first_admin::FirstAdmin;
pub use limit::{Attempt, Rates};
pub use login::login;
pub use password::{HashError, Hasher, PASSWORD_MAX, PASSWORD_MIN, PasswordHash};
pub use prune::{Pruned, Pruner};
pub use refresh::{ACCESS_LIFE, REFRESH_LIFE, Tokens, end, rotate};
pub use revoked::Revocations;
pub use service_token::{LIFE_DEFAULT, LIFE_RANGE, NewServiceToken, ServiceToken};
pub use ticket::{
    TICKET_LIFE, forget_socket, hang_up, issue_ticket, redeem_ticket, ring_for_ended_sockets,
    socket_caller,
};
pub use user::{Account, Email, Person, Reserved, User, Username};

#[cfg(test)]
mod tests;
