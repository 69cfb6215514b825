//! `GET /jobs`: whose jobs, which of them, in which order, page by page.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::{held_by_the_model, quiet, refused, with_token};
use crate::app::{ALICE, App};

/// More pages than any list here has.
const PAGES: usize = 100;
const CAROL: &str = "carol@example.com";

#[tokio::test]
async fn lists_show_the_right_jobs_page_by_page() {
    let mut options = quiet();
    options.env = vec![("SLOTS".to_owned(), "1".to_owned())];
    let app = App::with(options).await;
    // It has the one slot: every other job stays in line.
    let (running, _) = held_by_the_model(&app).await;
    let mut alices = vec![running.clone()];
    for n in 0..12 {
        let tags: &[&str] = if n % 2 == 0 {
            &["wet", "n.1_a-b"]
        } else {
            &["dry"]
        };
        alices.push(submit(&app, ALICE, tags).await);
    }
    let together = (0..8).map(|_| submit(&app, ALICE, &["wet"]));
    alices.extend(futures_util::future::join_all(together).await);

    everything_is_listed_newest_first(&app, &alices).await;
    pages_have_neither_gaps_nor_repeats_while_jobs_are_added(&app, &mut alices).await;
    status_and_tag_filter_alone_and_together(&app, &running).await;
    a_cursor_works_for_its_caller_and_filter_only(&app).await;
    an_admin_sees_everybody_or_one_user(&app, &alices).await;
    app.stop().await;
}

async fn submit(app: &App, user: &str, tags: &[&str]) -> String {
    let body = json!({"narrative": "rain", "duration": 5, "tags": tags});
    let job: Value = app.post("/jobs", user, &body).await.json().await.unwrap();
    job["jobId"].as_str().unwrap().to_owned()
}

async fn page(app: &App, token: &str, query: &str) -> (Vec<Value>, Option<String>) {
    let request = with_token(app, Method::GET, &format!("/jobs?{query}"), Some(token));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{query}");
    let page: Value = answer.json().await.unwrap();
    let cursor = page["nextCursor"].as_str().map(str::to_owned);
    (page["items"].as_array().unwrap().clone(), cursor)
}

/// All pages in a row.
async fn pages(app: &App, token: &str, query: &str) -> Vec<Value> {
    let (mut all, mut cursor) = page(app, token, query).await;
    for _ in 0..PAGES {
        let Some(from) = cursor else { return all };
        let next = page(app, token, &format!("{query}&cursor={from}")).await;
        all.extend(next.0);
        cursor = next.1;
    }
    panic!("{query} has no end");
}

fn ids(items: &[Value]) -> Vec<String> {
    let id = |job: &Value| job["jobId"].as_str().unwrap().to_owned();
    items.iter().map(id).collect()
}

fn set(ids: &[String]) -> BTreeSet<String> {
    ids.iter().cloned().collect()
}

fn token(app: &App, user: &str) -> String {
    app.stack.token("user", user).unwrap()
}

async fn everything_is_listed_newest_first(app: &App, alices: &[String]) {
    let alice = token(app, ALICE);
    for limit in [1, 7, 21, 100] {
        let items = pages(app, &alice, &format!("limit={limit}")).await;
        assert_eq!(items.len(), alices.len(), "limit {limit}");
        assert_eq!(set(&ids(&items)), set(alices), "limit {limit}");
        // As times: a whole second is written without a fraction, and does not sort as a text.
        let time = |job: &Value| job["createdAt"].as_str().unwrap().parse().unwrap();
        let created: Vec<chrono::DateTime<chrono::Utc>> = items.iter().map(time).collect();
        assert!(
            created.is_sorted_by(|newer, older| newer >= older),
            "{created:?}"
        );
    }
    let (items, cursor) = page(app, &alice, "").await;
    assert_eq!(
        (items.len(), cursor.is_some()),
        (20, true),
        "the default limit"
    );
    let (items, cursor) = page(app, &alice, "limit=100").await;
    assert_eq!((items.len(), cursor), (alices.len(), None));
    let of_list = items.iter().find(|job| job["status"] == "queued").unwrap();
    // What the job itself has and a list leaves out.
    let mut job = app.job(of_list["jobId"].as_str().unwrap()).await;
    for name in ["options", "eta", "waiting"] {
        assert!(
            job.as_object_mut().unwrap().remove(name).is_some(),
            "{name}"
        );
    }
    assert_eq!(job, *of_list);
}

async fn pages_have_neither_gaps_nor_repeats_while_jobs_are_added(
    app: &App,
    alices: &mut Vec<String>,
) {
    let (alice, before) = (token(app, ALICE), set(alices));
    let (mut items, mut cursor) = page(app, &alice, "limit=4").await;
    while let Some(from) = cursor {
        alices.push(submit(app, ALICE, &["dry"]).await);
        assert!(alices.len() < PAGES, "the list has no end");
        let next = page(app, &alice, &format!("limit=4&cursor={from}")).await;
        items.extend(next.0);
        cursor = next.1;
    }
    assert_eq!(items.len(), before.len());
    assert_eq!(set(&ids(&items)), before);
}

async fn status_and_tag_filter_alone_and_together(app: &App, running: &str) {
    let alice = token(app, ALICE);
    let wet = pages(app, &alice, "tag=wet&limit=5").await;
    assert_eq!(wet.len(), 14);
    let has_tag = |job: &Value| job["tags"].as_array().unwrap().contains(&json!("wet"));
    assert!(wet.iter().all(has_tag));
    assert_eq!(pages(app, &alice, "tag=n.1_a-b").await.len(), 6);
    assert_eq!(pages(app, &alice, "tag=never").await.len(), 0);

    let gone: Vec<String> = ids(&wet).into_iter().step_by(3).collect();
    for id in &gone {
        let answer = app
            .post(&format!("/jobs/{id}/cancel"), ALICE, &json!(null))
            .await;
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(
        ids(&pages(app, &alice, "status=processing").await),
        [running]
    );
    assert_eq!(
        ids(&pages(app, &alice, "status=cancelled&limit=2").await),
        gone
    );
    assert_eq!(pages(app, &alice, "status=completed").await.len(), 0);
    for limit in [1, 3, 100] {
        let both = pages(
            app,
            &alice,
            &format!("status=cancelled&tag=wet&limit={limit}"),
        )
        .await;
        assert_eq!(ids(&both), gone, "limit {limit}");
        let dry = pages(
            app,
            &alice,
            &format!("tag=dry&status=cancelled&limit={limit}"),
        )
        .await;
        assert_eq!(dry.len(), 0, "limit {limit}");
    }
    let waiting = pages(app, &alice, "status=queued&tag=wet&limit=2").await;
    assert_eq!(waiting.len(), wet.len() - gone.len());
}

async fn a_cursor_works_for_its_caller_and_filter_only(app: &App) {
    submit(app, "bob", &["wet"]).await;
    let (alice, bob) = (token(app, ALICE), token(app, "bob"));
    let cursor = page(app, &alice, "limit=2&tag=wet").await.1.unwrap();
    let admin = app.stack.token("admin", ALICE).unwrap();
    let changed = format!("{}A", &cursor[..cursor.len() - 1]);
    let turned: String = cursor.chars().rev().collect();
    for (who, query) in [
        (&bob, format!("tag=wet&cursor={cursor}")),
        (&admin, format!("tag=wet&cursor={cursor}")),
        (&alice, format!("cursor={cursor}")),
        (&alice, format!("tag=dry&cursor={cursor}")),
        (&alice, format!("tag=wet&status=queued&cursor={cursor}")),
        (&alice, format!("tag=wet&cursor={changed}")),
        (&alice, format!("tag=wet&cursor={turned}")),
    ] {
        let request = with_token(app, Method::GET, &format!("/jobs?{query}"), Some(who));
        let problem = refused(request.send().await.unwrap(), 400, "invalid_query").await;
        assert_eq!(
            super::fields(&problem),
            [("/cursor", "invalid_cursor")],
            "{query}"
        );
    }
    let (items, _) = page(app, &alice, &format!("limit=5&tag=wet&cursor={cursor}")).await;
    assert_eq!(items.len(), 5, "the length of a page may change");
    let (own, _) = page(app, &alice, "user=alice&limit=1").await;
    assert_eq!(own.len(), 1, "one's own name is no other user");
}

async fn an_admin_sees_everybody_or_one_user(app: &App, alices: &[String]) {
    let carols = [submit(app, CAROL, &["wet"]).await];
    let admin = app.stack.token("admin", "root").unwrap();
    let all = set(&ids(&pages(app, &admin, "limit=9").await));
    assert!(alices.iter().chain(&carols).all(|id| all.contains(id)));
    assert_eq!(all.len(), alices.len() + 2, "hers, hers and bob's");
    assert_eq!(
        set(&ids(&pages(app, &admin, "user=alice").await)),
        set(alices)
    );
    assert_eq!(
        ids(&pages(app, &admin, "user=carol%40example.com&tag=wet").await),
        carols
    );
    assert_eq!(ids(&pages(app, &token(app, CAROL), "").await), carols);
    assert_eq!(pages(app, &admin, "user=nobody").await.len(), 0);
}
