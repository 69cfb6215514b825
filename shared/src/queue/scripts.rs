//! The scripts, one for each transition: `lua/<name>.lua` behind the common prelude.

use std::sync::LazyLock;

use redis::Script;

const PRELUDE: &str = include_str!("lua/prelude.lua");

/// `#!lua …` must stay the first line: it makes keys of another slot an error and says how a full Redis is met.
fn compose(text: &str) -> Script {
    let (header, body) = text.split_once('\n').unwrap_or((text, ""));
    Script::new(&format!("{header}\n{PRELUDE}\n{body}"))
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
    ADVANCE = "advance";
    CANCEL = "cancel";
    COMPLETE = "complete";
    DELETE = "delete";
    ENQUEUE = "enqueue";
    EXPIRE = "expire";
    FAIL = "fail";
    PARK = "park";
    PROGRESS = "progress";
    READ = "read";
    RELEASE = "release";
    RENEW = "renew";
    REPORT = "report";
    RETRY = "retry";
    SETTLE = "settle";
    SWEEP = "sweep";
    WAIT = "wait";
}
