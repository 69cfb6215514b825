//! Which keys hold the memory.

use std::collections::BTreeMap;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, cmd};

/// Keys of one kind.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Kind {
    pub(super) keys: u64,
    pub(super) bytes: u64,
}

/// Bytes that Redis uses for all it holds.
pub(super) async fn used(redis: &mut MultiplexedConnection) -> Result<u64, RedisError> {
    let info: String = cmd("INFO").arg("memory").query_async(redis).await?;
    let line = info.lines().find_map(|l| l.strip_prefix("used_memory:"));
    Ok(line.and_then(|n| n.trim().parse().ok()).unwrap_or(0))
}

/// `MEMORY USAGE` of every key, summed by the first words of its name.
pub(super) async fn measure(
    redis: &mut MultiplexedConnection,
) -> Result<BTreeMap<String, Kind>, RedisError> {
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    let mut cursor = 0_u64;
    loop {
        let (next, keys): (u64, Vec<String>) = cmd("SCAN")
            .arg(cursor)
            .arg("COUNT")
            .arg(1000)
            .query_async(redis)
            .await?;
        let mut pipe = redis::pipe();
        for key in &keys {
            pipe.cmd("MEMORY")
                .arg("USAGE")
                .arg(key)
                .arg("SAMPLES")
                .arg(0);
        }
        let sizes: Vec<Option<u64>> = if keys.is_empty() {
            vec![]
        } else {
            pipe.query_async(redis).await?
        };
        for (key, size) in keys.iter().zip(sizes) {
            let kind = kinds.entry(kind(key)).or_default();
            kind.keys += 1;
            kind.bytes += size.unwrap_or(0);
        }
        cursor = next;
        if cursor == 0 {
            return Ok(kinds);
        }
    }
}

fn kind(key: &str) -> String {
    let parts: Vec<_> = key.split(':').skip(1).collect();
    match parts.as_slice() {
        ["by_user", "*", rest @ ..] => format!("by_user:*{}", filter(rest)),
        ["by_user", _, rest @ ..] => format!("by_user:<user>{}", filter(rest)),
        [name] => (*name).to_owned(),
        [name, ..] => format!("{name}:…"),
        [] => key.to_owned(),
    }
}

fn filter(rest: &[&str]) -> String {
    match rest {
        [] => String::new(),
        [tag, ..] if tag.starts_with('#') => ":#<tag>".to_owned(),
        [status, ..] => format!(":{status}"),
    }
}
