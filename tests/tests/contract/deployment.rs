//! What no linter says about the template before AWS does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::template::{Template, references};

const API: &str = "HttpApi";

/// Resource → the resources that must stand before it.
fn dependencies(template: &Template) -> BTreeMap<&str, BTreeSet<&str>> {
    let known = |name: &&str| template.resources().contains_key(*name);
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = template
        .resources()
        .iter()
        .filter(|(_, resource)| resource["Type"] != "AWS::Serverless::Function")
        .map(|(name, resource)| (name.as_str(), own_references(resource)))
        .map(|(name, needs)| (name, needs.into_iter().filter(known).collect()))
        .collect();
    for function in template.functions() {
        // A route stands in the API, not in the function that it leads to.
        if !function.routes().is_empty() {
            needs.entry(API).or_default().insert(function.name);
        }
        let properties = function.properties.as_object().unwrap().iter();
        let own = properties
            .filter(|(key, _)| *key != "Events")
            .flat_map(|(_, value)| references(value));
        let variables = function.environment().into_values().flat_map(references);
        let all = own.chain(variables).filter(known);
        needs.entry(function.name).or_default().extend(all);
    }
    needs
}

/// The routes of a WebSocket API are resources of their own, which need the API and not the other way round.
fn own_references(resource: &Value) -> Vec<&str> {
    if resource["Type"] != "AWS::Serverless::WebSocketApi" {
        return references(resource);
    }
    let properties = resource["Properties"].as_object().into_iter().flatten();
    properties
        .filter(|(name, _)| *name != "Routes")
        .flat_map(|(_, value)| references(value))
        .collect()
}

/// Removes what needs nothing, again and again; a cycle is what stays.
fn cycle<'a>(mut needs: BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<&'a str> {
    loop {
        let free = needs.iter().find(|(_, needs)| needs.is_empty());
        let Some(free) = free.map(|(name, _)| *name) else {
            return needs.into_keys().collect();
        };
        needs.remove(free);
        for needs in needs.values_mut() {
            needs.remove(free);
        }
    }
}

#[test]
fn no_resource_waits_for_itself() {
    assert_eq!(cycle(dependencies(&Template::read())), Vec::<&str>::new());
}

#[test]
fn a_function_behind_the_api_that_names_the_api_would_be_found() {
    let template = Template::read();
    let mut needs = dependencies(&template);
    needs.get_mut("JobsFunction").unwrap().insert(API);
    assert!(cycle(needs).contains(&"JobsFunction"));
}

#[test]
fn health_has_no_network_no_rights_and_no_settings() {
    let template = Template::read();
    let functions = template.functions();
    let health = functions.iter().find(|f| f.binary == "health").unwrap();
    assert!(health.property("VpcConfig").is_null());
    assert!(health.property("Policies").is_null());
    let variables: Vec<_> = health.environment().into_keys().collect();
    assert_eq!(variables, ["CORS_ORIGINS", "LOG_LEVEL"]);
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
            !function.property("VpcConfig").is_null(),
            "{name}"
        );
        // Without the address it would ring a stream that nobody reads.
        for bell in ["QUEUE_URL", "NOTIFY_QUEUE_URL"] {
            assert_eq!(asks_redis, environment.contains_key(bell), "{name}: {bell}");
        }
    }
}

#[test]
fn no_function_may_do_everything_or_to_everything() {
    let template = Template::read();
    for function in template.functions() {
        let policies = function.property("Policies").as_array();
        for policy in policies.into_iter().flatten() {
            for statement in policy["Statement"].as_array().unwrap() {
                let actions = strings(&statement["Action"]);
                assert!(!actions.is_empty(), "{}", function.name);
                for action in actions {
                    assert!(!action.contains('*'), "{}: {action}", function.name);
                }
                let named = !references(&statement["Resource"]).is_empty();
                assert!(named, "{}: {}", function.name, statement["Resource"]);
            }
        }
    }
}

#[test]
fn nobody_but_auth_may_write_who_may_sign_in() {
    let template = Template::read();
    let all = json!({"Fn::Sub": "${Artifacts.Arn}/auth/*"});
    for function in template.functions() {
        let policies = function.property("Policies").as_array();
        let statements = policies.into_iter().flatten();
        let statements: Vec<_> = statements
            .flat_map(|policy| policy["Statement"].as_array().unwrap())
            .collect();
        let denies = |statement: &&Value| {
            let writes = strings(&statement["Action"]).contains(&"s3:PutObject");
            statement["Effect"] == "Deny" && writes && statement["Resource"] == all
        };
        let denied = statements.iter().any(denies);
        let free = function.binary == "auth" || statements.is_empty();
        assert_eq!(denied, !free, "{}", function.name);
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

fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    }
}
