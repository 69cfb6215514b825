//! What the template promises of a deployment: who is reached how, who is told when, what nobody may see.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::metrics::METRICS;

use crate::template::{Template, references};

/// The version that callers reach.
const ALIAS: &str = "live";

fn alarms(template: &Template) -> Vec<(&str, &Value)> {
    template.of_type("AWS::CloudWatch::Alarm").collect()
}

#[test]
fn whoever_wakes_a_function_wakes_its_alias() {
    let template = Template::read();
    let alias = |function: &str| json!({"Ref": format!("{function}.Alias")});
    for function in template.functions() {
        // SAM leads its own routes, queues and schedules to the alias that it publishes.
        assert_eq!(function.property("AutoPublishAlias"), ALIAS);
        assert_eq!(
            function.property("AutoPublishAliasAllProperties"),
            true,
            "{}: a changed variable would reach nobody",
            function.name
        );
    }
    let mut woken = 0;
    for (name, mapping) in template.of_type("AWS::Lambda::EventSourceMapping") {
        let function = match name {
            "WorkerBells" => "WorkerFunction",
            "NotifyBells" => "NotifyFunction",
            "DeliverBells" => "DeliverFunction",
            other => panic!("{other}"),
        };
        assert_eq!(mapping["FunctionName"], alias(function));
        assert_eq!(
            mapping["FunctionResponseTypes"],
            json!(["ReportBatchItemFailures"])
        );
        woken += 1;
    }
    for (_, api) in template.of_type("AWS::Serverless::WebSocketApi") {
        for (route, to) in api["Routes"].as_object().unwrap() {
            assert_eq!(to["FunctionArn"], alias("LiveFunction"), "{route}");
            woken += 1;
        }
    }
    assert_eq!(woken, 6);
}

#[test]
fn an_error_of_a_new_version_takes_its_deployment_back() {
    let template = Template::read();
    let alarms = alarms(&template);
    for function in template.functions() {
        let preference = &function.properties["DeploymentPreference"];
        let watched = references(&preference["Alarms"]);
        let [name] = watched.as_slice() else {
            panic!("{}: {preference}", function.name)
        };
        let (_, alarm) = alarms.iter().find(|(alarm, _)| alarm == name).unwrap();
        assert_eq!(alarm["MetricName"], "Errors");
        // Of the new version alone: the old one's errors are no reason to keep it.
        let dimensions = json!([
            {"Name": "FunctionName", "Value": {"Ref": function.name}},
            {"Name": "Resource", "Value": {"Fn::Sub": format!("${{{}}}:{ALIAS}", function.name)}},
            {"Name": "ExecutedVersion", "Value": {"Fn::GetAtt": [function.name, "Version.Version"]}},
        ]);
        assert_eq!(alarm["Dimensions"], dimensions, "{name}");
    }
}

#[test]
fn nothing_is_public_and_nothing_travels_or_rests_in_clear() {
    let template = Template::read();
    let mut private = BTreeSet::new();
    for (name, bucket) in template.of_type("AWS::S3::Bucket") {
        let blocked = &bucket["PublicAccessBlockConfiguration"];
        for wall in [
            "BlockPublicAcls",
            "BlockPublicPolicy",
            "IgnorePublicAcls",
            "RestrictPublicBuckets",
        ] {
            assert_eq!(blocked[wall], true, "{name}: {wall}");
        }
        let rule = &bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
        assert!(!rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"].is_null());
        private.insert(name);
    }
    for (name, queue) in template.of_type("AWS::SQS::Queue") {
        assert_eq!(queue["SqsManagedSseEnabled"], true, "{name}");
        private.insert(name);
    }
    let policies = template
        .of_type("AWS::S3::BucketPolicy")
        .map(|(_, policy)| (policy, &policy["Bucket"]))
        .chain(
            template
                .of_type("AWS::SQS::QueuePolicy")
                .map(|(_, policy)| (policy, &policy["Queues"])),
        );
    let mut guarded = BTreeSet::new();
    for (policy, of) in policies {
        // The only word about everybody is a no.
        let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap();
        for statement in statements {
            assert_eq!(statement["Effect"], "Deny", "{statement}");
            let plain = json!({"Bool": {"aws:SecureTransport": "false"}});
            assert_eq!(statement["Condition"], plain);
            assert_eq!(
                references(&statement["Resource"])
                    .into_iter()
                    .collect::<BTreeSet<_>>(),
                references(of).into_iter().collect()
            );
        }
        guarded.extend(references(of));
    }
    assert_eq!(guarded, private);
    let mut caches = 0;
    for (name, cache) in template.of_type("AWS::ElastiCache::ReplicationGroup") {
        assert_eq!(cache["TransitEncryptionEnabled"], true, "{name}");
        assert_eq!(cache["AtRestEncryptionEnabled"], true, "{name}");
        assert!(!cache["AuthToken"].is_null(), "{name}");
        let parameters = references(&cache["CacheParameterGroupName"])[0];
        let parameters = &template.resources()[parameters]["Properties"]["Properties"];
        assert_eq!(parameters["maxmemory-policy"], "noeviction", "{name}");
        caches += 1;
    }
    assert_eq!(caches, 2);
}

#[test]
fn a_fresh_account_has_room_for_every_function() {
    let template = Template::read();
    for function in template.functions() {
        // A new account may run ten at once; what one function reserves the others lack.
        let reserved = function.property("ReservedConcurrentExecutions");
        assert!(reserved.is_null(), "{}", function.name);
        assert_eq!(function.property("Tracing"), "Active");
    }
}

/// The names of our own figures in a text of the template.
fn figures_in(text: &str) -> BTreeSet<&str> {
    let letter = |c: char| c.is_ascii_lowercase() || c == '_';
    text.split(|c| !letter(c))
        .filter(|word| word.starts_with("tutti_"))
        .collect()
}

#[test]
fn alarms_and_dashboard_show_figures_that_are_told() {
    let template = Template::read();
    let known: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    let (_, dashboard) = template
        .of_type("AWS::CloudWatch::Dashboard")
        .next()
        .unwrap();
    let body = dashboard["DashboardBody"]["Fn::Sub"][0].as_str().unwrap();
    let parsed: Value = serde_json::from_str(body).unwrap();
    let widgets = parsed["widgets"].as_array().unwrap();
    assert!(widgets.len() >= 12);
    let shown = figures_in(body);
    assert!(shown.is_subset(&known), "{shown:?}");
    for alarm in alarms(&template) {
        let text = alarm.1.to_string();
        let watched = figures_in(&text);
        assert!(watched.is_subset(&known), "{}: {watched:?}", alarm.0);
        if !watched.is_empty() {
            assert!(text.contains("Tutti/${AWS::StackName}"), "{}", alarm.0);
        }
    }
    for figure in METRICS.iter().filter(|metric| metric.by.is_some()) {
        let by = format!("\"{}\"", figure.by.unwrap());
        let lines = body.lines().filter(|line| line.contains(figure.name));
        for line in lines {
            assert!(line.contains(&by), "{}: {line}", figure.name);
        }
    }
}
