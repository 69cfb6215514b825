//! The running API held to its own document, by schemathesis: every operation, every check, with one caller's token.

use std::process::Stdio;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

use crate::api::Api;
use crate::error::{HarnessError, Result};
use crate::options::StackOptions;
use crate::place::{root, tool};
use crate::stack::Stack;
use crate::wait::until;

/// The folder of its settings and hooks.
const FOLDER: &str = "local/openapi/schemathesis";
/// Jobs that a model holds, for reports under callback tokens.
const HELD: usize = 6;
const PATIENCE: Duration = Duration::from_secs(60);

/// A stack without limits on callers, whose tracks are short.
pub fn options() -> StackOptions {
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    StackOptions {
        env: vec![
            set("SUBMIT_RATE", "0"),
            set("READ_RATE", "0"),
            set("LOGIN_RATE", "0"),
            set("LOGIN_ADDRESS_RATE", "0"),
            set("LOGIN_NAME_RATE", "0"),
            set("REFRESH_RATE", "0"),
            set("MAX_QUEUED", "1000000"),
            set("SLOTS", "1000"),
            set("TENANT_CAP", "1000"),
            set(
                "MODELS",
                r#"{"jen1":{"planner":"jen1","generator":"muscgen","maxSeconds":2}}"#,
            ),
        ],
        ..StackOptions::default()
    }
}

/// The program with its first arguments, for one caller of this role: jobs are prepared that have ended, are held and go wrong.
pub async fn command(stack: &Stack, role: &str, arguments: &[String]) -> Result<Command> {
    let sub = format!("schemathesis-{role}");
    let caller = stack.token(role, &sub)?;
    let person = json!({"email": format!("{sub}@example.com"), "password": Uuid::new_v4()});
    user(stack, &person).await?;
    secret(stack, &sub).await?;
    let case = json!({
        "person": {"emailOrUsername": person["email"], "password": person["password"]},
        "api": stack.api(),
        "caller": caller,
        "service": stack.token("worker", "schemathesis-service")?,
        "reports": prepare(stack, &Api::new(stack.api(), &caller)?).await?,
    });
    let mut command = Command::new(tool("schemathesis")?);
    command
        .current_dir(root())
        .arg("--config-file")
        .arg(format!("{FOLDER}/schemathesis.toml"))
        .arg("run")
        .arg(format!("{}/openapi.json", stack.api()))
        .args(["--url", stack.api()])
        .args(arguments)
        .env("TUTTI_CASE", case.to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}

/// Makes somebody who can sign in.
async fn user(stack: &Stack, person: &Value) -> Result<()> {
    let http = Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let request = http
        .post(format!("{}/auth/users", stack.api()))
        .bearer_auth(stack.token("admin", "schemathesis-setup")?);
    request.json(person).send().await?.error_for_status()?;
    Ok(())
}

/// Gives the caller's tenant a secret, so that a webhook needs none of its own.
async fn secret(stack: &Stack, tenant: &str) -> Result<()> {
    let http = Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let url = format!("{}/admin/tenants/{tenant}/webhooks/secrets", stack.api());
    let request = http
        .post(url)
        .bearer_auth(stack.token("admin", "schemathesis-setup")?);
    request.json(&json!({})).send().await?.error_for_status()?;
    Ok(())
}

/// One completed job, some that a model holds, and chances for those to come. Answers who holds which.
async fn prepare(stack: &Stack, api: &Api) -> Result<Vec<Value>> {
    let muscgen = Muscgen {
        http: Client::builder().no_proxy().timeout(PATIENCE).build()?,
        base: stack.muscgen(),
    };
    muscgen
        .switch(json!({"renderSeconds": 0, "failChance": 0, "neverChance": 0}))
        .await?;
    let done = api.compose("a track to listen to", 2).await?;
    let id = done["jobId"].as_str().unwrap_or_default();
    until(PATIENCE, async || {
        let job = api.job(id, 0).await.ok()?;
        (job["status"] == "completed").then_some(())
    })
    .await
    .ok_or_else(|| HarnessError::Job("the first job did not complete".to_owned()))?;
    muscgen.switch(json!({"neverChance": 1})).await?;
    let mut held = Vec::new();
    for n in 0..HELD {
        let job = api
            .compose(&format!("a track that nobody ends, {n}"), 2)
            .await?;
        let id = job["jobId"].as_str().unwrap_or_default().to_owned();
        let token = until(PATIENCE, async || muscgen.token(&id).await.ok()?).await;
        let token = token.ok_or_else(|| HarnessError::Job(format!("no model was given {id}")))?;
        held.push(json!({"job": id, "token": token}));
    }
    // Most fail soon, so that the machine is left to the calls.
    muscgen
        .switch(json!({"failStatus": 400, "failChance": 0.6, "neverChance": 0.3}))
        .await?;
    Ok(held)
}

/// The stand-in's doors for tests.
struct Muscgen<'a> {
    http: Client,
    base: &'a str,
}

impl Muscgen<'_> {
    async fn switch(&self, faults: Value) -> Result<()> {
        let url = format!("{}/faults", self.base);
        let answer = self.http.put(url).json(&faults).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    /// The callback token that it was given with this job.
    async fn token(&self, id: &str) -> Result<Option<String>> {
        let url = format!("{}/calls", self.base);
        let calls: Vec<Value> = self.http.get(url).send().await?.json().await?;
        let call = calls.into_iter().rev().find(|call| call["jobId"] == id);
        let token =
            call.and_then(|call| Some(call["body"]["callback"]["token"].as_str()?.to_owned()));
        Ok(token)
    }
}
