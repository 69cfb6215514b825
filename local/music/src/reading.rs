//! What planners write, in numbers and lists: tempo, energy, texts.

use serde_json::Value;

/// The mean of the mood words that occur, 0.5 if none does.
pub(crate) fn energy_of(words: &str) -> f64 {
    const MOODS: [(&str, f64); 24] = [
        ("calm", 0.15),
        ("peace", 0.15),
        ("sleep", 0.05),
        ("ambient", 0.1),
        ("gentle", 0.2),
        ("soft", 0.25),
        ("quiet", 0.15),
        ("tender", 0.2),
        ("lullaby", 0.1),
        ("relax", 0.2),
        ("sad", 0.25),
        ("melanchol", 0.25),
        ("dream", 0.25),
        ("warm", 0.4),
        ("lo-fi", 0.3),
        ("romantic", 0.35),
        ("happy", 0.7),
        ("upbeat", 0.75),
        ("dance", 0.85),
        ("epic", 0.8),
        ("rock", 0.8),
        ("energetic", 0.9),
        ("driving", 0.85),
        ("fierce", 0.95),
    ];
    let (sum, count) = MOODS
        .iter()
        .filter(|(word, _)| words.contains(word))
        .fold((0.0, 0), |(sum, count), (_, e)| (sum + e, count + 1));
    if count == 0 {
        0.5
    } else {
        sum / f64::from(count)
    }
}

/// A number, a text with a number in it, or an Italian or English tempo word, in beats a minute.
pub(crate) fn tempo_of(tempo: Option<&Value>) -> Option<f64> {
    const WORDS: [(&str, f64); 12] = [
        ("largo", 52.0),
        ("adagio", 66.0),
        ("andante", 84.0),
        ("moderat", 104.0),
        ("allegro", 128.0),
        ("presto", 168.0),
        ("very slow", 54.0),
        ("slow", 68.0),
        ("mid", 98.0),
        ("medium", 98.0),
        ("fast", 136.0),
        ("quick", 136.0),
    ];
    let bpm = match tempo? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let digits: String = text
                .chars()
                .skip_while(|c| !c.is_ascii_digit())
                .take_while(|c| c.is_ascii_digit() || *c == '.')
                .collect();
            let lower = text.to_lowercase();
            digits.parse().ok().or_else(|| {
                WORDS
                    .iter()
                    .find(|(word, _)| lower.contains(word))
                    .map(|(_, bpm)| *bpm)
            })
        }
        _ => None,
    };
    bpm.filter(|bpm| bpm.is_finite())
        .map(|bpm| bpm.clamp(44.0, 190.0))
}

/// A text, or a list of texts in one line.
pub(crate) fn words_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Array(_) => list_of(Some(value)).join(" "),
        _ => String::new(),
    }
}

/// A list of texts, or one text with commas.
pub(crate) fn list_of(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(Value::as_str)
            .map(|s| s.trim().to_owned())
            .take(256)
            .collect(),
        Some(Value::String(text)) => text.split(',').map(|s| s.trim().to_owned()).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tempo_may_be_a_number_a_text_or_a_word() {
        let cases = [
            (json!(72), Some(72.0)),
            (json!("about 96 BPM"), Some(96.0)),
            (json!("slow"), Some(68.0)),
            (json!("Allegro"), Some(128.0)),
            (json!(9000), Some(190.0)),
            (json!("?"), None),
        ];
        for (tempo, bpm) in cases {
            assert_eq!(tempo_of(Some(&tempo)), bpm, "{tempo}");
        }
    }
}
