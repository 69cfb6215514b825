//! What a client may say.

use serde::Deserialize;
use shared::job::JobId;

/// A message, told apart by its `action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", deny_unknown_fields)]
pub(crate) enum Message {
    /// What happens to a job after event `after`; all that is kept of its log without it.
    #[serde(rename = "job:subscribe", rename_all = "camelCase")]
    Subscribe {
        job_id: JobId,
        #[serde(default)]
        after: u64,
    },
    #[serde(rename = "job:unsubscribe", rename_all = "camelCase")]
    Unsubscribe { job_id: JobId },
    /// What happens from now on to all jobs of the caller.
    #[serde(rename = "jobs:subscribe:user")]
    SubscribeUser {},
    /// Is anybody there? Also keeps the connection from being closed as idle.
    #[serde(rename = "ping")]
    Ping {},
}

impl Message {
    /// The error says what is wrong, for the sender.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// The job that it is about.
    pub(crate) fn job(&self) -> Option<JobId> {
        match self {
            Self::Subscribe { job_id, .. } | Self::Unsubscribe { job_id } => Some(*job_id),
            Self::SubscribeUser {} | Self::Ping {} => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01a20428-f7d9-735f-b27d-e74c71c63de9";

    #[test]
    fn each_action_is_read() {
        let job_id: JobId = ID.parse().unwrap();
        for (text, message) in [
            (
                format!(r#"{{"action": "job:subscribe", "jobId": "{ID}", "after": 7}}"#),
                Message::Subscribe { job_id, after: 7 },
            ),
            (
                format!(r#"{{"jobId": "{ID}", "action": "job:subscribe"}}"#),
                Message::Subscribe { job_id, after: 0 },
            ),
            (
                format!(r#"{{"action": "job:unsubscribe", "jobId": "{ID}"}}"#),
                Message::Unsubscribe { job_id },
            ),
            (
                r#"{"action": "jobs:subscribe:user"}"#.to_owned(),
                Message::SubscribeUser {},
            ),
            (r#"{"action": "ping"}"#.to_owned(), Message::Ping {}),
        ] {
            assert_eq!(Message::parse(&text), Ok(message), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "ping",
            "[]",
            "{}",
            r#"{"action": "job:delete"}"#,
            r#"{"action": "ping", "more": 1}"#,
            r#"{"action": "job:subscribe"}"#,
            r#"{"action": "job:subscribe", "jobId": "x"}"#,
            r#"{"action": "job:subscribe", "jobId": "01a20428-f7d9-735f-b27d-e74c71c63de9", "after": -1}"#,
            r#"{"action": "job:subscribe", "jobId": "01a20428-f7d9-735f-b27d-e74c71c63de9", "since": 1}"#,
        ] {
            assert!(Message::parse(text).is_err(), "{text}");
        }
    }
}
