//! What a guarded server of this process shows and asks for: a certificate of an authority that nobody else trusts, and a password.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::error::{HarnessError, Result};
use crate::place::Scratch;
use crate::token::fresh_secret;

#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) password: String,
    folder: Scratch,
}

impl Credentials {
    /// The same for every server of this process: some outlive others, and a proxy knows nothing but a port.
    pub(super) fn of_this_process() -> Result<Arc<Self>> {
        static MADE: Mutex<Option<Arc<Credentials>>> = Mutex::new(None);
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(credentials) = &*made {
            return Ok(credentials.clone());
        }
        Ok(made.insert(Arc::new(Self::make()?)).clone())
    }

    fn make() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = "the authority of one local run";
        params.distinguished_name.push(DnType::CommonName, name);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let key = KeyPair::generate()?;
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;

        let made = Self {
            // Such a password stands in a URL only when it is escaped.
            password: format!("p@ss/{}", fresh_secret()),
            folder: Scratch::new()?,
        };
        for (path, text) in [
            (made.authority(), authority.pem()),
            (made.certificate(), certificate.pem()),
            (made.key(), key.serialize_pem()),
        ] {
            let what = format!("write {}", path.display());
            std::fs::write(path, text).map_err(HarnessError::io(what))?;
        }
        Ok(made)
    }

    pub(super) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.folder.path().join("server.key")
    }
}
