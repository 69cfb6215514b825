//! Notes that stayed behind because the store was away when they were to go.

use chrono::{TimeDelta, Utc};

use crate::clients::Clients;
use crate::envelope::Due;
use crate::job::JobId;
use crate::lookup::Unreachable;
use crate::queue::Noted;
use crate::store::Note;

/// A younger note may be that of a caller who has not told Redis yet; no invocation lives longer.
const ON_ITS_WAY: TimeDelta = TimeDelta::minutes(15);

/// Removes those of a job's notes whose messages are over, as Redis knew it after the notes were listed. May be repeated.
///
/// Redis must have forgotten nothing: where it was emptied or rolled back, [`super::restore`] comes first. A message that is pending or
/// on its way keeps its note among those that Redis names, and one that it names no more is needed again only when it is written anew.
pub async fn clear(
    clients: &Clients,
    id: JobId,
    notes: Vec<Note>,
    known: Option<Noted>,
) -> Result<(), Unreachable> {
    let now = Utc::now();
    let is_needed = |note: &Note| known.iter().any(|known| known.names.contains(&note.name));
    for note in notes {
        if is_needed(&note) || now - note.modified < ON_ITS_WAY {
            continue;
        }
        let Some(due) = clients.store.due(id, &note.name).await? else {
            continue;
        };
        let is_over = match &known {
            // A later end that Redis has not heard of is put in force by its settling.
            Some(known) => due.generation <= known.generation,
            // The log was kept for its time, or never begun: what may still be sent stays.
            None => is_late(&due),
        };
        if is_over {
            clients.store.remove_due(id, &note.name).await?;
            tracing::info!(job_id = %id, note = note.name.as_str(), "a note of what was owed has stayed behind and is removed");
        }
    }
    Ok(())
}

/// Redis would give all of it up unsent.
fn is_late(due: &Due) -> bool {
    let now = Utc::now();
    due.targets.iter().all(|target| target.until <= now)
}
