//! Fields, as they are written out.

use std::collections::BTreeMap;

use local::stand_ins::jen1::Jen1Faults;
use local::stand_ins::muscgen::MuscgenFaults;
use local::stand_ins::ollama::OllamaFaults;
use serde_json::{Value, json};
use shared::endpoint::{Endings, EndpointUrl};
use shared::event::{Event, EventKind};
use shared::job::{JobError, JobId, JobStatus, Progress, Usage};
use shared::models::{Callback, RenderRequest, Upload};
use shared::plan::Plan;
use shared::priority::Priority;
use shared::stage::Stage;
use shared::track::{Format, Measurement, Track, Warning};
use shared::view::{EtaView, JobView, Links, TrackView, WaitingView, WebhookView};

use super::{API, MODELS, Names, named, rows, words};

/// Made by somebody else: what is in them is not ours to list.
const OPAQUE: [&str; 2] = ["plan", "options"];

#[test]
fn every_field_of_a_job_stands_in_the_table() {
    let job = serde_json::to_value(job()).unwrap();
    let mut fields = Names::new();
    leaves("", &job, &mut fields);
    assert_eq!(named(API, "## The job"), fields);
}

#[test]
fn every_field_of_an_event_stands_in_the_table() {
    let event = Event {
        seq: 1,
        event: EventKind::Error,
        at: chrono::Utc::now(),
        status: JobStatus::Queued,
        stage: Stage::Audio,
        attempt: 1,
        progress: Some(progress()),
        error: Some(error()),
        reason: Some("released".to_owned()),
    };
    assert_eq!(named(API, "## Events"), keys(&json!(event)));
}

#[test]
fn every_field_that_muscgen_is_sent_stands_in_the_table() {
    let ask = RenderRequest {
        job: JobId::mint(),
        request_id: "",
        prompt: "",
        plan: &Plan::default(),
        duration: 1,
        seed: 0,
        model: "",
        options: &serde_json::Map::new(),
        callback: Some(Callback {
            url: String::new(),
            webhook: String::new(),
            token: String::new(),
            expires_at: chrono::Utc::now(),
            every_seconds: 5,
        }),
        upload: Some(Upload {
            url: String::new(),
            method: String::new(),
            headers: BTreeMap::new(),
        }),
    };
    let (heading, ask) = ("## muscgen: `POST /generate`", json!(ask));
    assert_eq!(named(MODELS, heading), keys(&ask));
    for offer in ["callback", "upload"] {
        let rows = rows(MODELS, heading);
        let row = rows
            .iter()
            .find(|cells| words(&cells[0]) == [offer])
            .unwrap();
        let described: Names = words(&row[2]).into_iter().collect();
        assert!(
            described.is_superset(&keys(&ask[offer])),
            "{offer}: {row:?}"
        );
    }
}

#[test]
fn every_fault_switch_stands_in_the_table_with_its_default() {
    let stand_ins = [
        ("jen1", json!(Jen1Faults::default())),
        ("ollama", json!(OllamaFaults::default())),
        ("muscgen", json!(MuscgenFaults::default())),
    ];
    let mut switches = BTreeMap::new();
    for name in stand_ins.iter().flat_map(|(_, state)| keys(state)) {
        let has = stand_ins
            .iter()
            .filter(|(_, state)| state.get(&name).is_some());
        let (of, defaults): (Vec<_>, Vec<_>) =
            has.map(|(of, state)| (*of, plain(&state[&name]))).unzip();
        assert!(
            defaults.iter().all(|default| *default == defaults[0]),
            "{name}"
        );
        let of = match of.len() {
            3 => "all".to_owned(),
            _ => of.join(", "),
        };
        switches.insert(name, (defaults[0].clone(), of));
    }
    let mut documented = BTreeMap::new();
    for cells in rows(MODELS, "## Fault switches").iter().skip(2) {
        let (names, defaults) = (words(&cells[0]), words(&cells[1]));
        assert_eq!(names.len(), defaults.len(), "{cells:?}");
        for (name, default) in names.into_iter().zip(defaults) {
            let default = plain(&serde_json::from_str(&default).unwrap());
            documented.insert(name, (default, cells[2].clone()));
        }
    }
    assert_eq!(documented, switches);
}

/// `2` and `2.0` are one number.
fn plain(value: &Value) -> String {
    value.as_f64().map_or(value.to_string(), |n| n.to_string())
}

fn keys(value: &Value) -> Names {
    value.as_object().unwrap().keys().cloned().collect()
}

/// The paths of everything that is no object: `a`, `b.c`; of a list of objects those of its first.
fn leaves(path: &str, value: &Value, found: &mut Names) {
    let value = value
        .get(0)
        .filter(|first| first.is_object())
        .unwrap_or(value);
    match value.as_object().filter(|_| !OPAQUE.contains(&path)) {
        Some(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(&format!("{path}{dot}{name}"), value, found);
            }
        }
        None => {
            found.insert(path.to_owned());
        }
    }
}

fn progress() -> Progress {
    Progress {
        current: 1,
        total: 2,
        percentage: 50,
        message: String::new(),
    }
}

fn error() -> JobError {
    JobError {
        code: String::new(),
        message: String::new(),
        stage: Stage::Audio,
        retryable: true,
    }
}

/// A job with everything that a job can have.
fn job() -> JobView {
    let (id, now, text) = (JobId::mint(), chrono::Utc::now(), String::new);
    let measured = Measurement {
        format: Format::Wav,
        duration_seconds: 1.0,
        sample_rate: 44_100,
        channels: 2,
        peak_dbfs: -1.0,
        loudness_lufs: -14.0,
        waveform: vec![[0.0, 0.0]],
        warnings: vec![Warning {
            code: text(),
            message: text(),
        }],
    };
    let track = Track {
        measured,
        sha256: text(),
        bytes: 1,
        seed: Some(1),
        model: Some(text()),
        version: Some(text()),
        source: None,
    };
    JobView {
        job_id: id,
        id,
        user_id: text(),
        status: JobStatus::Completed,
        stage: Stage::Finish,
        narrative: text(),
        duration: 1,
        model: text(),
        options: Some(serde_json::Map::new()),
        seed: 1,
        priority: Priority::Normal,
        tags: Vec::new(),
        start_by: now,
        finish_by: now,
        progress: Some(progress()),
        position: Some(1),
        eta: Some(EtaView { p50: 1.0, p90: 2.0 }),
        waiting: Some(WaitingView {
            code: text(),
            message: text(),
            ahead: Some(1),
            until: Some(now),
        }),
        attempt: 1,
        max_attempts: 3,
        plan: Some(Plan::default()),
        track: Some(TrackView {
            url: Some(text()),
            track,
        }),
        cached: false,
        error: Some(error()),
        request_id: text(),
        seq: 1,
        created_at: now,
        updated_at: now,
        started_at: Some(now),
        completed_at: Some(now),
        links: Links {
            this: text(),
            events: text(),
            audio: Some(text()),
        },
        webhook: Some(WebhookView {
            url: EndpointUrl::parse(&json!("https://example.com/"), false).unwrap(),
            events: Endings::default(),
        }),
        usage: Usage::default(),
    }
}
