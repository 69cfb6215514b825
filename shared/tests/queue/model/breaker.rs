//! What calls show of a service that no job can do without, as the model sees it.

use shared::queue::{FAILURES, Showed};

use super::state::{Hold, Model};

impl Model {
    /// Whether the service may be called.
    pub(super) fn breaker(&mut self, showed: Showed) -> bool {
        match showed {
            Showed::Asked if self.failures < FAILURES => true,
            Showed::Asked if self.left_alone => false,
            Showed::Asked => {
                self.leave_alone();
                true
            }
            Showed::Failed => {
                self.failures += 1;
                if self.failures >= FAILURES {
                    self.leave_alone();
                }
                self.failures < FAILURES
            }
            Showed::Answered => {
                self.mend();
                true
            }
            Showed::Busy(_) => {
                self.mend();
                self.hold = Some(Hold::Busy);
                false
            }
        }
    }

    fn leave_alone(&mut self) {
        self.left_alone = true;
        self.hold = Some(Hold::Down);
    }

    fn mend(&mut self) {
        if self.failures >= FAILURES {
            self.hold = None;
        }
        self.failures = 0;
        self.left_alone = false;
    }

    /// A render is over.
    pub(super) fn made_room(&mut self) {
        if self.hold == Some(Hold::Busy) {
            self.hold = None;
        }
    }
}
