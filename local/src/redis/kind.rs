//! How a server is spoken to, for the server itself and for those who speak to it.

use std::path::{Path, PathBuf};

use ::redis::Cmd;
use reqwest::Url;

use super::credentials::Credentials;
use super::engine::Engine;
use crate::error::{HarnessError, Result};
use crate::place::{free_port, variable};

/// The kinds of server that `REDIS_URL` can name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RedisKind {
    #[default]
    Plain,
    /// TLS and a password. The authority and the password are those of this process.
    Tls,
    /// One node that has every slot.
    Cluster,
    TlsCluster,
}

impl RedisKind {
    /// What a test process was told in `QUEUE_REDIS`: `plain` (also when it is unset), `tls`, `cluster` or `tls-cluster`.
    pub fn chosen() -> Result<Self> {
        let word = variable("QUEUE_REDIS");
        Self::of(word.as_deref().unwrap_or("plain"), Engine::told()?)
    }

    fn of(word: &str, engine: Option<Engine>) -> Result<Self> {
        let kind = match word {
            "plain" => Self::Plain,
            "tls" => Self::Tls,
            "cluster" => Self::Cluster,
            "tls-cluster" => Self::TlsCluster,
            other => return Err(HarnessError::UnknownRedis(other.to_owned())),
        };
        match engine {
            Some(engine) if kind.is_tls() && !engine.speaks_tls() => {
                Err(HarnessError::NoTls(engine.name()))
            }
            _ => Ok(kind),
        }
    }

    /// The program of such a server: of the engine of this process, but for TLS the machine's own where that engine has none.
    pub fn program(self) -> Result<PathBuf> {
        let engine = Engine::chosen()?;
        if self.is_tls() && !engine.speaks_tls() {
            return Engine::Redis.program();
        }
        engine.program()
    }

    pub fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::TlsCluster)
    }

    pub fn is_cluster(self) -> bool {
        matches!(self, Self::Cluster | Self::TlsCluster)
    }

    /// The arguments with which its program becomes such a server, with its files in `folder`.
    pub fn arguments(self, port: u16, folder: &Path) -> Result<Vec<String>> {
        let port = port.to_string();
        let folder = folder.display().to_string();
        let mut args: Vec<String> = Vec::new();
        let mut set = |name: &str, value: &str| args.extend([name.to_owned(), value.to_owned()]);
        set("--bind", "127.0.0.1");
        set("--dir", &folder);
        if self.is_tls() {
            let own = Credentials::of_this_process()?;
            set("--port", "0");
            set("--tls-port", &port);
            set("--tls-auth-clients", "no");
            set("--tls-ca-cert-file", &own.authority().to_string_lossy());
            set("--tls-cert-file", &own.certificate().to_string_lossy());
            set("--tls-key-file", &own.key().to_string_lossy());
            set("--requirepass", &own.password);
        } else {
            set("--port", &port);
        }
        if self.is_cluster() {
            set("--cluster-enabled", "yes");
            set("--cluster-port", &free_port()?.to_string());
            set("--cluster-announce-ip", "127.0.0.1");
            if self.is_tls() {
                set("--tls-cluster", "yes");
            }
        }
        Ok(args)
    }

    /// The address of such a server, or of what forwards to one; with the password and the authority.
    pub fn url(self, port: u16) -> Result<String> {
        let (scheme, host) = match self {
            Self::Tls => ("rediss", "localhost"),
            Self::TlsCluster => ("rediss", "127.0.0.1"),
            Self::Plain | Self::Cluster => ("redis", "127.0.0.1"),
        };
        let malformed = |_| HarnessError::UnknownRedis(format!("{self:?}"));
        let mut url =
            Url::parse(&format!("{scheme}://{host}:{port}")).map_err(|_| malformed(()))?;
        if self.is_tls() {
            let own = Credentials::of_this_process()?;
            url.set_password(Some(&own.password)).map_err(malformed)?;
            let authority = own.authority();
            url.query_pairs_mut()
                .append_pair("ca", &authority.to_string_lossy());
        }
        if self.is_cluster() {
            url.query_pairs_mut().append_pair("cluster", "true");
        }
        Ok(url.to_string())
    }
}

/// Makes a cluster of one new node; the node refuses it when it has its slots already.
pub fn take_every_slot() -> Cmd {
    let mut command = ::redis::cmd("CLUSTER");
    command.arg("ADDSLOTSRANGE").arg(0).arg(16383);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_its_engine_cannot_be_is_refused() {
        let both = |word, engine| RedisKind::of(word, engine).map_err(|e| e.to_string());
        assert_eq!(
            both("cluster", Some(Engine::Valkey9)),
            Ok(RedisKind::Cluster)
        );
        assert_eq!(both("tls", Some(Engine::Redis)), Ok(RedisKind::Tls));
        assert_eq!(both("tls-cluster", None), Ok(RedisKind::TlsCluster));
        let error = both("tls-cluster", Some(Engine::Valkey8)).unwrap_err();
        assert!(
            error.contains("valkey-8.1") && error.contains("REDIS_ENGINE=redis"),
            "{error}"
        );
        let error = both("sentinel", None).unwrap_err();
        assert!(
            error.contains("QUEUE_REDIS") && error.contains("`sentinel`"),
            "{error}"
        );
    }
}
