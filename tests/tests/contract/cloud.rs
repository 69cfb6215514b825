//! What the template promises of a deployment: who is reached how, who is told when, what nobody may see.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::metrics::{METRICS, SERVER_ERRORS};

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
    let answering = errors_of_new_versions(&template);
    for function in template.functions() {
        let preference = &function.properties["DeploymentPreference"];
        let watched = references(&preference["Alarms"]);
        let (name, others) = watched.split_first().unwrap();
        // Its own answers count for each deployment that callers hear of.
        let answers = answering.contains(function.binary);
        let expected: &[&str] = if answers { &["NewVersionsFail"] } else { &[] };
        assert_eq!(others, expected, "{}", function.name);
        assert_eq!(answers, !function.routes().is_empty(), "{}", function.name);
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
            // A queue's policy is about the queue that it is on, and SQS may refuse one that names others.
            if statement["Action"] == "sqs:*" {
                assert_eq!(statement["Resource"], "*");
                continue;
            }
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

/// The functions whose answers of 5xx, by the version that a deployment brings, take it back.
fn errors_of_new_versions(template: &Template) -> BTreeSet<&str> {
    let (_, alarm) = alarms(template)
        .into_iter()
        .find(|(name, _)| *name == "NewVersionsFail")
        .unwrap();
    let metrics = alarm["Metrics"].as_array().unwrap().iter();
    let watched = metrics.filter_map(|metric| metric["MetricStat"]["Metric"].as_object());
    watched
        .map(|metric| {
            assert_eq!(metric["MetricName"], SERVER_ERRORS.name);
            assert_eq!(metric["Dimensions"][0]["Name"], SERVER_ERRORS.by.unwrap());
            let parts = &metric["Dimensions"][0]["Value"]["Fn::Join"];
            assert_eq!(parts[0], ":");
            let binary = parts[1][0].as_str().unwrap();
            let mut functions = template.functions().into_iter();
            let function = functions.find(|function| function.binary == binary);
            let version = json!({"Fn::GetAtt": [function.unwrap().name, "Version.Version"]});
            assert_eq!(parts[1][1], version);
            binary
        })
        .collect()
}

#[test]
fn a_fresh_account_has_room_for_every_function() {
    let template = Template::read();
    // A new account may run ten at once; what one function reserves the others lack.
    assert_eq!(template.parameters()["Reserved"]["Default"], 0);
    for function in template.functions() {
        let reserved = function.property("ReservedConcurrentExecutions");
        let none = json!({"Ref": "AWS::NoValue"});
        assert!(
            reserved.is_null() || reserved["Fn::If"][2] == none,
            "{}",
            function.name
        );
    }
}

#[test]
fn a_function_that_writes_to_its_own_queue_may_go_on_for_ever() {
    let template = Template::read();
    let mut seen = 0;
    for (_, mapping) in template.of_type("AWS::Lambda::EventSourceMapping") {
        let function = references(&mapping["FunctionName"])[0].trim_end_matches(".Alias");
        let queue = references(&mapping["EventSourceArn"])[0];
        let mut functions = template.functions().into_iter();
        let function = functions.find(|known| known.name == function).unwrap();
        let statements = function.property("Policies")[0]["Statement"]
            .as_array()
            .unwrap();
        let writes = statements.iter().any(|statement| {
            statement["Action"].to_string().contains("SendMessage")
                && references(&statement["Resource"]).contains(&queue)
        });
        // Lambda ends a chain of sixteen invocations otherwise, and the message dies.
        let allowed = function.property("RecursiveLoop") == "Allow";
        assert_eq!(writes, allowed, "{}", function.name);
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn the_sweep_is_not_tried_again_before_its_next_minute() {
    let template = Template::read();
    let functions = template.functions();
    let sweep = functions.iter().find(|f| f.binary == "sweep").unwrap();
    let once = json!({"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60});
    assert_eq!(*sweep.property("EventInvokeConfig"), once);
    let schedule = &sweep.property("Events")["EveryMinute"]["Properties"];
    assert_eq!(schedule["RetryPolicy"], once);
}

#[test]
fn an_alarm_asks_for_ten_figures_at_most() {
    let template = Template::read();
    let mut crashes = BTreeSet::new();
    for (name, alarm) in alarms(&template) {
        let metrics = alarm["Metrics"].as_array().map_or(&[][..], Vec::as_slice);
        let asked = metrics
            .iter()
            .filter(|metric| metric["MetricStat"].is_object());
        assert!(asked.count() <= 10, "{name}");
        if name == "CallsCrash" || name == "WorkCrashes" {
            crashes.extend(references(&alarm["Metrics"]));
        }
    }
    for function in template.functions() {
        assert!(crashes.contains(function.name), "{}", function.name);
    }
}

#[test]
fn whoever_deploys_finds_each_parameter_with_a_name_and_its_meaning() {
    let template = Template::read();
    let interface = template.interface();
    let groups = interface["ParameterGroups"].as_array().unwrap();
    let grouped: Vec<_> = groups
        .iter()
        .flat_map(|group| group["Parameters"].as_array().unwrap())
        .map(|name| name.as_str().unwrap())
        .collect();
    let names: BTreeSet<_> = template.parameters().keys().map(String::as_str).collect();
    assert_eq!(grouped.len(), names.len(), "in one group each");
    assert_eq!(grouped.into_iter().collect::<BTreeSet<_>>(), names);
    let labels = interface["ParameterLabels"].as_object().unwrap();
    for (name, parameter) in template.parameters() {
        let label = labels.get(name).and_then(|label| label["default"].as_str());
        assert!(label.is_some_and(|label| !label.is_empty()), "{name}");
        assert!(parameter["Description"].is_string(), "{name}");
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
