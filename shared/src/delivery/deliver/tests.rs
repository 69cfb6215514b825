use super::*;
use crate::queue::HostSign;

const JOB: Target = Target::Webhook(Hook::Job);

fn after(verdict: Verdict, tries: u32, target: Target) -> (DeliveryState, u64) {
    let called = Called {
        status: None,
        verdict,
    };
    let (state, again, _) = decided(called, target, tries);
    (state, again.as_secs())
}

fn failed() -> Verdict {
    Verdict::Failed {
        reason: "500".to_owned(),
        after: None,
    }
}

#[test]
fn what_failed_is_tried_again_seven_times_and_then_given_up() {
    for tries in 1..=7 {
        let (state, again) = after(failed(), tries, JOB);
        assert_eq!(state, DeliveryState::Pending, "{tries}");
        assert!(again >= 4, "{tries}");
    }
    let (state, _) = after(failed(), 8, JOB);
    assert_eq!(state, DeliveryState::GivenUp);
}

#[test]
fn an_address_that_may_not_be_called_is_not_tried_again() {
    let forbidden = Verdict::Forbidden("the address is not public".to_owned());
    assert_eq!(after(forbidden, 1, JOB).0, DeliveryState::GivenUp);
}

#[test]
fn gone_disables_an_endpoint_of_the_tenant_and_gives_up_that_of_a_job() {
    let tenant = Target::Webhook(Hook::Tenant(uuid::Uuid::now_v7()));
    assert_eq!(after(Verdict::Gone, 1, tenant).0, DeliveryState::Disabled);
    assert_eq!(after(Verdict::Gone, 1, JOB).0, DeliveryState::GivenUp);
}

#[test]
fn a_host_that_refuses_is_there_and_one_that_is_silent_or_broken_is_not() {
    let shows = |status, verdict| Called { status, verdict }.host();
    for (status, sign) in [
        (None, HostSign::Failed),
        (Some(500), HostSign::Failed),
        (Some(429), HostSign::Failed),
        (Some(404), HostSign::Answered),
    ] {
        assert_eq!(shows(status, failed()), sign, "{status:?}");
    }
    assert_eq!(shows(Some(410), Verdict::Gone), HostSign::Answered);
    assert_eq!(shows(Some(200), Verdict::Delivered), HostSign::Answered);
}

#[test]
fn a_cancel_is_never_given_up_for_its_tries() {
    assert_eq!(
        after(failed(), 1000, Target::Model).0,
        DeliveryState::Pending
    );
    assert_eq!(after(failed(), 8, Target::Api).0, DeliveryState::GivenUp);
}
