//! Runs the checker over a setting.

use std::fmt::Debug;
use std::hash::Hash;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

/// Cores that a check uses.
const THREADS: usize = 2;

/// A configuration of one of the models.
pub(crate) trait Checked:
    Model<State: Clone + Debug + Hash + PartialEq + Send + Sync, Action: Clone + Debug + PartialEq>
    + Clone
    + Debug
    + Send
    + Sync
    + 'static
{
}

/// Takes one of what may still go wrong; `None` where nothing is left.
pub(crate) fn spend(left: &mut u8) -> Option<()> {
    *left = left.checked_sub(1)?;
    Some(())
}

/// Every property holds in every state, and there are at least so many: a model that does nothing has none.
#[track_caller]
pub(crate) fn holds(setting: impl Checked, at_least: usize) {
    let from = Instant::now();
    let checker = setting
        .clone()
        .checker()
        .threads(THREADS)
        .spawn_bfs()
        .join();
    let states = checker.unique_state_count();
    eprintln!(
        "{}: {states} states, {} transitions, depth {}, {:.1?}",
        test(),
        checker.state_count(),
        checker.max_depth(),
        from.elapsed()
    );
    assert!(checker.is_done(), "not every state was looked at");
    checker.assert_properties();
    assert!(states >= at_least, "only {states} states");
}

/// The checker finds how this property is broken; the shortest way is shown.
#[track_caller]
pub(crate) fn breaks(setting: impl Checked, property: &'static str) {
    let found = HasDiscoveries::AllOf([property].into());
    let checker = setting
        .clone()
        .checker()
        .finish_when(found)
        .spawn_bfs()
        .join();
    let path = checker.discovery(property);
    let path = path.unwrap_or_else(|| panic!("nothing breaks {property:?} of {setting:?}"));
    let actions = path.into_actions();
    eprintln!(
        "{}: {property:?} is broken in {} steps:",
        test(),
        actions.len()
    );
    for action in actions {
        eprintln!("    {action:?}");
    }
}

fn test() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}
