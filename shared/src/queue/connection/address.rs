//! Where Redis is and how to get in, all in one URL.

use std::fs;

use redis::{
    Client, ConnectionInfo, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisError,
    TlsCertificates,
};
use url::Url;

/// `redis://` or `rediss://`, with the flags `cluster` and `ca` taken out of the query.
pub(super) struct RedisAddress {
    pub(super) info: ConnectionInfo,
    pub(super) cluster: bool,
    /// The authorities to trust in place of the public ones.
    pub(super) certificates: Option<TlsCertificates>,
}

impl RedisAddress {
    /// Reads the file that `ca` names. No error repeats the address, which may hold a password.
    pub(super) fn parse(address: &str) -> Result<Self, RedisError> {
        let mut url = Url::parse(address).map_err(|_| refused("it is not a URL"))?;
        let (mut cluster, mut ca, mut rest) = (false, None, Vec::new());
        for (name, value) in url.query_pairs().into_owned() {
            match (name.as_str(), value.as_str()) {
                ("cluster", "true") => cluster = true,
                ("cluster", "false") => cluster = false,
                ("cluster", _) => return Err(refused("`cluster` must be true or false")),
                ("ca", _) => ca = Some(value),
                _ => rest.push((name, value)),
            }
        }
        url.set_query(None);
        if !rest.is_empty() {
            url.query_pairs_mut().extend_pairs(rest);
        }
        let certificates = match ca {
            Some(_) if url.scheme() != "rediss" => {
                return Err(refused("`ca` is for rediss:// alone"));
            }
            Some(file) => Some(authorities(&file)?),
            None => None,
        };
        let info = url.into_connection_info()?;
        let settings = info.redis_settings().clone();
        let settings = settings.set_protocol(ProtocolVersion::RESP3);
        Ok(Self {
            info: info.set_redis_settings(settings),
            cluster,
            certificates,
        })
    }

    /// Of one server, or of one node of a cluster.
    pub(super) fn client(self) -> Result<Client, RedisError> {
        match self.certificates {
            Some(certificates) => Client::build_with_tls(self.info, certificates),
            None => Client::open(self.info),
        }
    }
}

fn authorities(file: &str) -> Result<TlsCertificates, RedisError> {
    let pem = fs::read_to_string(file).map_err(|error| {
        let detail = format!("{file}: {error}");
        let kind = ErrorKind::InvalidClientConfig;
        RedisError::from((kind, "the file that `ca` names cannot be read", detail))
    })?;
    if !pem.contains("-----BEGIN CERTIFICATE-----") {
        return Err(refused("the file that `ca` names has no PEM certificate"));
    }
    Ok(TlsCertificates {
        client_tls: None,
        root_cert: Some(pem.into_bytes()),
    })
}

fn refused(why: &'static str) -> RedisError {
    (ErrorKind::InvalidClientConfig, why).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(address: &str) -> String {
        let error = RedisAddress::parse(address).and_then(RedisAddress::client);
        error.expect_err("a refusal").to_string()
    }

    #[test]
    fn the_flags_are_taken_out_and_the_rest_stays() {
        let plain = RedisAddress::parse("redis://host:1/2?cluster=false").unwrap();
        assert!(!plain.cluster && plain.certificates.is_none());
        assert_eq!(plain.info.redis_settings().db(), 2);
        let cluster = RedisAddress::parse("rediss://u:p%40ss@host?cluster=true").unwrap();
        assert!(cluster.cluster && cluster.certificates.is_none());
        let settings = cluster.info.redis_settings();
        assert_eq!(
            (settings.username(), settings.password()),
            (Some("u"), Some("p@ss"))
        );
    }

    #[test]
    fn an_address_that_cannot_work_is_refused_without_telling_its_password() {
        let nothing = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        for (address, why) in [
            ("hunter2", "not a URL"),
            ("redis://:hunter2@host:port", "not a URL"),
            ("redis://:hunter2@host/database", "database"),
            ("redis://:hunter2@host?cluster=yes", "`cluster`"),
            ("redis://:hunter2@host?ca=/ca.pem", "rediss://"),
            (
                "rediss://:hunter2@host?ca=/nowhere/ca.pem",
                "/nowhere/ca.pem",
            ),
            (&format!("rediss://:hunter2@host?ca={nothing}"), "no PEM"),
            ("http://:hunter2@host", "URL"),
        ] {
            let error = error(address);
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
