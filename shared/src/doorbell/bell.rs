//! What a bell says.

use serde::{Deserialize, Serialize};

use crate::job::JobId;

const VERSION: u8 = 1;

/// The body of one message. The job is named so that one that Redis has forgotten is put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bell {
    /// Always 1.
    v: u8,
    /// The job that made it ring; not necessarily the one that is then run.
    pub job: Option<JobId>,
    /// Where to look.
    pub partition: String,
    /// Redis is being compared with the store: there is a chunk for whoever has time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compare: bool,
}

/// The message is no bell that this version understands; delivering it again would not help.
#[derive(Debug, thiserror::Error)]
pub enum BadBell {
    #[error("not a bell: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("a bell of version {0}, and only version {VERSION} is known")]
    UnknownVersion(u8),
}

impl Bell {
    pub(super) fn new(job: Option<JobId>, partition: String) -> Self {
        Self {
            v: VERSION,
            job,
            partition,
            compare: false,
        }
    }

    pub(super) fn to_compare(partition: String) -> Self {
        Self {
            compare: true,
            ..Self::new(None, partition)
        }
    }

    /// Reads a message's body. Unknown fields are ignored, unknown versions refused.
    pub fn decode(body: &str) -> Result<Self, BadBell> {
        let bell: Self = serde_json::from_str(body)?;
        if bell.v != VERSION {
            return Err(BadBell::UnknownVersion(bell.v));
        }
        Ok(bell)
    }

    /// Reads a message's body; `None`, with a word in the log, for one that delivering again would not help.
    pub fn of(body: Option<&str>, partition: &str) -> Option<Self> {
        match Self::decode(body.unwrap_or_default()) {
            Ok(bell) if bell.partition == partition => Some(bell),
            Ok(bell) => {
                tracing::error!(
                    partition = bell.partition,
                    "a bell of another partition; dropped"
                );
                None
            }
            Err(error) => {
                tracing::error!(error = %error, "not a bell; dropped");
                None
            }
        }
    }

    pub(super) fn encode(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// As [`Self::encode`], and unlike any other bell.
    pub(super) fn encode_apart(&self) -> String {
        let mut bell = serde_json::json!(self);
        bell["n"] = format!("{:016x}", fastrand::u64(..)).into();
        bell.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_is_read_as_it_was_written() {
        for job in [None, Some(JobId::mint())] {
            let bell = Bell::new(job, "tutti".to_owned());
            assert_eq!(Bell::decode(&bell.encode()).unwrap(), bell);
            assert_eq!(Bell::decode(&bell.encode_apart()).unwrap(), bell);
            assert_ne!(bell.encode_apart(), bell.encode_apart());
        }
        let compare = Bell::to_compare("tutti".to_owned());
        assert_eq!(Bell::decode(&compare.encode()).unwrap(), compare);
        let plain = Bell::new(None, "tutti".to_owned()).encode();
        assert_eq!(plain, r#"{"job":null,"partition":"tutti","v":1}"#);
    }

    #[test]
    fn another_version_or_another_text_is_no_bell() {
        let other = r#"{"v":2,"job":null,"partition":"tutti"}"#;
        assert!(matches!(
            Bell::decode(other),
            Err(BadBell::UnknownVersion(2))
        ));
        assert_eq!(Bell::of(Some(other), "tutti"), None);
        assert_eq!(Bell::of(None, "tutti"), None);
        let good = Bell::new(None, "tutti".to_owned());
        assert_eq!(Bell::of(Some(&good.encode()), "other"), None);
        assert_eq!(Bell::of(Some(&good.encode()), "tutti"), Some(good));
        for text in [
            "",
            "{}",
            "ring",
            r#"{"v":1,"job":"x","partition":"tutti"}"#,
            r#"{"v":1,"job":null}"#,
        ] {
            assert!(
                matches!(Bell::decode(text), Err(BadBell::Malformed(_))),
                "{text}"
            );
        }
    }
}
