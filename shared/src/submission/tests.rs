use super::*;
use serde_json::json;

struct Two;

impl Catalogue for Two {
    fn max_seconds(&self, model: &str) -> Option<u32> {
        match model {
            "jen1" => Some(300),
            "short" => Some(20),
            _ => None,
        }
    }

    fn default_model(&self) -> &str {
        "jen1"
    }

    fn takes_plain_webhooks(&self) -> bool {
        false
    }
}

fn parse(body: Value) -> Result<Submission, Vec<Fault>> {
    Submission::parse(body, &Two)
}

fn refused(body: Value) -> Vec<(String, &'static str)> {
    parse(body)
        .unwrap_err()
        .into_iter()
        .map(|e| (e.pointer, e.code))
        .collect()
}

fn one(pointer: &str, code: &'static str) -> Vec<(String, &'static str)> {
    vec![(pointer.to_owned(), code)]
}

#[test]
fn a_narrative_is_enough() {
    let ok = parse(json!({"narrative": "rain"})).unwrap();
    assert_eq!(
        (ok.duration, ok.model.as_str(), ok.seed_fixed),
        (30, "jen1", false)
    );
}

#[test]
fn the_longest_narrative_counts_characters_not_bytes() {
    assert!(parse(json!({"narrative": "é".repeat(4000)})).is_ok());
    assert_eq!(
        refused(json!({"narrative": "é".repeat(4001)})),
        one("/narrative", "too_long")
    );
}

#[test]
fn a_missing_empty_or_foreign_narrative_is_refused() {
    assert_eq!(refused(json!({})), one("/narrative", "required"));
    assert_eq!(
        refused(json!({"narrative": " \n"})),
        one("/narrative", "too_short")
    );
    assert_eq!(
        refused(json!({"narrative": 3})),
        one("/narrative", "wrong_type")
    );
    assert_eq!(refused(json!(["narrative"])), one("", "wrong_type"));
}

#[test]
fn a_duration_outside_the_limits_is_refused() {
    for duration in [json!(0), json!(301), json!(-1), json!(1.5), json!(1e300)] {
        assert_eq!(
            refused(json!({"narrative": "x", "duration": duration})),
            one("/duration", "out_of_range")
        );
    }
    assert_eq!(
        refused(json!({"narrative": "x", "duration": "ten"})),
        one("/duration", "wrong_type")
    );
    assert_eq!(
        parse(json!({"narrative": "x", "duration": 10.0}))
            .unwrap()
            .duration,
        10
    );
}

#[test]
fn a_model_limits_the_duration() {
    assert_eq!(
        refused(json!({"narrative": "x", "model": "short", "duration": 21})),
        one("/duration", "out_of_range")
    );
    assert_eq!(
        parse(json!({"narrative": "x", "model": "short"}))
            .unwrap()
            .duration,
        20
    );
    assert_eq!(
        refused(json!({"narrative": "x", "model": "gone"})),
        one("/model", "unknown_model")
    );
}

#[test]
fn numbers_in_options_are_kept_exactly_or_refused() {
    let text = r#"{"a":[18446744073709551615,-9223372036854775808,9007199254740993],"b":0.1,"c":1.7976931348623157e-308,"d":122.416294033786585}"#;
    let options: Value = serde_json::from_str(text).unwrap();
    let kept = parse(json!({"narrative": "x", "options": options})).unwrap();
    let stored: Value = serde_json::from_str(&json!(kept.options).to_string()).unwrap();
    assert_eq!(stored, options);
    assert_eq!(stored["d"].as_f64(), "122.416294033786585".parse().ok());
    for number in [
        "18446744073709551616",
        "-9223372036854775809",
        "9007199254740993.0",
        "1e300",
    ] {
        let options: Value = serde_json::from_str(&format!(r#"{{"a/b":[0,{number}]}}"#)).unwrap();
        let body = json!({"narrative": "x", "options": options});
        assert_eq!(
            refused(body),
            one("/options/a~1b/1", "out_of_range"),
            "{number}"
        );
    }
}

#[test]
fn options_over_sixteen_kilobytes_are_refused() {
    let fits = json!({"narrative": "x", "options": {"a": "x".repeat(OPTIONS_MAX - 8)}});
    assert!(parse(fits).is_ok());
    let over = json!({"narrative": "x", "options": {"a": "x".repeat(OPTIONS_MAX - 7)}});
    assert_eq!(refused(over), one("/options", "too_large"));
}

#[test]
fn a_given_seed_is_kept_and_a_bad_one_refused() {
    let ok = parse(json!({"narrative": "x", "seed": 7})).unwrap();
    assert_eq!((ok.seed, ok.seed_fixed), (7, true));
    let same = parse(json!({"narrative": "x", "seed": 7.0})).unwrap();
    assert_eq!(same.seed, 7);
    assert_eq!(
        refused(json!({"narrative": "x", "seed": -7})),
        one("/seed", "out_of_range")
    );
    assert_eq!(
        refused(json!({"narrative": "x", "seed": "7"})),
        one("/seed", "wrong_type")
    );
}

#[test]
fn tags_are_few_and_plain() {
    assert_eq!(
        parse(json!({"narrative": "x", "tags": ["a", "b-1", "a"]}))
            .unwrap()
            .tags,
        ["a", "b-1"]
    );
    assert_eq!(
        refused(json!({"narrative": "x", "tags": vec!["a"; 11]})),
        one("/tags", "too_many")
    );
    assert_eq!(
        refused(json!({"narrative": "x", "tags": ["ok", "a:b"]})),
        one("/tags/1", "malformed")
    );
}

#[test]
fn wrong_fields_and_unknown_ones_are_named_all_at_once() {
    let body = json!({"narrative": "", "priority": "urgent", "webhook": {}, "startBy": 1, "finishBy": "2", "a/b": 1});
    let mut errors = refused(body);
    errors.sort();
    let expected = [
        ("/a~1b", "unknown_field"),
        ("/finishBy", "malformed"),
        ("/narrative", "too_short"),
        ("/priority", "unknown_priority"),
        ("/startBy", "malformed"),
        ("/webhook/url", "required"),
    ];
    assert_eq!(
        errors,
        expected.map(|(pointer, code)| (pointer.to_owned(), code))
    );
}

#[test]
fn both_clocks_lie_in_the_next_seven_days_and_in_order() {
    let (now, rain) = (Utc::now(), "rain");
    let at = |hours| now + TimeDelta::hours(hours);
    let ok = parse(json!({"narrative": rain, "startBy": at(1), "finishBy": at(2)})).unwrap();
    assert_eq!((ok.start_by, ok.finish_by), (Some(at(1)), Some(at(2))));
    for (body, pointer) in [
        (json!({"narrative": rain, "startBy": at(-1)}), "/startBy"),
        (
            json!({"narrative": rain, "finishBy": at(24 * 8)}),
            "/finishBy",
        ),
        (
            json!({"narrative": rain, "startBy": at(3), "finishBy": at(2)}),
            "/finishBy",
        ),
    ] {
        assert_eq!(refused(body), one(pointer, "out_of_range"));
    }
}

#[test]
fn a_priority_is_normal_unless_it_is_said() {
    let of = |body| parse(body).unwrap().priority;
    assert_eq!(of(json!({"narrative": "rain"})), Priority::Normal);
    let low = json!({"narrative": "rain", "priority": "low"});
    assert_eq!(of(low), Priority::Low);
}

#[test]
fn what_makes_the_same_plan_or_track_has_the_same_digest() {
    let ask = |body| parse(body).unwrap();
    let rain = ask(json!({"narrative": "rain", "seed": 1}));
    let again = ask(json!({"seed": 1, "narrative": "rain", "tags": ["x"], "priority": "low"}));
    assert_eq!(rain.plan_digest(), again.plan_digest());
    assert_eq!(rain.track_digest(), again.track_digest());
    let other = ask(json!({"narrative": "rain", "seed": 2}));
    assert_eq!(rain.plan_digest(), other.plan_digest());
    assert_ne!(rain.track_digest(), other.track_digest());
    let longer = ask(json!({"narrative": "rain", "seed": 1, "duration": 60}));
    assert_ne!(rain.plan_digest(), longer.plan_digest());
    let any = ask(json!({"narrative": "rain"}));
    assert_eq!(any.track_digest(), None);
}
