//! What the template writes into the environment is what the functions accept.

use serde_json::{Value, json};
use shared::config::{Config, GeneratorApi};

use crate::template::{Function, Template};

/// What somebody who deploys may give.
const GIVEN: [(&str, &str); 22] = [
    ("MuscgenUrl", "https://muscgen.example.com/api"),
    ("Jen1Url", "https://jen1.example.com"),
    ("OllamaUrl", "http://ollama.example.com:11434"),
    ("OllamaModel", "llama3.2:3b"),
    ("PlannerFallback", "ollama"),
    ("MuscgenApi", "cog"),
    ("CogInputs", "prompt:prompt_a,seed:random_state"),
    (
        "Models",
        r#"{"jen1":{"planner":"jen1","generator":"muscgen","maxSeconds":60},"free":{"planner":"ollama","generator":"muscgen","maxSeconds":60}}"#,
    ),
    (
        "CorsOrigins",
        "https://app.example.com,http://localhost:5173",
    ),
    ("ModelHosts", "files.example.com,10.0.0.7"),
    ("ApiUrl", "https://api.example.com"),
    ("OrchestratorToken", "a-token"),
    (
        "JwtSecrets",
        "new:01234567890123456789012345678901,old:abcdefghijabcdefghijabcdefghijab",
    ),
    ("JwksUrl", "https://id.example.com/keys"),
    ("JwtIssuer", "https://id.example.com/"),
    ("JwtAudience", "tutti"),
    ("DomainName", "music.example.com"),
    ("EdgeMode", "cloudfront"),
    (
        "ProxySecrets",
        "01234567890123456789012345678901,abcdefghijabcdefghijabcdefghijab",
    ),
    ("CacheMode", "durable"),
    ("AdminEmail", "ops@example.com"),
    (
        "AdminPasswordHash",
        "$argon2id$v=19$m=19456,t=2,p=1$5n3XW0w7sXlC1nJmD0Q2Bg$q0b8yO6yA4kZ8nB1v4sGm3xJw5rT7uH2eL9dKcFiP0M",
    ),
];

/// What CloudFormation would put in the place of a value.
struct Deployment<'a> {
    template: &'a Template,
    /// Parameters that are given something else than their default.
    given: Vec<(&'a str, &'a str)>,
}

impl Deployment<'_> {
    /// None: the variable is not set.
    fn value(&self, value: &Value) -> Option<String> {
        if let Some(text) = value.as_str() {
            return Some(text.to_owned());
        }
        if let Some(name) = value["Ref"].as_str() {
            return self.reference(name);
        }
        if let Some([condition, then, otherwise]) = value["Fn::If"].as_array().map(Vec::as_slice) {
            let holds = self.holds(condition.as_str().unwrap());
            return self.value(if holds { then } else { otherwise });
        }
        let text = value["Fn::Sub"]
            .as_str()
            .unwrap_or_else(|| panic!("{value}"));
        Some(self.substituted(text))
    }

    fn reference(&self, name: &str) -> Option<String> {
        if name == "AWS::NoValue" {
            return None;
        }
        let given = self.given.iter().find(|(given, _)| *given == name);
        if let Some((_, text)) = given {
            return Some((*text).to_owned());
        }
        if let Some(parameter) = self.template.parameters().get(name) {
            let default = parameter.get("Default")?;
            return Some(default.as_str().map_or(default.to_string(), str::to_owned));
        }
        match self.template.resources()[name]["Type"].as_str().unwrap() {
            "AWS::SQS::Queue" => Some(format!("https://sqs.eu-north-1.amazonaws.com/1/{name}")),
            _ => Some(name.to_ascii_lowercase()),
        }
    }

    fn holds(&self, condition: &str) -> bool {
        self.is_so(self.template.condition(condition))
    }

    fn is_so(&self, condition: &Value) -> bool {
        if let Some(name) = condition["Condition"].as_str() {
            return self.holds(name);
        }
        let parts = |operator: &str| condition[operator].as_array().map(Vec::as_slice);
        if let Some(all) = parts("Fn::And") {
            return all.iter().all(|part| self.is_so(part));
        }
        if let Some([negated]) = parts("Fn::Not") {
            return !self.is_so(negated);
        }
        let Some([given, word]) = parts("Fn::Equals") else {
            panic!("{condition}")
        };
        self.value(given).as_deref() == word.as_str()
    }

    fn substituted(&self, text: &str) -> String {
        let mut parts = text.split("${");
        let mut out = parts.next().unwrap().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap();
            out.push_str(&match name.split_once('.') {
                Some((_, "PrimaryEndPoint.Port" | "ConfigurationEndPoint.Port")) => {
                    "6379".to_owned()
                }
                Some((name, _)) => name.to_ascii_lowercase(),
                None if name.starts_with("AWS::") => name[5..].to_ascii_lowercase(),
                None => self.reference(name).unwrap(),
            });
            out.push_str(rest);
        }
        secrets_resolved(&out)
    }

    fn configure(&self, function: &Function<'_>) -> Result<Config, String> {
        let environment = function.environment();
        let read = Config::read(|name| match name {
            "AWS_EXECUTION_ENV" => Some("AWS_Lambda_provided.al2023".to_owned()),
            name => self.value(environment.get(name)?),
        });
        read.map_err(|error| format!("{}: {error}", function.binary))
    }
}

/// `{{resolve:secretsmanager:…}}` gives 64 letters and digits.
fn secrets_resolved(text: &str) -> String {
    let mut out = text.to_owned();
    while let Some(start) = out.find("{{resolve:") {
        let end = start + out[start..].find("}}").unwrap() + 2;
        out.replace_range(start..end, &"a1B2".repeat(16));
    }
    out
}

fn configured(template: &Template) -> Vec<Function<'_>> {
    let mut functions = template.functions();
    functions.retain(|function| function.binary != "health");
    functions
}

#[test]
fn every_function_accepts_a_deployment_with_everything_given() {
    let template = Template::read();
    let given = GIVEN.to_vec();
    let deployment = Deployment {
        template: &template,
        given,
    };
    for function in configured(&template) {
        let config = deployment.configure(&function).unwrap();
        let environment = function.environment();
        let given = |name| environment.contains_key(name);
        let name = function.binary;
        let api = config.muscgen_url.is_some().then_some(GeneratorApi::Cog);
        assert_eq!(
            config.muscgen_url.as_ref().map(|_| config.muscgen_api),
            api,
            "{name}"
        );
        assert_eq!(config.api.is_some(), given("API_URL"), "{name}");
        assert_eq!(config.public_url.is_some(), given("PUBLIC_URL"), "{name}");
        let issuer = config
            .issuer
            .as_ref()
            .map(|issuer| issuer.audience.as_str());
        assert_eq!(issuer, Some("tutti"), "{name}");
        let redis = config.redis_url.url();
        assert_eq!(redis.host_str(), Some("durablecache"), "{name}");
        assert_eq!(redis.query(), Some("cluster=true"), "{name}");
        let admin = given("ADMIN_EMAIL");
        assert_eq!(config.first_admin.is_some(), admin, "{name}");
        assert_ne!(
            config.model_hosts.is_empty(),
            given("MODEL_HOSTS"),
            "{name}"
        );
    }
}

#[test]
fn every_function_accepts_a_deployment_with_nothing_given_that_may_be_empty() {
    let template = Template::read();
    let given = GIVEN[..2].to_vec();
    let deployment = Deployment {
        template: &template,
        given,
    };
    for function in configured(&template) {
        let config = deployment.configure(&function).unwrap();
        let redis = config.redis_url.url();
        assert_eq!((redis.host_str(), redis.query()), (Some("cache"), None));
        assert!(config.ollama_url.is_none() && config.api.is_none());
        assert!(config.issuer.is_none());
    }
}

#[test]
fn every_log_level_that_the_template_offers_is_known() {
    let template = Template::read();
    let levels = template.parameters()["LogLevel"]["AllowedValues"].as_array();
    for level in levels.unwrap() {
        let given = vec![GIVEN[0], ("LogLevel", level.as_str().unwrap())];
        let deployment = Deployment {
            template: &template,
            given,
        };
        for function in configured(&template) {
            deployment.configure(&function).unwrap();
        }
    }
}

#[test]
fn a_parameter_that_may_be_empty_sets_no_variable_when_it_is() {
    let template = Template::read();
    for function in template.functions() {
        for (name, value) in function.environment() {
            let parameter = value["Ref"].as_str();
            let parameter = parameter.and_then(|name| template.parameters().get(name));
            let default = parameter.and_then(|parameter| parameter.get("Default"));
            assert_ne!(default, Some(&json!("")), "{}: {name}", function.name);
        }
    }
}
