//! What Tutti expects of a jen1, one promise of docs/models.md a test: `JEN1_URL=http://… cargo test -p tests contract_jen1`.
//! Without the variable the stand-in is held against it, in both its ways of answering.

use std::time::Duration;

use local::stand_ins::jen1;
use reqwest::{StatusCode, Url};
use serde_json::{Map, Value, json};
use shared::models::{Jen1, PlanAnswer, PlanRequest, http_client};
use shared::plan::Plan;

use crate::receiver::{Receiver, address, is_here, out, route, serve, switch, when_free};

const BUDGET: Duration = Duration::from_secs(120);

struct Service {
    jen1: Jen1,
    base: Url,
}

async fn services() -> Vec<Service> {
    let bases = match address("JEN1_URL") {
        Some(base) => vec![base],
        None => {
            let mut bases = Vec::new();
            for mode in ["sync", "callback"] {
                let base = serve(|_| jen1::router().unwrap()).await;
                switch(&base, json!({"mode": mode})).await;
                bases.push(base);
            }
            bases
        }
    };
    let client = http_client().unwrap();
    let service = |base: Url| Service {
        jen1: Jen1::new(client.clone(), base.clone()),
        base,
    };
    bases.into_iter().map(service).collect()
}

impl Service {
    /// A plan, however it comes.
    async fn plan(
        &self,
        receiver: &mut Receiver,
        narrative: &str,
        options: &Map<String, Value>,
    ) -> Plan {
        let offered = is_here(&self.base);
        let out = out(&format!("{}:plan:7:1", receiver.job));
        let answer = when_free(async || {
            let ask = PlanRequest {
                job: receiver.job,
                narrative,
                duration: 30,
                options,
                seed: 7,
                callback: offered.then(|| receiver.callback()),
            };
            self.jen1.plan(&ask, &out, BUDGET).await
        });
        match answer.await {
            Ok(PlanAnswer::Plan(planned)) => planned.song,
            Ok(PlanAnswer::Accepted) => {
                assert!(
                    offered,
                    "It answered 202 to a request without a callback: answer 200 with the plan then."
                );
                let report = receiver.ended().await;
                Plan::parse(report.payload["plan"].clone())
                    .unwrap_or_else(|why| panic!("payload.plan of the completed report: {why}"))
            }
            Err(error) => panic!(
                "POST /generate must answer within 120 s, with 200 and a plan or with 202. Tutti had: {error}"
            ),
        }
    }

    /// A request of the suite's own making.
    async fn post(&self, body: impl Into<reqwest::Body>) -> StatusCode {
        let request = http_client().unwrap().post(route(&self.base, "generate"));
        let request = request
            .header("content-type", "application/json")
            .body(body);
        let answer = request.timeout(BUDGET).send().await;
        answer
            .expect("POST /generate is answered within 120 s")
            .status()
    }
}

#[tokio::test]
async fn health_is_answered_within_two_seconds() {
    for service in services().await {
        let health = service.jen1.health(&out("")).await;
        health.expect("GET /health must answer any 2xx within 2 s");
    }
}

#[tokio::test]
async fn a_narrative_becomes_a_plan_that_can_be_played() {
    for service in services().await {
        let narrative = "a calm piano evening in the rain";
        let mut receiver = Receiver::open().await;
        let plan = service.plan(&mut receiver, narrative, &Map::new()).await;
        let prompt = plan.prompt(narrative);
        assert!(
            prompt.len() > narrative.len(),
            "The plan must say something about the music: title, genre, mood, tempo or instrumentation. It gave only {prompt:?}"
        );
    }
}

#[tokio::test]
async fn the_same_key_again_is_answered_again() {
    for service in services().await {
        let mut receiver = Receiver::open().await;
        for _ in 0..2 {
            service
                .plan(&mut receiver, "a ship at sea", &Map::new())
                .await;
        }
    }
}

#[tokio::test]
async fn the_longest_narrative_and_the_largest_options_are_taken() {
    for service in services().await {
        let narrative: String = "An evening in Köln, 雨の夜. "
            .chars()
            .cycle()
            .take(4_000)
            .collect();
        let mut options = Map::new();
        options.insert(
            "style".to_owned(),
            json!("x".repeat(16_384 - r#"{"style":""}"#.len())),
        );
        assert_eq!(serde_json::to_vec(&options).unwrap().len(), 16_384);
        let mut receiver = Receiver::open().await;
        service.plan(&mut receiver, &narrative, &options).await;
    }
}

#[tokio::test]
async fn fields_that_it_does_not_know_do_no_harm() {
    for service in services().await {
        let mut receiver = Receiver::open().await;
        let mut body =
            json!({"narrative": "rain", "duration": 30, "options": {}, "later": {"field": [1]}});
        if is_here(&service.base) {
            body["jobId"] = json!(receiver.job);
            body["requestId"] = json!("contract-suite");
            body["callback"] = json!(receiver.callback());
            body["callback"]["later"] = json!(true);
        }
        let status = service.post(body.to_string()).await;
        assert!(
            status.is_success(),
            "Later versions of Tutti may send more fields: ignore what you do not know. The answer was {status}"
        );
        if status == StatusCode::ACCEPTED {
            receiver.ended().await;
        }
    }
}

#[tokio::test]
async fn a_request_that_is_no_json_is_refused_for_good() {
    for service in services().await {
        let status = service.post("this is not JSON").await;
        let again = [408, 409, 425, 429].contains(&status.as_u16());
        assert!(
            status.is_client_error() && !again,
            "What can never go well is a 400 or 422: after {status} Tutti asks again, or believes it."
        );
    }
}
