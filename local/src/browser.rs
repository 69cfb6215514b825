//! A headless Chromium, told what to do over its own debugging protocol.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::error::{HarnessError, Result};
use crate::log::Log;
use crate::place::{Scratch, tool, variable};
use crate::process::{Household, Kept, Program};
use crate::socket_client::{Heard, Opening, SocketClient};
use crate::wait::until;

/// What the programs are called, Debian's first.
const NAMES: [&str; 4] = [
    "chromium",
    "google-chrome",
    "google-chrome-stable",
    "chromium-browser",
];

/// A cold start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Whether the page has come.
const LOADED: &str = "location.href != 'about:blank' && document.readyState == 'complete'";

/// One page of a browser of its own; the browser ends with its owner.
#[derive(Debug)]
pub struct Browser {
    socket: SocketClient,
    session: String,
    calls: u64,
    kept: Kept,
    _scratch: Scratch,
}

impl Browser {
    /// Opens `address` in a fresh browser. `CHROMIUM` names the program when it has none of the usual names.
    pub async fn open(address: &str) -> Result<Self> {
        let scratch = Scratch::new()?;
        let log = Arc::new(Log::create(&scratch.path().join("browser.log"))?);
        let house = Household::new(log.clone())?;
        let profile = scratch.path().join("profile");
        let mut program = Program::new("chromium", program()?).args([
            "--headless=new",
            "--remote-debugging-port=0",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-background-networking",
            "--disable-gpu",
            // Containers often have little shared memory.
            "--disable-dev-shm-usage",
            "about:blank",
        ]);
        program
            .args
            .push(format!("--user-data-dir={}", profile.display()));
        if nix::unistd::geteuid().is_root() {
            // It refuses to be root in its sandbox.
            program.args.push("--no-sandbox".to_owned());
        }
        let kept = Kept::start(program, &house)?;
        let silent = || HarnessError::Silent {
            name: "chromium".to_owned(),
            seconds: START.as_secs(),
            log: log.path().to_owned(),
            tail: log.tail(8),
        };
        // Port and path, a line each.
        let port_file = profile.join("DevToolsActivePort");
        let found = until(START, async || {
            let text = std::fs::read_to_string(&port_file).ok()?;
            let (port, path) = text.split_once('\n')?;
            path.starts_with('/')
                .then(|| format!("ws://127.0.0.1:{port}{}", path.trim()))
        });
        let found = found.await.ok_or_else(silent)?;
        let socket = match SocketClient::open(&found).await? {
            Opening::Open(socket) => socket,
            Opening::Refused(_) => return Err(silent()),
        };
        let mut browser = Self {
            socket,
            session: String::new(),
            calls: 0,
            kept,
            _scratch: scratch,
        };
        let page = browser
            .call("Target.createTarget", json!({"url": address}), START)
            .await?;
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach, START).await?;
        attached["sessionId"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut browser.session);
        // Every page begins as an empty one, and what is asked of that is lost with it.
        let loaded = until(START, async || {
            let asked = browser.evaluate(LOADED, START).await.ok()?;
            (asked == true).then_some(())
        });
        loaded.await.ok_or_else(silent)?;
        Ok(browser)
    }

    /// The value of a JavaScript expression in the page, awaited if it is a promise; what it throws is an error.
    pub async fn evaluate(&mut self, expression: &str, limit: Duration) -> Result<Value> {
        let ask = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", ask, limit).await?;
        match answer.get("exceptionDetails") {
            Some(thrown) => Err(HarnessError::Socket(format!("the page threw {thrown}"))),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    async fn call(&mut self, method: &str, params: Value, limit: Duration) -> Result<Value> {
        self.calls += 1;
        let mut call = json!({"id": self.calls, "method": method, "params": params});
        if !self.session.is_empty() {
            call["sessionId"] = self.session.as_str().into();
        }
        self.socket.say(call.to_string()).await?;
        let end = Instant::now() + limit;
        let failed = |what: String| HarnessError::Socket(format!("the browser's {method}: {what}"));
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.socket.next(left).await {
                Some(Heard::Message(answer)) if answer["id"] == self.calls => {
                    return match answer.get("error") {
                        Some(error) => Err(failed(error.to_string())),
                        None => Ok(answer["result"].clone()),
                    };
                }
                // Of another call, or news that nobody asked for.
                Some(Heard::Message(_)) => {}
                Some(ended) => return Err(failed(format!("{ended:?}"))),
                None => return Err(failed(format!("no answer within {limit:?}"))),
            }
        }
    }

    /// Returns when it is gone; dropping it ends it too.
    pub async fn stop(self) {
        self.kept.stop().await;
    }
}

fn program() -> Result<PathBuf> {
    if let Some(path) = variable("CHROMIUM") {
        return Ok(path.into());
    }
    let found = NAMES.iter().find_map(|name| tool(name).ok());
    found.ok_or(HarnessError::NoBrowser)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_of_a_browser_is_asked_and_answers() {
        let mut browser = Browser::open("data:text/html,<title>here</title>")
            .await
            .unwrap();
        let limit = Duration::from_secs(30);
        let sum = "new Promise(done => setTimeout(() => done([1 + 1, 'two']), 10))";
        let answer = browser.evaluate(sum, limit).await.unwrap();
        assert_eq!(answer, json!([2, "two"]));
        let thrown = browser.evaluate("nobody.knows", limit).await.unwrap_err();
        assert!(thrown.to_string().contains("ReferenceError"), "{thrown}");
        let never = "window.never = new Promise(() => {})";
        let late = browser.evaluate(never, Duration::from_millis(100)).await;
        assert!(late.unwrap_err().to_string().contains("no answer within"));
        browser.stop().await;
    }
}
