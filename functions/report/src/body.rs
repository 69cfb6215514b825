//! What a report may say, parsed at the door.

use serde::Deserialize;
use serde_json::Value;
use shared::http::Object;
use shared::job::{JobId, Progress};
use shared::number;
use shared::plan::{Plan, Planned};
use shared::problem::{FieldError, Problem};
use shared::provenance::Origin;
use shared::source::Source;

/// Bytes of a progress message or an error code that a job keeps.
const SHORT: usize = 60;
/// Bytes of a failure's message.
const MESSAGE: usize = 300;

/// The JSON as it comes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Body {
    job_id: JobId,
    #[serde(rename = "type")]
    kind: Kind,
    progress: Option<Object<RawProgress>>,
    payload: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Status,
    Progress,
    Completed,
    Failed,
}

#[derive(Deserialize)]
struct RawProgress {
    #[serde(default, deserialize_with = "number::whole")]
    current: Option<u32>,
    #[serde(default, deserialize_with = "number::whole")]
    total: Option<u32>,
    percentage: Option<f64>,
    message: Option<String>,
}

/// A report that makes sense.
pub(crate) struct Report {
    pub(crate) job: JobId,
    pub(crate) says: Says,
}

pub(crate) enum Says {
    /// Alive, with or without figures.
    Alive(Option<Progress>),
    /// A finished audio: uploaded before, or to be fetched.
    Audio(Source),
    /// A finished plan.
    Plan(Box<Planned>),
    Failed {
        code: String,
        message: String,
        retryable: bool,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Completed {
    #[serde(default)]
    uploaded: bool,
    plan: Option<Value>,
    #[serde(flatten)]
    source: Source,
}

#[derive(Deserialize)]
struct Failed {
    code: Option<String>,
    message: Option<String>,
    #[serde(default)]
    retryable: bool,
}

impl TryFrom<Body> for Report {
    type Error = Problem;

    fn try_from(body: Body) -> Result<Self, Problem> {
        let says = match body.kind {
            Kind::Status => Says::Alive(body.progress.map(|told| told.0.into())),
            Kind::Progress => {
                let progress = body
                    .progress
                    .ok_or_else(|| wrong("/progress", "required", "the progress is missing"))?;
                Says::Alive(Some(progress.0.into()))
            }
            Kind::Completed => completed(body.payload)?,
            Kind::Failed => {
                let failed: Failed = read(body.payload)?;
                let code = failed
                    .code
                    .filter(|code| is_code(code))
                    .unwrap_or_else(|| "model_failed".to_owned());
                let message = failed
                    .message
                    .unwrap_or_else(|| "The model service failed.".to_owned());
                Says::Failed {
                    code,
                    message: cut(&message, MESSAGE),
                    retryable: failed.retryable,
                }
            }
        };
        Ok(Self {
            job: body.job_id,
            says,
        })
    }
}

fn completed(payload: Option<Value>) -> Result<Says, Problem> {
    let completed: Completed = read(payload)?;
    if let Some(plan) = completed.plan {
        let song =
            Plan::parse(plan).map_err(|e| wrong("/payload/plan", "malformed", &e.to_string()))?;
        let by = Origin {
            service: "jen1".to_owned(),
            model: completed.source.model,
            version: completed.source.version,
        };
        return Ok(Says::Plan(Box::new(Planned { song, by })));
    }
    let is_sha256 = |text: &String| {
        let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        text.len() == 64 && text.bytes().all(digit)
    };
    if !completed.source.sha256.as_ref().is_none_or(is_sha256) {
        let detail = "sha256 must be 64 hex digits in lower case";
        return Err(wrong("/payload/sha256", "malformed", detail));
    }
    match (completed.uploaded, &completed.source.audio_url) {
        (true, None) | (false, Some(_)) => Ok(Says::Audio(completed.source)),
        _ => Err(wrong(
            "/payload",
            "required",
            "either audioUrl, or uploaded: true, or a plan must be there",
        )),
    }
}

fn read<T: serde::de::DeserializeOwned>(payload: Option<Value>) -> Result<T, Problem> {
    let payload = payload.ok_or_else(|| wrong("/payload", "required", "the payload is missing"))?;
    let read = serde_json::from_value::<Object<T>>(payload);
    read.map(|object| object.0)
        .map_err(|e| wrong("/payload", "wrong_type", &e.to_string()))
}

fn wrong(pointer: &'static str, code: &'static str, detail: &str) -> Problem {
    Problem::validation(vec![FieldError::new(pointer, code, detail)])
}

fn is_code(text: &str) -> bool {
    (1..=SHORT).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// At most `most` bytes, cut between characters.
fn cut(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|i| text.is_char_boundary(*i));
    text[..end.unwrap_or(0)].to_owned()
}

impl From<RawProgress> for Progress {
    fn from(raw: RawProgress) -> Self {
        let (current, total) = (raw.current.unwrap_or(0), raw.total.unwrap_or(0));
        let counted = if total == 0 {
            0.0
        } else {
            f64::from(current) / f64::from(total) * 100.0
        };
        let percentage = raw
            .percentage
            .filter(|p| p.is_finite())
            .unwrap_or(counted)
            .clamp(0.0, 100.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within 0..=100"
        )]
        let percentage = percentage.round() as u32;
        Self {
            current,
            total,
            percentage,
            message: cut(&raw.message.unwrap_or_default(), SHORT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(body: Value) -> Result<Report, Problem> {
        shared::http::parse_json::<Body>(body.to_string().as_bytes())?.try_into()
    }

    fn refused_at(body: Value) -> String {
        let problem = parse(body).err().unwrap();
        assert_eq!(problem.status(), 422);
        problem.errors()[0].pointer.clone()
    }

    #[test]
    fn an_unknown_type_or_a_malformed_id_is_named() {
        let id = JobId::mint();
        assert_eq!(
            refused_at(json!({"jobId": id, "type": "finished"})),
            "/type"
        );
        assert_eq!(
            refused_at(json!({"jobId": "x", "type": "status"})),
            "/jobId"
        );
        assert_eq!(refused_at(json!({"jobId": id, "type": 7})), "/type");
        assert_eq!(refused_at(json!({"type": "status"})), "/jobId");
    }

    #[test]
    fn progress_is_bounded_and_its_message_cut_between_characters() {
        let body = json!({"jobId": JobId::mint(), "type": "progress", "progress": {"current": 1, "total": 4, "message": "é".repeat(99)}});
        let Says::Alive(Some(progress)) = parse(body).unwrap().says else {
            panic!("no progress")
        };
        assert_eq!((progress.percentage, progress.message.len()), (25, SHORT));
        let body =
            json!({"jobId": JobId::mint(), "type": "progress", "progress": {"percentage": 1e9}});
        let Says::Alive(Some(progress)) = parse(body).unwrap().says else {
            panic!("no progress")
        };
        assert_eq!(progress.percentage, 100);
        assert_eq!(
            refused_at(json!({"jobId": JobId::mint(), "type": "progress"})),
            "/progress"
        );
    }

    #[test]
    fn a_completed_report_says_where_its_result_is() {
        let report = |payload: Value| json!({"jobId": JobId::mint(), "type": "completed", "payload": payload});
        assert!(matches!(
            parse(report(json!({"uploaded": true, "seed": 3})))
                .unwrap()
                .says,
            Says::Audio(Source {
                seed: Some(3),
                audio_url: None,
                ..
            })
        ));
        assert!(matches!(
            parse(report(json!({"audioUrl": "https://x/y"})))
                .unwrap()
                .says,
            Says::Audio(Source {
                audio_url: Some(_),
                ..
            })
        ));
        assert!(matches!(
            parse(report(json!({"plan": {"title": "x"}}))).unwrap().says,
            Says::Plan(_)
        ));
        assert_eq!(refused_at(report(json!({}))), "/payload");
        assert_eq!(
            refused_at(report(json!({"uploaded": true, "audioUrl": "https://x"}))),
            "/payload"
        );
        assert_eq!(refused_at(report(json!({"plan": {}}))), "/payload/plan");
        let odd = json!({"uploaded": true, "sha256": "ABC"});
        assert_eq!(refused_at(report(odd)), "/payload/sha256");
        assert_eq!(
            refused_at(json!({"jobId": JobId::mint(), "type": "completed"})),
            "/payload"
        );
    }

    #[test]
    fn a_list_is_no_progress_and_no_payload() {
        let id = JobId::mint();
        let list = json!({"jobId": id, "type": "status", "progress": [1, 2, 50, "x"]});
        assert_eq!(refused_at(list), "/progress");
        let list = json!({"jobId": id, "type": "failed", "payload": ["code", "message", true]});
        assert_eq!(refused_at(list), "/payload");
    }

    #[test]
    fn a_failure_without_a_usable_code_gets_one() {
        let body = json!({"jobId": JobId::mint(), "type": "failed", "payload": {"code": "bad code!", "message": "no"}});
        let Says::Failed {
            code, retryable, ..
        } = parse(body).unwrap().says
        else {
            panic!("no failure")
        };
        assert_eq!((code.as_str(), retryable), ("model_failed", false));
    }
}
