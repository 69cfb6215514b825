//! What a report may say, parsed at the door. What identifies is read strictly, and notes beside it
//! liberally: they come from a model, and must not cost a render.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use shared::job::{JobId, Progress};
use shared::lenient::{self, field};
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
    #[serde(default, deserialize_with = "present")]
    progress: Option<Value>,
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

/// A value that is there, if only as `null`, which is what becomes of `NaN`.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
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

impl TryFrom<Body> for Report {
    type Error = Problem;

    fn try_from(body: Body) -> Result<Self, Problem> {
        let says = match body.kind {
            Kind::Status => Says::Alive(body.progress.as_ref().and_then(progress)),
            Kind::Progress => {
                let told = body
                    .progress
                    .ok_or_else(|| wrong("/progress", "required", "the progress is missing"))?;
                Says::Alive(progress(&told))
            }
            Kind::Completed => completed(object(body.payload)?)?,
            Kind::Failed => failed(&object(body.payload)?),
        };
        Ok(Self {
            job: body.job_id,
            says,
        })
    }
}

fn completed(mut payload: Map<String, Value>) -> Result<Says, Problem> {
    let source = Source::said(&payload);
    if let Some(plan) = payload.remove("plan").filter(|plan| !plan.is_null()) {
        let song =
            Plan::parse(plan).map_err(|e| wrong("/payload/plan", "malformed", &e.to_string()))?;
        let by = Origin {
            service: "jen1".to_owned(),
            model: source.model,
            version: source.version,
        };
        return Ok(Says::Plan(Box::new(Planned { song, by })));
    }
    let uploaded = payload.get("uploaded") == Some(&Value::Bool(true));
    match (uploaded, &source.audio_url) {
        (true, None) | (false, Some(_)) => Ok(Says::Audio(source)),
        _ => Err(wrong(
            "/payload",
            "required",
            "either audioUrl, or uploaded: true, or a plan must be there",
        )),
    }
}

fn failed(payload: &Map<String, Value>) -> Says {
    let text = |name| field(payload, name).and_then(lenient::scalar);
    let code = text("code").filter(|code| is_code(code));
    let message = text("message").filter(|message| !message.is_empty());
    let message = message.as_deref().unwrap_or("The model service failed.");
    Says::Failed {
        code: code.unwrap_or_else(|| "model_failed".to_owned()),
        message: cut(message, MESSAGE),
        retryable: field(payload, "retryable").is_some_and(lenient::yes),
    }
}

fn object(payload: Option<Value>) -> Result<Map<String, Value>, Problem> {
    match payload {
        Some(Value::Object(payload)) => Ok(payload),
        Some(_) => Err(wrong("/payload", "wrong_type", "expected an object")),
        None => Err(wrong("/payload", "required", "the payload is missing")),
    }
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

/// Figures, or a percentage alone; `None` if there are none that can be read, which is a sign of
/// life all the same.
fn progress(told: &Value) -> Option<Progress> {
    let Value::Object(told) = told else {
        return Some(Progress {
            current: 0,
            total: 0,
            percentage: per_cent(lenient::real(told)?),
            message: String::new(),
        });
    };
    let figure = |name| field(told, name).and_then(lenient::real);
    let (current, total) = (figure("current"), figure("total"));
    let counted = || Some(current? / total.filter(|total| *total > 0.0)? * 100.0);
    let message = field(told, "message").and_then(lenient::scalar);
    Some(Progress {
        current: whole(current),
        total: whole(total),
        percentage: per_cent(figure("percentage").or_else(counted).unwrap_or_default()),
        message: cut(&message.unwrap_or_default(), SHORT),
    })
}

fn per_cent(number: f64) -> u32 {
    whole(Some(number.clamp(0.0, 100.0)))
}

/// The nearest whole number that there is.
fn whole(number: Option<f64>) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast from a float saturates"
    )]
    let whole = number.unwrap_or_default().round() as u32;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(body: Value) -> Result<Report, Problem> {
        read(body.to_string().as_bytes())
    }

    fn read(body: &[u8]) -> Result<Report, Problem> {
        shared::http::parse_json::<Body>(&lenient::mended(body))?.try_into()
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
        let absent = json!({"uploaded": null, "audioUrl": "", "plan": null});
        assert_eq!(refused_at(report(absent)), "/payload");
        assert_eq!(
            refused_at(json!({"jobId": JobId::mint(), "type": "completed"})),
            "/payload"
        );
    }

    #[test]
    fn a_side_note_of_an_odd_type_does_not_cost_the_render() {
        for (note, value) in [
            ("seed", "9223372036854775813"),
            ("seed", "7.5"),
            ("seed", "\"auto\""),
            ("seed", "NaN"),
            ("version", "3"),
            ("model", "\"half \\ud83d\""),
            ("sha256", "\"ABC\""),
            ("took", "1e999"),
            ("log", "\"one\ntwo\""),
        ] {
            let id = JobId::mint();
            let body = format!(
                r#"{{"jobId":"{id}","type":"completed","payload":{{"uploaded":true,"{note}":{value}}}}}"#
            );
            let says = read(body.as_bytes()).unwrap().says;
            assert!(matches!(says, Says::Audio(_)), "{note}: {value}");
        }
    }

    #[test]
    fn progress_is_read_in_any_form_and_else_a_sign_of_life() {
        let told = |progress: &str| {
            let id = JobId::mint();
            let body = format!(r#"{{"jobId":"{id}","type":"progress","progress":{progress}}}"#);
            let Says::Alive(progress) = read(body.as_bytes()).unwrap().says else {
                panic!("no progress")
            };
            progress.map(|p| (p.current, p.total, p.percentage, p.message))
        };
        let figures =
            |current, total, percentage| Some((current, total, percentage, String::new()));
        for (progress, expected) in [
            (r#"{"percentage": "42%"}"#, figures(0, 0, 42)),
            (
                r#"{"percentage": NaN, "current": 1, "total": 4}"#,
                figures(1, 4, 25),
            ),
            (r#"{"current": 1.6, "total": "4"}"#, figures(2, 4, 40)),
            (
                r#"{"current": -1, "total": 1e300}"#,
                figures(0, u32::MAX, 0),
            ),
            (r#"{"percentage": -5, "message": {}}"#, figures(0, 0, 0)),
            (r#""42 %""#, figures(0, 0, 42)),
            ("41.7", figures(0, 0, 42)),
            (r#""soon""#, None),
            ("null", None),
            ("[1, 2]", None),
        ] {
            assert_eq!(told(progress), expected, "{progress}");
        }
        let half = told(r#"{"message": "step \ud83d"}"#).unwrap();
        assert_eq!(half.3, "step \u{fffd}");
        let number = told(r#"{"message": 7}"#).unwrap();
        assert_eq!(number.3, "7");
    }

    #[test]
    fn a_list_is_no_payload() {
        let id = JobId::mint();
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
        let odd = json!({"code": 7, "message": "x".repeat(999), "retryable": "true"});
        let body = json!({"jobId": JobId::mint(), "type": "failed", "payload": odd});
        let Says::Failed {
            code,
            message,
            retryable,
        } = parse(body).unwrap().says
        else {
            panic!("no failure")
        };
        assert_eq!(
            (code.as_str(), message.len(), retryable),
            ("7", MESSAGE, true)
        );
    }
}
