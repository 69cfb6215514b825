//! Which program a server is.

use std::path::PathBuf;

use crate::error::{HarnessError, Result};
use crate::place::{private, tool, variable};

/// The programs that a server can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// The redis-server of this machine.
    Redis,
    Valkey8,
    /// The one that is fetched where there is no other.
    Valkey9,
}

impl Engine {
    const ALL: [Self; 3] = [Self::Redis, Self::Valkey8, Self::Valkey9];

    /// What `REDIS_ENGINE` says. Unset, it is Valkey 9.1 where that was fetched, and otherwise redis: a newer one reads the files of an
    /// older, but not the other way round.
    pub(super) fn chosen() -> Result<Self> {
        if let Some(engine) = Self::told()? {
            return Ok(engine);
        }
        let fetched = Self::Valkey9.fetched().is_file();
        Ok(if fetched { Self::Valkey9 } else { Self::Redis })
    }

    pub(super) fn told() -> Result<Option<Self>> {
        variable("REDIS_ENGINE")
            .map(|word| Self::named(&word))
            .transpose()
    }

    fn named(word: &str) -> Result<Self> {
        let engine = Self::ALL.into_iter().find(|engine| engine.name() == word);
        engine.ok_or_else(|| HarnessError::UnknownEngine(word.to_owned()))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Valkey8 => "valkey-8.1",
            Self::Valkey9 => "valkey-9.1",
        }
    }

    pub(super) fn program(self) -> Result<PathBuf> {
        match self {
            Self::Redis => tool("redis-server"),
            Self::Valkey8 | Self::Valkey9 => Some(self.fetched())
                .filter(|path| path.is_file())
                .ok_or_else(|| HarnessError::Missing(self.name().to_owned())),
        }
    }

    /// Where `local/install` puts it.
    fn fetched(self) -> PathBuf {
        private().join("servers").join(self.name())
    }

    /// Whether it can be reached over TLS: those that are fetched are built without.
    pub(super) fn speaks_tls(self) -> bool {
        self == Self::Redis
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_known_by_its_name_and_nothing_else_is_one() {
        for engine in Engine::ALL {
            assert_eq!(Engine::named(engine.name()).unwrap(), engine);
        }
        let error = Engine::named("valkey").unwrap_err().to_string();
        assert!(
            error.contains("REDIS_ENGINE") && error.contains("`valkey`"),
            "{error}"
        );
        for engine in Engine::ALL {
            assert!(error.contains(engine.name()), "{error}");
        }
    }

    #[test]
    fn the_script_that_fetches_puts_an_engine_where_it_is_looked_for() {
        let script = std::fs::read_to_string(crate::place::root().join("local/install")).unwrap();
        for engine in [Engine::Valkey8, Engine::Valkey9] {
            let place = format!(".local/servers/{}", engine.name());
            assert!(engine.fetched().ends_with(&place));
            assert!(script.contains(&place), "{place}");
        }
    }
}
