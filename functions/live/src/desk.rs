//! One event of a connection: it opens, it says something, it is closed.

use std::time::Duration;

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use lambda_runtime::Error;
use serde_json::{Value, json};
use shared::caller::Caller;
use shared::clients::Clients;
use shared::event::Event;
use shared::gateway::{Gateway, Sent};
use shared::identity::{forget_socket, redeem_ticket, socket_caller};
use shared::job::JobId;
use shared::keyring::now;
use shared::lookup::{self, Unreachable};
use shared::problem::Problem;
use shared::queue::Subscribed;
use shared::socket::ConnectionId;
use tracing::Instrument;

use crate::limit::{self, Counted};
use crate::message::Message;

/// What an event is answered with and by.
#[derive(Clone)]
pub(crate) struct Desk {
    clients: Clients,
    gateway: Gateway,
}

impl Desk {
    pub(crate) fn from_env() -> Result<Self, Error> {
        let clients = Clients::from_env()?;
        let gateway = Gateway::new(&clients.config)?;
        Ok(Self { clients, gateway })
    }

    /// The status decides about a connection that opens; otherwise nobody looks at it.
    pub(crate) async fn receive(
        &self,
        event: ApiGatewayWebsocketProxyRequest,
    ) -> Result<ApiGatewayProxyResponse, Error> {
        let context = &event.request_context;
        let connection: ConnectionId = context
            .connection_id
            .as_deref()
            .unwrap_or_default()
            .parse()?;
        let span = tracing::info_span!(
            "socket",
            connection = connection.as_str(),
            request_id = context.request_id.as_deref().unwrap_or_default(),
        );
        let mut response = ApiGatewayProxyResponse::default();
        response.status_code = match context.event_type.as_deref() {
            Some("CONNECT") => self.connect(&event, &connection).instrument(span).await,
            Some("DISCONNECT") => self.disconnect(&connection).instrument(span).await?,
            _ => {
                let text = event.body.as_deref().unwrap_or_default();
                self.hear(&connection, text).instrument(span).await?
            }
        };
        Ok(response)
    }

    async fn connect(
        &self,
        event: &ApiGatewayWebsocketProxyRequest,
        connection: &ConnectionId,
    ) -> i64 {
        let ticket = event.query_string_parameters.first("ticket");
        let opened = match ticket {
            Some(ticket) => redeem_ticket(&self.clients, ticket, connection).await,
            None => Err(Problem::unauthenticated("the address has no ticket")),
        };
        match opened {
            Ok(until) => {
                tracing::info!("a connection is open");
                // It is closed when its token expires: by this bell, or, where it cannot wait as
                // long, by the sweep's.
                let left = Duration::from_secs(until.saturating_sub(now()) + 1);
                if let Err(error) = self.clients.notices.ring(None, 1, left).await {
                    tracing::warn!(error = %error, "the sweep will close this connection");
                }
                200
            }
            Err(problem) => {
                let status = problem.status().as_u16();
                tracing::info!(
                    status,
                    code = problem.code(),
                    cause = problem.cause(),
                    "a connection is refused"
                );
                status.into()
            }
        }
    }

    async fn disconnect(&self, connection: &ConnectionId) -> Result<i64, Unreachable> {
        forget_socket(&self.clients, connection).await?;
        tracing::info!("a connection is closed");
        Ok(200)
    }

    async fn hear(&self, connection: &ConnectionId, text: &str) -> Result<i64, Error> {
        let Some(caller) = socket_caller(&self.clients, connection).await? else {
            // Its token has ended, or Redis was emptied: the client comes back and says again what
            // it listens to.
            tracing::info!("a connection that nobody knows is closed");
            self.close(connection).await;
            return Ok(410);
        };
        let caller = Caller::from(caller);
        let counted = limit::count(&self.clients, &caller, connection).await;
        if matches!(counted, Ok(Counted::Insistent)) {
            tracing::info!("a connection that does not heed its limit is closed");
            self.close(connection).await;
            return Ok(429);
        }
        let parsed = Message::parse(text);
        let job = parsed.as_ref().ok().and_then(Message::job);
        let done = match (counted, parsed) {
            (Err(error), _) => Err(error.into()),
            (Ok(Counted::Over { retry }), _) => Err(limit::over(retry)),
            (_, Ok(message)) => self.act(connection, caller, message).await,
            (_, Err(detail)) => Err(Problem::bad_request("malformed_message", detail)),
        };
        if let Err(problem) = done {
            if let Some(cause) = problem.cause() {
                tracing::warn!(
                    code = problem.code(),
                    cause,
                    "a message could not be served"
                );
            }
            self.say(connection, &refusal(&problem, job)).await;
        }
        Ok(200)
    }

    async fn act(
        &self,
        connection: &ConnectionId,
        caller: Caller,
        message: Message,
    ) -> Result<(), Problem> {
        match message {
            Message::Ping {} => self.say(connection, &json!({"event": "pong"})).await,
            Message::Subscribe { job_id, after } => {
                self.subscribe(connection, &caller, job_id, after).await?;
            }
            Message::Unsubscribe { job_id } => {
                let forgot = self.clients.queue.unsubscribe(connection, job_id).await;
                forgot.map_err(Unreachable::from)?;
                let said = json!({"event": "unsubscribed", "jobId": job_id});
                self.say(connection, &said).await;
            }
            Message::SubscribeUser {} => {
                let noted = self.clients.queue.subscribe(connection, &caller.user, None);
                match noted.await.map_err(Unreachable::from)? {
                    Subscribed::Gone => self.close(connection).await,
                    Subscribed::Ok | Subscribed::Full => {
                        self.say(connection, &json!({"event": "subscribed:user"}))
                            .await;
                    }
                }
            }
        }
        Ok(())
    }

    async fn subscribe(
        &self,
        connection: &ConnectionId,
        caller: &Caller,
        id: JobId,
        after: u64,
    ) -> Result<(), Problem> {
        let queue = &self.clients.queue;
        let found = lookup::find_for(&self.clients, id, &caller.tenant).await?;
        let known = found
            .filter(|known| caller.may_see(&known.request.user))
            .ok_or_else(lookup::unknown_job)?;
        let seq = known.job.seq;
        if after > seq {
            let detail = "`after` is beyond the job's newest event";
            return Err(Problem::bad_request("unknown_event", detail));
        }
        let page = queue.events(id, after).await.map_err(Unreachable::from)?;
        let noted = queue.subscribe(connection, &caller.user, Some((id, after)));
        match noted.await.map_err(Unreachable::from)? {
            Subscribed::Ok => {}
            Subscribed::Gone => {
                self.close(connection).await;
                return Ok(());
            }
            Subscribed::Full => {
                let detail = "this connection has too many subscriptions";
                return Err(Problem::conflict("too_many_subscriptions", detail));
            }
        }
        let (seq, gap) = match &page {
            Some(page) => (page.seq, page.gap),
            None => (seq, after < seq),
        };
        let said = json!({"event": "subscribed", "jobId": id, "seq": seq, "gap": gap});
        self.say(connection, &said).await;
        match page {
            Some(_) => {
                if let Err(error) = self.clients.notices.ring(Some(id), 1, Duration::ZERO).await {
                    tracing::warn!(job_id = %id, error = %error, "a notice was not given; the sweep will");
                }
            }
            // Redis has forgotten its log: of that only the end is still known.
            None if after < seq => {
                let end = Event::of_end(&known.job, known.error.clone());
                self.say(connection, &end.of_job(id)).await;
            }
            None => {}
        }
        Ok(())
    }

    /// What cannot be said is heard of by nobody: who listens asks again, or is told by the next event.
    async fn say(&self, connection: &ConnectionId, said: &Value) {
        match self.gateway.send(connection, &said.to_string()).await {
            Ok(Sent::Sent) => {}
            Ok(Sent::Gone) => {
                if let Err(error) = forget_socket(&self.clients, connection).await {
                    tracing::warn!(error = %error, "a closed connection is not forgotten yet");
                }
            }
            Err(error) => tracing::warn!(error = %error, "an answer was not sent"),
        }
    }

    async fn close(&self, connection: &ConnectionId) {
        if let Err(error) = self.gateway.close(connection).await {
            tracing::warn!(error = %error, "a connection could not be closed");
        }
    }
}

fn refusal(problem: &Problem, job: Option<JobId>) -> Value {
    let (code, retryable) = (problem.code(), problem.is_retryable());
    let mut said = json!({
        "event": "problem", "code": code, "detail": problem.detail(), "retryable": retryable,
    });
    if let Some(job) = job {
        said["jobId"] = json!(job);
    }
    said
}
