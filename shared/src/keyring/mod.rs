//! The key ring: what was signed with our secrets, for what, and by whom.
//!
//! `ring` holds the secrets and the keys derived from them, `access` the tokens that callers carry,
//! `claims` reads what they say, `role` is what a caller may be. Other signed things (callback
//! tokens, links, cursors) are in [`crate::callback`].

mod access;
mod claims;
mod ring;
mod role;

pub use access::MAX_UNMARKED_LIFE;
pub(crate) use claims::Said;
pub use claims::{AccessClaims, now};
pub use ring::{CannotSign, KeyRing, MAX_TOKEN, Refused, RingError};
pub use role::Role;

pub(crate) use ring::{LEEWAY, Mac, TokenKind, read_header, signature_alone};

#[cfg(test)]
mod tests;
