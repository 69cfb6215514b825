//! The functions: their names, and the environment that each is given.

use std::path::Path;

use crate::options::{Artifacts, Bells, StackOptions};

/// Behind the gateway; one process serves many requests at a time.
pub(crate) const HTTP_FUNCTIONS: [&str; 6] =
    ["compose", "jobs", "report", "health", "admin", "auth"];

/// Invoked with events.
pub(crate) const EVENT_FUNCTIONS: [&str; 5] = ["worker", "sweep", "live", "notify", "deliver"];

/// Invocations that one process of a function serves side by side: for those behind the gateway long polls among them; `None`: one
/// at a time.
fn concurrency(function: &str) -> Option<&'static str> {
    match function {
        "live" => Some("16"),
        // More than their pumps have on the way.
        "notify" | "deliver" => Some("64"),
        name => HTTP_FUNCTIONS.contains(&name).then_some("16"),
    }
}

/// What the functions must know of a stack whose servers run.
pub(crate) struct Addresses<'a> {
    pub(crate) api: &'a str,
    /// Of the management API.
    pub(crate) sockets: &'a str,
    pub(crate) redis: &'a str,
    pub(crate) jen1: &'a str,
    pub(crate) muscgen: &'a str,
    pub(crate) ollama: Option<&'a str>,
    pub(crate) secret: &'a str,
    pub(crate) orchestrator_token: &'a str,
    /// For [`Artifacts::Own`].
    pub(crate) artifacts: &'a Path,
}

/// The configuration that every function gets.
pub(crate) fn configuration(options: &StackOptions, at: &Addresses) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = [
        ("REDIS_URL", at.redis),
        ("PARTITION", &options.partition),
        ("SOCKETS_URL", at.sockets),
        ("JEN1_URL", at.jen1),
        ("MUSCGEN_URL", at.muscgen),
        ("JWT_SECRET", at.secret),
        ("ORCHESTRATOR_TOKEN", at.orchestrator_token),
        ("DEV_MODE", "1"),
        ("LOG_LEVEL", "info"),
        ("RUST_BACKTRACE", "1"),
        // Local stand-ins of AWS take any credentials; without these the SDK would look for an instance role.
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let mut set = |name: &str, value: String| env.push((name.to_owned(), value));
    if let Some(ollama) = at.ollama {
        set("OLLAMA_URL", ollama.to_owned());
    }
    if options.callbacks {
        set("PUBLIC_URL", at.api.to_owned());
    }
    if let Bells::Sqs {
        endpoint,
        queue_url,
        notify_queue_url,
        deliver_queue_url,
        ..
    } = &options.bells
    {
        set("QUEUE_URL", queue_url.clone());
        set("NOTIFY_QUEUE_URL", notify_queue_url.clone());
        set("DELIVER_QUEUE_URL", deliver_queue_url.clone());
        set("AWS_ENDPOINT_URL_SQS", endpoint.clone());
    }
    let artifacts = match &options.artifacts {
        Artifacts::Own => format!("file://{}", at.artifacts.display()),
        Artifacts::Folder(folder) => format!("file://{}", folder.display()),
        Artifacts::S3 {
            endpoint,
            bucket,
            prefix,
        } => {
            set("AWS_ENDPOINT_URL_S3", endpoint.clone());
            format!("s3://{bucket}/{prefix}")
        }
    };
    set("ARTIFACTS_URL", artifacts);
    for (name, value) in &options.env {
        env.retain(|(known, _)| known != name);
        env.push((name.clone(), value.clone()));
    }
    env
}

/// What Lambda itself tells a function, here on behalf of `cargo lambda`.
pub(crate) fn runtime(function: &str, api: &str) -> Vec<(String, String)> {
    let mut env = vec![
        ("AWS_LAMBDA_RUNTIME_API", format!("{api}/.rt/{function}")),
        ("AWS_LAMBDA_FUNCTION_NAME", function.to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024".to_owned()),
    ];
    if let Some(concurrency) = concurrency(function) {
        env.push(("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.to_owned()));
    }
    env.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &StackOptions) -> Vec<(String, String)> {
        let at = Addresses {
            api: "http://127.0.0.1:1",
            sockets: "http://127.0.0.1:5",
            redis: "redis://127.0.0.1:2",
            jen1: "http://127.0.0.1:3",
            muscgen: "http://127.0.0.1:4",
            ollama: None,
            secret: "s",
            orchestrator_token: "t",
            artifacts: Path::new("/run/artifacts"),
        };
        configuration(options, &at)
    }

    fn get<'a>(env: &'a [(String, String)], name: &str) -> Option<&'a str> {
        let mut found = env.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is set twice");
        value
    }

    #[test]
    fn a_queue_and_a_bucket_are_named_only_when_they_are_used() {
        let mut options = StackOptions::default();
        let env = of(&options);
        assert_eq!(get(&env, "QUEUE_URL"), None);
        assert_eq!(get(&env, "NOTIFY_QUEUE_URL"), None);
        assert_eq!(get(&env, "DELIVER_QUEUE_URL"), None);
        assert_eq!(get(&env, "SOCKETS_URL"), Some("http://127.0.0.1:5"));
        assert_eq!(get(&env, "ARTIFACTS_URL"), Some("file:///run/artifacts"));
        assert_eq!(get(&env, "PUBLIC_URL"), Some("http://127.0.0.1:1"));

        options.callbacks = false;
        options.bells = Bells::Sqs {
            endpoint: "http://moto".into(),
            queue_url: "http://moto/q".into(),
            notify_queue_url: "http://moto/n".into(),
            deliver_queue_url: "http://moto/d".into(),
            visibility: Some(30),
        };
        options.artifacts = Artifacts::S3 {
            endpoint: "http://moto".into(),
            bucket: "b".into(),
            prefix: "p".into(),
        };
        let env = of(&options);
        assert_eq!(get(&env, "QUEUE_URL"), Some("http://moto/q"));
        assert_eq!(get(&env, "NOTIFY_QUEUE_URL"), Some("http://moto/n"));
        assert_eq!(get(&env, "DELIVER_QUEUE_URL"), Some("http://moto/d"));
        assert_eq!(get(&env, "ARTIFACTS_URL"), Some("s3://b/p"));
        assert_eq!(get(&env, "AWS_ENDPOINT_URL_S3"), Some("http://moto"));
        assert_eq!(get(&env, "PUBLIC_URL"), None);
    }

    #[test]
    fn what_the_owner_sets_wins() {
        let options = StackOptions {
            env: vec![
                ("SLOTS".into(), "1".into()),
                ("LOG_LEVEL".into(), "debug".into()),
            ],
            ..StackOptions::default()
        };
        let env = of(&options);
        assert_eq!(get(&env, "LOG_LEVEL"), Some("debug"));
        assert_eq!(get(&env, "SLOTS"), Some("1"));
    }

    #[test]
    fn only_the_worker_and_the_sweep_serve_one_invocation_at_a_time() {
        let concurrency = |function| {
            get(
                &runtime(function, "127.0.0.1:9"),
                "AWS_LAMBDA_MAX_CONCURRENCY",
            )
            .map(str::to_owned)
        };
        assert_eq!(concurrency("jobs").as_deref(), Some("16"));
        assert_eq!(concurrency("live").as_deref(), Some("16"));
        assert_eq!(concurrency("notify").as_deref(), Some("64"));
        assert_eq!(concurrency("deliver").as_deref(), Some("64"));
        assert_eq!(concurrency("worker"), None);
        assert_eq!(concurrency("sweep"), None);
    }

    #[test]
    fn the_scripts_build_every_function_and_the_router_knows_those_behind_it() {
        let read = |path: &str| std::fs::read_to_string(crate::root().join(path)).unwrap();
        let script = read("local/prepare.sh");
        let list = script
            .lines()
            .find_map(|line| line.strip_prefix("functions=(")?.strip_suffix(')'));
        let all: Vec<&str> = HTTP_FUNCTIONS.into_iter().chain(EVENT_FUNCTIONS).collect();
        assert_eq!(list.unwrap().split_whitespace().collect::<Vec<_>>(), all);

        let manifest = read("Cargo.toml");
        let (_, router) = manifest
            .split_once("[workspace.metadata.lambda.watch.router]")
            .unwrap();
        for name in HTTP_FUNCTIONS {
            assert!(
                router.contains(&format!("\"{name}\"")),
                "{name} has no route"
            );
        }
    }
}
