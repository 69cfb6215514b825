//! The scripts, one for each transition: `lua/<name>.lua` behind the common prelude.

use std::sync::LazyLock;

use redis::Script;

const PRELUDE: &str = include_str!("lua/prelude.lua");
/// What a script may ask for beside it, in its line `Uses:`.
const PARTS: [(&str, &str); 5] = [
    ("rate", include_str!("lua/rate.lua")),
    ("lines", include_str!("lua/lines.lua")),
    ("delivery", include_str!("lua/delivery.lua")),
    ("estimate", include_str!("lua/estimate.lua")),
    ("walk", include_str!("lua/walk.lua")),
];

/// Time is Redis's own.
#[cfg(not(feature = "simulation"))]
fn on_the_clock(prelude: &str) -> &str {
    prelude
}

/// Time is Redis's own, and as much later as the policy says.
#[cfg(feature = "simulation")]
fn on_the_clock(prelude: &str) -> String {
    let own = "math.floor(time[2] / 1000)";
    prelude.replacen(own, &format!("{own} + policy.ahead_ms"), 1)
}

/// `#!lua …` must stay the first line: it makes keys of another slot an error and says how a full Redis is met.
fn compose(text: &str) -> Script {
    let (header, body) = text.split_once('\n').unwrap_or((text, ""));
    let uses = body.lines().find_map(|line| line.strip_prefix("-- Uses: "));
    let wanted = |name| uses.is_some_and(|uses| uses.split(", ").any(|used| used == name));
    let parts: Vec<_> = PARTS
        .into_iter()
        .filter(|(name, _)| wanted(*name))
        .map(|(_, text)| text)
        .collect();
    let prelude = on_the_clock(PRELUDE);
    Script::new(&format!("{header}\n{prelude}\n{}\n{body}", parts.concat()))
}

macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| compose(include_str!(concat!("lua/", $file, ".lua"))));)*

        /// Every script's name and text, for the test that holds files, methods and tests together.
        pub const SCRIPTS: &[(&str, &str)] = &[$(($file, include_str!(concat!("lua/", $file, ".lua")))),*];
    };
}

scripts! {
    ACQUIRE = "acquire";
    ADMITS = "admits";
    ADOPT = "adopt";
    ADVANCE = "advance";
    ATTEMPT = "attempt";
    BREAKER = "breaker";
    CANCEL = "cancel";
    COMPLETE = "complete";
    CONFIGURE = "configure";
    CONNECT = "connect";
    DELETE = "delete";
    DELIVERED = "delivered";
    DISPATCH = "dispatch";
    DUE = "due";
    ENQUEUE = "enqueue";
    EVENTS = "events";
    EXPIRE = "expire";
    FAIL = "fail";
    GLANCE = "glance";
    HANG_UP = "hang_up";
    LIST = "list";
    MEND = "mend";
    NOTICE = "notice";
    OVERVIEW = "overview";
    OWE = "owe";
    PARK = "park";
    PROBE = "probe";
    PROGRESS = "progress";
    READ = "read";
    REDELIVER = "redeliver";
    REFUSE = "refuse";
    RELEASE = "release";
    RENEW = "renew";
    REPORT = "report";
    REPRIORITISE = "reprioritise";
    RETRY = "retry";
    REVOKE = "revoke";
    SETTLE = "settle";
    SIGNS = "signs";
    SUBSCRIBE = "subscribe";
    SWEEP = "sweep";
    TAKE_CHUNK = "take_chunk";
    UNSETTLED = "unsettled";
    WAIT = "wait";
}
