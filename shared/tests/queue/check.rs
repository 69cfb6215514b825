//! What must hold after every transition, whatever it was.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use redis::Cmd;
use shared::job::{JobStatus, TenantId, UserId};
use shared::queue::Owner;

use crate::rig::Rig;

/// Reads the whole partition and panics where an invariant is broken.
pub(crate) async fn check(rig: &Rig) {
    let keys = rig.queue.keys();
    let names: Vec<String> = rig.raw(redis::cmd("KEYS").arg("*")).await;
    let named = |kind: &str| -> BTreeSet<String> {
        let prefix = format!("{}:{kind}:", keys.tag());
        let rest = |name: &String| Some(name.strip_prefix(&prefix)?.to_owned());
        names.iter().filter_map(rest).collect()
    };
    let mut places: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (place, key) in [
        ("lease", keys.lease()),
        ("delayed", keys.delayed()),
        ("finish", keys.finish()),
    ] {
        for id in members(rig, &key).await {
            places.entry(id).or_default().push(place);
        }
    }

    let ready = members(rig, &keys.ready()).await;
    let mut tenants: BTreeSet<String> = ready.iter().cloned().collect();
    for kind in ["q", "run", "tenant"] {
        tenants.extend(named(kind));
    }
    let mut running = BTreeSet::new();
    let (mut backlog, mut load) = (BTreeMap::new(), BTreeMap::new());
    for name in tenants {
        let tenant = TenantId::new(&name);
        let line = members(rig, &keys.line(&tenant)).await;
        let run = members(rig, &keys.running(&tenant)).await;
        let own = Cmd::hmget(keys.tenant(&tenant), &["cap", "paused"]);
        let (cap, paused): (Option<usize>, Option<u32>) = rig.raw(&own).await;
        let cap = cap.unwrap_or(rig.queue.policy().cap as usize);
        let may_run = !line.is_empty() && run.len() < cap && paused != Some(1);
        assert_eq!(ready.contains(&name), may_run, "{name} in ready");
        if !line.is_empty() {
            backlog.insert(name.clone(), line.len().to_string());
        }
        let weight = waiting(rig, &line).await;
        let known: HashMap<String, String> = rig.raw(&Cmd::hgetall(keys.tenant(&tenant))).await;
        for level in 0..3 {
            let name = format!("c{level}");
            let own = weight.get(&name).copied().unwrap_or(0);
            assert_eq!(
                known.get(&name).map_or(0, |n| n.parse().unwrap()),
                own,
                "{tenant} {name}"
            );
        }
        for (name, n) in weight {
            *load.entry(name).or_insert(0) += n;
        }
        for id in line {
            places.entry(id).or_default().push("line");
        }
        running.extend(run);
    }
    let known: BTreeMap<String, i64> = rig.raw(&Cmd::hgetall(keys.load())).await;
    assert_eq!(known, load, "what waits at each level");
    let known: Vec<(String, String)> = rig
        .raw(&Cmd::zrange_withscores(keys.backlog(), 0, -1))
        .await;
    assert_eq!(known.into_iter().collect::<BTreeMap<_, _>>(), backlog);
    let leased: BTreeSet<String> = members(rig, &keys.lease()).await.into_iter().collect();
    assert_eq!(
        leased, running,
        "leases are the running jobs of all tenants"
    );

    let jobs = named("job");
    for list in names
        .iter()
        .filter(|name| name.contains(":by_user:") || name.contains(":kept:"))
    {
        for id in members(rig, list).await {
            assert!(
                jobs.contains(&id),
                "{list} has {id}, of which nothing is known"
            );
        }
    }
    for id in jobs {
        let place = places.remove(&id).unwrap_or_default();
        check_job(rig, &id, &place).await;
    }
    assert_eq!(places, BTreeMap::new(), "places of jobs that do not exist");

    let fence: Option<u64> = rig.raw(&Cmd::hget(keys.clock(), "fence")).await;
    rig.fence_is_now(fence.unwrap_or(0));
}

async fn check_job(rig: &Rig, id: &str, place: &[&str]) {
    type Read = (
        HashMap<String, String>,
        i64,
        Option<f64>,
        Option<f64>,
        Option<f64>,
    );
    let keys = rig.queue.keys();
    let key = keys.job(id.parse().unwrap());
    let mut pipe = redis::pipe();
    pipe.hgetall(&key).pttl(&key);
    for clock in [keys.outbox(), keys.start_by(), keys.finish_by()] {
        pipe.zscore(clock, id);
    }
    let (fields, rest, owed, start_by, finish_by): Read =
        rig.queue.redis().pipe(&pipe).await.unwrap();
    let status: JobStatus = fields["status"].parse().unwrap();
    let own = keys.kept_of(&TenantId::stored(&fields["tenant"]));
    let kept: Option<f64> = rig.raw(&Cmd::zscore(own, id)).await;
    assert_eq!(rest, -1, "{id} goes by itself");
    let said = format!("{id} is {status}, stands in {place:?}, kept {kept:?}: {fields:?}");
    check_lists(rig, id, &fields["user"], status).await;
    if status.is_terminal() {
        assert!(place.is_empty(), "{said}");
        assert!(
            owed.is_some() != kept.is_some(),
            "kept or in outbox: {said}"
        );
        assert!(start_by.or(finish_by).is_none(), "a clock runs on: {said}");
        return;
    }
    assert_eq!(place.len(), 1, "{said}");
    assert_eq!(place[0] == "finish", fields["stage"] == "finish", "{said}");
    match place[0] {
        "lease" => assert_eq!(status, JobStatus::Processing, "{said}"),
        "line" | "delayed" => assert_eq!(status, JobStatus::Queued, "{said}"),
        _ => {}
    }
    assert!(owed.or(kept).is_none(), "{said}");
    assert!(finish_by.is_some(), "nothing ends it: {said}");
    let started = fields.contains_key("started_ms");
    assert!(
        !(started && start_by.is_some()),
        "startBy after it started: {said}"
    );
}

/// A job is in the list of its status and in no other's: its user's, and everybody's.
async fn check_lists(rig: &Rig, id: &str, user: &str, status: JobStatus) {
    for owner in [Owner::User(UserId::stored(user)), Owner::Everybody] {
        let mut pipe = redis::pipe();
        for list in JobStatus::ALL {
            let list = rig.queue.keys().by_user(&owner, list.as_str());
            pipe.zscore(list, id);
        }
        let scores: Vec<Option<f64>> = rig.queue.redis().pipe(&pipe).await.unwrap();
        for (list, score) in JobStatus::ALL.into_iter().zip(scores) {
            let said = format!("{id} is {status}, and in the list of {list} of {owner}");
            assert_eq!(score.is_some(), list == status, "{said}");
        }
    }
}

/// `n<level>` jobs and `c<level>` audio seconds of a line, from the jobs themselves.
async fn waiting(rig: &Rig, line: &[String]) -> BTreeMap<String, i64> {
    let mut all = BTreeMap::new();
    for id in line {
        let key = rig.queue.keys().job(id.parse().unwrap());
        let own = Cmd::hmget(key, &["level", "cost"]);
        let (level, cost): (u32, i64) = rig.raw(&own).await;
        *all.entry(format!("n{level}")).or_insert(0) += 1;
        *all.entry(format!("c{level}")).or_insert(0) += cost;
    }
    all
}

async fn members(rig: &Rig, key: &str) -> Vec<String> {
    rig.raw(&Cmd::zrange(key, 0, -1)).await
}
