//! What each function may do in the account: what its code does, and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::project;
use crate::template::{Function, Template};

/// Function, and its rights: `+` may, `-` may not although a line above says so. The bucket's objects are named by their prefix.
const RIGHTS: [(&str, &[&str]); 11] = [
    (
        "compose",
        &[
            "+ s3:GetObject s3:PutObject on /*",
            // `submit` takes back what Redis refused; `settle` removes markers.
            "+ s3:DeleteObject on /jobs/* /open/* /due/*",
            "+ s3:ListBucket on /",
            "- s3:DeleteObject s3:PutObject on /auth/*",
            "- s3:GetObject on /auth/users/* /auth/names/* /auth/families/*",
            "+ sqs:SendMessage on WorkQueue NotifyQueue DeliverQueue",
        ],
    ),
    (
        "jobs",
        &[
            "+ s3:GetObject s3:PutObject on /*",
            "+ s3:DeleteObject on /jobs/* /open/* /due/*",
            "+ s3:ListBucket on /",
            "- s3:DeleteObject s3:PutObject on /auth/*",
            "- s3:GetObject on /auth/users/* /auth/names/* /auth/families/*",
            "+ sqs:SendMessage on WorkQueue NotifyQueue DeliverQueue",
        ],
    ),
    (
        "report",
        &[
            "+ s3:GetObject s3:PutObject on /*",
            "+ s3:DeleteObject on /open/* /due/*",
            "+ s3:ListBucket on /",
            "- s3:DeleteObject s3:PutObject on /auth/*",
            "- s3:GetObject on /auth/users/* /auth/names/* /auth/families/*",
            "+ sqs:SendMessage on WorkQueue NotifyQueue DeliverQueue",
        ],
    ),
    ("health", &[]),
    (
        "admin",
        &[
            "+ s3:GetObject s3:PutObject on /*",
            // A setting of an operator is a new revision, which removes the old ones.
            "+ s3:DeleteObject on /open/* /due/* /config/*",
            "+ s3:ListBucket on /",
            "- s3:DeleteObject s3:PutObject on /auth/*",
            "- s3:GetObject on /auth/users/* /auth/names/* /auth/families/*",
            // How many bells are on their way.
            "+ sqs:GetQueueAttributes sqs:SendMessage on WorkQueue NotifyQueue DeliverQueue",
        ],
    ),
    (
        "auth",
        &[
            "+ s3:GetObject on /auth/*",
            "+ s3:PutObject on /auth/* /audit/*",
            "+ s3:DeleteObject on /auth/users/* /auth/families/*",
            "+ s3:ListBucket on /",
        ],
    ),
    (
        "worker",
        &[
            "+ s3:GetObject s3:PutObject on /*",
            "+ s3:DeleteObject on /jobs/* /open/* /due/*",
            "+ s3:ListBucket on /",
            "- s3:DeleteObject s3:PutObject on /auth/*",
            "- s3:GetObject on /auth/users/* /auth/names/* /auth/families/*",
            // Lambda takes the bells in its name.
            "+ sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage sqs:SendMessage on WorkQueue",
            "+ sqs:SendMessage on NotifyQueue DeliverQueue",
        ],
    ),
    (
        "live",
        &[
            "+ s3:GetObject s3:PutObject on /*",
            "+ s3:DeleteObject on /open/* /due/*",
            "+ s3:ListBucket on /",
            "- s3:DeleteObject s3:PutObject on /auth/*",
            "- s3:GetObject on /auth/users/* /auth/names/* /auth/families/*",
            "+ sqs:SendMessage on WorkQueue NotifyQueue DeliverQueue",
            "+ execute-api:ManageConnections on SocketApi",
        ],
    ),
    (
        "notify",
        &[
            "+ s3:GetObject s3:PutObject on /*",
            "+ s3:DeleteObject on /open/* /due/*",
            "+ s3:ListBucket on /",
            "- s3:DeleteObject s3:PutObject on /auth/*",
            "- s3:GetObject on /auth/users/* /auth/names/* /auth/families/*",
            "+ sqs:SendMessage on WorkQueue DeliverQueue",
            "+ sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage sqs:SendMessage on NotifyQueue",
            "+ execute-api:ManageConnections on SocketApi",
        ],
    ),
    (
        "deliver",
        &[
            // What a message says stands in the manifest.
            "+ s3:GetObject on /jobs/* /config/*",
            // An endpoint that is gone for good is disabled, on record.
            "+ s3:PutObject on /config/webhooks/* /audit/*",
            "+ s3:DeleteObject on /due/* /config/webhooks/*",
            "+ s3:ListBucket on /",
            "+ sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage sqs:SendMessage on DeliverQueue",
        ],
    ),
    (
        "sweep",
        &[
            "+ s3:GetObject s3:PutObject on /*",
            "+ s3:DeleteObject on /open/* /due/* /auth/families/* /auth/service-tokens/* /auth/revoked/*",
            "+ s3:ListBucket on /",
            "- s3:PutObject on /auth/*",
            "+ sqs:SendMessage on WorkQueue NotifyQueue DeliverQueue",
        ],
    ),
];

/// What somebody must write who uses an action; `Lambda` does it for the function.
const USES: [(&str, &str); 9] = [
    ("s3:GetObject", "self.objects.get("),
    ("s3:PutObject", "self.objects.put"),
    ("s3:DeleteObject", "self.objects.delete("),
    ("s3:ListBucket", "self.objects.list("),
    ("sqs:SendMessage", ".send_message_batch()"),
    ("sqs:GetQueueAttributes", ".get_queue_attributes()"),
    ("sqs:ReceiveMessage", "Lambda"),
    ("sqs:DeleteMessage", "Lambda"),
    ("execute-api:ManageConnections", ".post_to_connection()"),
];

/// A statement in the words of [`RIGHTS`].
fn in_words(statement: &Value) -> String {
    let sign = match statement["Effect"].as_str() {
        Some("Allow") => '+',
        _ => '-',
    };
    assert!(statement["NotAction"].is_null() && statement["NotResource"].is_null());
    let mut actions: Vec<_> = each(&statement["Action"])
        .map(|action| action.as_str().unwrap())
        .collect();
    actions.sort_unstable();
    let resources: Vec<_> = each(&statement["Resource"]).map(resource).collect();
    format!("{sign} {} on {}", actions.join(" "), resources.join(" "))
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
fn every_function_may_do_what_the_table_says_and_nothing_else() {
    let template = Template::read();
    let functions = template.functions();
    assert_eq!(functions.len(), RIGHTS.len());
    for function in &functions {
        let (_, rights) = RIGHTS
            .iter()
            .find(|(name, _)| *name == function.binary)
            .unwrap_or_else(|| panic!("{} is not in the table", function.binary));
        let written: Vec<_> = statements(function).into_iter().map(in_words).collect();
        assert_eq!(written, *rights, "{}", function.binary);
        // Rights that came another way would stand in no statement.
        assert!(function.property("Role").is_null(), "{}", function.name);
    }
}

#[test]
fn no_action_is_a_pattern_and_each_is_used_by_some_code() {
    let sources = project::sources();
    let code = || {
        let shipped = sources.iter().filter(|text| text.is_of(&["shared/src/"]));
        shipped.flat_map(|text| text.code())
    };
    let granted: BTreeSet<_> = RIGHTS
        .iter()
        .flat_map(|(_, rights)| rights.iter())
        .filter_map(|line| line.strip_prefix("+ "))
        .flat_map(|line| line.split(" on ").next().unwrap().split(' '))
        .collect();
    let known: BTreeSet<_> = USES.iter().map(|(action, _)| *action).collect();
    assert_eq!(granted, known);
    for (action, call) in USES {
        assert!(!action.contains('*'), "{action}");
        let used = call == "Lambda" || code().any(|line| line.contains(call));
        assert!(used, "nobody does {call}");
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

    let deletes_jobs = whose_code_has(&["remove_job(", "remove_upload(", "submit::"]);
    assert_eq!(who_may("s3:DeleteObject on /jobs/*"), deletes_jobs);
}
