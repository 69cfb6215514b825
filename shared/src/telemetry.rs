//! Logs: one JSON line an event on standard output, with the fields of every span around it.

use std::fmt::Debug;
use std::io::Write;
use std::sync::OnceLock;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::config;
use crate::metrics::{COLD_STARTS, Embedded};

static SERVICE: OnceLock<&'static str> = OnceLock::new();

/// The longest text of one field, in bytes.
const MAX_TEXT: usize = 4096;

/// Sends this program's events to standard output, from `LOG_LEVEL` on, and counts its start; `service` is the function's crate name.
///
/// Libraries are heard from `info` on whatever the level: below it some of them print what they send and receive.
pub fn init(service: &'static str) {
    let lines = JsonLines {
        service,
        level: config::log_level(),
        writer: std::io::stdout,
    };
    // Only a second call fails, and the first one's lines go on.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(lines));
    let service = SERVICE.get_or_init(|| service);
    Embedded::default()
        .put(&COLD_STARTS, 1.0, Some(service))
        .with("release", config::release())
        .with("function_version", config::function_version())
        .send();
}

/// The name that [`init`] was given.
pub(crate) fn service() -> &'static str {
    SERVICE.get().copied().unwrap_or_default()
}

struct JsonLines<W> {
    service: &'static str,
    level: Level,
    writer: W,
}

/// One line, in the order in which people read it.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    message: String,
    service: &'a str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl<W> JsonLines<W> {
    fn is_ours(&self, target: &str) -> bool {
        let krate = target.split("::").next().unwrap_or_default();
        krate == "shared" || krate == self.service
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    /// Our own spans count at any level, since they name the job and the request.
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        if self.is_ours(metadata.target()) {
            metadata.is_span() || *metadata.level() <= self.level
        } else {
            *metadata.level() <= self.level.min(Level::INFO)
        }
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context
            .event_scope(event)
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .iter()
            .rev()
        {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.0.extend(of_span.0.clone());
            }
        }
        event.record(&mut fields);
        let message = fields
            .0
            .remove("message")
            .map(|text| text.as_str().unwrap_or_default().to_owned());
        let line = Line {
            timestamp: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            level: event.metadata().level().as_str(),
            message: message.unwrap_or_default(),
            service: self.service,
            fields: fields.0,
        };
        if let Ok(mut text) = serde_json::to_vec(&line) {
            text.push(b'\n');
            // One write, so that lines of two threads do not mix; there is nobody to tell that the log is gone.
            let _ = self.writer.make_writer().write_all(&text);
        }
    }
}

/// What a span or an event says, by name.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        // The Lambda runtime's own span, in the names that Lambda's tools use.
        let name = match field.name() {
            "requestId" => "function_request_id",
            "xrayTraceId" => "xray_trace_id",
            name => name,
        };
        self.0.insert(name.to_owned(), value);
    }

    fn put_text(&mut self, field: &Field, mut text: String) {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        self.put(field, Value::String(text));
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put_text(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `act` logs at `level`.
    fn lines(level: Level, act: impl FnOnce()) -> Vec<Value> {
        let memory = Memory::default();
        let lines = JsonLines {
            service: "jobs",
            level,
            writer: {
                let memory = memory.clone();
                move || memory.clone()
            },
        };
        tracing::subscriber::with_default(Registry::default().with(lines), act);
        let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_line_carries_the_fields_of_every_span_around_it() {
        let lines = lines(Level::INFO, || {
            let request = tracing::info_span!(
                "request",
                request_id = "r-1",
                caller = tracing::field::Empty
            );
            let _request = request.enter();
            request.record("caller", "c0ffee");
            let _job =
                tracing::debug_span!("job", job_id = %7, stage = "plan", attempt = 1).entered();
            tracing::info!(duration_ms = 12, stage = "audio", "the stage is done");
        });
        let [line] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        assert_eq!(line["message"], "the stage is done");
        assert_eq!(
            (&line["level"], &line["service"]),
            (&"INFO".into(), &"jobs".into())
        );
        assert_eq!(
            (&line["request_id"], &line["caller"], &line["job_id"]),
            (&"r-1".into(), &"c0ffee".into(), &"7".into())
        );
        assert_eq!(
            (&line["attempt"], &line["duration_ms"]),
            (&1.into(), &12.into())
        );
        assert_eq!(line["stage"], "audio");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn the_level_holds_for_us_and_libraries_stay_above_debug() {
        let act = || {
            tracing::debug!("ours");
            tracing::trace!("ours in full");
            tracing::debug!(target: "hyper::proto", "theirs");
            tracing::info!(target: "lambda_runtime", "theirs, aloud");
        };
        let messages = |level| -> Vec<_> {
            lines(level, act)
                .into_iter()
                .map(|line| line["message"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(messages(Level::DEBUG), ["ours", "theirs, aloud"]);
        assert_eq!(
            messages(Level::TRACE),
            ["ours", "ours in full", "theirs, aloud"]
        );
        assert_eq!(messages(Level::WARN), Vec::<String>::new());
    }

    #[test]
    fn the_names_of_jobs_stay_on_lines_of_a_quiet_log() {
        let lines = lines(Level::ERROR, || {
            let _job = tracing::info_span!("job", job_id = "j-1").entered();
            tracing::error!("lost");
        });
        assert_eq!(lines[0]["job_id"], "j-1");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let lines = lines(Level::INFO, || {
            tracing::info!(text = "é".repeat(MAX_TEXT), "long")
        });
        assert_eq!(lines[0]["text"].as_str().unwrap().len(), MAX_TEXT);
    }
}
