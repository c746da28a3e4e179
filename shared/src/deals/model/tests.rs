use super::super::policy::{
    AutoApproval, Chain, Eligibility, Ineligible, Region, Requirement, Second, Stake, When,
};
use super::*;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A Monday at nine in the morning in UTC.
const MONDAY: &str = "2026-03-02T09:00:00Z";

fn gbp(minor: i64) -> Money {
    Money::new(minor, "GBP".parse().unwrap())
}

fn operator(number: u8) -> OperatorId {
    OperatorId::from_bytes([number; 16])
}

fn step(name: &str, approvers: &[u8], escalate_to: Option<u8>) -> Step {
    Step {
        name: name.to_owned(),
        approvers: approvers.iter().copied().map(operator).collect(),
        sla_hours: 8,
        escalate_to: escalate_to.map(operator),
    }
}

fn policy(chains: Vec<Chain>) -> Policy {
    Policy {
        program: ProgramId::from_bytes([1; 16]),
        protection_days: 90,
        extension_days: 30,
        answer_days: 14,
        dispute_days: 14,
        daily: 20,
        eligibility: Eligibility {
            requirements: Vec::new(),
            territory: true,
            product_line: true,
            otherwise: Ineligible::Review,
        },
        benefit: Benefit::Commission {
            event: "deal".to_owned(),
        },
        second: Second::Refuse,
        chains,
        auto_approve: Vec::new(),
        stakes: Vec::new(),
        hours: WorkingHours::default(),
        version: 1,
    }
}

fn two_steps(order: Order) -> Policy {
    let steps = vec![
        step("channel", &[1, 2], Some(9)),
        step("finance", &[3, 1], None),
    ];
    policy(vec![Chain {
        when: When::default(),
        order,
        steps,
    }])
}

fn subject() -> Subject {
    Subject {
        product_lines: vec!["crm".to_owned()],
        amount: gbp(1_000_000),
        expected_close: None,
        country: Some("DE".to_owned()),
        region: Some("BY".to_owned()),
    }
}

fn draft() -> Deal {
    Deal {
        id: DealId::from_bytes([4; 16]),
        program: ProgramId::from_bytes([1; 16]),
        partner: PartnerId::from_bytes([2; 16]),
        subject: subject(),
        state: State::Draft,
        created_at: at("2026-03-01T09:00:00Z"),
        created_by: Actor::Partner,
        submitted_at: None,
        customer: None,
        identifiers: Vec::new(),
        held: None,
        rank: Rank::First,
        findings: Vec::new(),
        approval: None,
        answer_by: None,
        grant: None,
        beside: None,
        rejection: None,
        won: None,
        dispute: None,
        disputed_by: None,
        timeline: vec![Entry {
            at: at("2026-03-01T09:00:00Z"),
            what: Happening::Created,
            by: Actor::Partner,
            note: None,
        }],
        version: 1,
    }
}

fn held(identifiers: &[&str], lines: &[&str]) -> Held {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Held {
        identifiers: owned(identifiers),
        product_lines: owned(lines),
        until: at("2028-03-01T09:00:00Z"),
    }
}

fn submission(rank: Rank) -> Submission {
    Submission {
        customer: CustomerId::from_bytes([3; 16]),
        identifiers: vec!["hash".to_owned()],
        held: (rank == Rank::First).then(|| held(&["hash"], &["crm"])),
        rank,
        findings: Vec::new(),
    }
}

fn submitted(policy: &Policy) -> Deal {
    draft()
        .submitted(submission(Rank::First), policy, Actor::Partner, at(MONDAY))
        .unwrap()
}

fn terms() -> Terms {
    Terms {
        days: 90,
        benefit: Benefit::Commission {
            event: "deal".to_owned(),
        },
    }
}

fn approved() -> Deal {
    let deal = submitted(&policy(vec![]));
    let hours = WorkingHours::default();
    deal.consented(operator(1), None, None, terms(), &hours, at(MONDAY))
        .unwrap()
}

/// A deal in each state.
fn in_state(state: State) -> Deal {
    let (policy, now) = (policy(vec![]), at(MONDAY));
    match state {
        State::Draft => draft(),
        State::Submitted => submitted(&policy),
        State::InReview => submitted(&policy).taken_up(operator(1), now).unwrap(),
        State::NeedsInformation => submitted(&policy)
            .asked(operator(1), "Who decides?".to_owned(), &policy, now)
            .unwrap(),
        State::Approved => approved(),
        State::Won => approved()
            .won(gbp(500), None, Actor::Operator(operator(1)), now)
            .unwrap(),
        State::Lost => approved().lost(Actor::Partner, None, now).unwrap(),
        State::Expired => approved().expired(days_after(now, 90)).unwrap(),
        State::Withdrawn => approved().withdrawn(Actor::Partner, now).unwrap(),
        State::Rejected => submitted(&policy)
            .rejected(
                Actor::Operator(operator(1)),
                RejectReason::Incomplete,
                None,
                now,
            )
            .unwrap(),
    }
}

/// What can be tried on a deal, and the states in which it is allowed.
#[derive(Clone, Copy, Debug)]
enum Act {
    Amend,
    Submit,
    TakeUp,
    Ask,
    Answer,
    Consent,
    Reject,
    Extend,
    Win,
    Lose,
    Withdraw,
    Expire,
    Challenge,
}

const ACTS: [(Act, &[State]); 13] = [
    (Act::Amend, &[State::Draft]),
    (Act::Submit, &[State::Draft]),
    (Act::TakeUp, &[State::Submitted]),
    (Act::Ask, &[State::Submitted, State::InReview]),
    (Act::Answer, &[State::NeedsInformation]),
    (Act::Consent, &[State::Submitted, State::InReview]),
    (
        Act::Reject,
        &[State::Submitted, State::InReview, State::NeedsInformation],
    ),
    (Act::Extend, &[State::Approved]),
    (Act::Win, &[State::Approved]),
    (Act::Lose, &[State::Approved]),
    (
        Act::Withdraw,
        &[
            State::Draft,
            State::Submitted,
            State::InReview,
            State::NeedsInformation,
            State::Approved,
        ],
    ),
    (Act::Expire, &[State::Approved]),
    (Act::Challenge, &[]),
];

fn act(deal: &Deal, act: Act, now: Timestamp) -> Result<Deal, Fault> {
    let policy = policy(vec![]);
    let by = Actor::Operator(operator(1));
    let said = || "Words.".to_owned();
    match act {
        Act::Amend => deal.amended(subject()),
        Act::Submit => deal.submitted(submission(Rank::First), &policy, Actor::Partner, now),
        Act::TakeUp => deal.taken_up(operator(1), now),
        Act::Ask => deal.asked(operator(1), said(), &policy, now),
        Act::Answer => deal.answered(said(), &policy.hours, Actor::Partner, now),
        Act::Consent => deal.consented(operator(1), None, None, terms(), &policy.hours, now),
        Act::Reject => deal.rejected(by, RejectReason::NoValueAdded, None, now),
        Act::Extend => deal.extended(30, Actor::Partner, now),
        Act::Win => deal.won(gbp(100), None, by, now),
        Act::Lose => deal.lost(by, None, now),
        Act::Withdraw => deal.withdrawn(Actor::Partner, now),
        Act::Expire => deal.expired(days_after(now, 200)),
        Act::Challenge => deal.challenging(said(), 14, Actor::Partner, now),
    }
}

#[test]
fn each_step_is_allowed_in_its_states_and_in_no_other() {
    for (_, state) in STATES {
        for (tried, states) in ACTS {
            let done = act(&in_state(*state), tried, at(MONDAY));
            assert_eq!(
                done.is_ok(),
                states.contains(state),
                "{tried:?} of one that is {state:?}: {done:?}"
            );
        }
    }
}

#[test]
fn the_first_chain_that_means_a_deal_is_its_own() {
    let chain = |when, name: &str| Chain {
        when,
        order: Order::Sequential,
        steps: vec![step(name, &[1], None)],
    };
    let large = When {
        amount_from: Some(gbp(5_000_000)),
        ..When::default()
    };
    let bavarian = When {
        amount_below: Some(gbp(5_000_000)),
        product_lines: vec!["crm".to_owned()],
        regions: vec![Region {
            country: "DE".to_owned(),
            region: Some("BY".to_owned()),
        }],
        ..When::default()
    };
    let policy = policy(vec![chain(large, "board"), chain(bavarian, "south")]);
    let name = |subject: &Subject| policy.route(subject.case()).1[0].name.clone();
    assert_eq!(name(&subject()), "south");
    let mut other = subject();
    other.amount = gbp(5_000_000);
    assert_eq!(name(&other), "board");
    other.amount = Money::new(1, "EUR".parse().unwrap());
    assert_eq!(name(&other), "review", "another currency is in no range");
    let mut other = subject();
    other.region = None;
    assert_eq!(name(&other), "review");
    other.region = Some("BY".to_owned());
    other.country = Some("AT".to_owned());
    assert_eq!(name(&other), "review");
}

#[test]
fn sequential_steps_consent_one_after_the_other_and_by_different_people() {
    let policy = two_steps(Order::Sequential);
    let deal = submitted(&policy);
    let now = at("2026-03-02T10:00:00Z");
    let consent = |deal: &Deal, by, step: Option<&str>| {
        deal.consented(operator(by), step, None, terms(), &policy.hours, now)
    };
    assert_eq!(consent(&deal, 3, None), Err(Fault::NotApprover));
    assert_eq!(consent(&deal, 3, Some("finance")), Err(Fault::StepUnknown));
    let first = consent(&deal, 1, Some("channel")).unwrap();
    assert_eq!(first.state, State::InReview);
    assert_eq!(first.next_due(), Some(at("2026-03-03T10:00:00Z")));
    assert_eq!(consent(&first, 1, None), Err(Fault::ConsentedBefore));
    assert_eq!(consent(&first, 2, None), Err(Fault::NotApprover));
    let whole = consent(&first, 3, None).unwrap();
    assert_eq!(whole.state, State::Approved);
    let grant = whole.grant.unwrap();
    assert_eq!(grant.until, at("2026-05-31T10:00:00Z"));
    assert_eq!(grant.by, Actor::Operator(operator(3)));
}

#[test]
fn parallel_steps_consent_in_any_order() {
    let policy = two_steps(Order::Parallel);
    let deal = submitted(&policy);
    let now = at(MONDAY);
    let consent =
        |deal: &Deal, by| deal.consented(operator(by), None, None, terms(), &policy.hours, now);
    let first = consent(&deal, 3).unwrap();
    assert_eq!(first.state, State::InReview);
    let named = first.consented(
        operator(1),
        Some("finance"),
        None,
        terms(),
        &policy.hours,
        now,
    );
    assert_eq!(named, Err(Fault::StepUnknown), "it has its consent");
    assert_eq!(consent(&first, 2).unwrap().state, State::Approved);
}

#[test]
fn an_overdue_step_is_passed_on_and_waits_while_the_partner_is_asked() {
    let policy = two_steps(Order::Sequential);
    let deal = submitted(&policy);
    let due = at("2026-03-02T17:00:00Z");
    assert_eq!(deal.next_due(), Some(due));
    assert_eq!(deal.due(at("2026-03-02T16:59:59Z")), None);
    assert_eq!(
        deal.due(due),
        Some(Due::Overdue(vec!["channel".to_owned()]))
    );
    let late = deal.escalated(due);
    assert_eq!(late.next_due(), None);
    let consent =
        |deal: &Deal| deal.consented(operator(9), None, None, terms(), &policy.hours, due);
    assert_eq!(consent(&deal), Err(Fault::NotApprover));
    assert_eq!(consent(&late).unwrap().state, State::InReview);
    // A question stops the clock, its answer starts it anew.
    let asked = deal
        .asked(operator(1), "Who?".to_owned(), &policy, at(MONDAY))
        .unwrap();
    assert_eq!(asked.next_due(), Some(at("2026-03-16T09:00:00Z")));
    assert_eq!(asked.due(at("2026-03-16T09:00:00Z")), Some(Due::Unanswered));
    let answered = asked
        .answered(
            "They do.".to_owned(),
            &policy.hours,
            Actor::Partner,
            at("2026-03-06T15:00:00Z"),
        )
        .unwrap();
    assert_eq!(answered.next_due(), Some(at("2026-03-09T15:00:00Z")));
}

#[test]
fn a_partner_is_reminded_twice_then_the_protection_ends() {
    let deal = approved();
    let until = at("2026-05-31T09:00:00Z");
    assert_eq!(deal.next_due(), Some(at("2026-05-01T09:00:00Z")));
    let now = at("2026-05-01T09:00:00Z");
    assert_eq!(deal.due(now), Some(Due::Reminder(30)));
    let once = deal.reminded(30, now);
    assert_eq!(once.due(now), None);
    assert_eq!(once.next_due(), Some(at("2026-05-24T09:00:00Z")));
    let twice = once.reminded(7, at("2026-05-24T09:00:00Z"));
    assert_eq!(twice.next_due(), Some(until));
    assert_eq!(
        twice.expired(at("2026-05-31T08:59:59Z")),
        Err(Fault::State(State::Approved))
    );
    assert_eq!(twice.due(until), Some(Due::Expiry));
    let expired = twice.expired(until).unwrap();
    assert_eq!((expired.state, expired.held), (State::Expired, None));
    // Of reminders that were missed the nearest is sent alone.
    assert_eq!(deal.due(at("2026-05-25T09:00:00Z")), Some(Due::Reminder(7)));
    assert_eq!(
        deal.reminded(7, at("2026-05-25T09:00:00Z")).next_due(),
        Some(until)
    );
}

#[test]
fn a_short_protection_has_the_reminders_that_fit_into_it() {
    let hours = WorkingHours::default();
    let short = |days| {
        let terms = Terms { days, ..terms() };
        let deal = submitted(&policy(vec![]));
        let deal = deal.consented(operator(1), None, None, terms, &hours, at(MONDAY));
        deal.unwrap().next_due().unwrap()
    };
    assert_eq!(short(30), at("2026-03-25T09:00:00Z"));
    assert_eq!(short(7), at("2026-03-09T09:00:00Z"));
    assert_eq!(short(31), at("2026-03-03T09:00:00Z"));
}

#[test]
fn a_protection_is_extended_once_and_before_it_ends() {
    let deal = approved();
    let now = at("2026-05-25T09:00:00Z");
    let reminded = deal.reminded(7, now);
    let longer = reminded.extended(30, Actor::Partner, now).unwrap();
    assert_eq!(
        longer.grant.as_ref().unwrap().until,
        at("2026-06-30T09:00:00Z")
    );
    assert_eq!(longer.next_due(), Some(at("2026-05-31T09:00:00Z")));
    assert_eq!(
        longer.extended(30, Actor::Partner, now),
        Err(Fault::NoExtension)
    );
    assert_eq!(
        deal.extended(0, Actor::Partner, now),
        Err(Fault::NoExtension)
    );
    let over = at("2026-05-31T09:00:00Z");
    assert_eq!(
        deal.extended(30, Actor::Partner, over),
        Err(Fault::State(State::Expired))
    );
    let by = Actor::Operator(operator(1));
    assert_eq!(
        deal.won(gbp(1), None, by, over),
        Err(Fault::State(State::Expired))
    );
    assert_eq!(deal.won(gbp(0), None, by, now), Err(Fault::NoAmount));
}

#[test]
fn who_wrote_a_deal_or_has_a_stake_in_it_is_known() {
    let mut policy = policy(vec![]);
    policy.stakes = vec![
        Stake {
            operator: operator(5),
            partners: vec![draft().partner],
            domains: vec![],
        },
        Stake {
            operator: operator(6),
            partners: vec![],
            domains: vec!["acme.example".to_owned()],
        },
    ];
    let mut deal = draft();
    deal.created_by = Actor::Operator(operator(7));
    let stake = |by, domain| deal.has_stake(operator(by), &policy, domain);
    assert!(stake(5, None) && stake(7, None) && stake(6, Some("acme.example")));
    assert!(!stake(6, None) && !stake(6, Some("other.example")) && !stake(1, None));
}

#[test]
fn what_a_partner_lacks_is_found_with_its_evidence() {
    let mut policy = policy(vec![]);
    let tiers = ["silver", "gold"].map(str::to_owned);
    let requirement = |lines: &[&str], tier: &str, certification: &str| Requirement {
        product_lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        tier: Some(tier.to_owned()),
        certifications: vec![certification.to_owned()],
    };
    policy.eligibility.requirements = vec![
        requirement(&["crm"], "gold", "crm-pro"),
        requirement(&["erp"], "platinum", "erp-pro"),
    ];
    let lines = ["crm".to_owned()];
    let sells = ["erp".to_owned()];
    let nothing = Standing {
        agreement: false,
        tier: Some("silver"),
        tiers: &tiers,
        certifications: &[],
        product_lines: &sells,
        in_territory: false,
    };
    let kinds = |standing, lines: &[String]| -> Vec<FindingKind> {
        let found = eligibility(&policy, standing, lines);
        found.into_iter().map(|finding| finding.kind).collect()
    };
    assert_eq!(
        kinds(nothing, &lines),
        [
            FindingKind::AgreementMissing,
            FindingKind::OutOfTerritory,
            FindingKind::LineNotSold,
            FindingKind::TierTooLow,
            FindingKind::CertificationMissing,
        ]
    );
    let certified = ["crm-pro".to_owned(), "erp-pro".to_owned()];
    let all = Standing {
        agreement: true,
        tier: Some("gold"),
        certifications: &certified,
        product_lines: &[],
        in_territory: true,
        ..nothing
    };
    assert_eq!(kinds(all, &lines), []);
    // A tier that the program does not have is nobody's.
    assert_eq!(kinds(all, &sells), [FindingKind::TierTooLow]);
    let mut found = eligibility(&policy, nothing, &lines);
    assert!(!hints(&found).others);
    found.push(Finding {
        kind: FindingKind::Direct,
        about: Some("cust_1".to_owned()),
        partner: None,
        score: None,
        evidence: "the vendor's account".to_owned(),
    });
    let told = hints(&found);
    assert!(told.others && told.own.len() == 5, "{told:?}");
}

#[test]
fn deals_approve_themselves_by_amount_and_tier() {
    let mut policy = policy(vec![]);
    policy.auto_approve = vec![AutoApproval {
        when: When {
            amount_below: Some(gbp(1_000_001)),
            ..When::default()
        },
        tiers: vec!["gold".to_owned()],
    }];
    let itself = |subject: &Subject, tier| policy.approves_itself(subject.case(), tier);
    assert!(itself(&subject(), Some("gold")));
    assert!(!itself(&subject(), Some("silver")) && !itself(&subject(), None));
    let mut large = subject();
    large.amount = gbp(1_000_001);
    assert!(!itself(&large, Some("gold")));
    let deal = submitted(&policy)
        .self_approved(terms(), at(MONDAY))
        .unwrap();
    assert_eq!(deal.grant.as_ref().unwrap().by, Actor::Rule);
    assert_eq!(deal.next_due(), Some(at("2026-05-01T09:00:00Z")));
}

/// A challenger rejected as the duplicate of an approved deal.
fn rivals() -> (Deal, Deal) {
    let holder = approved();
    let mut mine = draft();
    mine.id = DealId::from_bytes([8; 16]);
    mine.partner = PartnerId::from_bytes([9; 16]);
    let policy = policy(vec![]);
    let second = submission(Rank::Second(holder.id));
    let mine = mine
        .submitted(second, &policy, Actor::Partner, at(MONDAY))
        .unwrap()
        .rejected(Actor::Rule, RejectReason::Duplicate, None, at(MONDAY))
        .unwrap();
    let mine = mine
        .challenging(
            "We were there first.".to_owned(),
            14,
            Actor::Partner,
            at(MONDAY),
        )
        .unwrap();
    let holder = holder.challenged(mine.id, at(MONDAY)).unwrap();
    (mine, holder)
}

fn settle(award: Award) -> (Deal, Deal) {
    let (mine, holder) = rivals();
    let by = (
        Actor::Operator(operator(1)),
        Some("Looked at both.".to_owned()),
    );
    let (mine, holder) = mine
        .settled(
            Some(&holder),
            award,
            terms(),
            by,
            at("2026-03-03T09:00:00Z"),
        )
        .unwrap();
    let holder = holder.unwrap();
    assert_eq!(holder.disputed_by, None);
    assert!(mine.dispute.as_ref().unwrap().ended.is_some());
    assert_eq!(
        mine.due(Timestamp::MAX).is_some(),
        mine.state == State::Approved
    );
    (mine, holder)
}

#[test]
fn a_dispute_ends_for_one_for_both_or_for_neither() {
    let (mine, holder) = settle(Award::Holder);
    assert_eq!(
        (mine.state, holder.state),
        (State::Rejected, State::Approved)
    );
    let (mine, holder) = settle(Award::Challenger);
    assert_eq!(
        (mine.state, holder.state),
        (State::Approved, State::Rejected)
    );
    assert_eq!(mine.grant.unwrap().until, at("2026-06-01T09:00:00Z"));
    let (mine, holder) = settle(Award::Neither);
    assert_eq!(
        (mine.state, holder.state),
        (State::Rejected, State::Rejected)
    );
    let share: Rate = "0.30".parse().unwrap();
    let (mine, holder) = settle(Award::Split { challenger: share });
    assert_eq!(
        (mine.state, holder.state),
        (State::Approved, State::Approved)
    );
    let (mine_has, holder_has) = (mine.beside.unwrap(), holder.beside.unwrap());
    assert_eq!((mine_has.deal, holder_has.deal), (holder.id, mine.id));
    assert_eq!(mine_has.share.to_string(), "0.30");
    assert_eq!(holder_has.share.to_string(), "0.70");
}

#[test]
fn a_dispute_is_raised_once_in_time_and_over_a_duplicate() {
    let (mine, holder) = rivals();
    let raise = |deal: &Deal, now| deal.challenging("So.".to_owned(), 14, Actor::Partner, now);
    assert_eq!(raise(&mine, at(MONDAY)), Err(Fault::DisputeOpen));
    assert_eq!(
        holder.challenged(mine.id, at(MONDAY)),
        Err(Fault::DisputeOpen)
    );
    assert_eq!(mine.due(at("2026-03-16T09:00:00Z")), Some(Due::Undecided));
    let mut before = mine.clone();
    before.dispute = None;
    assert!(raise(&before, at("2026-03-16T09:00:00Z")).is_ok());
    assert_eq!(
        raise(&before, at("2026-03-16T09:00:01Z")),
        Err(Fault::DisputeLate)
    );
    before.rank = Rank::First;
    assert_eq!(raise(&before, at(MONDAY)), Err(Fault::NothingToDispute));
    before.findings = vec![Finding {
        kind: FindingKind::Duplicate,
        about: Some(holder.id.to_string()),
        partner: Some(holder.partner),
        score: None,
        evidence: "registered before".to_owned(),
    }];
    assert!(raise(&before, at(MONDAY)).is_ok());
    before.rejection = Some((RejectReason::NoValueAdded, None));
    assert_eq!(raise(&before, at(MONDAY)), Err(Fault::NothingToDispute));
}

#[test]
fn an_undecided_holder_is_shared_with_nobody() {
    let (mine, _) = rivals();
    let undecided = submitted(&policy(vec![]));
    let share = "0.5".parse().unwrap();
    let split = |holder| {
        let by = (Actor::Rule, None);
        mine.settled(
            holder,
            Award::Split { challenger: share },
            terms(),
            by,
            at(MONDAY),
        )
    };
    assert_eq!(split(Some(&undecided)), Err(Fault::State(State::Submitted)));
    assert_eq!(split(None), Err(Fault::NoDispute));
    let ended = settle(Award::Holder).0;
    let again = ended.settled(
        None,
        Award::Challenger,
        terms(),
        (Actor::Rule, None),
        at(MONDAY),
    );
    assert_eq!(again, Err(Fault::NoDispute));
}

#[test]
fn a_deal_that_is_asked_about_for_ever_is_decided_at_last() {
    let policy = policy(vec![]);
    let mut deal = submitted(&policy);
    let mut rounds = 0;
    let fault = loop {
        match deal.asked(operator(1), "And?".to_owned(), &policy, at(MONDAY)) {
            Ok(asked) => {
                deal = asked
                    .answered("Yes.".to_owned(), &policy.hours, Actor::Partner, at(MONDAY))
                    .unwrap();
            }
            Err(fault) => break fault,
        }
        rounds += 1;
    };
    assert_eq!(fault, Fault::TooMuch);
    assert!(
        rounds > 20 && deal.timeline.len() < MAX_TIMELINE,
        "{rounds}"
    );
    assert_eq!(in_state(State::Submitted).state, State::Submitted);
    let hours = WorkingHours::default();
    let done = deal.consented(operator(1), None, None, terms(), &hours, at(MONDAY));
    assert_eq!(done.unwrap().state, State::Approved);
}

proptest! {
    #[test]
    fn the_parts_of_a_split_are_the_whole(minor in 0..1_000_000_000_i64, percent in 1..100_u32) {
        let share = Rate::of(rust_decimal::Decimal::new(i64::from(percent), 2));
        let (part, left) = split(gbp(minor), share).unwrap();
        prop_assert_eq!(part.minor() + left.minor(), minor);
        prop_assert!(part.minor() >= 0 && left.minor() >= 0);
        prop_assert_eq!(share.rest().rest(), share);
    }

    #[test]
    fn whatever_is_tried_versions_and_timelines_only_grow_and_what_has_ended_stays(
        tries in prop::collection::vec((0..ACTS.len(), 0..40_i64), 1..40),
    ) {
        let mut deal = draft();
        let mut now = at(MONDAY);
        for (number, hours) in tries {
            now += jiff::SignedDuration::from_hours(hours);
            let (tried, states) = ACTS[number];
            let before = deal.clone();
            if let Ok(after) = act(&deal, tried, now) {
                prop_assert!(states.contains(&before.state));
                prop_assert_eq!(after.version, before.version + 1);
                prop_assert!(after.timeline.starts_with(&before.timeline));
                deal = after;
            }
            let ended = !deal.state.is_live() && deal.state != State::Draft;
            // Nothing is due for what has ended, and something always is for what waits.
            prop_assert_eq!(deal.next_due().is_none(), ended || deal.state == State::Draft);
            prop_assert!(!ended || deal.state == State::Won || deal.held.is_none());
            if let (Some(held), Some(grant)) = (&deal.held, &deal.grant) {
                prop_assert_eq!(held.until, grant.until);
            }
            prop_assert!(deal.grant.is_some() || deal.state != State::Approved);
        }
    }

    #[test]
    fn whatever_is_due_is_done_once(days in 1..200_u32, later in 0..250_i64) {
        let hours = WorkingHours::default();
        let terms = Terms { days, ..terms() };
        let deal = submitted(&policy(vec![]));
        let mut deal = deal.consented(operator(1), None, None, terms, &hours, at(MONDAY)).unwrap();
        let mut done = 0;
        // Time comes in leaps, or day by day.
        for day in 1..=250 {
            if day % (later + 1) != 0 {
                continue;
            }
            let now = days_after(at(MONDAY), u32::try_from(day).unwrap());
            while let Some(due) = deal.due(now) {
                deal = match due {
                    Due::Reminder(days) => deal.reminded(days, now),
                    Due::Expiry => deal.expired(now).unwrap(),
                    other => panic!("{other:?}"),
                };
                done += 1;
                prop_assert!(done <= 3);
            }
        }
    }
}
