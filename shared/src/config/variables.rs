//! The table of variables; the README shows the same.

/// One environment variable.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    pub name: &'static str,
    /// Taken when it is unset or empty.
    pub default: Option<&'static str>,
    /// The functions that cannot work without it, or nothing.
    pub required_by: &'static str,
    /// One sentence.
    pub meaning: &'static str,
}

const ALL: &str = "all but health";

/// Every variable, in the order of the README.
pub const VARIABLES: &[Variable] = &[
    required(
        "REDIS_URL",
        ALL,
        "Redis or Valkey: `redis://…`, or `rediss://…` for TLS; flags `cluster` and `ca` in the query",
    ),
    defaulted(
        "PARTITION",
        "tutti",
        "Prefix of every Redis key; 1–64 of `A-Za-z0-9_-`",
    ),
    required(
        "ARTIFACTS_URL",
        ALL,
        "Where requests, plans and tracks last: `s3://bucket/prefix` or `file:///dir`",
    ),
    optional(
        "QUEUE_URL",
        "",
        "SQS queue that wakes the worker; without it a Redis stream does",
    ),
    optional(
        "NOTIFY_QUEUE_URL",
        "",
        "SQS queue that wakes `notify`; without it a Redis stream does",
    ),
    optional(
        "DELIVER_QUEUE_URL",
        "",
        "SQS queue that wakes `deliver`; without it a Redis stream does",
    ),
    optional(
        "SOCKETS_URL",
        "live, notify",
        "Address of the WebSocket API, by which pushes go to its connections",
    ),
    optional(
        "JEN1_URL",
        "worker",
        "Base address of jen1, which makes plans",
    ),
    optional(
        "MUSCGEN_URL",
        "worker",
        "Base address of muscgen, which makes audio",
    ),
    defaulted(
        "MUSCGEN_API",
        "muscgen",
        "What `MUSCGEN_URL` speaks: `muscgen` (docs/models.md), or `cog` for a Cog container",
    ),
    optional(
        "COG_INPUTS",
        "",
        "Inputs of the Cog model that have names of their own, such as `prompt:prompt_a,seed:random_state`",
    ),
    optional(
        "OLLAMA_URL",
        "",
        "Base address of Ollama, which makes plans for jobs of model `ollama`",
    ),
    optional(
        "OLLAMA_MODEL",
        "",
        "The model that Ollama runs; without it the first installed one that can chat",
    ),
    defaulted(
        "PLANNER_FALLBACK",
        "none",
        "Who plans when jen1 is down: `none` or `ollama`",
    ),
    optional(
        "API_URL",
        "",
        "An API with its own job table, told when a stage begins and how a job ends",
    ),
    optional("ORCHESTRATOR_TOKEN", "", "Bearer token for `API_URL`"),
    optional(
        "PUBLIC_URL",
        "",
        "Our own address, where models call back; never that of `API_URL`",
    ),
    optional(
        "JWT_SECRETS",
        "",
        "`kid:secret,…`, 32 bytes or more each: the first signs, all verify",
    ),
    optional(
        "JWT_SECRET",
        ALL,
        "One secret without a name, in place of `JWT_SECRETS`",
    ),
    optional(
        "JWKS_URL",
        "",
        "Public keys of another issuer whose tokens are believed (RS256, PS256, ES256, ES384, EdDSA); `https://…`",
    ),
    optional(
        "JWT_ISSUER",
        "",
        "`iss` of its tokens; set with `JWKS_URL` or not at all",
    ),
    optional(
        "JWT_AUDIENCE",
        "",
        "`aud` of those that are for us; the same",
    ),
    defaulted(
        "JWT_MAX_LIFETIME",
        "86400",
        "Seconds that a token of this issuer may live at most",
    ),
    defaulted(
        "JWT_ROLE_CLAIM",
        "role",
        "The claim with the role in its tokens, a text or a list: a name, or a path such as `realm_access.roles`",
    ),
    optional(
        "ADMIN_EMAIL",
        "",
        "The first admin, made once at the first login; with `ADMIN_PASSWORD_HASH`",
    ),
    optional(
        "ADMIN_PASSWORD_HASH",
        "",
        "Its password as an Argon2id PHC string, as `local/hash-password` prints it",
    ),
    defaulted(
        "LOGIN_RATE",
        "5",
        "Logins in a minute with one name from one address; `0`: no limit",
    ),
    defaulted(
        "LOGIN_ADDRESS_RATE",
        "60",
        "The same from one address, whatever the names; `0`: no limit",
    ),
    defaulted(
        "LOGIN_NAME_RATE",
        "120",
        "The same with one name from all addresses; `0`: no limit",
    ),
    defaulted(
        "REFRESH_RATE",
        "300",
        "Sessions renewed or ended in a minute from one address; `0`: no limit",
    ),
    defaulted("SLOTS", "4", "Jobs that may be in plan or audio at once"),
    defaulted("TENANT_CAP", "4", "The same for one tenant"),
    defaulted("MAX_ATTEMPTS", "3", "Attempts before a job fails"),
    defaulted("MAX_QUEUED", "10000", "Waiting jobs of one tenant"),
    defaulted(
        "SUBMIT_RATE",
        "600",
        "Jobs that one tenant may submit in a minute; `0`: no limit",
    ),
    defaulted(
        "READ_RATE",
        "6000",
        "Times that one tenant may ask for a job in a minute; `0`: no limit",
    ),
    defaulted(
        "SOCKETS_MAX",
        "100",
        "WebSocket connections that one user may have at once",
    ),
    defaulted(
        "SOCKET_RATE",
        "600",
        "Messages that one user may send over WebSockets in a minute; `0`: no limit",
    ),
    defaulted(
        "SOCKET_TENANT_RATE",
        "3000",
        "The same of one tenant; `0`: no limit",
    ),
    defaulted(
        "RETENTION",
        "604800",
        "Seconds that Redis keeps a finished job",
    ),
    defaulted(
        "KEPT_JOBS",
        "10000",
        "Finished jobs that Redis keeps of one tenant; older ones are read from the store",
    ),
    defaulted(
        "WAITERS_MAX",
        "100",
        "Requests that may wait for a job at once; more are answered at once",
    ),
    defaulted(
        "RENDER_DEADLINE",
        "600",
        "Seconds that a model may hold a job without a word",
    ),
    defaulted(
        "MODELS",
        r#"{"jen1":{"planner":"jen1","generator":"muscgen","maxSeconds":300},"ollama":{"planner":"ollama","generator":"muscgen","maxSeconds":300}}"#,
        "What `model` may be: name → planner (`jen1`, `ollama`), generator (`muscgen`), maxSeconds",
    ),
    optional(
        "MODEL_HOSTS",
        "",
        "Hosts, separated by commas, that audio may be fetched from though they are private",
    ),
    optional(
        "CORS_ORIGINS",
        "",
        "Origins of web pages that may call, separated by commas: `https://app.example.com`",
    ),
    optional(
        "PROXY_SECRETS",
        "",
        "What the proxy before the API sends as `X-Proxy-Secret`: one, or while it changes two, separated by a comma. Set, nobody else is let in, and its `X-Client-Address` is the caller's",
    ),
    defaulted(
        "DEV_MODE",
        "0",
        "`1` lets addresses be private and plain; refused on Lambda",
    ),
    defaulted("LOG_LEVEL", "info", "`error`, `warn`, `info` or `debug`"),
    defaulted(
        "METRICS_NAMESPACE",
        "Tutti",
        "CloudWatch's namespace for the figures that stand among the logs",
    ),
    defaulted(
        "RELEASE",
        "none",
        "Name of the deployment, for the log; `local/deploy` sets a new one each time",
    ),
];

const fn required(
    name: &'static str,
    required_by: &'static str,
    meaning: &'static str,
) -> Variable {
    Variable {
        name,
        default: None,
        required_by,
        meaning,
    }
}

const fn optional(
    name: &'static str,
    required_by: &'static str,
    meaning: &'static str,
) -> Variable {
    Variable {
        name,
        default: None,
        required_by,
        meaning,
    }
}

const fn defaulted(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable {
        name,
        default: Some(default),
        required_by: "",
        meaning,
    }
}
