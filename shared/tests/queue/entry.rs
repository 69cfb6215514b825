//! The ways in: every kind of server takes who has the right address, and turns everybody else away at once and with a reason.

use local::redis::RedisKind;
use reqwest::Url;
use shared::queue::{Acquired, Held, QueueError, Settings, Spent};
use shared::stage::Stage;

use crate::connection::{in_time, over};
use crate::redis::{Server, order};
use crate::rig::{new_job, track};

async fn a_job_goes_its_way(kind: RedisKind) {
    let server = Server::of(kind);
    let queue = over(&server.address());
    let job = new_job("a");
    let loaded = true;
    let settings = Settings {
        loaded,
        ..Settings::default()
    };
    queue.configure(&settings).await.unwrap();
    queue.enqueue(&job).await.unwrap();
    let Acquired::Job(_, holder, _) = queue.acquire().await.unwrap().outcome else {
        panic!("no job")
    };
    let spent = Spent::default;
    let advanced = queue.advance(&holder, Stage::Finish, spent()).await;
    assert_eq!(advanced.unwrap().outcome, Held::Ok);
    let done = queue
        .complete(&holder, &track(), spent(), &[])
        .await
        .unwrap();
    assert_eq!((done.outcome, done.debt.ended), (Held::Ok, vec![job.id]));
    assert_eq!(queue.events(job.id, 0).await.unwrap().unwrap().seq, 4);
    assert_eq!(queue.counts().await.unwrap().completed, 1);
    drop(server);
    assert!(in_time(queue.probe()).await.is_err());
}

#[tokio::test]
async fn a_job_goes_its_way_over_tls() {
    a_job_goes_its_way(RedisKind::Tls).await;
}

#[tokio::test]
async fn a_job_goes_its_way_in_a_cluster() {
    a_job_goes_its_way(RedisKind::Cluster).await;
}

#[tokio::test]
async fn a_job_goes_its_way_in_a_cluster_over_tls() {
    a_job_goes_its_way(RedisKind::TlsCluster).await;
}

/// Why an address does not work; the answer comes at once and is not that there was none.
async fn refusal(address: &Url) -> String {
    let error = in_time(over(address.as_str()).probe()).await.unwrap_err();
    assert!(error.changed_nothing());
    let QueueError::OutOfReach(reason) = &error else {
        panic!("{error}")
    };
    assert!(!reason.is_timeout(), "{reason}");
    let told = format!("{error} {error:?}");
    let password = address.password().unwrap_or("-none-");
    assert!(!told.contains(password), "{told}");
    told
}

#[tokio::test]
async fn a_wrong_password_is_refused_at_once_and_not_told_over_tls() {
    for kind in [RedisKind::Tls, RedisKind::TlsCluster] {
        let server = Server::of(kind);
        let mut address = Url::parse(&server.address()).unwrap();
        address.set_password(Some("hunter2")).unwrap();
        let told = refusal(&address).await;
        assert!(told.contains("WRONGPASS"), "{told}");
        address.set_password(None).unwrap();
        let told = refusal(&address).await;
        assert!(told.contains("NOAUTH"), "{told}");
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused_at_once_by_tls() {
    for kind in [RedisKind::Tls, RedisKind::TlsCluster] {
        let server = Server::of(kind);
        let mut address = Url::parse(&server.address()).unwrap();
        let cluster = kind.is_cluster().then_some("cluster=true");
        address.set_query(cluster);
        let told = refusal(&address).await;
        assert!(told.contains("UnknownIssuer"), "{told}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_at_once_by_tls() {
    let server = Server::of(RedisKind::Tls);
    let mut bind = redis::cmd("CONFIG");
    bind.arg("SET").arg("bind").arg("127.0.0.1 127.0.0.2");
    order(&server.address(), &bind);
    // The same server under a name that its certificate does not have.
    let mut address = Url::parse(&server.address()).unwrap();
    address.set_host(Some("127.0.0.2")).unwrap();
    let told = refusal(&address).await;
    assert!(told.contains("not valid for name"), "{told}");
}

#[tokio::test]
async fn a_client_without_tls_is_refused_at_once_by_a_server_with_it() {
    let server = Server::of(RedisKind::Tls);
    let address = format!("redis://:hunter2@127.0.0.1:{}", server.port);
    refusal(&Url::parse(&address).unwrap()).await;
}
