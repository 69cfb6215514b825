//! Prometheus text from what Redis holds.

use shared::metrics::{
    AUDIO_SECONDS, Exposition, FINISH_SECONDS, JOBS_ENDED, Metric, PLAN_SECONDS, QUEUE_SECONDS,
    SWEEP_AGE, gauges, seconds, whole,
};
use shared::queue::Figures;

const OUTCOMES: [&str; 4] = ["completed", "failed", "cancelled", "expired"];

/// Stages as the totals name them.
const TIMES: [(&str, &Metric); 4] = [
    ("queue", &QUEUE_SECONDS),
    ("plan", &PLAN_SECONDS),
    ("audio", &AUDIO_SECONDS),
    ("finish", &FINISH_SECONDS),
];

/// All but what no request can see: cold starts and sweeps are in CloudWatch alone. Counters begin anew with an emptied Redis.
pub(crate) fn text(figures: &Figures) -> String {
    let mut text = Exposition::default();
    for (metric, value) in gauges(figures) {
        text.single(metric, value);
    }
    if let Some(age) = figures.counts.sweep_age {
        text.single(&SWEEP_AGE, whole(age));
    }
    text.head(&JOBS_ENDED);
    for outcome in OUTCOMES {
        let label = JOBS_ENDED.by.map(|by| (by, outcome));
        text.value(&JOBS_ENDED, "", label, whole(figures.total(outcome)));
    }
    for (stage, metric) in TIMES {
        text.head(metric);
        let took = seconds(figures.total(&format!("{stage}_ms")));
        text.value(metric, "_sum", None, took);
        let over = whole(figures.total(&format!("{stage}_n")));
        text.value(metric, "_count", None, over);
    }
    text.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_help_and_type() {
        let mut figures = Figures::default();
        figures.counts.sweep_age = Some(61);
        let text = text(&figures);
        assert!(text.contains("tutti_sweep_age_seconds 61\n"));
        assert!(text.contains("# TYPE tutti_jobs_queued gauge\ntutti_jobs_queued 0\n"));
        assert!(text.contains(
            "# TYPE tutti_jobs_ended counter\ntutti_jobs_ended{outcome=\"completed\"} 0\n"
        ));
        assert!(text.contains("tutti_plan_seconds_sum 0\ntutti_plan_seconds_count 0\n"));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split([' ', '{']).next().unwrap();
            let family = name.trim_end_matches("_sum").trim_end_matches("_count");
            assert!(text.contains(&format!("# HELP {family} ")), "{line}");
        }
    }
}
