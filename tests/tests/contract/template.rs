//! `template.yaml`, read the way CloudFormation reads it: `!Ref x` becomes `{"Ref": "x"}`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use tests::yaml;

/// The whole document.
pub(crate) struct Template(Value);

/// One `AWS::Serverless::Function`.
pub(crate) struct Function<'a> {
    /// Its name in the template.
    pub(crate) name: &'a str,
    /// Its name in the workspace.
    pub(crate) binary: &'a str,
    pub(crate) properties: &'a Value,
    globals: &'a Value,
}

/// What API Gateway gives to a function; `$default` has no method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    pub(crate) method: Option<&'a str>,
    pub(crate) path: &'a str,
}

impl Template {
    pub(crate) fn read() -> Self {
        Self(yaml::read("template.yaml"))
    }

    /// Name → resource.
    pub(crate) fn resources(&self) -> &Map<String, Value> {
        self.0["Resources"].as_object().unwrap()
    }

    /// Name → parameter.
    pub(crate) fn parameters(&self) -> &Map<String, Value> {
        self.0["Parameters"].as_object().unwrap()
    }

    /// How the console asks for the parameters.
    pub(crate) fn interface(&self) -> &Value {
        &self.0["Metadata"]["AWS::CloudFormation::Interface"]
    }

    pub(crate) fn condition(&self, name: &str) -> &Value {
        &self.0["Conditions"][name]
    }

    /// The resources of one type with their properties.
    pub(crate) fn of_type<'a>(
        &'a self,
        kind: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.resources()
            .iter()
            .filter(move |(_, resource)| resource["Type"] == kind)
            .map(|(name, resource)| (name.as_str(), &resource["Properties"]))
    }

    pub(crate) fn functions(&self) -> Vec<Function<'_>> {
        self.of_type("AWS::Serverless::Function")
            .map(|(name, properties)| {
                let resource = &self.resources()[name];
                let binary = &resource["Metadata"]["BuildProperties"]["Binary"];
                Function {
                    name,
                    binary: binary
                        .as_str()
                        .unwrap_or_else(|| panic!("{name} has no Binary")),
                    properties,
                    globals: &self.0["Globals"]["Function"],
                }
            })
            .collect()
    }
}

impl<'a> Function<'a> {
    /// The function's own property, else that of all functions.
    pub(crate) fn property(&self, name: &str) -> &'a Value {
        self.properties.get(name).unwrap_or(&self.globals[name])
    }

    /// Its variables together with those of all functions, less what it takes back.
    pub(crate) fn environment(&self) -> BTreeMap<&'a str, &'a Value> {
        let variables = |of: &'a Value| of["Environment"]["Variables"].as_object();
        let mut all: BTreeMap<_, _> = [variables(self.globals), variables(self.properties)]
            .into_iter()
            .flatten()
            .flatten()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        all.retain(|_, value| **value != json!({"Ref": "AWS::NoValue"}));
        all
    }

    pub(crate) fn routes(&self) -> Vec<Route<'a>> {
        let events = self.properties["Events"].as_object();
        events
            .into_iter()
            .flat_map(|events| events.values())
            .filter(|event| event["Type"] == "HttpApi")
            .map(|event| Route {
                method: event["Properties"]["Method"].as_str(),
                path: event["Properties"]["Path"].as_str().unwrap_or("$default"),
            })
            .collect()
    }
}

/// The names in `{"Ref": …}`, `{"Fn::GetAtt": […]}` and `{"Fn::Sub": …}`, at any depth.
pub(crate) fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                ("Ref", Value::String(name)) => vec![name.as_str()],
                ("Fn::GetAtt", value) => vec![value[0].as_str().unwrap()],
                ("Fn::Sub", Value::String(text)) => placeholders(text),
                _ => references(value),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// `a` and `b` of `…${a}…${b.Arn}…`.
fn placeholders(text: &str) -> Vec<&str> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| rest.split(['}', '.']).next())
        .collect()
}
