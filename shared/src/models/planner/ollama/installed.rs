//! The models of a host, as `GET /api/tags` lists them: which of them may be able to chat.

use serde_json::Value;

/// A model by its name.
#[derive(Debug, Clone)]
pub(super) struct Installed {
    pub(super) name: String,
    pub(super) digest: Option<String>,
}

/// The models in the order of the list, without those that can do something else only. A host that
/// names no capabilities is taken at the family and the name.
pub(super) fn that_may_chat(list: &Value) -> Vec<Installed> {
    let models = list["models"].as_array().into_iter().flatten();
    models.filter_map(installed).collect()
}

fn installed(model: &Value) -> Option<Installed> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let name = text(&model["name"]).or_else(|| text(&model["model"]))?;
    may_chat(&name, model).then(|| Installed {
        name,
        digest: text(&model["digest"]),
    })
}

fn may_chat(name: &str, model: &Value) -> bool {
    match model["capabilities"].as_array() {
        Some(all) if !all.is_empty() => all.iter().any(|capability| capability == "completion"),
        _ => {
            let family = model["details"]["family"].as_str().unwrap_or_default();
            // `nomic-bert`, `xlm-roberta` and their like only embed.
            let embeds = |text: &str| text.contains("bert") || text.contains("embed");
            !embeds(&family.to_ascii_lowercase()) && !name.to_ascii_lowercase().contains("embed")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn models_that_only_embed_are_passed_over() {
        let list = json!({"models": [
            {"name": "nomic-embed-text:latest", "details": {"family": "nomic-bert"}, "capabilities": ["embedding"]},
            {"name": "all-minilm", "details": {"family": "bert"}},
            {"name": "bge-m3", "details": {"family": "xlm-roberta"}, "capabilities": []},
            {"name": "qwen3-embedding:0.6b", "details": {"family": "qwen3"}},
            {"digest": "sha256:1"},
            {"model": "a", "digest": 7, "details": null},
            {"name": "b", "digest": "sha256:2", "capabilities": ["completion", "tools"]},
        ]});
        let models = that_may_chat(&list);
        let names: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(models[1].digest.as_deref(), Some("sha256:2"));
        assert!(that_may_chat(&json!({"models": null})).is_empty());
    }
}
