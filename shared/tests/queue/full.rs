//! A full Redis: of all that the queue does, only new work is refused. A method that is not tried here fails the last test.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::Utc;
use shared::envelope::DueName;
use shared::job::{JobId, JobStatus, Progress, TenantId, UserId};
use shared::priority::Priority;
use shared::queue::{
    Acquired, Chunk, Connected, Cursor, DeliveryState, Eviction, Limit, Listed, NewSocket,
};
use shared::queue::{Next, Owner, QueueError, Restored, Settings, Showed, Subscribed, Told};
use shared::queue::{Page, Spent, Waiting};
use shared::stage::Stage;
use uuid::Uuid;

use crate::delivery::{JOB, due, outcome};
use crate::rig::{LONG, NOW, Rig, error, new_job, track};

const MINUTE: Duration = Duration::from_secs(60);

/// The methods that were tried.
#[derive(Default)]
struct Tried(BTreeSet<&'static str>);

impl Tried {
    /// It works as if there were room.
    fn works<T>(&mut self, method: &'static str, answer: Result<T, QueueError>) -> T {
        self.0.insert(method);
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// It is new work: refused, and nothing is changed.
    fn refused<T>(&mut self, method: &'static str, answer: Result<T, QueueError>) {
        self.0.insert(method);
        let Err(error) = answer else {
            panic!("{method} took new work")
        };
        assert!(error.changed_nothing(), "{method}: {error}");
    }

    /// Every public method of the queue was tried.
    fn all(&self) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/queue");
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|f| f.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|e| e == "rs"));
        let texts: Vec<String> = files.map(|f| std::fs::read_to_string(f).unwrap()).collect();
        let methods = texts.iter().flat_map(|text| {
            let after = text.split("pub async fn ").skip(1);
            after.map(|rest| rest.split(['(', '<']).next().unwrap())
        });
        let methods: BTreeSet<&str> = methods.collect();
        assert!(methods.len() > 50, "{methods:?}");
        let tried: BTreeSet<&str> = self.0.iter().copied().collect();
        assert_eq!(methods, tried);
    }
}

/// A job goes from its line to its end, and another one is cancelled, as if there were room.
async fn jobs_end(rig: &Rig, tried: &mut Tried, cancelled: JobId) -> JobId {
    let (queue, spent) = (&rig.queue, Spent::default);
    let acquired = tried.works("acquire", queue.acquire().await).outcome;
    let Acquired::Job(job, holder, _) = acquired else {
        panic!("{acquired:?}")
    };
    tried.works("renew", queue.renew(&holder).await);
    let advanced = queue.advance(&holder, Stage::Audio, spent()).await;
    tried.works("advance", advanced);
    tried.works(
        "release",
        queue.release(&holder, NOW, "busy", spent()).await,
    );
    let holder = rig.take().await;
    let parked = queue.park(&holder, Stage::Audio, LONG, spent()).await;
    tried.works("park", parked);
    let progress = Progress {
        current: 1,
        total: 2,
        percentage: 50,
        message: "half".to_owned(),
    };
    let told = queue.progress(job.id, None, Some(&progress), LONG, spent());
    tried.works("progress", told.await);
    let failure = error(true);
    let failed = queue.fail(job.id, None, &failure, NOW, Next::default(), spent());
    tried.works("fail", failed.await);
    let holder = rig.take().await;
    rig.park_audio(&holder).await;
    let reported = queue.report(job.id, Stage::Audio, None, spent()).await;
    tried.works("report", reported);
    let holder = rig.take().await;
    let (track, cache) = (track(), ["d".to_owned()]);
    let done = queue.complete(&holder, &track, spent(), &cache).await;
    tried.works("complete", done);
    tried.works("settle", queue.settle(job.id, 0).await);
    let moved = queue.reprioritise(cancelled, Priority::High, "moved").await;
    tried.works("reprioritise", moved);
    tried.works("mend", queue.mend(cancelled).await);
    tried.works("cancel", queue.cancel(cancelled, "cancelled").await);
    let record = rig.job(cancelled).await.job;
    tried.works("adopt", queue.adopt(&record, None).await);
    job.id
}

/// What is looked at, and counted on the way.
async fn readers_read(rig: &Rig, tried: &mut Tried, id: JobId) {
    let (queue, alice) = (&rig.queue, TenantId::new("alice"));
    tried.works("read", queue.read(id).await);
    tried.works("read_for", queue.read_for(id, &alice).await);
    tried.works("glance", queue.glance(id).await);
    tried.works("glances", queue.glances(&[id]).await);
    tried.works("events", queue.events(id, 0).await);
    let (owner, status, tag) = (&Owner::User(UserId::new("alice")), None, None);
    let listed = Listed::Jobs { owner, status, tag };
    let (page, _) = tried.works("list", queue.list(&alice, &listed, None, 10).await);
    assert!(matches!(page, Page::Page { jobs, .. } if !jobs.is_empty()));
    tried.works("live_page", queue.live_page(0, 10).await);
    tried.works("live_between", queue.live_between(0, 1).await);
    let waiting = queue.wait(Uuid::new_v4(), &alice, MINUTE, 10).await;
    assert_eq!(tried.works("wait", waiting), Waiting::Ok);
    tried.works("counts", queue.counts().await);
    tried.works("figures", queue.figures().await);
    tried.works("line_of", queue.line_of(&alice).await);
    tried.works("overview", queue.overview().await);
    tried.works("signs", queue.signs().await);
    tried.works("cached", queue.cached(&alice, "d").await);
    let limit = Limit {
        kind: "login",
        who: "a".to_owned(),
        per_minute: 5,
    };
    tried.works("attempt", queue.attempt(&[limit]).await);
    let jti = ["token".to_owned()];
    tried.works("revoke", queue.revoke(&jti, Some(MINUTE)).await);
    let revoked = tried.works("is_revoked", queue.is_revoked("token").await);
    assert_eq!(revoked, Some(true));
}

async fn listeners_hear(rig: &Rig, tried: &mut Tried, id: JobId) {
    let (queue, user) = (&rig.queue, UserId::new("alice"));
    let (ticket, connection) = (Uuid::new_v4(), "one=".parse().unwrap());
    tried.works("issue_ticket", queue.issue_ticket(ticket, MINUTE).await);
    let socket = NewSocket {
        ticket,
        connection: &connection,
        user: &user,
        caller: "{}".to_owned(),
        token: None,
        until_ms: u64::try_from(Utc::now().timestamp_millis()).unwrap() + 60_000,
        most: 2,
    };
    let opened = tried.works("connect", queue.connect(&socket).await);
    assert_eq!(opened, Connected::Ok);
    tried.works("socket", queue.socket(&connection).await);
    for job in [Some((id, 0)), None] {
        let heard = queue.subscribe(&connection, &user, job).await;
        assert_eq!(tried.works("subscribe", heard), Subscribed::Ok);
    }
    let turn = queue.notice(id, Uuid::new_v4(), Told::Nothing).await;
    tried.works("notice", turn);
    tried.works("enlist_feeds", queue.enlist_feeds(id, &user, &[]).await);
    let told = [(connection.clone(), 1)];
    tried.works("told", queue.told(id, &told).await);
    let left = tried.works("listeners", queue.listeners(id, 2).await);
    assert_eq!(left[0].seq, 1);
    tried.works("unsubscribe", queue.unsubscribe(&connection, id).await);
    let forgotten = queue
        .forget_listeners(id, std::slice::from_ref(&connection))
        .await;
    tried.works("forget_listeners", forgotten);
    tried.works("expired_sockets", queue.expired_sockets(Utc::now()).await);
    let ended = tried.works("hang_up", queue.hang_up(&user, None).await);
    assert_eq!(ended, 1);
    let gone = queue.disconnect(&connection, Some(&user)).await;
    tried.works("disconnect", gone);
}

async fn webhooks_are_told(rig: &Rig, tried: &mut Tried, id: JobId) {
    let (queue, alice) = (&rig.queue, TenantId::new("alice"));
    tried.works("hook", queue.hook(std::slice::from_ref(&alice), true).await);
    let hooked = tried.works("is_hooked", queue.is_hooked(&alice).await);
    assert_eq!(hooked, Some(true));
    let (due, name) = (due(0, &[JOB]), DueName::of_end(0));
    tried.works("owe", queue.owe(id, &due, &name).await);
    tried.works("bring", queue.bring(id, &due, &name).await);
    let turn = tried.works("dispatch", queue.dispatch(1).await);
    let pending = outcome(DeliveryState::Pending);
    let noted = queue.delivered(&turn.messages[0], &pending).await;
    tried.works("delivered", noted);
    let again = queue.redeliver(id, &due, &DueName::again(0)).await;
    tried.works("redeliver", again);
    tried.works("due", queue.due().await);
    tried.works("deliveries", queue.deliveries(id).await);
    tried.works("noted", queue.noted(&[id]).await);
    tried.works("forget_failures", queue.forget_failures("alice:x").await);
}

async fn caretaking_goes_on(rig: &Rig, tried: &mut Tried) {
    let queue = &rig.queue;
    let loaded = true;
    let settings = Settings {
        loaded,
        ..Settings::default()
    };
    tried.works("configure", queue.configure(&settings).await);
    let tenants = [TenantId::new("alice")];
    tried.works("revisions", queue.revisions(&tenants).await);
    tried.works("sweep", queue.sweep("").await);
    tried.works("expire", queue.expire().await);
    tried.works("unsettled", queue.unsettled(9).await);
    let broken = queue.breaker("muscgen", Showed::Failed, true).await;
    tried.works("breaker", broken);
    let at = Some(Cursor::Listed { again: true });
    let noted = queue.set_reconcile_cursor(at).await;
    tried.works("set_reconcile_cursor", noted);
    let read = tried.works("reconcile_cursor", queue.reconcile_cursor().await);
    assert_eq!(read, at);
    let out = queue.hand_out(Chunk::Live { from: 0, to: 1 }).await;
    tried.works("hand_out", out);
    let taken = tried.works("take_chunk", queue.take_chunk(1, MINUTE).await);
    assert_eq!(tried.works("chunks", queue.chunks().await), 1);
    tried.works("chunk_done", queue.chunk_done(taken.unwrap()).await);
    tried.works("count_passed_over", queue.count_passed_over(2).await);
    let counted = queue.take_passed_over().await;
    assert_eq!(tried.works("take_passed_over", counted), 2);
    let now = Utc::now();
    let first = tried.works("emptied_at", queue.emptied_at(now).await);
    assert_eq!(first.timestamp_millis(), now.timestamp_millis());
    tried.works("begin_epoch", queue.begin_epoch().await);
    assert!(queue.sweep("").await.unwrap().outcome.epoch);
    tried.works("round_over", queue.round_over(now, 0).await);
    let round = queue.signs().await.unwrap().round;
    assert!(round.is_some_and(|since| since < MINUTE));
}

#[tokio::test]
async fn a_full_redis_refuses_new_work_and_nothing_else() {
    let rig = Rig::start();
    let failed = rig.ended("bob", JobStatus::Failed).await;
    let (_, cancelled) = (rig.put("alice").await, rig.put("alice").await);
    rig.load().await;
    let tried = &mut Tried::default();
    assert_eq!(rig.queue.probe().await.unwrap(), Eviction::Never);
    rig.fill_redis().await;

    let (queue, new) = (&rig.queue, new_job("alice"));
    tried.refused("probe", queue.probe().await);
    tried.refused("enqueue", queue.enqueue(&new).await);
    let cached = queue.enqueue_cached(&new, &track()).await;
    tried.refused("enqueue_cached", cached);
    let retried = queue.retry(failed, 1, new.start_by, new.finish_by, "again");
    tried.refused("retry", retried.await);
    let proven = Restored {
        stage: Stage::Plan,
        generation: 0,
    };
    let again = queue.retry_forgotten(&new, proven, "again").await;
    tried.refused("retry_forgotten", again);
    let (start_by, finish_by) = (new.start_by, new.finish_by);
    let again = queue.restore_retry(failed, 1, start_by, finish_by).await;
    tried.refused("restore_retry", again);
    tried.works("admits", queue.admits(&new.tenant).await);
    tried.works("refuse", queue.refuse(new_job("alice").id).await);
    // It is in the store until there is room again.
    tried.refused("restore", queue.restore(&new, proven).await);

    let id = jobs_end(&rig, tried, cancelled).await;
    readers_read(&rig, tried, id).await;
    listeners_hear(&rig, tried, id).await;
    webhooks_are_told(&rig, tried, id).await;
    caretaking_goes_on(&rig, tried).await;
    tried.works("delete", queue.delete(id).await);
    tried.all();
}
