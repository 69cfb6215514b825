//! `local/docker-compose.yml` is `local/up` in containers.

use std::collections::{BTreeMap, BTreeSet};

use local::up;
use serde_json::{Map, Value};
use shared::config::VARIABLES;

use crate::project;
use crate::template::{Template, references};
use tests::yaml;

const FILE: &str = "local/docker-compose.yml";

/// The SDK's own.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_SQS";

fn services() -> Map<String, Value> {
    yaml::read(FILE)["services"].as_object().unwrap().clone()
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// The hosts of the addresses in a text.
fn hosts(text: &str) -> Vec<&str> {
    let ends = |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.';
    let addresses = text.split("://").skip(1);
    addresses
        .filter_map(|rest| rest.split(ends).next())
        .collect()
}

/// Of one `queues` entry in `local/elasticmq.conf`, by its path: `bells.deadLettersQueue.maxReceiveCount`.
fn queue_settings() -> BTreeMap<String, String> {
    let text = project::read("local/elasticmq.conf");
    let (_, queues) = text.split_once("\nqueues {").unwrap();
    let (mut path, mut found) = (Vec::new(), BTreeMap::new());
    for line in queues
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
    {
        if let Some((name, value)) = line.split_once(" = ") {
            let setting = [&path[..], &[name]].concat().join(".");
            found.insert(setting, value.trim_matches('"').to_owned());
        } else if let Some(name) = line.strip_suffix(" {}") {
            found.insert(name.to_owned(), String::new());
        } else if let Some(name) = line.strip_suffix(" {") {
            path.push(name);
            found.insert(path.join("."), String::new());
        } else if line == "}" {
            path.pop();
        }
    }
    found
}

#[test]
fn every_service_is_where_local_up_has_it_and_for_this_machine_only() {
    let services = services();
    let expected = [
        ("redis", up::REDIS_PORT),
        ("jen1", up::JEN1_PORT),
        ("muscgen", up::MUSCGEN_PORT),
        ("ollama-stand-in", up::OLLAMA_PORT),
        ("functions", up::API_PORT),
        ("beside", up::SOCKETS_PORT),
    ];
    let mut published = BTreeSet::new();
    for (name, port) in expected {
        let service = &services[name];
        // Who lives in another's network is published there.
        let network = service["network_mode"].as_str().unwrap_or_default();
        let owner = network.strip_prefix("service:").unwrap_or(name);
        let inside = if name == "redis" { 6379 } else { port };
        let line = format!("127.0.0.1:{port}:{inside}");
        let ports = texts(&services[owner]["ports"]);
        assert!(ports.contains(&&*line), "{name}: {ports:?}");
        published.insert(line);
        let command = texts(&service["command"]);
        let listens = command.iter().skip_while(|word| **word != "--listen");
        let listens = listens.copied().nth(1);
        let expected = format!("0.0.0.0:{port}");
        assert!(name == "redis" || listens == Some(&expected), "{name}");
    }
    let all = services
        .values()
        .flat_map(|service| texts(&service["ports"]));
    assert_eq!(all.map(str::to_owned).collect::<BTreeSet<_>>(), published);
    // Clients are told where the sockets are.
    let sockets = &services["functions"]["environment"]["SOCKETS_URL"];
    assert_eq!(*sockets, format!("http://127.0.0.1:{}", up::SOCKETS_PORT));
}

#[test]
fn every_service_tells_whether_it_is_well_and_comes_back() {
    for (name, service) in services() {
        assert!(!texts(&service["healthcheck"]["test"]).is_empty(), "{name}");
        assert_eq!(service["init"], true, "{name}");
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        if service["image"] != "tutti" {
            let (_, tag) = service["image"].as_str().unwrap().rsplit_once(':').unwrap();
            assert!(
                tag.starts_with(|c: char| c.is_ascii_digit()),
                "{name}: {tag}"
            );
        }
    }
}

/// Services that build one tag at the same time get into one another's way.
#[test]
fn one_service_builds_the_image_and_the_others_wait_for_it() {
    let services = services();
    let ours = services
        .iter()
        .filter(|(_, service)| service["image"] == "tutti");
    let (built, taken): (Vec<_>, Vec<_>) =
        ours.partition(|(_, service)| !service["build"].is_null());
    assert_eq!(built.len(), 1);
    assert!(taken.len() > 3);
    for (name, service) in taken {
        // Without it Compose would look for the image in a registry.
        assert_eq!(service["pull_policy"], "never", "{name}");
    }
}

#[test]
fn the_watched_functions_have_a_tag_and_a_stage_of_their_own() {
    let watched = yaml::read("local/docker-compose.watch.yml");
    let changed = watched["services"].as_object().unwrap();
    assert_eq!(changed.keys().collect::<Vec<_>>(), ["functions"]);
    let functions = &changed["functions"];
    assert_ne!(functions["image"], "tutti");
    assert_ne!(functions["pull_policy"], "never");
    let stage = functions["build"]["target"].as_str().unwrap();
    let dockerfile = project::read("local/Dockerfile");
    assert!(dockerfile.contains(&format!(" AS {stage}\n")), "{stage}");
    let command = texts(&functions["command"]);
    assert!(command.contains(&"--watch"), "{command:?}");
    let synced = texts(&functions["develop"]["watch"]);
    assert!(synced.contains(&"sync"), "{synced:?}");
}

#[test]
fn the_engine_is_the_newest_of_the_template() {
    let template = Template::read();
    let groups = template.of_type("AWS::ElastiCache::ReplicationGroup");
    let asked = groups.map(|(_, group)| group["EngineVersion"].as_str().unwrap());
    let newest = asked.max().unwrap();
    let services = services();
    let image = services["redis"]["image"].as_str();
    assert_eq!(image, Some(&*format!("valkey/valkey:{newest}-alpine")));
}

#[test]
fn nothing_starts_before_what_it_needs_is_well() {
    let services = services();
    let mut needs = 0;
    for (name, service) in &services {
        let waits = service["depends_on"].as_object();
        for (other, condition) in waits.into_iter().flatten() {
            let healthy = condition["condition"] == "service_healthy";
            assert!(healthy && services.contains_key(other), "{name}: {other}");
        }
        let mut said = texts(&service["environment"]);
        let network = service["network_mode"].as_str().unwrap_or_default();
        let network = network.replace("service:", "://");
        said.push(&network);
        said.extend(texts(&service["command"]));
        for host in said.into_iter().flat_map(hosts) {
            if host == name || !services.contains_key(host) {
                continue;
            }
            let waited = waits.is_some_and(|waits| waits.contains_key(host));
            assert!(waited, "{name} needs {host}");
            needs += 1;
        }
    }
    assert!(needs > 5);
}

#[test]
fn the_functions_are_given_every_variable_and_no_secret() {
    let services = services();
    let given = services["functions"]["environment"].as_object().unwrap();
    let names: BTreeSet<_> = given.keys().map(String::as_str).collect();
    let known = VARIABLES.iter().map(|variable| variable.name);
    assert_eq!(names, known.chain([ENDPOINT]).collect());
    for (name, value) in given {
        // What has no value here is the caller's.
        let address = |text: &str| text.contains("://") && !text.contains('@');
        assert!(value.as_str().is_none_or(address), "{name}");
    }
}

#[test]
fn the_queues_are_those_of_the_template() {
    let (services, template) = (services(), Template::read());
    let settings = queue_settings();
    let mut queues = BTreeSet::new();
    for (variable, resource) in [
        ("QUEUE_URL", "WorkQueue"),
        ("NOTIFY_QUEUE_URL", "NotifyQueue"),
        ("DELIVER_QUEUE_URL", "DeliverQueue"),
    ] {
        let url = services["functions"]["environment"][variable].as_str();
        assert_eq!(services["beside"]["environment"][variable].as_str(), url);
        let (base, name) = url.unwrap().rsplit_once('/').unwrap();
        let endpoint = services["functions"]["environment"][ENDPOINT].as_str();
        assert_eq!(base.rsplit_once('/').map(|(base, _)| base), endpoint);
        let sqs = &services[hosts(base)[0]];
        assert_eq!(
            texts(&sqs["volumes"]),
            ["./elasticmq.conf:/opt/elasticmq.conf:ro"]
        );

        let properties = &template.resources()[resource]["Properties"];
        let said = |setting: &str| settings.get(&format!("{name}.{setting}")).unwrap().clone();
        let visibility = format!("{} seconds", properties["VisibilityTimeout"]);
        assert_eq!(said("defaultVisibilityTimeout"), visibility);
        let policy = &properties["RedrivePolicy"];
        let most = said("deadLettersQueue.maxReceiveCount");
        assert_eq!(most, policy["maxReceiveCount"].to_string());
        assert_eq!(references(&policy["deadLetterTargetArn"]).len(), 1);
        queues.extend([name.to_owned(), said("deadLettersQueue.name")]);
    }
    let made = settings.into_keys().filter(|name| !name.contains('.'));
    assert_eq!(made.collect::<BTreeSet<_>>(), queues);
}
