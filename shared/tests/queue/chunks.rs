//! The chunks of the comparison with the store.

use std::time::Duration;

use shared::job::JobId;
use shared::queue::Chunk;

use crate::rig::Rig;

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_chunk_is_taken_by_one_at_a_time_until_it_is_done() {
    let rig = Rig::start();
    let queue = &rig.queue;
    assert_eq!(queue.take_chunk(5, LONG).await.unwrap(), None);
    let chunks = [
        Chunk::Live { from: 1, to: 2 },
        Chunk::Due {
            after: None,
            last: JobId::mint(),
        },
    ];
    for chunk in chunks {
        queue.hand_out(chunk).await.unwrap();
    }
    let first = queue.take_chunk(5, LONG).await.unwrap().unwrap();
    let second = queue.take_chunk(5, LONG).await.unwrap().unwrap();
    assert!(chunks.contains(&first.chunk) && chunks.contains(&second.chunk));
    assert_ne!(first.chunk, second.chunk);
    assert_eq!(queue.take_chunk(5, LONG).await.unwrap(), None);
    assert_eq!(queue.chunks().await.unwrap(), 2, "taken is not done");
    for handed in [first, second] {
        queue.chunk_done(handed).await.unwrap();
    }
    assert_eq!(queue.chunks().await.unwrap(), 0);
}

#[tokio::test]
async fn a_chunk_whose_taker_is_lost_is_taken_again_and_never_more_than_so_many() {
    let rig = Rig::start();
    let queue = &rig.queue;
    for from in 0..3 {
        let chunk = Chunk::Live { from, to: from };
        queue.hand_out(chunk).await.unwrap();
    }
    let lost = queue.take_chunk(1, Duration::ZERO).await.unwrap();
    let mut taken = Vec::new();
    for _ in 0..2 {
        taken.extend(queue.take_chunk(3, LONG).await.unwrap());
    }
    assert_eq!(queue.take_chunk(2, LONG).await.unwrap(), None);
    taken.extend(queue.take_chunk(3, LONG).await.unwrap());
    assert_eq!(taken.len(), 3);
    assert!(taken.contains(&lost.unwrap()));
}

#[tokio::test]
async fn what_was_done_of_a_chunk_before_redis_was_emptied_does_not_count() {
    let rig = Rig::start();
    let queue = &rig.queue;
    let chunk = Chunk::Live { from: 1, to: 2 };
    queue.hand_out(chunk).await.unwrap();
    let before = queue.take_chunk(5, LONG).await.unwrap().unwrap();
    // The next step of the sweep meets another server.
    let server = redis::Cmd::hset(queue.keys().clock(), "server", "another");
    let _: i64 = rig.raw(&server).await;
    queue.sweep("").await.unwrap();
    assert_eq!(queue.chunks().await.unwrap(), 0, "all of it comes again");
    queue.hand_out(chunk).await.unwrap();
    queue.chunk_done(before).await.unwrap();
    assert_eq!(queue.chunks().await.unwrap(), 1);
}

#[tokio::test]
async fn what_was_passed_over_of_chunks_is_told_once() {
    let rig = Rig::start();
    for count in [2, 3] {
        rig.queue.count_passed_over(count).await.unwrap();
    }
    for told in [5, 0] {
        assert_eq!(rig.queue.take_passed_over().await.unwrap(), told);
    }
}
