//! Reports with a role token: a service speaks for a model, on the present run, while a model holds the job.

use serde_json::json;

use super::report::{says, taken, tone, upload};
use super::{held_by_the_model, quiet, refused, report};
use crate::app::{App, Model, PATIENCE, at, ten_seconds};

#[tokio::test]
async fn a_service_may_report_while_a_model_holds_the_job() {
    let app = App::with(quiet()).await;
    a_role_token_speaks_while_a_model_holds_the_job(&app).await;
    a_role_token_is_refused_while_nobody_holds_the_job_and_changes_nothing(&app).await;
    the_same_holds_where_a_worker_waits_for_the_generator(&app).await;
    app.stop().await;
}

async fn a_role_token_speaks_while_a_model_holds_the_job(app: &App) {
    for role in ["orchestrator", "system", "worker"] {
        let (id, _) = held_by_the_model(app).await;
        let token = app.stack.token(role, "api").unwrap();
        taken(report(app, &token, says(&id, "progress", json!(null))).await).await;
        assert_eq!(app.job(&id).await["progress"]["percentage"], 50);
        let completed = says(&id, "completed", json!({"uploaded": true}));
        refused(
            report(app, &token, completed.clone()).await,
            409,
            "not_uploaded",
        )
        .await;
        assert_eq!(upload(app, &id, &token, tone()).await.status(), 200);
        taken(report(app, &token, completed).await).await;
        app.until_completed(&id).await;
    }
}

async fn a_role_token_is_refused_while_nobody_holds_the_job_and_changes_nothing(app: &App) {
    // Four are being planned, each in a worker's own hands; the fifth waits.
    app.faults(Model::Jen1, json!({"planSeconds": 8})).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(app.submit(ten_seconds()).await);
    }
    for id in &ids {
        app.until(id, PATIENCE, at("processing", "plan")).await;
    }
    ids.push(app.submit(ten_seconds()).await);
    let token = app.stack.token("orchestrator", "api").unwrap();
    for (id, status) in [(&ids[3], "processing"), (&ids[4], "queued")] {
        let before = (app.job(id).await, app.objects(id));
        assert_eq!(before.0["status"], status);
        for kind in ["status", "progress", "failed"] {
            refused(
                report(app, &token, says(id, kind, json!({}))).await,
                409,
                "stale_fence",
            )
            .await;
        }
        let plan = says(id, "completed", json!({"plan": {"title": "Nobody asked"}}));
        refused(report(app, &token, plan).await, 409, "not_parked").await;
        let audio = says(
            id,
            "completed",
            json!({"audioUrl": "http://127.0.0.1:9/a.wav"}),
        );
        refused(report(app, &token, audio).await, 409, "not_rendering").await;
        refused(upload(app, id, &token, tone()).await, 409, "not_rendering").await;
        assert_eq!(
            (app.job(id).await, app.objects(id)),
            before,
            "a refusal leaves nothing"
        );
    }
    app.faults(Model::Jen1, json!({"planSeconds": 0})).await;
    app.faults(Model::Muscgen, json!({"renderSeconds": 0.2}))
        .await;
    for id in &ids {
        let job = app.until_completed(id).await;
        assert_ne!(job["plan"]["title"], "Nobody asked");
    }
}

async fn the_same_holds_where_a_worker_waits_for_the_generator(app: &App) {
    let token = app.stack.token("orchestrator", "api").unwrap();
    app.faults(Model::Muscgen, json!({"mode": "sync", "renderSeconds": 6}))
        .await;
    let id = app.submit(ten_seconds()).await;
    local::until(PATIENCE, async || {
        (!app.calls(Model::Muscgen, &id).await.is_empty()).then_some(())
    })
    .await
    .expect("the render has begun");
    let before = (app.job(&id).await, app.objects(&id));
    let audio = says(
        &id,
        "completed",
        json!({"audioUrl": "http://127.0.0.1:9/a.wav"}),
    );
    refused(report(app, &token, audio).await, 409, "not_parked").await;
    refused(upload(app, &id, &token, tone()).await, 409, "not_rendering").await;
    assert_eq!(
        (app.job(&id).await, app.objects(&id)),
        before,
        "a refusal leaves nothing"
    );
    assert_eq!(app.until_completed(&id).await["attempt"], 1);
}
