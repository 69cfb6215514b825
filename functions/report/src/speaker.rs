//! Who reports, and on which run of which job.

use std::time::Instant;

use shared::caller::Reporter;
use shared::clients::Clients;
use shared::job::{Fence, JobId, JobRecord, RenderKey};
use shared::lookup::{self, Ensured};
use shared::problem::Problem;
use shared::queue::Spent;
use shared::stage::Stage;

/// A reporter that may speak of this job.
pub(crate) struct Speaker {
    pub(crate) stage: Stage,
    /// What it renders, or what the job renders now where a role token speaks.
    pub(crate) render: RenderKey,
    /// Absent for a role token: it acts on the present run, while a model holds the job.
    pub(crate) fence: Option<Fence>,
    pub(crate) job: JobRecord,
    from: Instant,
}

impl Speaker {
    /// 403 for a callback token of another job, 404 for an unknown job. A job that Redis has forgotten is put back first.
    pub(crate) async fn new(
        clients: &Clients,
        reporter: Reporter,
        id: JobId,
    ) -> Result<Self, Problem> {
        if let Reporter::Callback(claims) = &reporter
            && claims.job != id
        {
            return Err(Problem::forbidden("the token is for another job"));
        }
        let from = Instant::now();
        let job = lookup::record(clients, id).await?;
        let job = job.ok_or_else(lookup::unknown_job)?;
        Ok(match reporter {
            Reporter::Callback(claims) => Self {
                stage: claims.stage,
                render: claims.render,
                fence: Some(claims.fence),
                job,
                from,
            },
            Reporter::Role(_) => {
                let stage = job.stage.min(Stage::Audio);
                Self {
                    stage,
                    render: job.render_key(stage),
                    fence: None,
                    job,
                    from,
                }
            }
        })
    }

    /// What listening to it costs the job.
    pub(crate) fn spent(&self) -> Spent {
        Spent::billed(self.from.elapsed())
    }

    /// The key that the queue compares; none for a role token.
    pub(crate) fn claimed(&self) -> Option<&RenderKey> {
        self.fence.as_ref().map(|_| &self.render)
    }

    /// Whether Redis can be asked about the job again: it was forgotten between two steps and is there now.
    pub(crate) async fn restored(&self, clients: &Clients) -> Result<bool, Problem> {
        Ok(lookup::ensure(clients, self.job.id).await? == Ensured::Live)
    }
}
