//! Reads the body of a webhook, and collects all that is wrong with it.

use std::time::Duration;

use chrono::Utc;
use serde_json::{Map, Value};
use shared::endpoint::{Endings, EndpointUrl};
use shared::http::Form as Fields;
use shared::number;
use shared::pointer::Fault;
use shared::problem::Problem;
use shared::webhook::{Disabled, KEEP_DEFAULT, KEEP_MAX, Registered};

/// What an operator changes of an endpoint; what is left out stays.
pub(crate) struct Change {
    url: Option<EndpointUrl>,
    events: Option<Endings>,
    disabled: Option<bool>,
}

impl Change {
    pub(crate) fn apply(&self, item: &mut Registered) {
        if let Some(url) = &self.url {
            item.url = url.clone();
        }
        if let Some(events) = &self.events {
            item.events = events.clone();
        }
        match self.disabled {
            Some(true) if item.disabled.is_none() => {
                item.disabled = Some(Disabled {
                    at: Utc::now(),
                    reason: "an operator disabled it".to_owned(),
                });
            }
            Some(false) => item.disabled = None,
            _ => {}
        }
    }

    /// Failures of before are not held against it.
    pub(crate) fn begins_anew(&self) -> bool {
        self.url.is_some() || self.disabled == Some(false)
    }
}

pub(crate) struct Form(Fields);

impl Form {
    /// `{url, events?}`
    pub(crate) fn webhook(
        body: Map<String, Value>,
        plain: bool,
    ) -> Result<(EndpointUrl, Endings), Problem> {
        let mut form = Self(Fields::new(body));
        if form.0.lacks("url") {
            form.0.refuse("url", "required", "The address is missing.");
        }
        let url = form.url(plain);
        let events = form.events().unwrap_or_default();
        form.0.finish(url.map(|url| (url, events)))
    }

    /// `{url?, events?, disabled?}`
    pub(crate) fn webhook_change(body: Map<String, Value>, plain: bool) -> Result<Change, Problem> {
        let mut form = Self(Fields::new(body));
        let (url, events) = (form.url(plain), form.events());
        let disabled = form.0.switch("disabled");
        form.0.finish(Some(Change {
            url,
            events,
            disabled,
        }))
    }

    /// `{keepFor?}`
    pub(crate) fn rotation(body: Map<String, Value>) -> Result<Duration, Problem> {
        let mut form = Self(Fields::new(body));
        let given = form.0.take("keepFor");
        let seconds = match &given {
            None => Some(KEEP_DEFAULT),
            Some(value) => number::of(value).filter(|seconds| *seconds <= KEEP_MAX),
        };
        if seconds.is_none() {
            let code = match given.is_some_and(|value| value.is_number()) {
                true => "out_of_range",
                false => "wrong_type",
            };
            let detail = format!("This must be a whole number of seconds from 0 to {KEEP_MAX}.");
            form.0.refuse("keepFor", code, detail);
        }
        form.0.finish(seconds.map(Duration::from_secs))
    }

    fn url(&mut self, plain: bool) -> Option<EndpointUrl> {
        let parsed = EndpointUrl::parse(&self.0.take("url")?, plain);
        parsed.map_err(|fault| self.0.note("url", fault)).ok()
    }

    fn events(&mut self) -> Option<Endings> {
        let parsed = Endings::parse(&self.0.take("events")?);
        let note = |faults: Vec<Fault>| {
            for fault in faults {
                self.0.note("events", fault);
            }
        };
        parsed.map_err(note).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(body: Value) -> Map<String, Value> {
        serde_json::from_value(body).unwrap()
    }

    fn faults<T>(result: Result<T, Problem>) -> Vec<(String, String)> {
        let problem = result.err().expect("a refusal");
        let errors = problem.errors().iter();
        errors
            .map(|e| (e.pointer.clone(), e.code.to_string()))
            .collect()
    }

    fn are(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = pairs
            .iter()
            .map(|(p, c)| ((*p).to_owned(), (*c).to_owned()));
        owned.collect()
    }

    #[test]
    fn all_that_is_wrong_with_an_endpoint_is_said_at_once() {
        let body = json!({"url": "ftp://x", "events": ["job.done"], "secret": "whsec_", "a/b": 1});
        assert_eq!(
            faults(Form::webhook(map(body), false)),
            are(&[
                ("/url", "malformed"),
                ("/events/0", "unknown_value"),
                ("/a~1b", "unknown_field"),
                ("/secret", "unknown_field"),
            ])
        );
        let missing = faults(Form::webhook(map(json!({"url": null})), false));
        assert_eq!(missing, are(&[("/url", "required")]));
        let change = json!({"url": 1, "events": [], "disabled": "no"});
        assert_eq!(
            faults(Form::webhook_change(map(change), false)),
            are(&[
                ("/url", "wrong_type"),
                ("/events", "too_short"),
                ("/disabled", "wrong_type"),
            ])
        );
    }

    #[test]
    fn old_secrets_are_kept_for_a_day_or_as_long_as_was_said() {
        let keep = |body| Form::rotation(map(body)).map(|keep| keep.as_secs());
        assert_eq!(keep(json!({})).unwrap(), 86_400);
        assert_eq!(keep(json!({"keepFor": null})).unwrap(), 86_400);
        assert_eq!(keep(json!({"keepFor": 0})).unwrap(), 0);
        assert_eq!(keep(json!({"keepFor": 2_592_000})).unwrap(), 2_592_000);
        for (value, code) in [
            (json!(2_592_001), "out_of_range"),
            (json!(-1), "out_of_range"),
            (json!(1.5), "out_of_range"),
            (json!("1"), "wrong_type"),
        ] {
            let refused = faults(keep(json!({"keepFor": value})));
            assert_eq!(refused, are(&[("/keepFor", code)]), "{value}");
        }
    }
}
