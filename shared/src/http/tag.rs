//! Conditional reads (RFC 9110 §13).

use axum::http::HeaderMap;
use axum::http::header::IF_NONE_MATCH;

/// Whether `If-None-Match` names what has this tag; weak and strong tags are alike (RFC 9110 §13.1.2).
pub fn matches(headers: &HeaderMap, etag: &str) -> bool {
    fn opaque(tag: &str) -> &str {
        tag.trim().trim_start_matches("W/")
    }
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &'static str) -> bool {
        let headers = HeaderMap::from_iter([(IF_NONE_MATCH, value.parse().unwrap())]);
        matches(&headers, "W/\"a\"")
    }

    #[test]
    fn a_tag_is_found_in_a_list_weak_or_strong() {
        for known in ["W/\"a\"", "\"a\"", "\"b\", W/\"a\"", "*"] {
            assert!(asked(known), "{known}");
        }
        assert!(!asked("\"b\"") && !asked("a"));
        assert!(!matches(&HeaderMap::new(), "\"a\""));
    }
}
