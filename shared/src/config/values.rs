//! The kinds of value, and how each is read. An error says what the variable must be, not what it was.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use axum::http::HeaderValue;
use tracing::Level;
use url::Url;

/// A URL that may hold a password: its debug text shows scheme, host, port and path alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// The whole URL, secrets included.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The whole text, secrets included.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The address with `path` after it, whether or not the address itself ends in a slash.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            self.0.scheme(),
            self.0.host_str().unwrap_or_default()
        )?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())
    }
}

/// A text that never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// An API with its own job table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    pub url: Address,
    pub token: Secret,
}

/// Somebody else who issues tokens for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Where its public keys are.
    pub jwks_url: Address,
    /// `iss` of its tokens.
    pub name: String,
    /// `aud` of those that are for us.
    pub audience: String,
    /// The longest that its tokens may live.
    pub max_lifetime: Duration,
    /// The claim with a user's role: its name, or a path with dots.
    pub role_claim: String,
}

/// The interface of a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeneratorApi {
    /// Our own: docs/models.md.
    Muscgen,
    Cog,
}

/// Who plans when jen1 is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    Nobody,
    Ollama,
}

pub(super) fn generator_api(text: &str) -> Result<GeneratorApi, String> {
    match text {
        "muscgen" => Ok(GeneratorApi::Muscgen),
        "cog" => Ok(GeneratorApi::Cog),
        _ => Err("must be muscgen or cog".to_owned()),
    }
}

pub(super) fn fallback(text: &str) -> Result<Fallback, String> {
    match text {
        "none" => Ok(Fallback::Nobody),
        "ollama" => Ok(Fallback::Ollama),
        _ => Err("must be none or ollama".to_owned()),
    }
}

/// The name of a claim, or a path with dots.
pub(super) fn claim(text: &str) -> Result<String, String> {
    if text.len() <= 256 && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("must be the name of a claim, of at most 256 letters, digits and signs".to_owned())
    }
}

/// A model's name, as Ollama spells it: `name:tag`, perhaps with a registry before it.
pub(super) fn name(text: &str) -> Result<String, String> {
    if text.len() <= 200 && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("must be at most 200 letters, digits and signs".to_owned())
    }
}

pub(super) fn address(text: &str, schemes: &[&str]) -> Result<Address, String> {
    Url::parse(text)
        .ok()
        .filter(|url| schemes.contains(&url.scheme()))
        .map(Address)
        .ok_or_else(|| {
            format!(
                "must be an address that begins with {}://",
                schemes.join(":// or ")
            )
        })
}

pub(super) fn web_address(text: &str) -> Result<Address, String> {
    address(text, &["http", "https"])
}

/// The address of an Ollama host: `/v1` or `/api` at its end, with or without a call after it, is
/// how other clients spell it.
pub(super) fn ollama_address(text: &str) -> Result<Address, String> {
    let mut address = web_address(text)?;
    let path = address.0.path().trim_end_matches('/');
    let calls = [
        "/chat/completions",
        "/chat",
        "/generate",
        "/tags",
        "/models",
        "",
    ];
    let ends = calls
        .iter()
        .flat_map(|call| ["/api", "/v1"].map(|api| format!("{api}{call}")));
    let base = ends
        .into_iter()
        .find_map(|end| Some(path.strip_suffix(&end)?.to_owned()));
    if let Some(base) = base {
        address.0.set_path(&base);
    }
    Ok(address)
}

/// A web address without a password.
pub(super) fn plain_address(text: &str) -> Result<Address, String> {
    web_address(text).and_then(|address| {
        let url = address.url();
        let secret = !url.username().is_empty() || url.password().is_some();
        let fault = "must be an address without a user or a password";
        (!secret).then_some(address).ok_or_else(|| fault.to_owned())
    })
}

pub(super) fn partition(text: &str) -> Result<String, String> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if text.len() <= 64 && text.bytes().all(safe) {
        Ok(text.to_owned())
    } else {
        Err("must be 1–64 of A-Z, a-z, 0-9, _ and -".to_owned())
    }
}

pub(super) fn whole(text: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            format!(
                "must be a whole number from {} to {}",
                range.start(),
                range.end()
            )
        })
}

pub(super) fn seconds(text: &str, range: RangeInclusive<u32>) -> Result<Duration, String> {
    whole(text, range).map(|seconds| Duration::from_secs(seconds.into()))
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err("must be 1 or 0".to_owned()),
    }
}

pub(super) fn level(text: &str) -> Result<Level, String> {
    match text {
        "error" => Ok(Level::ERROR),
        "warn" => Ok(Level::WARN),
        "info" => Ok(Level::INFO),
        "debug" => Ok(Level::DEBUG),
        _ => Err("must be error, warn, info or debug".to_owned()),
    }
}

/// As CloudWatch takes it; those that begin with `AWS/` are AWS's own.
pub(super) fn namespace(text: &str) -> Result<String, String> {
    let known = |c: char| c.is_ascii_alphanumeric() || "_./#:-".contains(c);
    let sound = (1..=255).contains(&text.len()) && text.chars().all(known);
    if sound && !text.starts_with("AWS/") && !text.starts_with(':') {
        Ok(text.to_owned())
    } else {
        Err("must be 1-255 of A-Za-z0-9_./#:- and not begin with AWS/ or a colon".to_owned())
    }
}

/// What a deployment is called in the log.
pub(super) fn release(text: &str) -> Result<String, String> {
    let known = |c: char| c.is_ascii_alphanumeric() || "_./:+-".contains(c);
    if (1..=128).contains(&text.len()) && text.chars().all(known) {
        Ok(text.to_owned())
    } else {
        Err("must be 1-128 of A-Za-z0-9_./:+-".to_owned())
    }
}

/// Origins as a browser sends them: scheme, host and perhaps a port, nothing after it.
pub(super) fn origins(text: &str) -> Result<Vec<HeaderValue>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let url = Url::parse(entry).ok();
            let same = url.filter(|url| url.origin().ascii_serialization() == entry);
            let value = same.and_then(|_| HeaderValue::from_str(entry).ok());
            value.ok_or_else(|| {
                "must be origins such as https://app.example.com, separated by commas".to_owned()
            })
        })
        .collect()
}

/// What a proxy shows: one, or while it changes two.
pub(super) fn proxy_secrets(text: &str) -> Result<Vec<Secret>, String> {
    let secrets: Vec<_> = text.split(',').map(str::trim).collect();
    let good = |secret: &&str| secret.len() >= 32 && secret.bytes().all(|b| b.is_ascii_graphic());
    match secrets.len() <= 2 && secrets.iter().all(good) {
        true => Ok(secrets.into_iter().map(Secret::new).collect()),
        false => Err(
            "must be one or two secrets of 32 characters or more, separated by a comma".to_owned(),
        ),
    }
}

/// Names as they stand in a URL: lower case, without scheme, port or path.
pub(super) fn hosts(text: &str) -> Result<Vec<String>, String> {
    text.split(',')
        .map(|entry| entry.trim().to_ascii_lowercase())
        .filter(|entry| !entry.is_empty())
        .map(|entry| match url::Host::parse(&entry) {
            Ok(host) => Ok(host.to_string()),
            Err(_) => Err("must be host names separated by commas".to_owned()),
        })
        .collect()
}
