//! The model services of a stack: given addresses, or the stand-ins as processes of their own.

use std::time::Duration;

use crate::error::{HarnessError, Result};
use crate::place::{binary, free_port};
use crate::process::{Household, Kept, Program};

/// One service; a stand-in ends with it.
#[derive(Debug)]
pub(crate) struct Model {
    url: String,
    kept: Option<Kept>,
}

impl Model {
    /// A service at `url`, or else the stand-in `name` on `port`, with `flags`; returns when it listens.
    pub(crate) async fn start(
        url: Option<&str>,
        name: &str,
        port: Option<u16>,
        flags: &[(&str, String)],
        house: &Household,
    ) -> Result<Self> {
        if let Some(url) = url {
            let url = url.trim_end_matches('/').to_owned();
            return Ok(Self { url, kept: None });
        }
        // Chosen here, so that a stand-in that dies comes back under the same address.
        let port = port.map_or_else(free_port, Ok)?;
        let listen = ("--listen", format!("127.0.0.1:{port}"));
        let args = std::iter::once(&listen).chain(flags);
        let args = args.flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()]);
        let mut program = Program::new(name, binary(name)?).args(args);
        program.announces = true;
        let kept = Kept::start(program, house)?;
        let limit = Duration::from_secs(10);
        let address = tokio::time::timeout(limit, kept.address()).await;
        let url = address.ok().flatten().ok_or_else(|| HarnessError::Silent {
            name: name.to_owned(),
            seconds: limit.as_secs(),
            log: house.log.path().to_owned(),
            tail: house.log.tail(5),
        })?;
        let kept = Some(kept);
        Ok(Self { url, kept })
    }

    /// Base address without a slash at its end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(kept) = self.kept.take() {
            kept.stop().await;
        }
    }
}
