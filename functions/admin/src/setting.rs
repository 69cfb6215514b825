//! One change of a setting: on record, then stored, then in force.

use shared::audit::{Act, Effect, Operator};
use shared::clients::Clients;
use shared::control::{self, Setting};
use shared::problem::Problem;
use shared::queue::Revised;
use std::time::Duration;

/// Of two operators one is first; the other looks again.
const TRIES: usize = 8;

/// Returns what is in force now. A change that changes nothing is only put in force again.
pub(crate) async fn change<T: Setting>(
    clients: &Clients,
    operator: &Operator,
    (action, target): (&'static str, &str),
    of: &T::Of,
    change: impl Fn(&mut T) + Send + Sync,
) -> Result<T, Problem> {
    for _ in 0..TRIES {
        let now: Revised<T> = control::now(clients, of).await?;
        let mut settings = now.settings.clone();
        change(&mut settings);
        let mut next = Revised {
            revision: now.revision,
            settings,
        };
        if next.settings != now.settings {
            next.revision += 1;
            let act = Act::new(action, target, &now.settings, &next.settings);
            let stored = async {
                match control::store(clients, of, &next).await? {
                    true => Ok(Effect::Changed(true)),
                    false => Ok(Effect::Unchanged(false)),
                }
            };
            if !operator.act(clients, act, stored).await? {
                continue;
            }
        }
        control::put_in_force(clients, of, next.clone()).await?;
        return Ok(next.settings);
    }
    let detail = "others are changing the same setting; try again";
    Err(Problem::unavailable(
        "setting_contended",
        detail,
        Duration::from_secs(1),
    ))
}
