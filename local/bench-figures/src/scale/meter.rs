//! What Redis itself says of the calls of a script.

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, cmd};

/// Of one batch of calls of one script.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) calls: u64,
    /// Mean in the server, by the wall clock, in µs.
    pub(crate) mean: f64,
    /// 99th in a hundred, in µs.
    pub(crate) p99: f64,
    /// Processor time a call, reading and answering included, in µs.
    pub(crate) cpu: f64,
}

/// The processor time at the start of a batch.
pub(crate) struct Started(f64);

/// From here on only what is measured runs scripts.
pub(crate) async fn start(redis: &mut MultiplexedConnection) -> Result<Started, RedisError> {
    cmd("CONFIG").arg("RESETSTAT").exec_async(redis).await?;
    Ok(Started(cpu(redis).await?))
}

pub(crate) async fn stop(
    redis: &mut MultiplexedConnection,
    started: Started,
) -> Result<Cost, RedisError> {
    let cpu = cpu(redis).await? - started.0;
    let calls = info(redis, "commandstats").await?;
    let quantiles = info(redis, "latencystats").await?;
    let field = |info: &HashMap<String, String>, key: &str, name: &str| {
        let fields = info.get(key)?;
        let value = fields
            .split(',')
            .find_map(|f| f.strip_prefix(name)?.strip_prefix('='))?;
        value.parse::<f64>().ok()
    };
    let evalsha = |name| field(&calls, "cmdstat_evalsha", name).unwrap_or(0.0);
    let n = evalsha("calls").max(1.0);
    Ok(Cost {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of calls"
        )]
        calls: n as u64,
        mean: evalsha("usec") / n,
        p99: field(&quantiles, "latency_percentiles_usec_evalsha", "p99").unwrap_or(0.0),
        cpu: cpu / n,
    })
}

/// Processor time of the thread that runs scripts, in µs.
pub(crate) async fn cpu(redis: &mut MultiplexedConnection) -> Result<f64, RedisError> {
    let info = info(redis, "cpu").await?;
    let seconds = |name: &str| {
        info.get(name)
            .and_then(|t| t.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    Ok((seconds("used_cpu_sys_main_thread") + seconds("used_cpu_user_main_thread")) * 1e6)
}

async fn info(
    redis: &mut MultiplexedConnection,
    section: &str,
) -> Result<HashMap<String, String>, RedisError> {
    let text: String = cmd("INFO").arg(section).query_async(redis).await?;
    let lines = text.lines().filter_map(|line| line.trim().split_once(':'));
    Ok(lines
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

/// Measures a batch of calls and notes it under the script's name.
macro_rules! timed {
    ($site:ident, $costs:ident, $name:literal, $calls:block) => {
        let started = $crate::scale::meter::start(&mut $site.raw).await?;
        $calls
        $costs.push(($name, $crate::scale::meter::stop(&mut $site.raw, started).await?));
    };
}
pub(super) use timed;
