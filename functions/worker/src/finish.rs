//! Stage `finish`: what was delivered is decoded, listened to by a machine, and stored as the track.

use bytes::Bytes;
use shared::audio::{self, Delivered, Refusal};
use shared::job::{JobError, RenderKey, sha256_hex};
use shared::lookup::Unreachable;
use shared::models::{MAX_AUDIO, ModelError, Service};
use shared::queue::{Cause, Next};
use shared::source::Source;
use shared::stage::Stage;
use shared::store::StoreError;
use shared::track::{Track, object_name};

use crate::run::Work;
use crate::step::{Step, Stepped};

/// A refused audio is a failed attempt; the next one plays another seed, unless the caller fixed it.
pub(crate) async fn step(work: &mut Work<'_>) -> Stepped {
    let (clients, id) = (work.clients, work.job.id);
    let render = work.job.render_key(Stage::Audio);
    let Some(source) = clients.store.source::<Source>(id, &render).await? else {
        return Ok(missing(work));
    };
    let bytes = match fetched(work, &render, &source).await? {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            clients.store.remove_upload(id, &render).await?;
            return Ok(missing(work));
        }
        Err(error) if error.is_retryable() => return Ok(Step::of_fault(Stage::Finish, &error)),
        // What was delivered is of no use: the model is asked for another delivery.
        Err(error) => {
            clients.store.remove_upload(id, &render).await?;
            return Ok(render_again(work, &error.code(), error.message(), None));
        }
    };
    if let Some(told) = &source.sha256
        && *told != sha256_hex(&bytes)
    {
        clients.store.remove_upload(id, &render).await?;
        let message = "The audio is not the one that the model says it delivered.".to_owned();
        return Ok(render_again(work, "audio_damaged", message, None));
    }
    match admitted(work, bytes, source).await? {
        Ok(track) => Ok(Step::Complete(Box::new(track))),
        Err(refusal) => {
            clients.store.remove_upload(id, &render).await?;
            let another = (!work.job.seed_fixed).then(|| fastrand::u32(..));
            let (code, message) = (refusal.code(), refusal.to_string());
            let step = render_again(work, code, message, another);
            Ok(step.caused_by(refusal.cause()))
        }
    }
}

/// Removes what the finished track was made from. A failure is logged: the track is there twice, and nothing else.
pub(crate) async fn clear(work: &Work<'_>) {
    let render = work.job.render_key(Stage::Audio);
    let removed = work.clients.store.remove_upload(work.job.id, &render).await;
    if let Err(error) = removed {
        tracing::warn!(error = %error, "the delivered audio stays beside its track");
    }
}

/// Stores the audio as it becomes a track, and measures it.
async fn admitted(
    work: &Work<'_>,
    bytes: Bytes,
    source: Source,
) -> Result<Result<Track, Refusal>, Unreachable> {
    let (store, id) = (&work.clients.store, work.job.id);
    let (delivered, sha256) = match computed(move || recognised(bytes)).await {
        Ok(recognised) => recognised,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let (file, name) = (
        delivered.file.clone(),
        object_name(&sha256, delivered.format),
    );
    let (size, seconds) = (file.len(), f64::from(work.request.submission.duration));
    // At the same time: one waits for the store, the other for the processor.
    let (stored, heard) = tokio::join!(
        store.put_track(id, &name, file),
        computed(move || audio::examine(&delivered, seconds))
    );
    match heard {
        Ok(measured) => {
            stored?;
            Ok(Ok(Track {
                measured,
                sha256,
                bytes: size as u64,
                seed: source.seed,
                model: source.model,
                version: source.version,
                source: None,
            }))
        }
        Err(refusal) => {
            store.remove_track(id, &name).await?;
            Ok(Err(refusal))
        }
    }
}

fn recognised(bytes: Bytes) -> Result<(Delivered, String), Refusal> {
    let delivered = audio::recognise(bytes)?;
    let sha256 = sha256_hex(&delivered.file);
    Ok((delivered, sha256))
}

/// Decoding is pure computation: it must not hold up the heartbeat.
async fn computed<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Refusal::Undecodable("the decoder broke down".into())))
}

/// From the store, or once from where the model said it can be fetched.
async fn fetched(
    work: &mut Work<'_>,
    render: &RenderKey,
    source: &Source,
) -> Result<Result<Option<Bytes>, ModelError>, Unreachable> {
    let (clients, id) = (work.clients, work.job.id);
    match clients.store.upload(id, render).await {
        Ok(Some(bytes)) => return Ok(Ok(Some(bytes))),
        Ok(None) => {}
        // A signed upload is open to any size.
        Err(StoreError::TooLarge { .. }) => return Ok(Err(Service::Muscgen.too_large(MAX_AUDIO))),
        Err(error) => return Err(error.into()),
    }
    let Some(url) = &source.audio_url else {
        return Ok(Ok(None));
    };
    let out = work.outgoing(Stage::Audio);
    match work
        .asking
        .meter
        .wait(clients.fetcher.fetch(url, &out))
        .await
    {
        Ok(bytes) => {
            clients.store.put_upload(id, render, bytes.clone()).await?;
            Ok(Ok(Some(bytes)))
        }
        Err(error) => Ok(Err(error)),
    }
}

fn missing(work: &Work<'_>) -> Step {
    let message = "The delivered audio is no longer stored.".to_owned();
    render_again(work, "audio_missing", message, None)
}

fn render_again(work: &Work<'_>, code: &str, message: String, seed: Option<u32>) -> Step {
    tracing::warn!(code, message, seed = work.job.seed, "the audio was refused");
    let error = JobError {
        code: code.to_owned(),
        message,
        stage: Stage::Finish,
        retryable: true,
    };
    Step::Failed {
        error,
        cause: Cause::Passing,
        change: Next {
            stage: Some(Stage::Audio),
            seed,
        },
    }
}
