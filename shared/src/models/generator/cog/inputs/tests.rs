use super::*;
use crate::job::JobId;
use crate::plan::Plan;

/// A document as Cog writes it, with these inputs.
fn document(properties: Value) -> Value {
    json!({"components": {"schemas": {
        "Input": {"type": "object", "properties": properties},
        "output_format": {"enum": ["wav", "mp3"], "type": "string"},
        "file": {"type": "string", "format": "uri"},
        "round": {"allOf": [{"$ref": "#/components/schemas/round"}]},
    }}})
}

fn inputs(properties: Value) -> Inputs {
    Inputs::of_schema(&document(properties), &NamedInputs::default()).unwrap()
}

/// What a model with these inputs is given by a caller with these options.
fn given(inputs: &Inputs, options: Value) -> Value {
    let given = try_given(inputs, json!({"title": "Rain"}), 30, options);
    given.unwrap().input.into()
}

/// Why a model with these inputs is not asked.
fn refused(inputs: &Inputs, options: Value) -> String {
    let given = try_given(inputs, json!({"title": "Rain"}), 30, options);
    given.unwrap_err().to_string()
}

fn try_given(inputs: &Inputs, plan: Value, duration: u32, options: Value) -> Result<Given, Fault> {
    let plan = Plan::parse(plan).unwrap();
    let ask = RenderRequest {
        job: JobId::mint(),
        request_id: "req-1",
        prompt: "calm piano",
        plan: &plan,
        duration,
        seed: 4_294_967_295,
        model: "jen1",
        options: options.as_object().unwrap(),
        callback: None,
        upload: None,
    };
    inputs.of(&ask)
}

#[test]
fn a_model_without_a_schema_gets_the_three_inputs_that_all_have() {
    let given = given(&Inputs::plain(&NamedInputs::default()), json!({}));
    let three = json!({"prompt": "calm piano", "duration": 30, "seed": 4_294_967_295_u32});
    assert_eq!(given, three);
    for none in [json!({}), json!([]), json!({"error": "not available"})] {
        assert_eq!(Inputs::of_schema(&none, &NamedInputs::default()), None);
    }
}

#[test]
fn each_part_goes_to_the_first_input_that_takes_it() {
    let (text, number) = (json!({"type": "string"}), json!({"type": "number"}));
    for (properties, expected) in [
        (
            json!({"text": text, "prompt": text, "seconds": number, "duration": number}),
            json!({"prompt": "calm piano", "duration": 30}),
        ),
        (
            json!({"description": text, "audio_length": number, "length": text}),
            json!({"description": "calm piano", "audio_length": 30}),
        ),
        (
            json!({"text": text, "prompt": number, "seconds_total": {"type": "integer"}}),
            json!({"text": "calm piano", "seconds_total": 30}),
        ),
        (
            json!({"tags": text, "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}),
            json!({"tags": "calm piano", "seed": 4_294_967_295_u32}),
        ),
        (
            json!({"caption": text, "random_seed": {"type": ["integer", "null"], "maximum": 9}}),
            json!({"caption": "calm piano", "random_seed": 5}),
        ),
        (
            json!({"prompt_a": text, "music_length_ms": number}),
            json!({"prompt_a": "calm piano", "music_length_ms": 30_000}),
        ),
        (
            json!({
                "text_prompt": text, "prompt": {"type": "string", "enum": ["a", "b"]},
                "music_prompt": {"type": "array", "items": text},
            }),
            json!({"text_prompt": "calm piano"}),
        ),
    ] {
        assert_eq!(given(&inputs(properties), json!({})), expected);
    }
}

#[test]
fn a_duration_is_the_nearest_choice_that_is_long_enough() {
    let model = |choices: Value| {
        let text = json!({"type": "string"});
        inputs(json!({"text": text, "duration": {"allOf": [{"type": "string", "enum": choices}]}}))
    };
    let sent = |choices: Value, duration| {
        let given = try_given(
            &model(choices),
            json!({"title": "Rain"}),
            duration,
            json!({}),
        );
        given.map(|given| given.input["duration"].clone()).ok()
    };
    let texts = json!(["2.5", "5.0", "10.0", "20.0", "auto"]);
    for (duration, choice) in [
        (1, "2.5"),
        (5, "5.0"),
        (7, "10.0"),
        (11, "10.0"),
        (22, "20.0"),
    ] {
        assert_eq!(
            sent(texts.clone(), duration),
            Some(json!(choice)),
            "{duration}"
        );
    }
    assert_eq!(sent(json!([10, 30, null]), 12), Some(json!(30)));
    assert_eq!(sent(texts, 30), None);
}

#[test]
fn the_words_of_the_plan_are_sung() {
    let text = json!({"type": "string"});
    let sent = |lyrics: Value, plan: Value| {
        let model = inputs(json!({"tags": text, "lyrics": lyrics}));
        let given = try_given(&model, plan, 30, json!({})).unwrap();
        given.input.get("lyrics").cloned()
    };
    let plan = json!({"title": "Rain", "lyrics": "la"});
    assert_eq!(sent(text.clone(), plan), Some(json!("la")));
    let mute = json!({"title": "Rain"});
    assert_eq!(sent(text.clone(), mute.clone()), None);
    // Else it would sing its own.
    let own = json!({"type": "string", "default": "happy birthday"});
    assert_eq!(sent(own, mute), Some(json!(NO_WORDS)));
}

#[test]
fn the_operator_can_name_the_inputs() {
    let named = NamedInputs::parse("prompt:lines,seed:rng").unwrap();
    let plain = given(&Inputs::plain(&named), json!({}));
    assert_eq!(
        plain,
        json!({"lines": "calm piano", "rng": 4_294_967_295_u32})
    );
    let text = json!({"type": "string"});
    let both = document(json!({"lines": text, "prompt": text, "rng": {"type": "integer"}}));
    let model = Inputs::of_schema(&both, &named).unwrap();
    assert_eq!(given(&model, json!({})), plain);
    let other = document(json!({"prompt": text}));
    let model = Inputs::of_schema(&other, &named).unwrap();
    assert!(refused(&model, json!({})).contains("which COG_INPUTS names"));
    let seed = NamedInputs::parse("seed:rng").unwrap();
    assert!(refused(&Inputs::plain(&seed), json!({})).contains("prompt"));
}

#[test]
fn a_model_that_cannot_be_told_everything_is_refused() {
    let text = json!({"type": "string"});
    let steps = inputs(json!({"steps": {"type": "number"}, "file": text}));
    assert!(refused(&steps, json!({})).starts_with("incompatible"));
    let mut needs =
        document(json!({"prompt": text, "melody": {"type": "string", "format": "uri"}}));
    needs["components"]["schemas"]["Input"]["required"] = json!(["prompt", "melody"]);
    let needs = Inputs::of_schema(&needs, &NamedInputs::default()).unwrap();
    assert!(refused(&needs, json!({})).contains("needs the input melody"));
}

#[test]
fn options_set_what_the_model_has_and_nothing_else_sets() {
    let inputs = inputs(json!({
        "prompt": {"type": "string"}, "text": {"type": "string"},
        "steps": {"type": "integer"}, "scale": {"type": "number"}, "loud": {"type": "boolean"},
        "output_format": {"allOf": [{"$ref": "#/components/schemas/output_format"}], "default": "wav"},
        "stop": {"type": "array", "items": {"type": "string"}},
    }));
    let options = json!({
        "text": "more", "steps": 20, "scale": 1.5, "loud": true, "output_format": "mp3", "stop": null,
    });
    let expected = json!({
        "prompt": "calm piano", "text": "more", "steps": 20, "scale": 1.5, "loud": true, "output_format": "mp3",
    });
    let given = given(&inputs, options);
    assert_eq!(given, expected);
    assert!(given["steps"].is_u64());
    for (options, named) in [
        (json!({"prompt": "mine"}), "options.prompt"),
        (json!({"stop": ["x"]}), "options.stop"),
        (json!({"text": {}, "steps": 2}), "options.text"),
        (
            json!({"a": 1, "b": 2, "c": 3, "d": 4}),
            "options.a, options.b, options.c",
        ),
        (
            json!({"negative_prompt": "drums"}),
            "options.negative_prompt",
        ),
    ] {
        assert_eq!(refused(&inputs, options), format!("unsupported: {named}"));
    }
}

#[test]
fn an_option_finds_the_input_of_its_role() {
    let text = json!({"type": "string"});
    let inputs = inputs(json!({"tags": text, "negative_tags": text, "lyrics": text}));
    let options = json!({"negative_prompt": "drums", "lyrics": "mine"});
    let expected = json!({"tags": "calm piano", "negative_tags": "drums", "lyrics": "mine"});
    assert_eq!(given(&inputs, options), expected);
}

#[test]
fn no_option_makes_the_model_fetch_an_address() {
    let address = json!("http://169.254.169.254/");
    for property in [
        json!({"type": "string", "format": "uri"}),
        json!({"$ref": "#/components/schemas/file"}),
        json!({"allOf": [{"$ref": "#/components/schemas/file"}], "default": null}),
        json!({"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}]}),
        json!({"anyOf": [{"type": "string"}, {"oneOf": [{"$ref": "#/components/schemas/file"}]}]}),
        json!({"type": "array", "items": {"type": "string", "format": "uri"}}),
        json!({"$ref": "#/components/schemas/round"}),
        json!({"$ref": "#/components/schemas/none"}),
        json!({"$ref": "https://elsewhere/schema.json"}),
        json!({"anyOf": vec![json!({"type": "string"}); schema::MAX_PARTS]}),
    ] {
        let text = json!({"type": "string"});
        let inputs =
            inputs(json!({"melody": property.clone(), "prompt": property.clone(), "text": text}));
        for name in ["melody", "prompt"] {
            let said = refused(&inputs, json!({name: address}));
            assert_eq!(said, format!("unsupported: options.{name}"), "{property}");
        }
    }
}

#[test]
fn a_schema_without_an_end_is_read_to_its_bound() {
    let many: Map<_, _> = (0..1000).map(|n| (format!("o{n:04}"), json!({}))).collect();
    let inputs = inputs(many.into());
    assert_eq!(inputs.options.len(), MAX_INPUTS);
    let long = json!({"x".repeat(MAX_NAME + 1): {"type": "string"}});
    let inputs = Inputs::of_schema(&document(long), &NamedInputs::default()).unwrap();
    assert!(inputs.options.is_empty());
}

#[test]
fn what_a_model_said_is_believed_for_some_minutes() {
    let mut memory = Memory::default();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    assert_eq!((memory.fresh(then), memory.last()), (None, None));
    memory.keep(Inputs::plain(&NamedInputs::default()), then);
    let soon = then + Duration::from_secs(299);
    assert_eq!(
        memory.fresh(soon),
        Some(Inputs::plain(&NamedInputs::default()))
    );
    for other in [then + BELIEVED, then - BELIEVED] {
        assert_eq!(memory.fresh(other), None);
        assert_eq!(memory.last(), Some(Inputs::plain(&NamedInputs::default())));
    }
}
