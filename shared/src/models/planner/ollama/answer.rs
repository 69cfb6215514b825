//! What the model says: pieces of text in a sequence of JSON objects, and a song plan in that text.

use reqwest::Response;
use serde::Deserialize;
use serde_json::{Deserializer, Value};

use super::SERVICE;
use crate::models::call::read;
use crate::models::{Fault, MAX_PLAN, ModelError};
use crate::plan::Plan;

/// Every piece has some 150 bytes around a few letters.
const MAX_BODY: usize = 8 * MAX_PLAN;
/// Characters of what is wrong that are logged and told.
const MOST_WHY: usize = 200;

/// The whole answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) content: String,
    /// The model, as the answer calls it.
    pub(super) model: Option<String>,
}

/// One object of the sequence; a server that does not stream sends one that has everything.
#[derive(Deserialize)]
struct Piece {
    model: Option<String>,
    message: Option<Message>,
    #[serde(default)]
    done: bool,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

/// Reads the answer up to its end; a bound on the body, and one on the text in it.
pub(super) async fn read_answer(response: &mut Response) -> Result<Answer, ModelError> {
    let body = read(SERVICE, response, MAX_BODY).await?;
    let mut answer = Answer::default();
    for piece in Deserializer::from_slice(&body).into_iter::<Piece>() {
        let piece = piece.map_err(|e| SERVICE.malformed(short(&e.to_string())))?;
        if let Some(error) = piece.error {
            let said = error.as_str().map_or(error.to_string(), str::to_owned);
            return Err(SERVICE.failed(Fault::Failed(short(&said))));
        }
        let content = piece.message.and_then(|message| message.content);
        answer.content += content.as_deref().unwrap_or_default();
        if answer.content.len() > MAX_PLAN {
            return Err(SERVICE.failed(Fault::TooLarge { limit: MAX_PLAN }));
        }
        answer.model = piece.model.or(answer.model);
        if piece.done {
            return Ok(answer);
        }
    }
    Err(SERVICE.malformed("it ended before it was done"))
}

/// The plan in a text, or why there is none: a model may think aloud before it, and put a fence around it.
pub(super) fn plan_in(content: &str) -> Result<Plan, String> {
    let said = content
        .rsplit_once("</think>")
        .map_or(content, |(_, said)| said);
    let start = said.find('{').ok_or("there is no JSON object in it")?;
    let mut values = Deserializer::from_str(&said[start..]).into_iter::<Value>();
    match values.next() {
        Some(Ok(object)) => Plan::parse(object).map_err(|why| short(&why.to_string())),
        Some(Err(why)) => Err(format!("it is not JSON: {}", short(&why.to_string()))),
        None => Err("it is empty".to_owned()),
    }
}

fn short(text: &str) -> String {
    text.chars().take(MOST_WHY).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_is_found_behind_thoughts_and_within_a_fence() {
        for content in [
            r#"{"title": "Rain"}"#,
            "\n  {\"title\": \"Rain\"}\n",
            "<think>A {sad} one? {\"title\": \"Sun\"}</think>\n{\"title\": \"Rain\"}",
            "thinking without a beginning</think>{\"title\": \"Rain\"}",
            "```json\n{\"title\": \"Rain\"}\n```\nI hope you like it {really}.",
            "<think>\n</think>\n\n```\n{\"title\": \"Rain\"}\n```",
        ] {
            let plan = plan_in(content).unwrap_or_else(|why| panic!("{content}: {why}"));
            assert_eq!(plan.title.as_deref(), Some("Rain"), "{content}");
        }
    }

    #[test]
    fn what_holds_no_plan_is_told_why_in_one_short_line() {
        let long = format!("{{\"title\": {{\"{}\": 1}}", "x".repeat(5_000));
        for (content, why) in [
            ("", "no JSON object"),
            ("Here is a song: la la la", "no JSON object"),
            ("<think>{\"title\": \"Rain\"}</think>", "no JSON object"),
            ("{\"title\": \"Ra", "EOF"),
            ("{\"lyrics\": \"la\"}", "none of them is there"),
            ("{\"title\": 3}", "invalid type"),
            (&long, "EOF"),
        ] {
            let said = plan_in(content).unwrap_err();
            assert!(said.contains(why) && said.len() < 300, "{content}: {said}");
        }
    }
}
