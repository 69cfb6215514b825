//! Services that fail or are busy are left alone, and the line waits for those that no job can do without.

use std::time::Duration;

use redis::Cmd;
use shared::queue::{Acquired, Answer, Breaker, FAILURES, OPEN, Showed, Spent, millis};
use shared::stage::Stage;

use crate::rig::Rig;

const SERVICE: &str = "muscgen";

async fn told(rig: &Rig, showed: Showed) -> Answer<Breaker> {
    rig.breaker(SERVICE, showed, true).await
}

async fn open(rig: &Rig) -> Answer<Breaker> {
    for _ in 1..FAILURES {
        assert_eq!(told(rig, Showed::Failed).await.outcome, Breaker::Closed);
    }
    told(rig, Showed::Failed).await
}

/// Moves the service's moment of this name into the past.
async fn let_pass(rig: &Rig, moment: &str) {
    let key = rig.queue.keys().breaker();
    let field = format!("{SERVICE}:{moment}");
    let _: () = rig.raw(&Cmd::hset(key, field, 1)).await;
}

/// The line's hold runs out.
async fn hold_is_over(rig: &Rig) {
    let_pass(rig, "until").await;
    let _: () = rig.raw(&Cmd::del(rig.queue.keys().hold())).await;
}

#[tokio::test]
async fn a_service_that_fails_five_times_in_a_row_is_left_alone_and_the_line_waits() {
    let rig = Rig::start();
    let id = rig.put("a").await;
    let answer = open(&rig).await;
    let wait_ms = millis(OPEN);
    assert_eq!(answer.outcome, Breaker::Open { wait_ms });
    assert_eq!((answer.debt.ring, answer.debt.ring_later), (0, Some(OPEN)));
    assert_eq!(rig.acquire().await.outcome, Acquired::Held);
    assert_eq!(rig.job(id).await.waiting.unwrap().code, "hold");
    let asked = told(&rig, Showed::Asked).await.outcome;
    assert!(
        matches!(asked, Breaker::Open { wait_ms } if wait_ms <= millis(OPEN) && wait_ms > millis(OPEN) - 5_000)
    );
}

#[tokio::test]
async fn after_each_span_one_call_is_let_through_and_the_line_waits_on() {
    let rig = Rig::start();
    rig.put("a").await;
    open(&rig).await;
    for _ in 0..2 {
        hold_is_over(&rig).await;
        assert_eq!(told(&rig, Showed::Asked).await.outcome, Breaker::Closed);
        let second = told(&rig, Showed::Asked).await.outcome;
        assert!(matches!(second, Breaker::Open { .. }), "{second:?}");
        assert_eq!(rig.acquire().await.outcome, Acquired::Held);
        let failed = told(&rig, Showed::Failed).await.outcome;
        assert!(matches!(failed, Breaker::Open { .. }), "{failed:?}");
    }
}

#[tokio::test]
async fn an_answer_ends_the_wait_and_rings_for_the_line() {
    let rig = Rig::start();
    for tenant in ["a", "b"] {
        rig.put(tenant).await;
    }
    open(&rig).await;
    let answer = told(&rig, Showed::Answered).await;
    assert_eq!((answer.outcome, answer.debt.ring), (Breaker::Closed, 2));
    assert_eq!(told(&rig, Showed::Failed).await.outcome, Breaker::Closed);
    rig.take().await;
}

#[tokio::test]
async fn a_line_that_waits_for_two_services_waits_on_when_one_answers() {
    let rig = Rig::start();
    rig.put("a").await;
    open(&rig).await;
    for _ in 0..FAILURES {
        rig.breaker("jen1", Showed::Failed, true).await;
    }
    rig.breaker("jen1", Showed::Answered, true).await;
    let holder = rig.take().await;
    let asked = told(&rig, Showed::Asked).await.outcome;
    assert!(matches!(asked, Breaker::Open { .. }), "{asked:?}");
    rig.give_back(&holder).await;
    assert_eq!(rig.acquire().await.outcome, Acquired::Held);
}

#[tokio::test]
async fn failures_that_lie_far_apart_are_not_counted_together() {
    let rig = Rig::start();
    for _ in 0..2 * FAILURES {
        assert_eq!(told(&rig, Showed::Failed).await.outcome, Breaker::Closed);
        let_pass(&rig, "at").await;
    }
}

#[tokio::test]
async fn the_line_waits_for_a_busy_service_until_it_asked_or_a_render_is_over() {
    let rig = Rig::start();
    let (id, next) = (rig.put("a").await, rig.put("b").await);
    let holder = rig.take().await;
    assert_eq!(holder.id, id);
    let busy = told(&rig, Showed::Busy(Duration::from_secs(7))).await;
    assert_eq!(busy.outcome, Breaker::Open { wait_ms: 7_000 });
    assert_eq!(busy.debt.ring_later, Some(Duration::from_secs(7)));
    assert_eq!(rig.acquire().await.outcome, Acquired::Held);
    assert_eq!(rig.job(next).await.waiting.unwrap().code, "busy");

    let made = rig.advance(&holder, Stage::Finish, Spent::default()).await;
    assert_eq!(made.debt.ring, 1);
    rig.take().await;

    let busy = told(&rig, Showed::Busy(Duration::from_secs(3600))).await;
    assert_eq!(
        busy.outcome,
        Breaker::Open { wait_ms: 30_000 },
        "however long it asked for"
    );
}

#[tokio::test]
async fn a_service_that_some_jobs_can_do_without_holds_up_nobody() {
    let rig = Rig::start();
    rig.put("a").await;
    for _ in 1..FAILURES {
        let failed = rig.breaker("ollama", Showed::Failed, false).await;
        assert_eq!(failed.outcome, Breaker::Closed);
    }
    rig.breaker("ollama", Showed::Failed, false).await;
    let asked = rig.breaker("ollama", Showed::Asked, false).await;
    assert!(matches!(asked.outcome, Breaker::Open { .. }) && asked.debt.ring_later.is_none());
    rig.take().await;
}

#[tokio::test]
async fn who_is_given_a_job_is_told_which_services_failed_of_late() {
    let rig = Rig::start();
    rig.put("a").await;
    rig.put("b").await;
    told(&rig, Showed::Failed).await;
    let Acquired::Job(_, _, troubled) = rig.acquire().await.outcome else {
        panic!("there was a job")
    };
    assert!(troubled.has(SERVICE) && !troubled.has("jen1"));
    told(&rig, Showed::Answered).await;
    let Acquired::Job(_, _, troubled) = rig.acquire().await.outcome else {
        panic!("there was a job")
    };
    assert!(!troubled.has(SERVICE));
}
