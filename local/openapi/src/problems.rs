//! Every problem code of the API; a test holds the table against docs/api.md, which another holds against the sources.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// What a request id looks like.
pub(crate) const REQUEST_ID: &str = "^[A-Za-z0-9._:-]{1,64}$";

/// Code, status, meaning.
pub const PROBLEMS: [(&str, u16, &str); 49] = [
    ("malformed_json", 400, "not JSON"),
    ("malformed_id", 400, "not a UUID in its usual form"),
    (
        "malformed_idempotency_key",
        400,
        "not 1–255 printable ASCII characters",
    ),
    ("invalid_query", 400, "a parameter is unknown or wrong"),
    ("empty_body", 400, "an upload without bytes"),
    ("bad_request", 400, "not understood otherwise"),
    (
        "unauthenticated",
        401,
        "no token or link, or one that is not believed",
    ),
    (
        "wrong_credentials",
        401,
        "the name or the password is wrong",
    ),
    (
        "refresh_reused",
        401,
        "the token was used before; the session has ended",
    ),
    ("session_ended", 401, "sign in again"),
    ("forbidden", 403, "believed, and not allowed to do this"),
    ("not_found", 404, "nothing at this address"),
    ("unknown_job", 404, "no such job, or not the caller's"),
    (
        "no_track",
        404,
        "it ended without a track, or the file is gone",
    ),
    ("unknown_user", 404, "no such user"),
    ("unknown_token", 404, "no such token was issued here"),
    ("unknown_webhook", 404, "the tenant has no such endpoint"),
    ("unknown_delivery", 404, "the job has no such message"),
    ("method_not_allowed", 405, "see `Allow`"),
    ("not_finished", 409, "the track is not there yet"),
    ("already_ended", 409, "it ended and cannot be cancelled"),
    (
        "already_completed",
        409,
        "it completed and is not run again",
    ),
    ("not_ended", 409, "cancel it first"),
    ("job_ended", 409, "nobody waits for it any more"),
    ("stale_fence", 409, "this run of the job is over"),
    ("wrong_render", 409, "the job asks for another render now"),
    ("not_parked", 409, "no model holds the job"),
    ("not_planning", 409, "the job has its plan"),
    ("not_rendering", 409, "no model renders the job"),
    (
        "not_uploaded",
        409,
        "no audio was uploaded under this token",
    ),
    ("name_taken", 409, "somebody has this name already"),
    (
        "own_account",
        409,
        "another admin must disable you or take your role",
    ),
    ("limit_reached", 409, "there are as many as there may be"),
    ("body_too_large", 413, "longer than this address accepts"),
    ("uri_too_long", 414, "over 16 KiB of address"),
    ("unsupported_media_type", 415, "send JSON"),
    ("range_not_satisfiable", 416, "beyond the end of the audio"),
    ("validation_failed", 422, "see `errors`"),
    (
        "idempotency_key_reused",
        422,
        "the key stands for another request",
    ),
    ("headers_too_large", 431, "over 32 KiB of headers"),
    (
        "too_many_sockets",
        429,
        "too many WebSockets of the user are open",
    ),
    (
        "line_full",
        429,
        "too many jobs of the tenant wait; see `Retry-After`",
    ),
    ("rate_limited", 429, "too often; see `Retry-After`"),
    (
        "internal",
        500,
        "our fault; the log has the cause under `requestId`",
    ),
    (
        "queue_unavailable",
        503,
        "Redis did not answer; see `Retry-After`",
    ),
    (
        "store_unavailable",
        503,
        "the object store did not answer; see `Retry-After`",
    ),
    (
        "setting_contended",
        503,
        "several operators changed one setting, or one user, at once",
    ),
    (
        "issuer_unavailable",
        503,
        "the keys of the token's issuer could not be had",
    ),
    ("sign_in_busy", 503, "too many passwords wait to be checked"),
];

/// The codes in a problem's `errors`.
pub const FIELD_CODES: [&str; 21] = [
    "required",
    "missing",
    "unknown_field",
    "duplicate",
    "wrong_type",
    "wrong_length",
    "unknown_value",
    "unknown_priority",
    "not_allowed",
    "out_of_range",
    "too_short",
    "too_long",
    "too_large",
    "too_many",
    "malformed",
    "unknown_model",
    "malformed_id",
    "invalid_cursor",
    "reused",
    "worn_out",
    "invalid",
];

/// Code → status; a code that the table lacks has none.
pub(crate) fn status(code: &str) -> Option<u16> {
    let found = PROBLEMS.iter().find(|(known, ..)| *known == code);
    found.map(|(_, status, _)| *status)
}

/// The body of every error (RFC 9457).
pub(crate) fn schema() -> Value {
    let codes: Vec<_> = PROBLEMS.iter().map(|(code, ..)| *code).collect();
    json!({
        "type": "object",
        "description": "An error (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "retryable", "requestId"],
        "properties": {
            "type": {"const": "about:blank"},
            "title": {"type": "string", "description": "Of the status."},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "For people."},
            "code": {"type": "string", "enum": codes, "description": "Stable."},
            "retryable": {"type": "boolean", "description": "Whether the same request may succeed later."},
            "requestId": {"type": "string", "pattern": REQUEST_ID},
            "jobId": {
                "$ref": "#/components/schemas/JobId",
                "description": "Of a submission with an unknown outcome: the job may exist.",
            },
            "errors": {
                "type": "array", "minItems": 1,
                "items": {"$ref": "#/components/schemas/FieldError"},
                "description": "The fields that are wrong, of a submission all at once.",
            },
        },
    })
}

/// One status with some of its codes, as an answer of an operation.
pub(crate) fn answer(status: u16, codes: &BTreeSet<&str>) -> Value {
    let of_status = PROBLEMS.iter().filter(|(code, ..)| codes.contains(code));
    let said: Vec<_> = of_status
        .map(|(code, _, meaning)| format!("`{code}`: {meaning}"))
        .collect();
    let codes: Vec<_> = codes.iter().collect();
    let mut headers = Map::new();
    let needed = match status {
        401 => Some(("WWW-Authenticate", json!({"type": "string"}))),
        405 => Some(("Allow", json!({"type": "string"}))),
        416 => Some((
            "Content-Range",
            json!({"type": "string", "pattern": r"^bytes \*/[0-9]+$"}),
        )),
        429 | 503 => Some(("Retry-After", json!({"type": "integer", "minimum": 0}))),
        _ => None,
    };
    if let Some((name, schema)) = needed {
        headers.insert(name.to_owned(), json!({"required": true, "schema": schema}));
    }
    if status == 429 {
        for name in ["RateLimit", "RateLimit-Policy"] {
            headers.insert(
                name.to_owned(),
                json!({"$ref": format!("#/components/headers/{name}")}),
            );
        }
    }
    json!({
        "description": said.join("; "),
        "headers": headers,
        "content": {"application/problem+json": {"schema": {
            "allOf": [{"$ref": "#/components/schemas/Problem"}],
            "properties": {"status": {"const": status}, "code": {"enum": codes}},
        }}},
    })
}
