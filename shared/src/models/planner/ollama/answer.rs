//! What the model says: pieces of text in a sequence of JSON objects, and a song plan in that text.

use std::mem;

use reqwest::Response;
use serde::Deserialize;
use serde_json::{Deserializer, Value};

use super::SERVICE;
use crate::lenient;
use crate::models::call::read;
use crate::models::{Fault, MAX_PLAN, ModelError};
use crate::plan::Plan;

/// Every piece has some 150 bytes around a few letters.
const MAX_BODY: usize = 8 * MAX_PLAN;
/// Characters of what is wrong that are logged and told.
const MOST_WHY: usize = 200;
/// The ends of what a model thinks aloud, and of the tag before it.
const THOUGHTS: [(&str, &str); 2] = [("<think>", "</think>"), ("<thinking>", "</thinking>")];

/// The whole answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) content: String,
    /// What the host took for thoughts.
    pub(super) thinking: String,
    /// The model, as the answer calls it.
    pub(super) model: Option<String>,
}

/// One object of the sequence; a server that does not stream sends one that has everything.
#[derive(Deserialize)]
struct Piece {
    model: Option<Value>,
    message: Option<Message>,
    #[serde(default)]
    done: bool,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    thinking: Option<String>,
}

/// Reads the answer up to its end; a bound on the body, and one on the text in it.
pub(super) async fn read_answer(response: &mut Response) -> Result<Answer, ModelError> {
    let body = read(SERVICE, response, MAX_BODY).await?;
    let body = lenient::mended(&body);
    let mut answer = Answer::default();
    for piece in Deserializer::from_slice(&body).into_iter::<Piece>() {
        let piece = piece.map_err(|e| SERVICE.malformed(short(&e.to_string())))?;
        if let Some(error) = piece.error {
            let said = error.as_str().map_or(error.to_string(), str::to_owned);
            return Err(SERVICE.failed(Fault::Failed(short(&said))));
        }
        if let Some(message) = piece.message {
            answer.content += message.content.as_deref().unwrap_or_default();
            answer.thinking += message.thinking.as_deref().unwrap_or_default();
        }
        if answer.content.len() + answer.thinking.len() > MAX_PLAN {
            return Err(SERVICE.failed(Fault::TooLarge { limit: MAX_PLAN }));
        }
        let model = piece.model.as_ref().and_then(lenient::text);
        answer.model = model.or(answer.model);
        if piece.done {
            return Ok(answer);
        }
    }
    Err(SERVICE.malformed("it ended before it was done"))
}

impl Answer {
    /// The plan in the answer, or why there is none. Some models write it among their thoughts, and
    /// then nothing more.
    pub(super) fn plan(&self) -> Result<Plan, String> {
        let (said, thought) = apart(&self.content);
        let mut answers = plans(&said).into_iter();
        if let Some(first) = answers.next() {
            return answers.fold(first, Result::or);
        }
        // The last draft counts.
        let drafts = [thought, self.thinking.clone()].into_iter();
        let mut drafts = drafts.flat_map(|thoughts| plans(&thoughts)).flatten();
        let plan = drafts.next_back();
        plan.ok_or_else(|| "there is no JSON object in it".to_owned())
    }
}

/// What is said, and what is thought before it, between or after. An answer that begins with its
/// object has no thoughts: there such a tag is a word of the song.
fn apart(content: &str) -> (String, String) {
    let (mut said, mut thought) = (content.to_owned(), String::new());
    let begins = content.trim_start().trim_start_matches("```json");
    if begins.trim_start_matches('`').trim_start().starts_with('{') {
        return (said, thought);
    }
    for (open, close) in THOUGHTS {
        let whole = mem::take(&mut said);
        let mut rest = whole.as_str();
        while let Some((before, after)) = rest.split_once(close) {
            match before.split_once(open) {
                Some((words, thoughts)) => {
                    said += words;
                    thought += thoughts;
                }
                // The template of the model wrote the opening tag.
                None => {
                    thought += &mem::take(&mut said);
                    thought += before;
                }
            }
            rest = after;
        }
        let (words, thoughts) = rest.split_once(open).unwrap_or((rest, ""));
        said += words;
        thought += thoughts;
    }
    (said, thought)
}

/// What each JSON object in a text is, up to one that is broken: an object inside that is no
/// answer.
fn plans(text: &str) -> Vec<Result<Plan, String>> {
    let mut all = Vec::new();
    let mut rest = text.to_owned();
    while let Some(start) = object(&rest) {
        let sound =
            String::from_utf8_lossy(&lenient::mended(&rest.as_bytes()[start..])).into_owned();
        let mut values = Deserializer::from_str(&sound).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                all.push(Plan::parse(value).map_err(|why| short(&why.to_string())));
                rest = sound[values.byte_offset()..].to_owned();
            }
            Some(Err(why)) => {
                all.push(Err(format!("it is not JSON: {}", short(&why.to_string()))));
                break;
            }
            None => break,
        }
    }
    all
}

/// Where an object begins: a bracket that is followed by neither a field nor its end is one of
/// prose.
fn object(text: &str) -> Option<usize> {
    let mut brackets = text.match_indices('{').map(|(at, _)| at);
    brackets.find(|at| {
        text[at + 1..]
            .trim_start()
            .starts_with(['"', '}', '/', '#'])
    })
}

fn short(text: &str) -> String {
    text.chars().take(MOST_WHY).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_in(content: &str, thinking: &str) -> Result<Plan, String> {
        let answer = Answer {
            content: content.to_owned(),
            thinking: thinking.to_owned(),
            model: None,
        };
        answer.plan()
    }

    #[test]
    fn the_plan_is_found_behind_thoughts_and_within_a_fence() {
        for content in [
            r#"{"title": "Rain"}"#,
            "\n  {\"title\": \"Rain\"}\n",
            "<think>A {sad} one? {\"title\": \"Sun\"}</think>\n{\"title\": \"Rain\"}",
            "thinking without a beginning</think>{\"title\": \"Rain\"}",
            "<thinking>{\"title\": \"Sun\"}</thinking>{\"title\": \"Rain\"}<think>{\"title\": \"Sun\"}",
            "```json\n{\"title\": \"Rain\"}\n```\nI hope you like it {really}.",
            "<think>\n</think>\n\n```\n{\"title\": \"Rain\"}\n```",
            "Here's {a song}: {\"note\": 1} {\"title\": \"Rain\",}",
        ] {
            let plan = plan_in(content, "{\"title\": \"Sun\"}");
            let plan = plan.unwrap_or_else(|why| panic!("{content}: {why}"));
            assert_eq!(plan.title.as_deref(), Some("Rain"), "{content}");
        }
    }

    #[test]
    fn the_plan_is_taken_from_the_thoughts_if_nothing_else_is_said() {
        let thinking = "So: {\"title\": \"Sun\"}? Better {\"title\": \"Rain\"}.";
        let plan = plan_in(" \n", thinking).unwrap();
        assert_eq!(plan.title.as_deref(), Some("Rain"));
        let tagged = format!("<think>{thinking}</think>");
        assert_eq!(plan_in(&tagged, ""), Ok(plan));
        assert!(plan_in("{\"title\": \"Ra", thinking).is_err());
    }

    #[test]
    fn a_tag_within_the_song_is_a_word_of_it() {
        let plan = plan_in("{\"title\": \"I <think> of </think> you\"}", "").unwrap();
        assert_eq!(plan.title.as_deref(), Some("I <think> of </think> you"));
    }

    #[test]
    fn lyrics_over_several_lines_are_read() {
        let plan = plan_in(
            "{\"title\": \"Rain\", \"lyrics\": \"one\ntwo \\ud83d\"}",
            "",
        )
        .unwrap();
        assert_eq!(plan.rest["lyrics"], "one\ntwo \u{fffd}");
    }

    #[test]
    fn what_holds_no_plan_is_told_why_in_one_short_line() {
        let long = format!("{{\"title\": {{\"{}\": 1}}", "x".repeat(5_000));
        for (content, why) in [
            ("", "no JSON object"),
            ("Here is a song: la la la", "no JSON object"),
            ("<think>{\"titl</think>", "no JSON object"),
            ("{\"title\": \"Ra", "EOF"),
            ("{\"lyrics\": \"la\"}", "none of them is there"),
            ("{\"title\": [3]}", "none of them is there"),
            (&long, "EOF"),
        ] {
            let said = plan_in(content, "").unwrap_err();
            assert!(said.contains(why) && said.len() < 300, "{content}: {said}");
        }
    }
}
