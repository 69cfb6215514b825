//! What the end of a job owes the outside: messages to webhooks, a report to the API, a cancel to the model. Settling notes them; `deliver`
//! makes the calls, and nothing waits for those.
//!
//! Reading order: `owe` (what is owed, and how it lasts), `waiting` (what Redis has no room for), `clear` (notes that stayed behind), `schedule` (when the next try is made), `call` (one call of each kind), `deliver` (all
//! of it together), `log` (what the owner sees, and sending again).

mod call;
mod clear;
mod deliver;
mod log;
mod owe;
mod schedule;
mod waiting;

pub use clear::clear;
pub use deliver::deliver;
pub use log::{AttemptView, DeliveryPage, DeliveryView, page, redeliver};
pub use owe::{owe, restore, ring_due};
pub use waiting::bring;
