use serde_json::json;
use uuid::Uuid;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn faults(value: Value) -> Vec<(String, &'static str)> {
    let faults = Endpoint::parse(value, false).unwrap_err();
    faults.into_iter().map(|f| (f.pointer, f.code)).collect()
}

fn one(pointer: &str, code: &'static str) -> Vec<(String, &'static str)> {
    vec![(pointer.to_owned(), code)]
}

#[test]
fn an_address_is_enough_and_null_is_absent() {
    let hook = json!({"url": "https://example.com/a?k=1", "events": null, "secret": null});
    let parsed = Endpoint::parse(hook, false).unwrap();
    assert_eq!(parsed.url.as_str(), "https://example.com/a?k=1");
    assert_eq!(parsed.events.as_slice(), Ending::ALL);
    assert_eq!(parsed.secret, None);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let hook = json!({"url": 7, "events": ["job.completed", "job.done"], "secret": "x", "a/b": 1});
    let expected = [
        ("/url", "wrong_type"),
        ("/events/1", "unknown_value"),
        ("/secret", "malformed"),
        ("/a~1b", "unknown_field"),
    ];
    let expected = expected.map(|(pointer, code)| (pointer.to_owned(), code));
    assert_eq!(faults(hook), expected);
    assert_eq!(faults(json!("https://example.com")), one("", "wrong_type"));
    assert_eq!(faults(json!({})), one("/url", "required"));
}

#[test]
fn an_address_is_absolute_and_https_and_holds_no_user_and_no_fragment() {
    for address in [
        "",
        "/hook",
        "example.com/hook",
        "http://example.com/",
        "ftp://example.com/",
        "https://",
        "https://user@example.com/",
        "https://:password@example.com/",
        "https://example.com/#here",
        " https://example.com/",
        "https://exam\nple.com/",
    ] {
        let refused = faults(json!({"url": address}));
        assert_eq!(refused, one("/url", "malformed"), "{address:?}");
    }
    let of_length = |n: usize| format!("https://example.com/{}", "x".repeat(n - 20));
    assert!(EndpointUrl::parse(&json!(of_length(2048)), false).is_ok());
    let long = faults(json!({"url": of_length(2049)}));
    assert_eq!(long, one("/url", "too_long"));
    let plain = json!("http://127.0.0.1:9/");
    assert!(EndpointUrl::parse(&plain, true).is_ok());
    // Where it leads is judged when it is called.
    assert!(EndpointUrl::parse(&json!("https://10.0.0.1/"), false).is_ok());
}

#[test]
fn events_are_a_list_of_known_ones() {
    for (events, fault) in [
        (json!([]), one("/events", "too_short")),
        (json!("job.failed"), one("/events", "wrong_type")),
        (json!([1]), one("/events/0", "unknown_value")),
        (json!(vec!["job.failed"; 5]), one("/events", "too_many")),
    ] {
        let hook = json!({"url": "https://example.com/", "events": events});
        assert_eq!(faults(hook), fault, "{events}");
    }
    let events = Endings::parse(&json!(["job.failed", "job.completed", "job.failed"])).unwrap();
    assert_eq!(events.as_slice(), [Ending::Completed, Ending::Failed]);
    assert!(events.include(Ending::Failed) && !events.include(Ending::Expired));
}

#[test]
fn every_terminal_status_is_an_ending_and_no_other() {
    for status in JobStatus::ALL {
        let ending = Ending::of(status).map(Ending::as_str);
        let expected = status.is_terminal().then(|| format!("job.{status}"));
        assert_eq!(ending, expected.as_deref());
    }
    for ending in Ending::ALL {
        assert_eq!(json!(ending), ending.as_str());
    }
}

#[test]
fn a_secret_has_24_to_64_bytes_of_base64() {
    let of = |bytes: usize| {
        let text = data_encoding::BASE64.encode(&vec![7; bytes]);
        SigningSecret::parse(&json!(format!("whsec_{text}")))
    };
    for bytes in [24, 32, 64] {
        assert!(of(bytes).is_ok(), "{bytes}");
    }
    for bytes in [0, 23, 65] {
        assert_eq!(of(bytes).unwrap_err().code, "wrong_length", "{bytes}");
    }
    for text in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_a-b_", "whsec"] {
        let refused = SigningSecret::parse(&json!(text)).unwrap_err();
        assert_eq!(refused.code, "malformed", "{text}");
    }
}

#[test]
fn a_new_secret_is_a_valid_one_and_unlike_any_other() {
    let made = SigningSecret::make().unwrap();
    assert!(SigningSecret::parse(&json!(made.expose())).is_ok());
    assert_ne!(made, SigningSecret::make().unwrap());
}

#[test]
fn neither_the_secret_nor_the_query_shows_itself() {
    let hook = json!({"url": "https://example.com:8443/a?token=hunter2", "secret": SECRET});
    let parsed = Endpoint::parse(hook, false).unwrap();
    let told = format!("{parsed:?}");
    assert!(
        !told.contains("hunter2") && !told.contains("MfKQ"),
        "{told}"
    );
    assert_eq!(parsed.url.shown(), "https://example.com:8443/a");
    assert_eq!(parsed.url.host(), "example.com:8443");
}

#[test]
fn a_target_is_read_as_it_is_written() {
    let tenant = Target::Webhook(Hook::Tenant(Uuid::now_v7()));
    let job = Target::Webhook(Hook::Job);
    for target in [job, tenant, Target::Api, Target::Model] {
        assert_eq!(target.to_string().parse::<Target>().unwrap(), target);
        assert_eq!(
            serde_json::from_value::<Target>(json!(target)).unwrap(),
            target
        );
    }
    assert!("tenant".parse::<Target>().is_err());
}
