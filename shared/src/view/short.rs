//! A job as a list shows it.

use super::{JobView, Known, shown};
use crate::clients::Clients;

/// Characters of a text in a list that a caller or a model wrote.
const EXCERPT: usize = 280;

/// A job in short, with a fresh link to its track.
pub fn item(clients: &Clients, known: Known) -> JobView {
    in_short(shown(clients, known))
}

/// What a caller can write at length, and what only the job's own page draws, is left out or cut, so that a page of a hundred jobs
/// stays far below what Lambda answers with.
fn in_short(mut job: JobView) -> JobView {
    (job.plan, job.options, job.webhook) = (None, None, None);
    excerpt(&mut job.narrative);
    if let Some(error) = &mut job.error {
        excerpt(&mut error.message);
    }
    if let Some(track) = &mut job.track {
        let track = &mut track.track;
        track.measured.waveform.clear();
        let named = [&mut track.model, &mut track.version];
        named.into_iter().flatten().for_each(excerpt);
    }
    job
}

fn excerpt(text: &mut String) {
    if let Some((cut, _)) = text.char_indices().nth(EXCERPT) {
        text.truncate(cut);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::envelope::{Envelope, OpenMarker};
    use crate::job::JobId;
    use crate::track::Track;

    fn job(narrative: &str) -> JobView {
        let submission = json!({
            "narrative": narrative, "duration": 30, "model": "jen1", "seed": 7, "seedFixed": false, "priority": "normal",
            "options": {"text": "\u{1}".repeat(16_000)}, "tags": ["x".repeat(64)],
        });
        let mut request = json!({
            "id": JobId::mint(), "tenant": "alice", "user": "alice", "userId": "alice", "requestId": "r-1", "traceparent": "",
            "createdAt": "2026-01-01T00:00:00Z", "maxAttempts": 3, "digest": "",
        });
        let all = request.as_object_mut().unwrap();
        all.extend(submission.as_object().unwrap().clone());
        let request: Envelope = serde_json::from_value(request).unwrap();
        let marker = OpenMarker::starting(0, request.created_at, &request);
        let track: Track = serde_json::from_value(json!({
            "format": "wav", "durationSeconds": 30.0, "sampleRate": 44_100, "channels": 2, "peakDbfs": -1.0, "loudnessLufs": -14.0,
            "waveform": vec![[-0.123_456_78, 0.123_456_78]; 400], "warnings": [], "sha256": "ab".repeat(32), "bytes": 1, "seed": 7,
            "model": "m".repeat(100_000),
        }))
        .unwrap();
        let mut known = Known::accepted(request, &marker);
        known.track = Some(track);
        JobView::new(known, |path| Some(path.to_owned()))
    }

    #[test]
    fn a_job_of_a_list_is_short_whatever_was_written() {
        let short = in_short(job(&"\u{1}".repeat(4000)));
        let text = serde_json::to_string(&short).unwrap();
        assert!(text.len() < 10_000, "{}", text.len());
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((value.get("options"), value.get("plan")), (None, None));
        assert_eq!(value["track"]["waveform"], json!([]));
        assert_eq!(value["track"]["durationSeconds"], json!(30.0));
    }

    #[test]
    fn an_excerpt_ends_between_characters_and_says_that_it_is_one() {
        let long = "ü".repeat(EXCERPT + 1);
        let short = in_short(job(&long)).narrative;
        assert_eq!(short, format!("{}…", "ü".repeat(EXCERPT)));
        let whole = "ü".repeat(EXCERPT);
        assert_eq!(in_short(job(&whole)).narrative, whole);
    }
}
