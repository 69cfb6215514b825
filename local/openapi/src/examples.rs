//! Answers as they look. Whoever holds the running API to the document checks these against their schemas first.

use serde_json::{Value, json};

/// Puts an example beside each schema that a reader meets first.
pub(crate) fn show(document: &mut Value) {
    for (name, example) in examples() {
        document["components"]["schemas"][name]["examples"] = json!([example]);
    }
}

const ID: &str = "01a20428-f7d9-735f-b27d-e74c71c63de9";

fn examples() -> Vec<(&'static str, Value)> {
    vec![
        ("Job", job()),
        (
            "EventPage",
            json!({"events": [
                {"seq": 1, "event": "job:status", "at": "2030-01-31T12:00:00Z", "status": "queued", "stage": "plan",
                 "attempt": 1, "reason": "enqueued"},
                {"seq": 2, "event": "job:progress", "at": "2030-01-31T12:00:09Z", "status": "processing",
                 "stage": "audio", "attempt": 1,
                 "progress": {"current": 3, "total": 8, "percentage": 38, "message": ""}},
            ], "gap": false, "seq": 2}),
        ),
        (
            "Capabilities",
            json!({
                "models": {"jen1": {"maxSeconds": 300}},
                "limits": {"narrativeCharacters": 4000, "durationSeconds": 300, "optionsBytes": 16384, "tags": 10},
                "defaults": {"model": "jen1", "duration": 30},
                "services": {
                    "jen1": {"configured": true, "available": true, "checkedAt": "2030-01-31T12:00:00Z"},
                    "muscgen": {"configured": true, "available": false, "checkedAt": "2030-01-31T12:00:00Z"},
                    "ollama": {"configured": false, "available": false, "checkedAt": "2030-01-31T12:00:00Z"},
                },
            }),
        ),
        (
            "Problem",
            json!({
                "type": "about:blank", "title": "Unprocessable Entity", "status": 422, "code": "validation_failed",
                "detail": "2 fields are not acceptable", "retryable": false, "requestId": ID,
                "errors": [
                    {"pointer": "/narrative", "code": "too_short", "detail": "The narrative is empty."},
                    {"pointer": "/webhook/url", "code": "malformed", "detail": "The address must begin with https://."},
                ],
            }),
        ),
        ("Ready", json!({"status": "ready"})),
        ("InForce", json!({"paused": false, "slots": 8})),
        (
            "Tenant",
            json!({"tenant": "alice", "weight": 3, "cap": 2, "paused": false, "queued": 12, "running": 2}),
        ),
        (
            "DeliveryPage",
            json!({"gap": false, "items": [{
                "id": format!("msg_{ID}_0_job"), "target": "job", "url": "https://example.com/tutti", "event": "job.completed",
                "state": "pending", "nextAt": "2030-01-31T12:05:20Z",
                "attempts": [{"at": "2030-01-31T12:00:20Z", "status": 413, "reason": "413 Payload Too Large", "durationMs": 84}],
            }]}),
        ),
        (
            "TenantWebhooks",
            json!({
                "secrets": [{"id": ID, "createdAt": "2030-01-31T12:00:00Z"}],
                "items": [{
                    "id": ID, "url": "https://example.com/tutti", "events": ["job.completed"], "createdAt": "2030-01-31T12:00:00Z",
                    "disabled": {"at": "2030-02-01T12:00:00Z", "reason": "it answered 410 Gone"},
                }],
            }),
        ),
        (
            "Redriven",
            json!({"redriven": [ID], "refused": [{"jobId": ID, "code": "not_ended"}]}),
        ),
        (
            "AuditEntry",
            json!({
                "id": ID, "at": "2030-01-31T12:00:00Z", "who": "olga", "action": "tenant.change", "target": "alice", "outcome": "done",
                "before": {"weight": null}, "after": {"weight": 3}, "requestId": "r-1",
            }),
        ),
    ]
}

/// A job that waits.
fn job() -> Value {
    json!({
        "jobId": ID, "id": ID, "userId": "alice", "requestId": "r-1",
        "status": "queued", "stage": "plan",
        "narrative": "a calm piano evening in the rain", "duration": 10, "model": "jen1", "options": {}, "seed": 7,
        "priority": "normal", "tags": ["demo"],
        "startBy": "2030-02-01T12:00:00Z", "finishBy": "2030-02-01T14:00:00Z",
        "position": 2, "eta": {"p50": 12.5, "p90": 40.1},
        "waiting": {"code": "line", "message": "One job of the same tenant goes first.", "ahead": 1},
        "attempt": 1, "maxAttempts": 3, "cached": false, "seq": 1,
        "createdAt": "2030-01-31T12:00:00Z", "updatedAt": "2030-01-31T12:00:00Z",
        "links": {"self": format!("/jobs/{ID}"), "events": format!("/jobs/{ID}/events")},
        "usage": {"queueMs": 0, "planMs": 0, "audioMs": 0, "finishMs": 0, "billedMs": 9},
    })
}
