//! Events as messages: one alone as an object, several as an array, as many as go into one frame.

use serde_json::Value;
use shared::event::Event;
use shared::gateway::MAX_MESSAGE;
use shared::job::JobId;

/// A job's events, each written once for all who lack it.
pub(crate) struct Frames(Vec<(u64, String)>);

impl Frames {
    /// Oldest first.
    pub(crate) fn new(id: JobId, events: &[Event]) -> Self {
        let written = events.iter().map(|event| {
            let value: Value = event.of_job(id);
            (event.seq, value.to_string())
        });
        Self(written.collect())
    }

    /// The messages that bring somebody up to date who has everything up to `seq`, each with the number of its last event. An event is
    /// never larger than a frame: its texts are bounded.
    pub(crate) fn after(&self, seq: u64) -> Vec<(u64, String)> {
        let from = self.0.partition_point(|(known, _)| *known <= seq);
        let mut frames = Vec::new();
        let mut left = &self.0[from..];
        while let [(first, one), ..] = left {
            let mut length = 2 + one.len();
            let more = left[1..].iter().take_while(|(_, text)| {
                length += 1 + text.len();
                length <= MAX_MESSAGE
            });
            let (held, rest) = left.split_at(1 + more.count());
            let last = held.last().map_or(*first, |(seq, _)| *seq);
            frames.push((last, message(held)));
            left = rest;
        }
        frames
    }
}

fn message(events: &[(u64, String)]) -> String {
    match events {
        [(_, one)] => one.clone(),
        several => {
            let texts: Vec<&str> = several.iter().map(|(_, text)| text.as_str()).collect();
            format!("[{}]", texts.join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use shared::event::EventKind;
    use shared::job::{JobStatus, Progress};
    use shared::stage::Stage;

    use super::*;

    fn events(count: u64, text: usize) -> Vec<Event> {
        let event = |seq| Event {
            seq,
            event: EventKind::Progress,
            at: Utc::now(),
            status: JobStatus::Processing,
            stage: Stage::Audio,
            attempt: 1,
            progress: Some(Progress {
                current: 1,
                total: 2,
                percentage: 50,
                message: "x".repeat(text),
            }),
            error: None,
            reason: None,
        };
        (5..5 + count).map(event).collect()
    }

    fn seqs(frame: &str) -> Vec<u64> {
        let value: Value = serde_json::from_str(frame).unwrap();
        let all = match value {
            Value::Array(all) => all,
            one => vec![one],
        };
        all.iter().map(|e| e["seq"].as_u64().unwrap()).collect()
    }

    #[test]
    fn one_event_is_an_object_and_several_are_an_array_of_what_is_lacking() {
        let id = JobId::mint();
        let frames = Frames::new(id, &events(3, 0));
        assert_eq!(frames.after(7), []);
        let [(7, one)] = &frames.after(6)[..] else {
            panic!()
        };
        let one: Value = serde_json::from_str(one).unwrap();
        assert_eq!(
            (&one["seq"], &one["jobId"]),
            (&7.into(), &id.to_string().into())
        );
        assert_eq!(one["event"], "job:progress");
        let [(7, several)] = &frames.after(0)[..] else {
            panic!()
        };
        assert_eq!(seqs(several), [5, 6, 7]);
    }

    #[test]
    fn no_message_is_larger_than_a_frame_and_none_of_two_hundred_events_is_left_out() {
        let frames = Frames::new(JobId::mint(), &events(200, 600)).after(0);
        for (last, frame) in &frames {
            assert_eq!(seqs(frame).last(), Some(last));
        }
        let frames: Vec<String> = frames.into_iter().map(|(_, frame)| frame).collect();
        assert!(frames.len() > 3, "{}", frames.len());
        assert!(frames.iter().all(|frame| frame.len() <= MAX_MESSAGE));
        // They are filled: no two neighbours would fit into one.
        let full = |pair: &[String]| pair[0].len() + pair[1].len() > MAX_MESSAGE;
        assert!(frames[..frames.len() - 1].windows(2).all(full));
        let all: Vec<u64> = frames.iter().flat_map(|frame| seqs(frame)).collect();
        assert_eq!(all, (5..205).collect::<Vec<_>>());
    }
}
