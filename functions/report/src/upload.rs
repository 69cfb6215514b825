//! `PUT /jobs/{id}/audio`: a model puts its audio here before it reports completion.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use shared::caller::Reporter;
use shared::clients::Clients;
use shared::http::JobPath;
use shared::job::JobId;
use shared::lookup::Unreachable;
use shared::problem::Problem;
use shared::stage::Stage;

use crate::document::Uploaded;
use crate::speaker::Speaker;

/// A model puts its audio here before it reports completion.
///
/// At most 64 MiB, kept under the render key of the token; a repeat replaces it.
#[utoipa::path(
    put,
    path = "/jobs/{id}/audio",
    operation_id = "uploadAudio",
    tag = "report",
    security(("callbackToken" = []), ("bearer" = [])),
    params(("id" = JobId, Path)),
    request_body(
        description = "Audio of any type; its decoder tells what it is",
        content(
            (String = "audio/wav"), (String = "audio/flac"), (String = "audio/mpeg"), (String = "audio/ogg"),
            (String = "application/octet-stream")
        )
    ),
    responses((status = 200, description = "It is stored", body = Uploaded)),
    extensions(("x-problems" = json!([
        "empty_body", "body_too_large", "forbidden", "unknown_job", "job_ended", "not_rendering"
    ]))),
)]
pub(crate) async fn upload(
    State(clients): State<Clients>,
    reporter: Reporter,
    JobPath(id): JobPath,
    body: Bytes,
) -> Result<Json<Uploaded>, Problem> {
    let speaker = Speaker::new(&clients, reporter, id).await?;
    let job = &speaker.job;
    if body.is_empty() {
        return Err(Problem::bad_request(
            "empty_body",
            "the body must be the audio",
        ));
    }
    if job.status.is_terminal() {
        return Err(Problem::conflict("job_ended", "the job has ended"));
    }
    if speaker.stage != Stage::Audio || (speaker.fence.is_none() && !job.parked) {
        return Err(Problem::conflict(
            "not_rendering",
            "no model renders this job",
        ));
    }
    let bytes = body.len();
    clients
        .store
        .put_upload(id, &speaker.render, body)
        .await
        .map_err(Unreachable::from)?;
    // It is a sign of life as well.
    let (fence, deadline) = (speaker.fence.as_ref(), clients.config.render_deadline);
    let alive = clients
        .queue
        .progress(id, fence, None, deadline, speaker.spent());
    alive.await.map_err(Unreachable::from)?;
    tracing::info!(job_id = %id, job_request_id = job.request_id, bytes, "audio uploaded");
    Ok(Json(Uploaded { ok: true, bytes }))
}
