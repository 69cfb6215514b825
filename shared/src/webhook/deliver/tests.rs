use super::*;

fn after(verdict: Verdict, tries: u32, target: Target) -> (DeliveryState, u64) {
    let (state, again, _) = decided(verdict, Taken { target, tries });
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
        let (state, again) = after(failed(), tries, Target::Job);
        assert_eq!(state, DeliveryState::Pending, "{tries}");
        assert!(again >= 4, "{tries}");
    }
    let (state, _) = after(failed(), 8, Target::Job);
    assert_eq!(state, DeliveryState::GivenUp);
}

#[test]
fn an_address_that_may_not_be_called_is_not_tried_again() {
    let forbidden = Verdict::Forbidden("the address is not public".to_owned());
    assert_eq!(after(forbidden, 1, Target::Job).0, DeliveryState::GivenUp);
}

#[test]
fn gone_disables_an_endpoint_of_the_tenant_and_gives_up_that_of_a_job() {
    let tenant = Target::Tenant(uuid::Uuid::now_v7());
    assert_eq!(after(Verdict::Gone, 1, tenant).0, DeliveryState::Disabled);
    assert_eq!(
        after(Verdict::Gone, 1, Target::Job).0,
        DeliveryState::GivenUp
    );
}
