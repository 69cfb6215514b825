//! Everything on this machine until Ctrl-C, and the card that says where it is.

use std::time::Duration;

use shared::config::VARIABLES;

use crate::error::{HarnessError, Result};
use crate::options::{OllamaChoice, Ports, RedisChoice, StackOptions};
use crate::password::LocalAdmin;
use crate::place::{is_free, private, variable};
use crate::stack::Stack;
use crate::token::{mint, own_secret};

/// Unless a flag says otherwise.
pub const API_PORT: u16 = 9000;
pub const REDIS_PORT: u16 = 6390;
pub const JEN1_PORT: u16 = 9101;
pub const MUSCGEN_PORT: u16 = 9102;
pub const OLLAMA_PORT: u16 = 9103;
pub const SOCKETS_PORT: u16 = 9104;

/// How long the token on the card works.
const TOKEN_LIFE: Duration = Duration::from_secs(12 * 3600);

/// What the harness sets itself; a value of the caller's environment would break the stack.
const ITS_OWN: [&str; 10] = [
    "REDIS_URL",
    "JWT_SECRET",
    "JEN1_URL",
    "MUSCGEN_URL",
    "OLLAMA_URL",
    "QUEUE_URL",
    "NOTIFY_QUEUE_URL",
    "DELIVER_QUEUE_URL",
    "SOCKETS_URL",
    "PARTITION",
];

/// The admin of this clone, unless the caller's environment has one.
pub fn admin() -> Result<Option<LocalAdmin>> {
    match variable("ADMIN_EMAIL") {
        Some(_) => Ok(None),
        None => LocalAdmin::own().map(Some),
    }
}

/// A stack that keeps its line over a restart, with the services and settings of the caller's environment.
pub async fn options(
    api_port: u16,
    sockets_port: u16,
    watch: bool,
    admin: Option<&LocalAdmin>,
) -> Result<StackOptions> {
    let ports = Ports {
        api: Some(api_port),
        redis: Some(REDIS_PORT),
        jen1: Some(JEN1_PORT),
        muscgen: Some(MUSCGEN_PORT),
        ollama: Some(OLLAMA_PORT),
        sockets: Some(sockets_port),
    };
    let standing_in = StackOptions {
        ollama: OllamaChoice::StandIn,
        ..StackOptions::default()
    };
    let mut options = StackOptions {
        redis: redis_choice(true),
        ports,
        watch,
        folder: Some(private().join("up")),
        ..with_caller(standing_in)?
    };
    if let Some(admin) = admin {
        options.env.extend(admin.env().await?);
    }
    taken_ports(&options)?;
    Ok(options)
}

/// Its own Redis unless the caller names one.
pub fn redis_choice(durable: bool) -> RedisChoice {
    variable("REDIS_URL").map_or(RedisChoice::Own { durable }, RedisChoice::Url)
}

/// The services and settings of the caller's environment, and the secret of this clone.
pub fn with_caller(options: StackOptions) -> Result<StackOptions> {
    let passed = VARIABLES
        .iter()
        .filter(|known| !ITS_OWN.contains(&known.name))
        .filter_map(|known| Some((known.name.to_owned(), variable(known.name)?)));
    Ok(StackOptions {
        jen1_url: variable("JEN1_URL"),
        muscgen_url: variable("MUSCGEN_URL"),
        ollama: variable("OLLAMA_URL").map_or(options.ollama, OllamaChoice::Url),
        partition: variable("PARTITION").unwrap_or(options.partition),
        secret: Some(variable("JWT_SECRET").map_or_else(own_secret, Ok)?),
        env: passed.collect(),
        ..options
    })
}

fn taken_ports(options: &StackOptions) -> Result<()> {
    let Ports {
        api,
        redis,
        jen1,
        muscgen,
        ollama,
        sockets,
    } = options.ports;
    let needed = [
        ("the API", api, "--port", true),
        ("sockets", sockets, "--sockets-port", true),
        (
            "Redis",
            redis,
            "REDIS_URL",
            !matches!(options.redis, RedisChoice::Url(_)),
        ),
        ("jen1", jen1, "JEN1_URL", options.jen1_url.is_none()),
        (
            "muscgen",
            muscgen,
            "MUSCGEN_URL",
            options.muscgen_url.is_none(),
        ),
        (
            "Ollama",
            ollama,
            "OLLAMA_URL",
            options.ollama == OllamaChoice::StandIn,
        ),
    ];
    for (name, port, flag, used) in needed {
        if let Some(port) = port.filter(|&port| used && !is_free(port)) {
            return Err(HarnessError::PortTaken { name, port, flag });
        }
    }
    Ok(())
}

/// Addresses, a token, the log, and a line to paste.
pub fn card(stack: &Stack, admin: Option<&LocalAdmin>) -> Result<String> {
    let token = mint(stack.secret(), "user", "alice", TOKEN_LIFE)?;
    let api = stack.api();
    let login = admin.map_or_else(
        || "as ADMIN_EMAIL says".to_owned(),
        |admin| format!("{} with password {}", admin.email, admin.password),
    );
    Ok(format!(
        "
  Tutti is up. Ctrl-C stops everything.

  API      {api}
  sockets  {sockets}
  jen1     {jen1}
  muscgen  {muscgen}
  Ollama   {ollama}
  Redis    {redis}
  log      {log}
  token    {token}
           (role user, sub alice, 12 h; others: ./local/token --role admin --sub you)
  admin    {login}
           (POST /auth/login; the password as it was at first)

  Try it:

curl -sS {api}/compose -H 'authorization: Bearer {token}' -H 'content-type: application/json' -d '{{\"narrative\":\"a calm piano evening in the rain\"}}'
",
        sockets = stack.sockets(),
        jen1 = stack.jen1(),
        muscgen = stack.muscgen(),
        ollama = stack.ollama().unwrap_or("-"),
        redis = without_password(stack.redis_url()),
        log = stack.logs().display(),
    ))
}

/// What may stand on a screen.
fn without_password(address: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(address) else {
        return String::new();
    };
    // Fails only for an address that cannot have one.
    let _ = url.set_password(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_shows_no_password() {
        let shown = without_password("rediss://me:hunter2@host:6379?cluster=true");
        assert_eq!(shown, "rediss://me@host:6379?cluster=true");
        let plain = "redis://127.0.0.1:6390";
        assert_eq!(without_password(plain), plain);
    }
}
