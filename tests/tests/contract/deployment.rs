//! What no linter says about the template before AWS does.

use std::collections::BTreeSet;

use serde_json::json;

use crate::template::{Template, references};

#[test]
fn health_has_no_network_no_rights_and_no_settings() {
    let template = Template::read();
    let functions = template.functions();
    let health = functions.iter().find(|f| f.binary == "health").unwrap();
    assert_eq!(
        *health.property("VpcConfig"),
        json!({"Ref": "AWS::NoValue"})
    );
    assert!(health.property("Policies").is_null());
    let variables: Vec<_> = health.environment().into_keys().collect();
    assert_eq!(
        variables,
        ["CORS_ORIGINS", "LOG_LEVEL", "METRICS_NAMESPACE", "RELEASE"]
    );
}

#[test]
fn every_function_that_asks_redis_is_in_its_network_and_rings_the_same_bell() {
    let template = Template::read();
    for function in template.functions() {
        let environment = function.environment();
        let asks_redis = environment.contains_key("REDIS_URL");
        let name = function.name;
        assert_eq!(
            asks_redis,
            *function.property("VpcConfig") != json!({"Ref": "AWS::NoValue"}),
            "{name}"
        );
        // Without the address it would ring a stream that nobody reads.
        for bell in ["QUEUE_URL", "NOTIFY_QUEUE_URL", "DELIVER_QUEUE_URL"] {
            assert_eq!(asks_redis, environment.contains_key(bell), "{name}: {bell}");
        }
    }
}

#[test]
fn every_function_writes_to_a_log_that_is_not_kept_for_ever() {
    let template = Template::read();
    let mut seen = BTreeSet::new();
    for function in template.functions() {
        let group = references(&function.property("LoggingConfig")["LogGroup"])[0];
        let group = &template.resources()[group];
        assert_eq!(group["Type"], "AWS::Logs::LogGroup", "{}", function.name);
        assert!(!group["Properties"]["RetentionInDays"].is_null());
        assert!(seen.insert(group["Properties"].to_string()), "{group}");
    }
}
