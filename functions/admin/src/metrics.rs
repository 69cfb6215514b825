//! Prometheus text (exposition format 0.0.4) from what Redis holds.

use std::fmt::Write;

use shared::queue::Counts;

/// Gauges only: each is one constant-time read.
pub(crate) fn text(counts: &Counts) -> String {
    let gauges = [
        (
            "tutti_jobs_queued",
            "Jobs with status queued, delayed ones included.",
            counts.queued,
        ),
        (
            "tutti_jobs_running",
            "Jobs that hold a slot, in stage plan or audio.",
            counts.running,
        ),
        (
            "tutti_jobs_finishing",
            "Jobs whose audio is being examined, or waits to be.",
            counts.finishing,
        ),
        (
            "tutti_jobs_delayed",
            "Jobs whose next attempt is not yet due.",
            counts.delayed,
        ),
        (
            "tutti_jobs_completed",
            "Completed jobs that are still kept in Redis.",
            counts.completed,
        ),
        (
            "tutti_jobs_failed",
            "Failed jobs that are still kept in Redis.",
            counts.failed,
        ),
        (
            "tutti_jobs_dead",
            "Jobs that used up their attempts.",
            counts.dead,
        ),
        (
            "tutti_jobs_unsettled",
            "Ended jobs of which somebody must still be told.",
            counts.unsettled,
        ),
        (
            "tutti_tenants_ready",
            "Tenants that may run a job now.",
            counts.ready_tenants,
        ),
        (
            "tutti_slots",
            "Jobs that may hold a slot at the same time.",
            counts.slots,
        ),
    ];
    let mut text = String::new();
    let sweep = counts.sweep_age.map(|age| {
        let help = "Seconds since the sweep's last round.";
        ("tutti_sweep_age_seconds", help, age)
    });
    for (name, help, value) in gauges.into_iter().chain(sweep) {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gauge_has_its_help_and_type() {
        let counts = Counts {
            queued: 7,
            slots: 4,
            sweep_age: Some(61),
            ..Counts::default()
        };
        let text = text(&counts);
        assert!(text.contains("# TYPE tutti_jobs_queued gauge\ntutti_jobs_queued 7\n"));
        assert!(text.contains("tutti_slots 4\n"));
        assert!(text.contains("tutti_sweep_age_seconds 61\n"));
        assert_eq!(text.lines().count() % 3, 0);
    }
}
