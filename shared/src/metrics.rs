//! Figures for whoever watches the system: lines of CloudWatch's embedded metric format among the logs, and Prometheus text, by the
//! same names.

use std::fmt::Write as _;
use std::io::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::config;
use crate::queue::Figures;
use crate::telemetry;

/// What a figure tells and how it may be summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As it is now.
    Gauge,
    /// How often something happened.
    Counter,
    /// How long something took, in seconds.
    Time,
}

/// One figure.
#[derive(Debug)]
pub struct Metric {
    /// `tutti_…`, in CloudWatch and in Prometheus.
    pub name: &'static str,
    pub kind: Kind,
    /// What one figure has several values by: CloudWatch's dimension, Prometheus's label.
    pub by: Option<&'static str>,
    /// For people, ends with a full stop.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal $(by $by:literal)?, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                by: metrics!(@by $($by)?),
                help: $help,
            };
        )*
        /// Every figure, in the order of docs/operations.md.
        pub const METRICS: &[&Metric] = &[$(&$constant),*];
    };
    (@by) => { None };
    (@by $by:literal) => { Some($by) };
}

metrics! {
    JOBS_QUEUED: Gauge "tutti_jobs_queued", "Jobs with status queued, delayed ones included.";
    JOBS_RUNNING: Gauge "tutti_jobs_running", "Jobs that hold a slot, in stage plan or audio.";
    JOBS_FINISHING: Gauge "tutti_jobs_finishing", "Jobs whose audio is being examined, or waits to be.";
    JOBS_DELAYED: Gauge "tutti_jobs_delayed", "Jobs whose next attempt is not yet due.";
    JOBS_COMPLETED: Gauge "tutti_jobs_completed", "Completed jobs that are still kept in Redis.";
    JOBS_FAILED: Gauge "tutti_jobs_failed", "Failed jobs that are still kept in Redis.";
    JOBS_DEAD: Gauge "tutti_jobs_dead", "Jobs that used up their attempts.";
    JOBS_UNSETTLED: Gauge "tutti_jobs_unsettled", "Ended jobs whose end is not yet on record.";
    TENANTS_READY: Gauge "tutti_tenants_ready", "Tenants that may run a job now.";
    SLOTS: Gauge "tutti_slots", "Jobs that may hold a slot at the same time.";
    OLDEST_WAIT: Gauge "tutti_oldest_wait_seconds", "How long the job that waits longest has waited; 0 when none waits.";
    BREAKERS_OPEN: Gauge "tutti_breakers_open", "Model services that are left alone because they failed five times in a row.";
    CACHE_EVICTS: Gauge "tutti_cache_evicts", "1 where Redis drops keys when it is full, 0 where it refuses new jobs as it must.";
    JOBS_ENDED: Counter "tutti_jobs_ended" by "outcome", "Jobs that ended: completed, failed, cancelled or expired.";
    JOB_FAILED: Gauge "tutti_job_failed", "1 for a job that failed, 0 for one that was completed: the mean is the share.";
    QUEUE_SECONDS: Time "tutti_queue_seconds", "How long a job waited in its line.";
    PLAN_SECONDS: Time "tutti_plan_seconds", "How long a job was planned, all attempts together.";
    AUDIO_SECONDS: Time "tutti_audio_seconds", "How long a job was rendered, all attempts together.";
    FINISH_SECONDS: Time "tutti_finish_seconds", "How long a job's audio was examined and stored.";
    SWEEP_AGE: Gauge "tutti_sweep_age_seconds", "Seconds since the sweep's last round; absent before the first.";
    SWEEPS: Counter "tutti_sweeps", "Rounds of the sweep.";
    SWEEP_PASSED_OVER: Gauge "tutti_sweep_passed_over", "Objects and records that the last round of the sweep could not read or settle.";
    MESSAGES_GIVEN_UP: Counter "tutti_messages_given_up" by "kind", "Messages about the end of a job that never arrived, by kind: webhook, api or cancel.";
    SERVER_ERRORS: Counter "tutti_server_errors" by "version", "Answers of 5xx, by function and version, such as jobs:12; the health page's own are not counted.";
    COLD_STARTS: Counter "tutti_cold_starts" by "function", "Processes that began, by function.";
}

/// The gauges of the queue with their values, in the order of [`METRICS`].
pub fn gauges(figures: &Figures) -> [(&'static Metric, f64); 13] {
    let counts = &figures.counts;
    [
        (&JOBS_QUEUED, whole(counts.queued)),
        (&JOBS_RUNNING, whole(counts.running)),
        (&JOBS_FINISHING, whole(counts.finishing)),
        (&JOBS_DELAYED, whole(counts.delayed)),
        (&JOBS_COMPLETED, whole(counts.completed)),
        (&JOBS_FAILED, whole(counts.failed)),
        (&JOBS_DEAD, whole(counts.dead)),
        (&JOBS_UNSETTLED, whole(counts.unsettled)),
        (&TENANTS_READY, whole(counts.ready_tenants)),
        (&SLOTS, whole(counts.slots)),
        (&OLDEST_WAIT, seconds(figures.oldest_wait_ms)),
        (&BREAKERS_OPEN, whole(figures.breakers_open)),
        (&CACHE_EVICTS, whole(figures.evicts.into())),
    ]
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub fn whole(n: u64) -> f64 {
    n as f64
}

/// Seconds of milliseconds.
pub fn seconds(ms: u64) -> f64 {
    whole(ms) / 1000.0
}

/// One line of figures. CloudWatch takes them out of the log; what else stands in the line is for whoever searches it.
#[derive(Debug, Default)]
pub struct Embedded {
    fields: Map<String, Value>,
    directives: Vec<Value>,
}

impl Embedded {
    /// Adds a figure, `of` which value of its [`Metric::by`].
    pub fn put(mut self, metric: &Metric, value: f64, of: Option<&str>) -> Self {
        let dimensions: Vec<_> = metric.by.into_iter().collect();
        let unit = match metric.kind {
            Kind::Time => "Seconds",
            _ if metric.name.ends_with("_seconds") => "Seconds",
            _ => "Count",
        };
        self.directives.push(json!({
            "Namespace": config::metrics_namespace(),
            "Dimensions": [dimensions],
            "Metrics": [{"Name": metric.name, "Unit": unit}],
        }));
        self.fields.insert(metric.name.to_owned(), json!(value));
        if let (Some(by), Some(of)) = (metric.by, of) {
            self.fields.insert(by.to_owned(), json!(of));
        }
        self
    }

    /// Adds a word to search by.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Writes the line to standard output, among the logs.
    pub fn send(self) {
        let mut text = self.text(telemetry::service(), Utc::now());
        text.push('\n');
        // One write, so that lines of two threads do not mix; there is nobody to tell that the log is gone.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }

    fn text(self, service: &str, now: DateTime<Utc>) -> String {
        let mut line = self.fields;
        let common = [
            (
                "timestamp",
                json!(now.to_rfc3339_opts(SecondsFormat::Millis, true)),
            ),
            ("level", json!("INFO")),
            ("message", json!("figures")),
            ("service", json!(service)),
            (
                "_aws",
                json!({"Timestamp": now.timestamp_millis(), "CloudWatchMetrics": self.directives}),
            ),
        ];
        line.extend(common.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(line).to_string()
    }
}

/// Prometheus's exposition format 0.0.4.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// The head of a figure; its values follow.
    pub fn head(&mut self, metric: &Metric) {
        let kind = match metric.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Time => "summary",
        };
        let Metric { name, help, .. } = metric;
        // Writing to a String cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One value: `suffix` is empty, or `_sum` or `_count` of a summary.
    pub fn value(
        &mut self,
        metric: &Metric,
        suffix: &str,
        label: Option<(&str, &str)>,
        value: f64,
    ) {
        let label = label.map_or(String::new(), |(name, of)| {
            ["{", name, "=\"", of, "\"}"].concat()
        });
        let _ = writeln!(self.0, "{}{suffix}{label} {value}", metric.name);
    }

    /// A figure with one value.
    pub fn single(&mut self, metric: &Metric, value: f64) {
        self.head(metric);
        self.value(metric, "", None, value);
    }

    /// The whole text.
    pub fn text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_cloudwatch_takes_out_of_it() {
        let now = DateTime::from_timestamp_millis(1_764_201_600_123).unwrap();
        let text = Embedded::default()
            .put(&JOBS_ENDED, 1.0, Some("failed"))
            .put(&PLAN_SECONDS, 0.25, None)
            .with("job_id", "j-1")
            .text("worker", now);
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["_aws"]["Timestamp"], 1_764_201_600_123_i64);
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        for directive in directives {
            assert_eq!(directive["Namespace"], "Tutti");
            let sets = directive["Dimensions"].as_array().unwrap();
            for metric in directive["Metrics"].as_array().unwrap() {
                assert!(line[metric["Name"].as_str().unwrap()].is_number());
            }
            for dimension in sets.iter().flat_map(|set| set.as_array().unwrap()) {
                assert!(line[dimension.as_str().unwrap()].is_string());
            }
        }
        assert_eq!(directives[0]["Dimensions"], json!([["outcome"]]));
        assert_eq!(directives[0]["Metrics"][0]["Unit"], "Count");
        assert_eq!(directives[1]["Dimensions"], json!([[]]));
        assert_eq!(directives[1]["Metrics"][0]["Unit"], "Seconds");
        assert_eq!(
            (&line["outcome"], &line["job_id"]),
            (&json!("failed"), &json!("j-1"))
        );
        assert_eq!(line["timestamp"], "2025-11-27T00:00:00.123Z");
        assert_eq!(
            (&line["service"], &line["level"]),
            (&json!("worker"), &json!("INFO"))
        );
    }

    #[test]
    fn names_are_prometheus_names_and_stand_once() {
        let mut seen = std::collections::BTreeSet::new();
        for metric in METRICS {
            let sound = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(metric.name.starts_with("tutti_") && metric.name.chars().all(sound));
            assert!(seen.insert(metric.name), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.help);
        }
    }

    #[test]
    fn a_summary_is_written_as_prometheus_reads_it() {
        let mut text = Exposition::default();
        text.single(&SLOTS, 4.0);
        text.head(&PLAN_SECONDS);
        text.value(&PLAN_SECONDS, "", Some(("quantile", "0.5")), 0.25);
        text.value(&PLAN_SECONDS, "_count", None, 3.0);
        assert_eq!(
            text.text(),
            "# HELP tutti_slots Jobs that may hold a slot at the same time.\n# TYPE tutti_slots gauge\ntutti_slots 4\n\
             # HELP tutti_plan_seconds How long a job was planned, all attempts together.\n# TYPE tutti_plan_seconds summary\n\
             tutti_plan_seconds{quantile=\"0.5\"} 0.25\ntutti_plan_seconds_count 3\n"
        );
    }
}
