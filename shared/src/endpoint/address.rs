//! The address that messages go to.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::endpoint::wrong;
use crate::pointer::Fault;

/// Bytes of the longest address.
pub const URL_MAX: usize = 2048;

/// An absolute `https` address (on a laptop also `http`) without user and fragment. Where it leads is not judged here: names change.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointUrl(Url);

impl EndpointUrl {
    /// `plain`: `http` will do.
    pub fn parse(value: &Value, plain: bool) -> Result<Self, Fault> {
        let Value::String(text) = value else {
            return Err(wrong("", "wrong_type", "The address must be a string."));
        };
        if text.len() > URL_MAX {
            let detail = format!("The address has over {URL_MAX} bytes.");
            return Err(wrong("", "too_long", detail));
        }
        let malformed = |detail: &str| Err(wrong("", "malformed", detail));
        // The parser would pass over them.
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return malformed("The address holds white space.");
        }
        let Ok(url) = Url::parse(text) else {
            return malformed("The address must be absolute, as https://example.com/hook.");
        };
        if url.scheme() != "https" && !(plain && url.scheme() == "http") {
            return malformed("The address must begin with https://.");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return malformed("The address must not hold a user or a password.");
        }
        if url.fragment().is_some() {
            return malformed("The address must not have a fragment.");
        }
        Ok(Self(url))
    }

    /// The whole address, query included.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The whole text, query included.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Without the query, which may be a secret.
    pub fn shown(&self) -> String {
        let mut url = self.0.clone();
        url.set_query(None);
        url.into()
    }

    /// Host, and port where it is not the usual one: all of it that a log may hold.
    pub fn host(&self) -> String {
        host_of(&self.0)
    }
}

/// The host of an address, with the port where it is not the usual one.
pub fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

impl TryFrom<String> for EndpointUrl {
    type Error = url::ParseError;

    /// As it was stored.
    fn try_from(text: String) -> Result<Self, url::ParseError> {
        text.parse().map(Self)
    }
}

impl From<EndpointUrl> for String {
    fn from(address: EndpointUrl) -> Self {
        address.0.into()
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host())
    }
}
