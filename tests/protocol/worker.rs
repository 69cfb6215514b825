//! A worker: what it holds, and what it does next.

use crate::state::{Debt, End, Fence, Job};

/// The stage that a worker believes its job to be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Plan or audio: holds a slot.
    Audio,
    Finish,
}

/// A job in a worker's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Hold {
    pub(crate) job: Job,
    pub(crate) fence: Fence,
    pub(crate) stage: Stage,
}

/// What a worker does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Worker {
    #[default]
    Idle,
    Ensure(Job),
    Acquire,
    /// Looks for a manifest.
    Look(Hold),
    Work(Hold),
    /// The job had ended: tells Redis.
    Tell(Hold, End),
    Pay(Debt, Then),
    /// Rings for whoever comes next.
    Baton,
    DeleteBell,
}

/// What follows when a debt is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Then {
    Acquire,
    Look(Hold),
    Work(Hold),
    Tell(Hold, End),
    DeleteBell,
}

impl Worker {
    /// To be paid first; nothing owed is no step.
    pub(crate) fn pays(debt: Debt, then: Then) -> Self {
        if !debt.is_paid() {
            return Self::Pay(debt, then);
        }
        match then {
            Then::Acquire => Self::Acquire,
            Then::Look(hold) => Self::Look(hold),
            Then::Work(hold) => Self::Work(hold),
            Then::Tell(hold, end) => Self::Tell(hold, end),
            Then::DeleteBell => Self::DeleteBell,
        }
    }

    /// The job that it believes to hold.
    pub(crate) fn hold(mut self) -> Option<Hold> {
        self.hold_mut().copied()
    }

    pub(crate) fn hold_mut(&mut self) -> Option<&mut Hold> {
        match self {
            Self::Look(hold) | Self::Work(hold) | Self::Tell(hold, _) => Some(hold),
            Self::Pay(_, Then::Look(hold) | Then::Work(hold) | Then::Tell(hold, _)) => Some(hold),
            _ => None,
        }
    }

    /// Whether it acquires, or rings, before it lets its bell go.
    pub(crate) fn comes_again(&self) -> bool {
        !matches!(
            self,
            Self::Idle | Self::DeleteBell | Self::Pay(Debt { ring: false, .. }, Then::DeleteBell)
        )
    }
}
