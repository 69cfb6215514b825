//! The configuration, from maps in place of the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::*;

const SECRET: &str = "a-secret-of-more-than-thirty-two-bytes";

fn least() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("REDIS_URL", "redis://127.0.0.1:6379"),
        ("ARTIFACTS_URL", "file:///tmp/tutti"),
        ("JWT_SECRET", SECRET),
    ])
}

fn read(variables: &BTreeMap<&str, &str>) -> Result<Config, String> {
    Config::read(|name| variables.get(name).map(|&value| value.to_owned()))
        .map_err(|error| error.to_string())
}

/// The error of the least configuration with these changes.
fn fault(changes: &[(&'static str, &'static str)]) -> String {
    let mut variables = least();
    variables.extend(changes.iter().copied());
    read(&variables).unwrap_err()
}

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let config = read(&least()).unwrap();
    assert_eq!(config.partition, "tutti");
    assert_eq!(
        (config.slots, config.tenant_cap, config.max_attempts),
        (4, 4, 3)
    );
    assert_eq!((config.max_queued, config.waiters_max), (10_000, 100));
    assert_eq!(config.retention, Duration::from_secs(604_800));
    assert_eq!(config.render_deadline, Duration::from_secs(600));
    assert_eq!(config.models.default_name(), "jen1");
    assert_eq!((config.dev_mode, config.log_level), (false, Level::INFO));
    assert!(config.queue_url.is_none() && config.api.is_none() && config.model_hosts.is_empty());
}

#[test]
fn one_error_names_every_fault() {
    let variables = BTreeMap::from([
        ("SLOTS", "many"),
        ("DEV_MODE", "perhaps"),
        ("PARTITION", "{x}"),
    ]);
    let error = read(&variables).unwrap_err();
    for name in [
        "REDIS_URL",
        "ARTIFACTS_URL",
        "JWT_SECRET",
        "SLOTS",
        "DEV_MODE",
        "PARTITION",
    ] {
        assert!(error.contains(name), "{name} in {error}");
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let mut variables = least();
    variables.extend([("SLOTS", ""), ("QUEUE_URL", "")]);
    let config = read(&variables).unwrap();
    assert_eq!((config.slots, config.queue_url.is_none()), (4, true));
    assert!(fault(&[("REDIS_URL", "")]).contains("REDIS_URL"));
}

#[test]
fn malformed_values_are_refused_by_name() {
    for (name, value) in [
        ("REDIS_URL", "http://127.0.0.1"),
        ("ARTIFACTS_URL", "/tmp/tutti"),
        ("QUEUE_URL", "my-queue"),
        ("JEN1_URL", "ftp://jen1"),
        ("SLOTS", "0"),
        ("SLOTS", "-1"),
        ("RETENTION", "1.5"),
        ("LOG_LEVEL", "loud"),
        ("MODEL_HOSTS", "https://models.example"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://app.example.com/"),
        ("CORS_ORIGINS", "app.example.com"),
        ("PROXY_SECRETS", "short"),
        ("JWT_SECRET", "short"),
        ("MODELS", "{}"),
    ] {
        let changes = [(name, value)];
        assert!(fault(&changes).contains(name), "{name}={value}");
    }
}

#[test]
fn a_model_is_offered_only_where_its_planner_has_an_address() {
    assert!(read(&least()).unwrap().models.get("ollama").is_none());
    let mut variables = least();
    variables.insert("OLLAMA_URL", "http://ollama.example:11434");
    let config = read(&variables).unwrap();
    assert_eq!(
        config.models.get("ollama").unwrap().planner,
        Planner::Ollama
    );
    assert_eq!(config.models.default_name(), "jen1");
    let models = r#"{"x":{"planner":"ollama","generator":"muscgen","maxSeconds":60}}"#;
    assert!(fault(&[("MODELS", models)]).contains("OLLAMA_URL"));
    assert!(fault(&[("PLANNER_FALLBACK", "ollama")]).contains("OLLAMA_URL"));
}

#[test]
fn an_address_of_ollama_may_end_as_other_clients_spell_it() {
    for (given, base) in [
        (
            "http://ollama.example:11434",
            "http://ollama.example:11434/",
        ),
        (
            "http://ollama.example:11434/v1",
            "http://ollama.example:11434/",
        ),
        ("http://ollama.example/v1/", "http://ollama.example/"),
        (
            "https://h.example/ollama/api?k=1",
            "https://h.example/ollama?k=1",
        ),
        (
            "https://h.example/v1/chat/completions",
            "https://h.example/",
        ),
        ("https://h.example/api/chat", "https://h.example/"),
        ("https://h.example/my-api", "https://h.example/my-api"),
        ("https://h.example/v1/ollama", "https://h.example/v1/ollama"),
    ] {
        let mut variables = least();
        variables.insert("OLLAMA_URL", given);
        let url = read(&variables).unwrap().ollama_url.unwrap();
        assert_eq!(url.as_str(), base, "{given}");
    }
}

#[test]
fn the_inputs_of_a_cog_model_are_named_by_role() {
    let mut variables = least();
    variables.insert("COG_INPUTS", "prompt:prompt_a");
    let named = read(&variables).unwrap().cog_inputs;
    assert_eq!(named, NamedInputs::parse("prompt:prompt_a").unwrap());
    assert!(fault(&[("COG_INPUTS", "title:x")]).contains("COG_INPUTS must be pairs"));
}

#[test]
fn another_issuer_is_named_in_full_and_its_keys_come_safely() {
    let all = [
        ("JWKS_URL", "https://id.example/keys"),
        ("JWT_ISSUER", "https://id.example/"),
        ("JWT_AUDIENCE", "tutti"),
    ];
    let mut variables = least();
    variables.extend(all);
    let issuer = read(&variables).unwrap().issuer.unwrap();
    assert_eq!(issuer.jwks_url.as_str(), all[0].1);
    assert_eq!(
        (issuer.name.as_str(), issuer.audience.as_str()),
        (all[1].1, all[2].1)
    );
    for (missing, _) in all {
        let rest: Vec<_> = all
            .into_iter()
            .filter(|(name, _)| *name != missing)
            .collect();
        assert!(fault(&rest).contains(&format!("{missing} is not set")));
    }
    for wrong in [
        "http://id.example/keys",
        "https://me:pw@id.example/keys",
        "keys",
    ] {
        let mut changes = all;
        changes[0].1 = wrong;
        assert!(fault(&changes).contains("JWKS_URL"), "{wrong}");
    }
    variables.extend([("JWKS_URL", "http://127.0.0.1:1/keys"), ("DEV_MODE", "1")]);
    assert!(read(&variables).is_ok());
}

#[test]
fn public_and_api_addresses_may_not_be_equal() {
    let api = ("API_URL", "https://api.example/v1");
    let token = ("ORCHESTRATOR_TOKEN", "t");
    assert!(fault(&[api, token, ("PUBLIC_URL", "https://api.example/v1/")]).contains("PUBLIC_URL"));
    assert!(fault(&[api]).contains("ORCHESTRATOR_TOKEN"));
    let mut variables = least();
    variables.extend([api, token, ("PUBLIC_URL", "https://tutti.example")]);
    assert_eq!(
        read(&variables).unwrap().api.unwrap().url.at("/jobs"),
        "https://api.example/v1/jobs"
    );
}

#[test]
fn one_kind_of_secret_must_be_given_and_not_two() {
    assert!(
        fault(&[("JWT_SECRETS", "a:a-secret-of-more-than-thirty-two-bytes")]).contains("keep one")
    );
    assert!(fault(&[("JWT_SECRET", "")]).contains("JWT_SECRETS or JWT_SECRET"));
}

#[test]
fn real_lambda_refuses_what_is_for_one_machine() {
    for lambda in [
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
    ] {
        let error = fault(&[lambda, ("DEV_MODE", "1")]);
        assert!(
            error.contains("DEV_MODE") && error.contains("ARTIFACTS_URL"),
            "{error}"
        );
    }
    let mut emulated = least();
    emulated.extend([
        ("DEV_MODE", "1"),
        ("AWS_LAMBDA_FUNCTION_NAME", "jobs"),
        ("AWS_LAMBDA_RUNTIME_API", "http://127.0.0.1:9000/.rt/jobs"),
    ]);
    assert!(read(&emulated).unwrap().dev_mode);
}

#[test]
fn no_secret_shows_in_debug_output_or_errors() {
    let mut variables = least();
    variables.extend([
        (
            "REDIS_URL",
            "rediss://user:hunter2@redis.example:6379/0?password=hunter2",
        ),
        ("API_URL", "https://key:hunter2@api.example"),
        ("ORCHESTRATOR_TOKEN", "hunter2"),
    ]);
    let shown = format!("{:?}", read(&variables).unwrap());
    assert!(shown.contains("redis.example"), "{shown}");
    assert!(
        !shown.contains("hunter2") && !shown.contains(SECRET),
        "{shown}"
    );
    assert!(!fault(&[("REDIS_URL", "hunter2"), ("JWT_SECRET", "hunter2")]).contains("hunter2"));
}

#[test]
fn the_table_lists_what_is_read_and_nothing_else() {
    let asked = Mutex::new(BTreeSet::new());
    let _ = Config::read(|name| {
        asked.lock().unwrap().insert(name.to_owned());
        None
    });
    let mut asked = asked.into_inner().unwrap();
    // Lambda sets these two; nobody configures them.
    assert!(asked.remove("LAMBDA_TASK_ROOT") && asked.remove("AWS_EXECUTION_ENV"));
    let listed: BTreeSet<_> = VARIABLES
        .iter()
        .map(|variable| variable.name.to_owned())
        .collect();
    assert_eq!(asked, listed);
}

#[test]
fn the_first_admin_has_an_address_and_a_hash_or_is_nobody() {
    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$5n3XW0w7sXlC1nJmD0Q2Bg$q0b8yO6yA4kZ8nB1v4sGm3xJw5rT7uH2eL9dKcFiP0M";
    assert!(read(&least()).unwrap().first_admin.is_none());
    let mut both = least();
    both.extend([
        ("ADMIN_EMAIL", "Ops@example.com"),
        ("ADMIN_PASSWORD_HASH", HASH),
    ]);
    let (email, _) = read(&both).unwrap().first_admin.unwrap();
    assert_eq!(email.as_str(), "ops@example.com");
    for one in [
        ("ADMIN_EMAIL", "ops@example.com"),
        ("ADMIN_PASSWORD_HASH", HASH),
    ] {
        assert!(fault(&[one]).contains("must both be set"), "{}", one.0);
    }
    let password = fault(&[
        ("ADMIN_EMAIL", "ops"),
        ("ADMIN_PASSWORD_HASH", "hunter2-hunter2"),
    ]);
    assert!(password.contains("ADMIN_EMAIL must be an e-mail address"));
    assert!(password.contains("local/hash-password") && !password.contains("hunter2"));
}

#[test]
fn a_login_has_the_documented_limits() {
    let rates = read(&least()).unwrap().rates;
    assert_eq!((rates.login, rates.login_address), (5, 60));
    assert_eq!((rates.login_name, rates.refresh), (120, 300));
}
