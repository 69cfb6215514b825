//! The queue gives a bell back only when its worker is surely gone.

use serde_json::{Value, json};

use crate::template::{Function, Template, references};

/// Source name, its properties, the function that it invokes, the queue that it reads.
fn sources(template: &Template) -> Vec<(&str, &Value, Function<'_>, &Value)> {
    template
        .of_type("AWS::Lambda::EventSourceMapping")
        .map(|(name, source)| {
            let target = references(&source["FunctionName"])[0];
            let target = target.trim_end_matches(".Alias");
            let mut functions = template.functions().into_iter();
            let function = functions.find(|function| function.name == target);
            let queue = references(&source["EventSourceArn"])[0];
            let queue = &template.resources()[queue];
            (name, source, function.unwrap(), &queue["Properties"])
        })
        .collect()
}

#[test]
fn a_queue_hides_a_message_a_little_longer_than_its_function_may_run() {
    let template = Template::read();
    for (name, _, function, queue) in sources(&template) {
        let timeout = function.property("Timeout").as_u64().unwrap();
        let visibility = queue["VisibilityTimeout"].as_u64().unwrap();
        let spans = timeout + 30..=timeout + 60;
        assert!(spans.contains(&visibility), "{name}: {visibility} s");
        // It is received as often as it may be before it is too old.
        let most = queue["RedrivePolicy"]["maxReceiveCount"].as_u64().unwrap();
        let kept = queue["MessageRetentionPeriod"].as_u64().unwrap();
        assert!(most * visibility < kept, "{name}: {kept} s");
    }
}

#[test]
fn a_function_names_the_messages_that_it_could_not_handle() {
    let template = Template::read();
    for (name, source, ..) in sources(&template) {
        let types = &source["FunctionResponseTypes"];
        assert_eq!(*types, json!(["ReportBatchItemFailures"]), "{name}");
    }
}

#[test]
fn the_worker_takes_one_bell_at_a_time_and_is_bounded() {
    let template = Template::read();
    let of_worker: Vec<_> = sources(&template)
        .into_iter()
        .filter(|(_, _, function, _)| function.binary == "worker")
        .collect();
    let [(_, source, worker, _)] = of_worker.as_slice() else {
        panic!("the worker has {} sources", of_worker.len());
    };
    assert_eq!(source["BatchSize"], 1);
    assert!(!source["ScalingConfig"]["MaximumConcurrency"].is_null());
    // Throttled pollers would walk bells into the dead letters.
    assert!(worker.property("ReservedConcurrentExecutions").is_null());
}

#[test]
fn what_no_function_can_handle_is_kept_for_two_weeks() {
    let template = Template::read();
    for (name, _, _, queue) in sources(&template) {
        let redrive = &queue["RedrivePolicy"];
        assert_eq!(redrive["maxReceiveCount"], 5, "{name}");
        let letters = references(&redrive["deadLetterTargetArn"])[0];
        let letters = &template.resources()[letters]["Properties"];
        assert_eq!(letters["MessageRetentionPeriod"], 14 * 24 * 3600, "{name}");
    }
}

#[test]
fn a_function_reads_no_queue_but_its_own() {
    let template = Template::read();
    for function in template.functions() {
        let events = function.properties["Events"].as_object();
        let by_sam = events
            .into_iter()
            .flatten()
            .find(|(_, event)| event["Type"] == "SQS");
        // Its managed policy opens every queue of the account.
        assert!(by_sam.is_none(), "{} has an SQS event", function.name);
    }
}
