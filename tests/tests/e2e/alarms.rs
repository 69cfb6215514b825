//! Each alarm that watches a figure of ours goes off when what it is about happens, and not before.

use std::collections::BTreeSet;

use axum::Router;
use axum::http::StatusCode;
use local::StackOptions;
use serde_json::{Map, Value, json};

use crate::app::{App, Model, PATIENCE, ten_seconds};
use crate::doors::quiet;

const NAMESPACE: &str = "Tutti/test";

/// The alarms on figures of ours, and the lines of one period.
struct Watch {
    app: App,
    alarms: Map<String, Value>,
    rung: BTreeSet<String>,
    from: usize,
}

fn is_ours(alarm: &Value) -> bool {
    alarm.to_string().contains("Tutti/${AWS::StackName}")
}

impl Watch {
    async fn start(options: StackOptions) -> Self {
        let template = tests::yaml::read("template.yaml");
        let resources = template["Resources"].as_object().unwrap().iter();
        let alarms = resources
            .filter(|(_, resource)| resource["Type"] == "AWS::CloudWatch::Alarm")
            .map(|(name, resource)| (name.clone(), resource["Properties"].clone()))
            .filter(|(_, alarm)| is_ours(alarm));
        let alarms = alarms.collect();
        Self {
            app: App::with(options).await,
            alarms,
            rung: BTreeSet::new(),
            from: 0,
        }
    }

    fn a_period_begins(&mut self) {
        self.from = self.app.stack.log_lines().len();
    }

    /// The values of one figure, by CloudWatch's reading of the log.
    fn values(&self, metric: &Value) -> Vec<f64> {
        let (name, dimensions) = (
            metric["MetricName"].as_str().unwrap(),
            &metric["Dimensions"],
        );
        let wanted: Map<String, Value> = dimensions
            .as_array()
            .into_iter()
            .flatten()
            .map(|of| (of["Name"].as_str().unwrap().to_owned(), of["Value"].clone()))
            .collect();
        let lines = self.app.stack.log_lines();
        let version = lines
            .iter()
            .find_map(|line| line["function_version"].as_str());
        let version = version.unwrap().to_owned();
        let is_meant = |line: &&Value| {
            let told = line["_aws"]["CloudWatchMetrics"].as_array().into_iter();
            let told = told.flatten().any(|directive| {
                let by = directive["Dimensions"][0].as_array().unwrap().iter();
                let by: BTreeSet<_> = by.map(|name| name.as_str().unwrap().to_owned()).collect();
                directive["Namespace"] == NAMESPACE
                    && directive["Metrics"][0]["Name"] == name
                    && by == wanted.keys().cloned().collect()
            });
            told && wanted
                .iter()
                .all(|(by, of)| line[by] == resolved(of, &version))
        };
        let of_now = lines[self.from..].iter().filter(is_meant);
        of_now.map(|line| line[name].as_f64().unwrap()).collect()
    }

    /// What the alarm compares with its threshold; none while there are no data.
    fn figure(&self, alarm: &Value) -> Option<f64> {
        let summed = |values: Vec<f64>, statistic: &str| match statistic {
            _ if values.is_empty() => None,
            "Sum" => Some(values.iter().sum()),
            "Maximum" => values.iter().copied().reduce(f64::max),
            "Minimum" => values.iter().copied().reduce(f64::min),
            "SampleCount" => Some(f64::from(u32::try_from(values.len()).unwrap())),
            "Average" => {
                let count = f64::from(u32::try_from(values.len()).unwrap());
                Some(values.iter().sum::<f64>() / count)
            }
            other => panic!("{other}"),
        };
        let Some(metrics) = alarm["Metrics"].as_array() else {
            return summed(self.values(alarm), alarm["Statistic"].as_str().unwrap());
        };
        let asked = metrics
            .iter()
            .filter(|metric| metric["MetricStat"].is_object());
        let found = asked.map(|metric| {
            let statistic = metric["MetricStat"]["Stat"].as_str().unwrap();
            let value = summed(self.values(&metric["MetricStat"]["Metric"]), statistic);
            (metric["Id"].as_str().unwrap(), value)
        });
        let found: Vec<_> = found.collect();
        let of = |id: &str| found.iter().find(|(known, _)| *known == id).unwrap().1;
        match metrics[0]["Expression"].as_str().unwrap() {
            "SUM(METRICS())" => found
                .iter()
                .filter_map(|(_, value)| *value)
                .reduce(|a, b| a + b),
            "IF(ended > 4, share, 0)" => Some(if of("ended")? > 4.0 {
                of("share")?
            } else {
                0.0
            }),
            other => panic!("{other}"),
        }
    }

    fn is_on(&self, name: &str) -> bool {
        let alarm = &self.alarms[name];
        let Some(figure) = self.figure(alarm) else {
            return alarm["TreatMissingData"] == "breaching";
        };
        // A parameter: any wait is too long here.
        let threshold = alarm["Threshold"].as_f64().unwrap_or_default();
        match alarm["ComparisonOperator"].as_str().unwrap() {
            "GreaterThanThreshold" => figure > threshold,
            "GreaterThanOrEqualToThreshold" => figure >= threshold,
            "LessThanThreshold" => figure < threshold,
            other => panic!("{other}"),
        }
    }

    /// A round of the sweep, in a period of its own.
    async fn sweep(&mut self) {
        self.a_period_begins();
        self.app.stack.sweep().await.unwrap();
    }

    /// It is off before and on now.
    fn rings(&mut self, name: &str) {
        assert!(self.is_on(name), "{name}");
        self.rung.insert(name.to_owned());
    }

    async fn sweep_until_on(&mut self, name: &str) {
        self.sweep().await;
        self.rings(name);
    }
}

/// `jobs:12` of `!Join [':', [jobs, !GetAtt JobsFunction.Version.Version]]`.
fn resolved(value: &Value, version: &str) -> Value {
    match value["Fn::Join"][1][0].as_str() {
        Some(function) => json!(format!("{function}:{version}")),
        None => value.clone(),
    }
}

/// An API that refuses every report, for now.
async fn refusing_api() -> String {
    let router = Router::new().fallback(async || StatusCode::SERVICE_UNAVAILABLE);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn each_alarm_of_ours_goes_off_by_what_it_is_about() {
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut watch = Watch::start(StackOptions {
        env: vec![
            variable("METRICS_NAMESPACE", NAMESPACE),
            variable("API_URL", &refusing_api().await),
            variable("MAX_ATTEMPTS", "1"),
        ],
        ..quiet()
    })
    .await;
    watch.a_period_begins();
    watch.rings("NoSweep");
    watch.sweep().await;
    for name in watch.alarms.keys() {
        assert!(!watch.is_on(name), "{name}: nothing has happened");
    }

    jobs_fail(&mut watch).await;
    a_report_is_given_up(&mut watch).await;
    a_job_waits_for_a_model_that_is_down(&mut watch).await;

    let policy = async |policy: &str| {
        let set = ["CONFIG", "SET", "maxmemory-policy", policy];
        let _: String = watch.app.redis(&set).await;
    };
    policy("volatile-lru").await;
    watch.sweep_until_on("CacheEvicts").await;

    let open = watch.app.stack.folder().join("artifacts/open");
    std::fs::create_dir_all(&open).unwrap();
    std::fs::write(open.join("not-a-job"), "?").unwrap();
    watch.sweep_until_on("SweepPassesOver").await;

    watch.a_period_begins();
    watch.app.stack.redis().unwrap().stop().await;
    for _ in 0..3 {
        let answer = watch.app.get("/jobs", "alice").await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    let told = local::until(PATIENCE, async || {
        watch.is_on("NewVersionsFail").then_some(())
    });
    assert!(
        told.await.is_some(),
        "{:?}",
        watch.app.logged(&["tutti_server_errors"])
    );
    watch.rings("NewVersionsFail");

    let ours: BTreeSet<_> = watch.alarms.keys().cloned().collect();
    assert_eq!(watch.rung, ours);
    watch.app.stop().await;
}

async fn jobs_fail(watch: &mut Watch) {
    watch.a_period_begins();
    let silence = json!({"mode": "sync", "renderSeconds": 0, "silentTimes": 5});
    watch.app.faults(Model::Muscgen, silence).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(watch.app.submit(ten_seconds()).await);
    }
    for id in ids {
        let job = watch.app.until_ended(&id).await;
        assert_eq!(job["status"], "failed", "{job:#}");
    }
    let told = local::until(PATIENCE, async || watch.is_on("JobsFail").then_some(()));
    assert!(told.await.is_some());
    watch.rings("JobsFail");
}

/// The time of what is owed is over, as far as Redis knows.
async fn a_report_is_given_up(watch: &mut Watch) {
    let tag = format!("{{{}}}", watch.app.stack.partition());
    let script = format!(
        "local n = 0
        for _, name in ipairs(redis.call('KEYS', '{tag}:delivery:*')) do
          local record = cjson.decode(redis.call('HGET', name, 'api'))
          record['until'] = 1
          redis.call('HSET', name, 'api', cjson.encode(record))
          for _, line in ipairs(redis.call('KEYS', '{tag}:owed:*')) do
            redis.call('ZADD', line, 'XX', 1, string.match(name, '[^:]+$') .. ':api')
            redis.call('ZADD', '{tag}:owing', 1, string.match(line, 'owed:(.*)$'))
          end
          n = n + 1
        end
        return n"
    );
    watch.a_period_begins();
    let owed: u32 = watch.app.redis(&["EVAL", &script, "0"]).await;
    assert!(owed >= 5, "{owed}");
    watch.app.stack.sweep().await.unwrap();
    let given_up = local::until(PATIENCE, async || {
        watch.is_on("ReportsGivenUp").then_some(())
    });
    assert!(given_up.await.is_some());
    watch.rings("ReportsGivenUp");
}

async fn a_job_waits_for_a_model_that_is_down(watch: &mut Watch) {
    let down = json!({"failChance": 1, "mode": "sync", "renderSeconds": 0});
    watch.app.faults(Model::Muscgen, down).await;
    for _ in 0..8 {
        watch.app.submit(ten_seconds()).await;
    }
    let is_open = |page: &Value| page["breakers"]["muscgen"]["failures"].as_u64() >= Some(5);
    let token = watch.app.stack.token("admin", "root").unwrap();
    let url = format!("{}/admin/overview", watch.app.stack.api());
    let opened = local::until(PATIENCE, async || {
        let asked = watch.app.http.get(&url).bearer_auth(&token).send().await;
        is_open(&asked.ok()?.json().await.ok()?).then_some(())
    });
    assert!(opened.await.is_some());
    watch.sweep_until_on("BreakerOpen").await;
    watch.rings("OldestWaitTooLong");
}
