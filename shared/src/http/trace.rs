//! W3C Trace Context.

use axum::http::HeaderMap;
use tracing::Span;
use uuid::Uuid;

/// The caller's `traceparent` if it is a version 00 one, else that of a new trace.
pub fn traceparent(headers: &HeaderMap) -> String {
    given(headers).map_or_else(mint, str::to_owned)
}

fn given(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    is_valid(text).then_some(text)
}

/// Notes on the log lines of this span whose trace they belong to.
pub fn note_trace(span: &Span, traceparent: &str) {
    if let Some(trace) = traceparent.split('-').nth(1) {
        span.record("trace_id", trace);
    }
}

/// The same, where the caller says it.
pub(super) fn note_given(span: &Span, headers: &HeaderMap) {
    if let Some(text) = given(headers) {
        note_trace(span, text);
    }
}

fn mint() -> String {
    let span = Uuid::new_v4().simple().to_string();
    format!("00-{}-{}-01", Uuid::new_v4().simple(), &span[..16])
}

/// `00-<32 hex>-<16 hex>-<2 hex>` in lower case, ids not all zero.
fn is_valid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = parts.as_slice() else {
        return false;
    };
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let id = |part: &str, digits: usize| hex(part, digits) && part.bytes().any(|b| b != b'0');
    *version == "00" && id(trace, 32) && id(span, 16) && hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &str) -> String {
        let headers =
            HeaderMap::from_iter([("traceparent".parse().unwrap(), value.parse().unwrap())]);
        traceparent(&headers)
    }

    #[test]
    fn a_sound_traceparent_passes_through() {
        let sound = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(asked(sound), sound);
    }

    #[test]
    fn anything_else_begins_a_new_trace() {
        for broken in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            let new = asked(broken);
            assert!(new != broken && is_valid(&new), "{broken} became {new}");
        }
        assert_ne!(
            traceparent(&HeaderMap::new()),
            traceparent(&HeaderMap::new())
        );
    }
}
