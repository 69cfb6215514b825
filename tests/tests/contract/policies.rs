//! What each function may do in the account: what its code can come to do, and nothing else.

mod methods;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::project;
use crate::reach::Code;
use crate::template::{Function, Template};
use methods::METHODS;

/// Rights beside those to the bucket's objects.
const RIGHTS: [(&str, &[&str]); 11] = [
    (
        "compose",
        &["sqs:SendMessage on WorkQueue NotifyQueue DeliverQueue"],
    ),
    (
        "jobs",
        &["sqs:SendMessage on WorkQueue NotifyQueue DeliverQueue"],
    ),
    (
        "report",
        &["sqs:SendMessage on WorkQueue NotifyQueue DeliverQueue"],
    ),
    ("health", &[]),
    (
        "admin",
        // How many bells are on their way.
        &["sqs:GetQueueAttributes sqs:SendMessage on WorkQueue NotifyQueue DeliverQueue"],
    ),
    // Sockets of a token that was taken back are to be closed.
    ("auth", &["sqs:SendMessage on NotifyQueue"]),
    (
        "worker",
        &[
            // Lambda takes the bells in its name.
            "sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage sqs:SendMessage on WorkQueue",
            "sqs:SendMessage on NotifyQueue DeliverQueue",
        ],
    ),
    (
        "live",
        &[
            "sqs:SendMessage on WorkQueue NotifyQueue DeliverQueue",
            "execute-api:ManageConnections on SocketApi",
        ],
    ),
    (
        "notify",
        &[
            "sqs:SendMessage on WorkQueue DeliverQueue",
            "sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage sqs:SendMessage on NotifyQueue",
            "execute-api:ManageConnections on SocketApi",
        ],
    ),
    (
        "deliver",
        &[
            "sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage sqs:SendMessage on DeliverQueue",
        ],
    ),
    (
        "sweep",
        &["sqs:SendMessage on WorkQueue NotifyQueue DeliverQueue"],
    ),
];

/// What somebody must write who uses an action; `Lambda` does it for the function.
const USES: [(&str, &str); 10] = [
    ("s3:GetObject", "self.objects()?.get("),
    ("s3:PutObject", "self.objects()?.put"),
    ("s3:DeleteObject", "self.objects()?.delete("),
    ("s3:ListBucket", "self.objects()?.list("),
    ("sqs:SendMessage", ".send_message_batch()"),
    ("sqs:GetQueueAttributes", ".get_queue_attributes()"),
    (
        "sqs:ChangeMessageVisibility",
        ".change_message_visibility()",
    ),
    ("sqs:ReceiveMessage", "Lambda"),
    ("sqs:DeleteMessage", "Lambda"),
    ("execute-api:ManageConnections", ".post_to_connection()"),
];

/// Rights of one statement: to objects as `get jobs/*`, others as in [`RIGHTS`].
fn in_words(statement: &Value) -> BTreeSet<String> {
    assert_eq!(
        statement["Effect"], "Allow",
        "what is not allowed is forbidden"
    );
    assert!(statement["NotAction"].is_null() && statement["NotResource"].is_null());
    let mut actions: Vec<_> = each(&statement["Action"])
        .map(|action| action.as_str().unwrap())
        .collect();
    actions.sort_unstable();
    let resources: Vec<_> = each(&statement["Resource"]).map(resource).collect();
    if !actions.iter().all(|action| action.starts_with("s3:")) {
        let right = format!("{} on {}", actions.join(" "), resources.join(" "));
        return BTreeSet::from([right]);
    }
    // A put with this condition must say that nothing is to be there.
    let condition = &statement["Condition"];
    let only_new = *condition == json!({"Null": {"s3:if-none-match": "false"}});
    assert!(only_new || condition.is_null(), "{condition}");
    let rights = actions.iter().flat_map(|action| {
        let verb = match *action {
            "s3:GetObject" => "get",
            "s3:PutObject" if only_new => "new",
            "s3:PutObject" => "put",
            "s3:DeleteObject" => "delete",
            "s3:ListBucket" => "list",
            other => panic!("{other}"),
        };
        let right = |at: &String| match at.as_str() {
            "/" => verb.to_owned(),
            path => format!("{verb} {}", path.trim_start_matches('/')),
        };
        resources.iter().map(right).collect::<Vec<_>>()
    });
    rights.collect()
}

/// What the code of a function can come to do.
fn needed(code: &Code, function: &str) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    for (file, method) in code.store_calls(function) {
        let (_, rights) = METHODS.iter().find(|(known, _)| *known == method).unwrap();
        // The one setting that is not the queue's.
        let of_webhooks = file.starts_with("shared/src/webhook/");
        for right in *rights {
            needed.insert(match of_webhooks {
                true => right.replace("config/*", "config/webhooks/*"),
                false => (*right).to_owned(),
            });
        }
    }
    // Without the right to list, an absent object is "forbidden" instead of "not found".
    if !needed.is_empty() {
        needed.insert("list".to_owned());
    }
    let all = needed.clone();
    needed.retain(|right| {
        let wider = right.replace("config/webhooks/*", "config/*");
        wider == *right || !all.contains(&wider)
    });
    let (_, others) = RIGHTS.iter().find(|(name, _)| *name == function).unwrap();
    needed.extend(others.iter().map(|right| (*right).to_owned()));
    needed
}

fn resource(value: &Value) -> String {
    if let Some([name, attribute]) = value["Fn::GetAtt"].as_array().map(Vec::as_slice) {
        assert_eq!(attribute, "Arn");
        let name = name.as_str().unwrap();
        return if name == "Artifacts" { "/" } else { name }.to_owned();
    }
    let text = value["Fn::Sub"]
        .as_str()
        .unwrap_or_else(|| panic!("{value}"));
    match text.strip_prefix("${Artifacts.Arn}") {
        Some(path) => path.to_owned(),
        // Its own connections in its own stage, whatever the method.
        None if text.ends_with(":${SocketApi}/live/*/@connections/*") => "SocketApi".to_owned(),
        None => panic!("{text}"),
    }
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let many = value.as_array().map(Vec::as_slice);
    many.unwrap_or(std::slice::from_ref(value)).iter()
}

fn statements<'a>(function: &Function<'a>) -> Vec<&'a Value> {
    let policies = function.property("Policies").as_array().into_iter();
    policies
        .flatten()
        // A policy of SAM's or of AWS's would bring what nobody here has read.
        .flat_map(|policy| policy["Statement"].as_array().unwrap())
        .collect()
}

#[test]
fn every_function_may_do_what_its_code_does_and_nothing_else() {
    let (template, code) = (Template::read(), Code::read());
    let functions = template.functions();
    assert_eq!(functions.len(), RIGHTS.len());
    let mut faults = Vec::new();
    for function in &functions {
        let granted: BTreeSet<_> = statements(function)
            .into_iter()
            .flat_map(in_words)
            .collect();
        let needed = needed(&code, function.binary);
        let missing: Vec<_> = needed.difference(&granted).collect();
        let unused: Vec<_> = granted.difference(&needed).collect();
        if !missing.is_empty() || !unused.is_empty() {
            let name = &function.binary;
            faults.push(format!(
                "{name} lacks {missing:?}, has for nothing {unused:?}"
            ));
        }
        // Rights that came another way would stand in no statement.
        assert!(function.property("Role").is_null(), "{}", function.name);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_method_of_the_store_is_in_the_table() {
    let known: BTreeSet<_> = METHODS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(Code::read().store_methods(), known);
}

#[test]
fn what_models_call_touches_neither_settings_nor_the_record_nor_secrets() {
    let (template, code) = (Template::read(), Code::read());
    let functions = template.functions();
    let report = functions
        .iter()
        .find(|function| function.binary == "report")
        .unwrap();
    let granted = statements(report).into_iter().flat_map(in_words);
    for right in granted.chain(needed(&code, "report")) {
        // A submission that was refused goes with its secret.
        let apart = ["audit/", "intents/", "secrets/"]
            .iter()
            .any(|at| right.contains(at) && right != "delete secrets/jobs/*");
        let settings = right.contains("config/") && right != "get config/webhooks/*";
        assert!(!apart && !settings, "{right}");
    }
}

#[test]
fn no_action_is_a_pattern_and_each_is_used_by_some_code() {
    let template = Template::read();
    let functions = template.functions();
    let statements = functions.iter().flat_map(statements);
    let granted: BTreeSet<_> = statements
        .flat_map(|statement| each(&statement["Action"]))
        .map(|action| action.as_str().unwrap())
        .collect();
    let known: BTreeSet<_> = USES.iter().map(|(action, _)| *action).collect();
    assert_eq!(granted, known);
    let sources = project::sources();
    let shipped = || sources.iter().filter(|text| text.is_of(&["shared/src/"]));
    for (action, call) in USES {
        assert!(!action.contains('*'), "{action}");
        let used = shipped().any(|text| text.code().any(|line| line.contains(call)));
        assert!(call == "Lambda" || used, "nobody does {call}");
    }
}

/// The functions whose own code has one of these words.
fn whose_code_has(words: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for text in project::sources().iter().filter(|text| !text.is_test()) {
        let Some(path) = text.path.strip_prefix("functions/") else {
            continue;
        };
        let name = path.split('/').next().unwrap();
        if words
            .iter()
            .any(|word| text.code().any(|line| line.contains(word)))
        {
            found.insert(name.to_owned());
        }
    }
    found
}

fn who_may(right: &str) -> BTreeSet<String> {
    let has = |rights: &[&str]| rights.iter().any(|line| line.contains(right));
    RIGHTS
        .iter()
        .filter(|(_, rights)| has(rights))
        .map(|(name, _)| (*name).to_owned())
        .collect()
}

#[test]
fn rights_that_few_have_are_had_by_those_whose_code_asks_for_them() {
    let speaks_to_sockets = whose_code_has(&["Gateway::new("]);
    assert_eq!(who_may("execute-api:ManageConnections"), speaks_to_sockets);

    let counts_bells = whose_code_has(&["doorbell.depth()", "notices.depth()"]);
    let woken = who_may("sqs:ReceiveMessage");
    let mut look = who_may("sqs:GetQueueAttributes");
    look.retain(|name| !woken.contains(name));
    assert_eq!(look, counts_bells);

    let woken_by_bells = whose_code_has(&["SqsBatchResponse"]);
    assert_eq!(woken, woken_by_bells);
    assert_eq!(
        who_may("sqs:ChangeMessageVisibility"),
        whose_code_has(&["bring_back("])
    );
}
