//! YAML as CloudFormation and Compose read it: `!Ref x` becomes `{"Ref": "x"}`, and `<<` is gone.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// The one document of the file at `path`, from the folder of the workspace.
pub fn read(path: &str) -> Value {
    let whole = local::root().join(path);
    let text =
        std::fs::read_to_string(&whole).unwrap_or_else(|e| panic!("{}: {e}", whole.display()));
    let documents = Yaml::load_from_str(&text).unwrap();
    assert_eq!(documents.len(), 1, "{path} is one document");
    plain(&documents[0])
}

fn plain(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => json!(value),
        Yaml::Sequence(items) => items.iter().map(plain).collect(),
        Yaml::Mapping(fields) => {
            let fields = fields.iter();
            merged(fields.map(|(key, value)| (key.as_str().unwrap().to_owned(), plain(value))))
        }
        Yaml::Tagged(tag, node) => intrinsic(&tag.suffix, plain(node)),
        other => panic!("neither CloudFormation nor Compose reads this: {other:?}"),
    }
}

/// A mapping, with what `<<` brings where it says nothing itself; of several the first has the say.
fn merged(fields: impl Iterator<Item = (String, Value)>) -> Value {
    let (merge, own): (Vec<_>, Vec<_>) = fields.partition(|(key, _)| key == "<<");
    let mut all: Map<String, Value> = own.into_iter().collect();
    let brought = merge.into_iter().flat_map(|(_, value)| match value {
        Value::Array(items) => items,
        one => vec![one],
    });
    for fields in brought {
        for (key, value) in fields.as_object().unwrap() {
            all.entry(key).or_insert_with(|| value.clone());
        }
    }
    Value::Object(all)
}

/// The long form of `!Tag value`.
fn intrinsic(tag: &str, value: Value) -> Value {
    match (tag, &value) {
        ("Ref" | "Condition", _) => json!({ tag: value }),
        ("GetAtt", Value::String(path)) => {
            let (name, attribute) = path.split_once('.').unwrap();
            json!({ "Fn::GetAtt": [name, attribute] })
        }
        _ => json!({ format!("Fn::{tag}"): value }),
    }
}
