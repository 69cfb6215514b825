//! How large the fleet is, and how long its models take.

/// Seconds of a plan, and of a render on average.
pub(super) const PLAN: u32 = 5;
pub(super) const RENDER: u32 = 40;

/// The fleet.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// What renders; each track takes one of them 40 s on average.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..=17_000))]
    pub gpus: u32,
    /// Simulated seconds that are measured.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Tenants; the first asks for most.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub tenants: u32,
    /// Times that a caller reads a job.
    #[arg(long, default_value_t = 4)]
    pub reads: u32,
    /// The same seed makes the same load.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Options {
    /// A slot is held from the beginning of the plan to the end of the render.
    pub(super) fn slots(&self) -> u32 {
        self.gpus * (PLAN + RENDER) / RENDER
    }

    pub(super) fn tracks_a_second(&self) -> f64 {
        f64::from(self.gpus) / f64::from(RENDER)
    }
}
