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
    Inputs::of_schema(&document(properties)).unwrap()
}

/// What a model with these inputs is given by a caller with these options.
fn given(inputs: &Inputs, options: Value) -> Value {
    let plan = Plan::parse(json!({"title": "Rain"})).unwrap();
    let ask = RenderRequest {
        job: JobId::mint(),
        request_id: "req-1",
        prompt: "calm piano",
        plan: &plan,
        duration: 30,
        seed: 4_294_967_295,
        model: "jen1",
        options: options.as_object().unwrap(),
        callback: None,
        upload: None,
    };
    inputs.of(&ask).into()
}

#[test]
fn a_model_without_a_schema_gets_the_three_inputs_that_all_have() {
    let given = given(&Inputs::plain(), json!({"temperature": 1}));
    let three = json!({"prompt": "calm piano", "duration": 30, "seed": 4_294_967_295_u32});
    assert_eq!(given, three);
    for none in [json!({}), json!([]), json!({"error": "not available"})] {
        assert_eq!(Inputs::of_schema(&none), None);
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
            json!({"seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}),
            json!({"seed": 4_294_967_295_u32}),
        ),
        (
            json!({"seed": {"type": ["integer", "null"], "maximum": 9}}),
            json!({"seed": 5}),
        ),
        (json!({"steps": number}), json!({})),
    ] {
        assert_eq!(given(&inputs(properties), json!({})), expected);
    }
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
        "prompt": "mine", "text": "more", "steps": 20, "scale": 1.5, "loud": true, "output_format": "mp3",
        "stop": ["x"], "nested": {}, "unknown": 1, "seed": 3,
    });
    let expected = json!({
        "prompt": "calm piano", "text": "more", "steps": 20, "scale": 1.5, "loud": true, "output_format": "mp3",
    });
    let given = given(&inputs, options);
    assert_eq!(given, expected);
    assert!(given["steps"].is_u64());
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
        json!({"anyOf": vec![json!({"type": "string"}); MAX_PARTS]}),
    ] {
        let inputs = inputs(json!({"melody": property.clone(), "prompt": property.clone()}));
        let options = json!({"melody": address, "prompt": address});
        assert_eq!(given(&inputs, options), json!({}), "{property}");
    }
}

#[test]
fn a_schema_without_an_end_is_read_to_its_bound() {
    let many: Map<_, _> = (0..1000).map(|n| (format!("o{n:04}"), json!({}))).collect();
    let inputs = inputs(many.into());
    assert_eq!(inputs.options.len(), MAX_INPUTS);
    let long = json!({"x".repeat(MAX_NAME + 1): {"type": "string"}});
    let inputs = Inputs::of_schema(&document(long)).unwrap();
    assert!(inputs.options.is_empty());
}

#[test]
fn what_a_model_said_is_believed_for_some_minutes() {
    let mut memory = Memory::default();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    assert_eq!((memory.fresh(then), memory.last()), (None, None));
    memory.keep(Inputs::plain(), then);
    let soon = then + Duration::from_secs(299);
    assert_eq!(memory.fresh(soon), Some(Inputs::plain()));
    for other in [then + BELIEVED, then - BELIEVED] {
        assert_eq!(memory.fresh(other), None);
        assert_eq!(memory.last(), Some(Inputs::plain()));
    }
}
