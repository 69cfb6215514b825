//! docs/openapi.json, docs/api.md and the code say the same.

use std::collections::{BTreeMap, BTreeSet};

use openapi::{COMMAND, FIELD_CODES, PROBLEMS};
use serde_json::Value;

use crate::docs::{API, Names, rows, section, words};
use crate::project;

/// Operation → statuses with their problem codes.
struct Document(BTreeMap<String, BTreeMap<u16, Names>>);

impl Document {
    fn read() -> Self {
        let document: Value = serde_json::from_str(&project::read("docs/openapi.json")).unwrap();
        let mut operations = BTreeMap::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let answers = operation["responses"].as_object().unwrap();
                let told = answers.iter().map(|(status, answer)| {
                    let answer = answer["$ref"].as_str().map_or(answer, |reference| {
                        document.pointer(reference.trim_start_matches('#')).unwrap()
                    });
                    let schema = &answer["content"]["application/problem+json"]["schema"];
                    let codes = schema["properties"]["code"]["enum"].as_array();
                    let codes = codes.into_iter().flatten();
                    let codes = codes.map(|code| code.as_str().unwrap().to_owned());
                    (status.parse().unwrap(), codes.collect())
                });
                let name = format!("{} {path}", method.to_uppercase());
                operations.insert(name, told.collect());
            }
        }
        Self(operations)
    }

    fn has(&self, route: &str, status: u16, code: Option<&str>) -> bool {
        let codes = self.0[route].get(&status);
        codes.is_some_and(|codes| code.is_none_or(|code| codes.contains(code)))
    }
}

#[test]
fn the_document_is_what_the_code_says() {
    let kept: Value = serde_json::from_str(&project::read("docs/openapi.json")).unwrap();
    assert!(
        kept == openapi::document(),
        "docs/openapi.json is old. Make it anew: {COMMAND}"
    );
}

#[test]
fn every_route_of_the_table_is_an_operation_and_answers_with_its_statuses() {
    let document = Document::read();
    let mut routes = Names::new();
    for cells in rows(API, "## Routes").iter().skip(2) {
        let route = words(&cells[0])[0].clone();
        let numbers = cells[2..]
            .iter()
            .flat_map(|cell| cell.split(|c: char| !c.is_ascii_digit()));
        let numbers = numbers.filter_map(|n| n.parse().ok());
        let own = |n: &u16| (200..400).contains(n) || *n == 503;
        let documented: BTreeSet<u16> = numbers.filter(own).collect();
        let known = &document.0[&route];
        let good = |status: &&u16| **status < 400 || known[*status].is_empty();
        let told: BTreeSet<u16> = known.keys().filter(good).copied().collect();
        assert_eq!(documented, told, "{route}");
        routes.insert(route);
    }
    let operations: Names = document.0.keys().cloned().collect();
    assert_eq!(routes, operations);
}

#[test]
fn every_problem_code_has_the_status_of_the_table() {
    let mut documented = BTreeMap::new();
    for cells in rows(API, "## Problem codes").iter().skip(2) {
        let codes = words(&cells[0]);
        let statuses: Vec<u16> = cells[1].split(", ").map(|n| n.parse().unwrap()).collect();
        assert!([1, codes.len()].contains(&statuses.len()), "{cells:?}");
        let statuses = statuses.iter().cycle();
        documented.extend(codes.into_iter().zip(statuses.copied()));
    }
    let known = PROBLEMS.map(|(code, status, _)| (code.to_owned(), status));
    assert_eq!(documented, BTreeMap::from(known));
}

#[test]
fn every_code_of_a_field_is_in_the_document() {
    let text = section(API, "## Problem codes").join(" ");
    let documented = text.split("Codes in `errors`:").nth(1).unwrap();
    let documented: Names = words(documented).into_iter().collect();
    assert_eq!(documented, FIELD_CODES.map(str::to_owned).into());
}

/// What a section says of these routes, from one mark to another one.
struct Said(
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const SAID: [Said; 32] = [
    Said(
        "## Submit",
        "Codes:",
        "```",
        &["POST /jobs", "POST /compose"],
    ),
    Said(
        "## Read",
        "Codes:",
        "The routes of one\njob:",
        &["GET /jobs/{id}/audio"],
    ),
    Said(
        "## Read",
        "The routes of one\njob:",
        "The list:",
        &["GET /jobs/{id}", "GET /jobs/{id}/audio"],
    ),
    Said("## Read", "The list:", "\n\n", &["GET /jobs"]),
    Said(
        "## Change",
        "/cancel`",
        "| `POST",
        &["POST /jobs/{id}/cancel"],
    ),
    Said(
        "## Change",
        "/retry`",
        "| `DELETE",
        &["POST /jobs/{id}/retry"],
    ),
    Said(
        "## Change",
        "| `DELETE …`",
        "All three:",
        &["DELETE /jobs/{id}"],
    ),
    Said(
        "## Change",
        "All three:",
        "\n\n",
        &[
            "POST /jobs/{id}/cancel",
            "POST /jobs/{id}/retry",
            "DELETE /jobs/{id}",
        ],
    ),
    Said("## Events", "Codes:", "| field", &["GET /jobs/{id}/events"]),
    Said(
        "## Webhooks",
        "Codes of both:",
        "Of sending again:",
        &[
            "GET /jobs/{id}/deliveries",
            "POST /jobs/{id}/deliveries/redeliver",
        ],
    ),
    Said(
        "## Webhooks",
        "Of sending again:",
        "| field of an item",
        &["POST /jobs/{id}/deliveries/redeliver"],
    ),
    Said(
        "## Webhooks",
        "Codes of all five:",
        "Of a new endpoint",
        &[
            "GET /admin/tenants/{tenant}/webhooks",
            "POST /admin/tenants/{tenant}/webhooks",
            "PATCH /admin/tenants/{tenant}/webhooks/{id}",
            "DELETE /admin/tenants/{tenant}/webhooks/{id}",
            "POST /admin/tenants/{tenant}/webhooks/secrets",
        ],
    ),
    Said(
        "## Webhooks",
        "Of a new endpoint and a new secret:",
        "Of one endpoint:",
        &[
            "POST /admin/tenants/{tenant}/webhooks",
            "POST /admin/tenants/{tenant}/webhooks/secrets",
        ],
    ),
    Said(
        "## Webhooks",
        "Of one endpoint:",
        "\n\n",
        &[
            "PATCH /admin/tenants/{tenant}/webhooks/{id}",
            "DELETE /admin/tenants/{tenant}/webhooks/{id}",
        ],
    ),
    Said(
        "## Report",
        "/jobs/report`",
        "**`PUT",
        &["POST /jobs/report"],
    ),
    Said(
        "## Report",
        "**`PUT",
        "**`POST /hooks",
        &["PUT /jobs/{id}/audio"],
    ),
    Said(
        "## Report",
        "**`POST /hooks",
        "\n\n",
        &["POST /hooks/cog/{token}"],
    ),
    Said(
        "## Sign in",
        "Codes of all three:",
        "A\nlogin also:",
        &[
            "POST /auth/login",
            "POST /auth/refresh",
            "POST /auth/logout",
        ],
    ),
    Said(
        "## Sign in",
        "A\nlogin also:",
        "Refresh and logout:",
        &["POST /auth/login"],
    ),
    Said(
        "## Sign in",
        "Refresh and logout:",
        "A refresh also:",
        &["POST /auth/refresh", "POST /auth/logout"],
    ),
    Said(
        "## Sign in",
        "A refresh also:",
        "\n\n",
        &["POST /auth/refresh"],
    ),
    Said(
        "## Users",
        "Codes of all four:",
        "Of the list:",
        &[
            "GET /auth/users",
            "POST /auth/users",
            "GET /auth/users/{id}",
            "PATCH /auth/users/{id}",
        ],
    ),
    Said(
        "## Users",
        "Of the list:",
        "Of one\nuser:",
        &["GET /auth/users"],
    ),
    Said(
        "## Users",
        "Of one\nuser:",
        "Of a new user:",
        &["GET /auth/users/{id}", "PATCH /auth/users/{id}"],
    ),
    Said(
        "## Users",
        "Of a new user:",
        "Of a change:",
        &["POST /auth/users"],
    ),
    Said(
        "## Users",
        "Of a change:",
        "\n\n",
        &["PATCH /auth/users/{id}"],
    ),
    Said(
        "## Service tokens",
        "Codes of all three:",
        "Of the list:",
        &[
            "GET /auth/service-tokens",
            "POST /auth/service-tokens",
            "DELETE /auth/service-tokens/{jti}",
        ],
    ),
    Said(
        "## Service tokens",
        "Of the list:",
        "Of a new one:",
        &["GET /auth/service-tokens"],
    ),
    Said(
        "## Service tokens",
        "Of a new one:",
        "Of taking back:",
        &["POST /auth/service-tokens"],
    ),
    Said(
        "## Service tokens",
        "Of taking back:",
        "\n\n",
        &["DELETE /auth/service-tokens/{jti}"],
    ),
    Said(
        "## Operate",
        "/health/ready`",
        "**`GET /metrics",
        &["GET /health/ready"],
    ),
    Said(
        "## Operate",
        "**`GET /metrics",
        "| metric",
        &["GET /metrics"],
    ),
];

#[test]
fn every_code_that_the_text_names_for_a_route_is_in_its_operation() {
    let document = Document::read();
    for Said(heading, from, to, routes) in SAID {
        let text = section(API, heading).join("\n");
        let (_, text) = text
            .split_once(from)
            .unwrap_or_else(|| panic!("{heading}: {from}"));
        let text = text.split(to).next().unwrap();
        let named = words(text);
        let codes = PROBLEMS
            .iter()
            .filter(|(code, ..)| named.iter().any(|name| name == code));
        let codes: Vec<_> = codes.collect();
        let statuses = text.split(|c: char| !c.is_ascii_digit());
        let statuses = statuses.filter_map(|n| n.parse().ok());
        let statuses: Vec<u16> = statuses.filter(|n| (200..600).contains(n)).collect();
        assert!(
            !codes.is_empty() || !statuses.is_empty(),
            "{heading}: {from}"
        );
        for route in routes {
            for (code, status, _) in &codes {
                assert!(document.has(route, *status, Some(code)), "{route}: {code}");
            }
            for status in &statuses {
                assert!(document.has(route, *status, None), "{route}: {status}");
            }
        }
    }
}

#[test]
fn any_route_can_answer_what_the_text_says_of_any() {
    let document = Document::read();
    for route in document.0.keys() {
        for (status, code) in [
            (404, "not_found"),
            (405, "method_not_allowed"),
            (414, "uri_too_long"),
            (431, "headers_too_large"),
            (500, "internal"),
        ] {
            assert!(document.has(route, status, Some(code)), "{route}: {code}");
        }
        let asks = !["GET /health", "GET /openapi.json"].contains(&route.as_str());
        assert_eq!(document.has(route, 503, None), asks, "{route}");
    }
}
