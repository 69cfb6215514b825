//! What a model service is offered so that nobody need wait for it: where to report, and where to put its audio.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use shared::callback::CallbackClaims;
use shared::models::{Callback, Upload};
use shared::stage::Stage;
use shared::view::audio_path;

use crate::run::Work;

/// How often progress is welcome.
const EVERY_SECONDS: u32 = 5;

/// How long an upload into the store is open, if the credentials that sign it live so long.
const UPLOAD_LIFE: Duration = Duration::from_secs(12 * 3600);

/// Media type of an upload, whatever its format: the decoder tells what it is.
const UPLOAD_TYPE: &str = "application/octet-stream";

/// A callback for this stage of this run; `None` where nobody can call us back.
pub(crate) fn callback(work: &Work<'_>, stage: Stage) -> Option<Callback> {
    let base = work.clients.config.public_url.as_ref()?;
    // A late delivery is worth having long after the lease ran out: the render key guards it, not the clock.
    let expires_at = (Utc::now() + TimeDelta::hours(24)).max(work.job.finish_by);
    let claims = CallbackClaims {
        job: work.job.id,
        render: work.job.render_key(stage),
        stage,
        fence: work.holder.fence.clone(),
        exp: u64::try_from(expires_at.timestamp()).unwrap_or_default(),
    };
    let token = match claims.sign(&work.clients.config.keys) {
        Ok(token) => token,
        Err(error) => {
            tracing::error!(error = %error, "no callback token could be made; the model must answer at once");
            return None;
        }
    };
    Some(Callback {
        url: base.at("/jobs/report"),
        webhook: base.at(&format!("/hooks/cog/{token}")),
        token,
        expires_at,
        every_seconds: EVERY_SECONDS,
    })
}

/// Where the audio may be put: straight into the store where that can sign, else at our door with the callback's token.
pub(crate) async fn upload(work: &Work<'_>, callback: &Callback) -> Option<Upload> {
    let (store, render) = (&work.clients.store, work.job.render_key(Stage::Audio));
    // Without a type some gateways take a body for text. It is no part of a signature, which covers
    // the host alone.
    let kind = ("Content-Type".to_owned(), UPLOAD_TYPE.to_owned());
    match store.upload_url(work.job.id, &render, UPLOAD_LIFE).await {
        Ok(Some(url)) => {
            return Some(Upload {
                url: url.into(),
                method: "PUT".to_owned(),
                headers: BTreeMap::from([kind]),
            });
        }
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(error = %error, "no upload could be signed; it goes by our door")
        }
    }
    let base = work.clients.config.public_url.as_ref()?;
    Some(Upload {
        url: base.at(&audio_path(work.job.id)),
        method: "PUT".to_owned(),
        headers: BTreeMap::from([
            kind,
            (
                "Authorization".to_owned(),
                format!("Bearer {}", callback.token),
            ),
            ("X-Request-Id".to_owned(), work.job.request_id.clone()),
        ]),
    })
}
