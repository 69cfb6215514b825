//! The browser client of docs/realtime.md, as it stands there, in a real browser.

use super::*;
use crate::app::{ALICE, Model, ten_seconds};

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use local::{Browser, StackOptions};

const CUTS: usize = 5;
const PAGE: &str = "docs/realtime.md";

/// The JavaScript of the section "A browser client".
fn documented() -> String {
    let page = std::fs::read_to_string(local::root().join(PAGE)).unwrap();
    let (_, section) = page.split_once("## A browser client").expect("the section");
    let (_, code) = section.split_once("```js\n").expect("its code");
    let (code, _) = code.split_once("\n```").expect("its end");
    code.to_owned()
}

/// Serves a page with the client; `{origin}/` is its address.
async fn serve() -> String {
    let code = documented();
    let page =
        format!("<!doctype html><script type=module>{code}\nwindow.follow = follow;</script>");
    let router = Router::new().route("/", get(async move || Html(page)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

/// Follows a job on a page of its own.
struct Follower(Browser);

impl Follower {
    async fn start(app: &App, origin: &str, id: &str) -> Self {
        let mut browser = Browser::open(&format!("{origin}/")).await.unwrap();
        let token = app.stack.token("user", ALICE).unwrap();
        let api = app.stack.api();
        let begin = format!(
            "window.tickets = 0; window.heard = [];
             const ticket = async () => {{
               window.tickets += 1;
               const answer = await fetch('{api}/auth/ticket', {{method: 'POST', headers: {{authorization: 'Bearer {token}'}}}});
               return answer.json();
             }};
             window.ended = follow('{id}', ticket, (event) => window.heard.push(event)); null"
        );
        // Before its page comes the empty one that every browser begins with.
        let loaded = local::until(PATIENCE, async || {
            let kind = browser.evaluate("typeof window.follow", SOON).await.ok()?;
            (kind == "function").then_some(())
        });
        loaded.await.expect("the page has its client");
        browser.evaluate(&begin, SOON).await.unwrap();
        Self(browser)
    }

    async fn ask(&mut self, expression: &str, limit: Duration) -> Value {
        self.0.evaluate(expression, limit).await.unwrap()
    }

    async fn count(&mut self) -> u64 {
        self.ask("heard.length", SOON).await.as_u64().unwrap()
    }

    /// Until it has heard something over its socket of this number, counted from one: each has a ticket of its own.
    async fn hears_over(&mut self, socket: usize) {
        let connecting = local::until(PATIENCE, async || {
            (self.tickets().await >= socket as u64).then_some(())
        });
        connecting.await.expect("the browser connects");
        let before = self.count().await;
        let more = local::until(PATIENCE, async || {
            (self.count().await > before).then_some(())
        });
        more.await.expect("the browser hears more");
    }

    async fn tickets(&mut self) -> u64 {
        self.ask("tickets", SOON).await.as_u64().unwrap()
    }
}

/// The same by a plain socket.
struct Plain {
    listener: Listener,
    /// That it had so far.
    sockets: usize,
    heard: Vec<Value>,
}

impl Plain {
    async fn start(app: &App, id: &str) -> Self {
        let mut listener = app.listen(ALICE).await;
        listener.subscribe(id, 0).await;
        Self {
            listener,
            sockets: 1,
            heard: Vec::new(),
        }
    }

    /// Until something was heard over its socket of this number, counted from one.
    async fn hears_over(&mut self, socket: usize, app: &App, id: &str) {
        self.more(app, id).await;
        while self.sockets < socket {
            self.more(app, id).await;
        }
    }

    /// Until something new was heard, over a new socket if the old one broke.
    async fn more(&mut self, app: &App, id: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.listener.try_next(left).await {
                Ok(event) => return self.heard.push(event),
                Err(Some(Heard::Broken)) => {
                    self.listener = app.listen(ALICE).await;
                    self.sockets += 1;
                    let seen = seqs(&self.heard).last().copied().unwrap_or(0);
                    self.listener.subscribe(id, seen).await;
                }
                Err(other) => panic!("neither heard nor broken but {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_browser_and_a_plain_client_hear_every_event_once_and_in_order_over_five_cuts() {
    let origin = serve().await;
    let app = App::with(StackOptions {
        env: vec![("CORS_ORIGINS".to_owned(), origin.clone())],
        ..StackOptions::default()
    })
    .await;
    // Twenty seconds with a word every half.
    let slow = json!({"mode": "callback", "renderSeconds": 200, "speed": 10});
    app.faults(Model::Muscgen, slow).await;
    let id = app.submit(ten_seconds()).await;
    let mut browser = Follower::start(&app, &origin, &id).await;
    let mut plain = Plain::start(&app, &id).await;
    for cut in 0..CUTS {
        browser.hears_over(cut + 1).await;
        plain.hears_over(cut + 1, &app, &id).await;
        let job = app.job(&id).await;
        assert_eq!(job["status"], "processing", "cut {cut} comes too late");
        app.stack.cut_sockets();
    }
    let last = browser.ask("ended", PATIENCE).await;
    assert_eq!(last["event"], "job:completed", "{last}");
    while !plain.heard.last().is_some_and(crate::app::ended) {
        plain.more(&app, &id).await;
    }
    let by_browser = browser.ask("heard", SOON).await;
    let by_browser = by_browser.as_array().unwrap();
    assert_whole(by_browser);
    assert_whole(&plain.heard);
    assert_eq!(by_browser, &plain.heard);
    assert!(browser.tickets().await > CUTS as u64 && plain.sockets > CUTS);
    browser.0.stop().await;
    app.stop().await;
}
