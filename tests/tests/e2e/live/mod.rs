//! Sockets: who may open one, what is heard over it, and that nothing is missed when it breaks.

mod browser;
mod follow;
mod gateway;
mod rights;
mod ticket;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use local::{Heard, Opening, SocketClient};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{App, PATIENCE};

/// Events over this long are no burst.
const SOON: Duration = Duration::from_secs(20);

impl App {
    /// A fresh ticket's address: `ws://…?ticket=…`.
    pub(crate) async fn socket_address(&self, user: &str) -> String {
        let answer = self
            .request(Method::POST, "/auth/ticket", user)
            .send()
            .await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let ticket: Value = answer.json().await.unwrap();
        let url = ticket["url"].as_str().unwrap();
        assert_eq!(url.trim_end_matches('/'), self.stack.sockets());
        format!("{url}?ticket={}", ticket["ticket"].as_str().unwrap())
    }

    /// A socket of this user.
    pub(crate) async fn listen(&self, user: &str) -> Listener {
        let address = self.socket_address(user).await;
        match SocketClient::open(&address).await.unwrap() {
            Opening::Open(socket) => Listener::new(socket),
            Opening::Refused(status) => panic!("{user} was refused with {status}"),
        }
    }
}

/// A socket, and what came over it and is not yet looked at.
pub(crate) struct Listener {
    socket: SocketClient,
    waiting: VecDeque<Value>,
}

impl Listener {
    fn new(socket: SocketClient) -> Self {
        let waiting = VecDeque::new();
        Self { socket, waiting }
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.socket.say(message.to_string()).await.unwrap();
    }

    /// Listens to what the job's log has after number `after`; the answer.
    pub(crate) async fn subscribe(&mut self, job: &str, after: u64) -> Value {
        let message = json!({"action": "job:subscribe", "jobId": job, "after": after});
        self.say(&message).await;
        // Events may come before the answer.
        let mut early = Vec::new();
        let answer = loop {
            let said = self.next(SOON).await;
            match said["event"].as_str() {
                Some(event) if event.starts_with("job:") => early.push(said),
                _ => break said,
            }
        };
        assert_eq!(answer["event"], "subscribed", "{answer}");
        assert_eq!(answer["jobId"], job);
        for event in early.into_iter().rev() {
            self.waiting.push_front(event);
        }
        answer
    }

    /// The next event or answer, one at a time.
    pub(crate) async fn next(&mut self, limit: Duration) -> Value {
        match self.try_next(limit).await {
            Ok(value) => value,
            Err(other) => panic!("nothing was heard within {limit:?} but {other:?}"),
        }
    }

    /// The same, or what came instead; `None`: nothing.
    pub(crate) async fn try_next(&mut self, limit: Duration) -> Result<Value, Option<Heard>> {
        if let Some(value) = self.waiting.pop_front() {
            return Ok(value);
        }
        match self.socket.next(limit).await {
            Some(Heard::Message(Value::Array(several))) => {
                assert!(several.len() > 1, "one alone is no list: {several:?}");
                self.waiting.extend(several);
                Ok(self.waiting.pop_front().unwrap())
            }
            Some(Heard::Message(one)) => Ok(one),
            other => Err(other),
        }
    }

    /// Nothing that was said before the ping is still to come.
    pub(crate) async fn hears_nothing_more(&mut self) {
        self.say(&json!({"action": "ping"})).await;
        assert_eq!(self.next(SOON).await, json!({"event": "pong"}));
    }

    /// Events of a job until it has ended, the end included.
    pub(crate) async fn until_ended(&mut self, job: &str) -> Vec<Value> {
        let end = Instant::now() + PATIENCE;
        let mut events = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let event = self.next(left).await;
            assert_eq!(event["jobId"], job, "{event}");
            let over = crate::app::ended(&event);
            events.push(event);
            if over {
                return events;
            }
        }
    }

    /// The code with which it is closed, which comes next.
    pub(crate) async fn closed(&mut self) -> u16 {
        match self.try_next(SOON).await {
            Err(Some(Heard::Closed(code))) => code,
            other => panic!("not closed but {other:?}"),
        }
    }
}

fn seqs(events: &[Value]) -> Vec<u64> {
    let number = |event: &Value| event["seq"].as_u64().unwrap();
    events.iter().map(number).collect()
}

/// Every number of the log once, in order, from the first to the last.
fn assert_whole(events: &[Value]) {
    let numbers = seqs(events);
    let last = *numbers.last().expect("some events");
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
}
