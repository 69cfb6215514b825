use reqwest::Client;
use serde_json::Value;

use super::*;
use crate::stand_ins::jen1::planner;
use crate::stand_ins::testing::serve;

async fn service(faults: Value) -> String {
    let base = serve(|_| router()).await;
    let put = Client::new().put(format!("{base}/faults")).json(&faults);
    assert_eq!(put.send().await.unwrap().status(), 200);
    base
}

async fn ask(base: &str, more: Value) -> reqwest::Response {
    let wishes = json!({"narrative": "Köln im Regen", "duration": 20, "options": {}}).to_string();
    let mut body = json!({"model": MODEL, "messages": [
        {"role": "system", "content": "You plan songs."}, {"role": "user", "content": wishes}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let post = Client::new().post(format!("{base}/api/chat")).json(&body);
    post.send().await.unwrap()
}

fn text_of(pieces: &[Value]) -> String {
    let text = |piece: &Value| piece["message"]["content"].as_str().unwrap().to_owned();
    pieces.iter().map(text).collect()
}

#[tokio::test]
async fn the_plan_is_streamed_in_pieces_that_cut_words() {
    let base = service(json!({})).await;
    let answer = ask(&base, json!({})).await;
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let body = answer.text().await.unwrap();
    let pieces: Vec<Value> = body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (last, rest) = pieces.split_last().unwrap();
    assert_eq!(
        (&last["done"], &last["done_reason"]),
        (&json!(true), &json!("stop"))
    );
    assert!(rest.len() > 50 && rest.iter().all(|piece| piece["done"] == false));
    let plan: Value = serde_json::from_str(&text_of(&pieces)).unwrap();
    assert_eq!(plan, json!(planner::plan("Köln im Regen", 20.0)));
}

#[tokio::test]
async fn an_answer_that_is_not_streamed_is_one_object_with_what_the_schema_asks_for() {
    let base = service(json!({})).await;
    let schema = json!({"type": "object", "properties":
        {"title": {"type": "string"}, "tempo": {"type": "integer"}}});
    let answer = ask(&base, json!({"stream": false, "format": schema})).await;
    let piece: Value = answer.json().await.unwrap();
    assert_eq!(
        (&piece["done"], &piece["model"]),
        (&json!(true), &json!(MODEL))
    );
    let plan: Value = serde_json::from_str(&text_of(&[piece])).unwrap();
    assert_eq!(plan.as_object().unwrap().len(), 2);
    assert!(
        plan["tempo"].is_u64() && plan["title"].is_string(),
        "{plan}"
    );
}

#[tokio::test]
async fn it_lists_its_model_and_knows_no_other() {
    let base = service(json!({})).await;
    let list: Value = reqwest::get(format!("{base}/api/tags"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&list["models"][0]["name"], &list["models"][0]["digest"]),
        (&json!(MODEL), &json!(DIGEST))
    );
    let other = ask(&base, json!({"model": "llama3.2"})).await;
    assert_eq!(other.status(), 404);
    let error: Value = other.json().await.unwrap();
    assert_eq!(error["error"], "model 'llama3.2' not found");
}

#[tokio::test]
async fn it_fails_is_busy_and_talks_in_prose_as_told() {
    let base =
        service(json!({"failTimes": 1, "failStatus": 502, "busyTimes": 1, "garbageTimes": 1}))
            .await;
    let fails = ask(&base, json!({})).await;
    assert_eq!(fails.status(), 502);
    let busy = ask(&base, json!({})).await;
    assert_eq!(
        (busy.status().as_u16(), busy.headers().get("retry-after")),
        (503, None)
    );
    let whole = json!({"stream": false});
    let prose: Value = ask(&base, whole.clone()).await.json().await.unwrap();
    assert!(serde_json::from_str::<Value>(&text_of(&[prose])).is_err());
    let plan: Value = ask(&base, whole).await.json().await.unwrap();
    assert!(serde_json::from_str::<Value>(&text_of(&[plan])).is_ok());
    let calls: Value = reqwest::get(format!("{base}/calls"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(calls.as_array().unwrap().len(), 4);
}
