#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::ids::ProgramId;
use crate::plans::model::{Cap, Gate, Level};

fn gbp() -> Currency {
    "GBP".parse().unwrap()
}

fn money(text: &str) -> Money {
    Money::parse(text, gbp()).unwrap()
}

fn minor(text: &str) -> i64 {
    money(text).minor()
}

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn plan(terms: Terms) -> PlanVersion {
    PlanVersion {
        program: ProgramId::from_bytes([1; 16]),
        code: "standard".to_owned(),
        version: 1,
        effective_from: at("2020-01-01T00:00:00Z"),
        hold_days: 30,
        terms,
        created_at: at("2020-01-01T00:00:00Z"),
    }
}

fn sale(number: u8, when: &str, amount: &str) -> Entry {
    Entry {
        conversion: ConversionId::from_bytes([number; 16]),
        partner: PartnerId::from_bytes([9; 16]),
        plan: 0,
        occurred_at: at(when),
        counted_at: at(when),
        own: true,
        event: "sale".to_owned(),
        quantity: 1,
        amount: Some(minor(amount)),
        margin: None,
        net_revenue: None,
        adjustments: 0,
        customer: None,
        known_since: None,
        new_customer: None,
        country: None,
        product: None,
        coupon: None,
        subs: [const { None }; 5],
        meta: BTreeMap::new(),
    }
}

fn of(mut entry: Entry, customer: &str) -> Entry {
    entry.customer = Some(customer.to_owned());
    entry
}

fn own(unit: Unit) -> Measure {
    Measure {
        unit,
        events: vec!["sale".to_owned()],
        scope: Scope::Own,
    }
}

fn tiers(mode: Mode, window: Window, brackets: &[(&str, BracketPay)]) -> Component {
    Component::simple(
        "sale",
        Pay::Tiered(Tiers {
            measure: own(Unit::Amount),
            window,
            mode,
            of: Base::Amount,
            brackets: brackets
                .iter()
                .map(|(from, pay)| Bracket {
                    from: minor(from),
                    pay: *pay,
                })
                .collect(),
        }),
    )
}

fn ten_then_twelve(mode: Mode) -> Component {
    let brackets = [
        ("0.00", BracketPay::Rate(rate("0.10"))),
        ("5000.00", BracketPay::Rate(rate("0.12"))),
    ];
    tiers(mode, Window::Month, &brackets)
}

/// What a plan pays for events in canonical order, each; and in all, its closed windows included.
fn fold(terms: Terms, entries: &[Entry]) -> (Vec<String>, Money) {
    let plan = plan(terms);
    let mut entries = entries.to_vec();
    entries.sort_by_key(Entry::position);
    let mut fold = Fold::new([&plan], gbp());
    let mut sum = Money::zero(gbp());
    let mut pays = Vec::new();
    for entry in &entries {
        let paid = fold.step(entry).unwrap();
        sum = sum.plus(paid.pay).unwrap();
        pays.push(paid.pay.to_string());
    }
    fold.close(Timestamp::MAX).unwrap();
    for close in fold.closes() {
        sum = sum.plus(close.pay).unwrap();
    }
    (pays, sum)
}

fn sum(component: Component, amounts: &[&str]) -> String {
    let entries: Vec<Entry> = amounts
        .iter()
        .zip(1..)
        .map(|(amount, day)| sale(day, &format!("2026-03-{day:02}T12:00:00Z"), amount))
        .collect();
    fold(Terms::of(vec![component]), &entries).1.to_string()
}

#[test]
fn marginal_rates_each_part_of_the_amount_in_its_own_bracket() {
    let marginal = || ten_then_twelve(Mode::Marginal);
    assert_eq!(sum(marginal(), &["6000.00"]), "620.00");
    assert_eq!(sum(marginal(), &["5000.00"]), "500.00");
    assert_eq!(sum(marginal(), &["4000.00"]), "400.00");
    assert_eq!(sum(marginal(), &["4000.00", "2000.00"]), "620.00");
    // With the first reversed, the second alone is left.
    assert_eq!(sum(marginal(), &["2000.00"]), "200.00");
}

#[test]
fn attained_rates_a_conversion_wholly_at_the_bracket_that_it_reaches() {
    let attained = || ten_then_twelve(Mode::Attained);
    assert_eq!(sum(attained(), &["4000.00", "2000.00"]), "640.00");
    assert_eq!(sum(attained(), &["4999.99"]), "500.00");
    assert_eq!(
        sum(attained(), &["5000.00"]),
        "600.00",
        "bounds are inclusive"
    );
}

#[test]
fn retroactive_rates_the_whole_window_at_the_bracket_that_it_reaches() {
    let retroactive = || ten_then_twelve(Mode::Retroactive);
    assert_eq!(sum(retroactive(), &["6000.00"]), "720.00");
    assert_eq!(sum(retroactive(), &["4000.00", "2000.00"]), "720.00");
    assert_eq!(sum(retroactive(), &["4000.00"]), "400.00");
}

#[test]
fn interpolated_pay_runs_in_straight_lines_between_the_points_stated() {
    let points = [
        ("0.00", BracketPay::Total(money("0.00"))),
        ("5000.00", BracketPay::Total(money("500.00"))),
        ("10000.00", BracketPay::Total(money("1500.00"))),
    ];
    let interpolated = || tiers(Mode::Interpolated, Window::Month, &points);
    assert_eq!(sum(interpolated(), &["2500.00"]), "250.00");
    assert_eq!(sum(interpolated(), &["5000.00", "2500.00"]), "1000.00");
    assert_eq!(sum(interpolated(), &["10000.00", "2500.00"]), "1500.00");
}

#[test]
fn a_window_is_a_calendar_month_in_the_plans_time_zone() {
    let mut terms = Terms::of(vec![ten_then_twelve(Mode::Attained)]);
    terms.time_zone = "Europe/Berlin".to_owned();
    // 23:30 UTC on the last of March is April in Berlin already.
    let entries = [
        sale(1, "2026-03-31T21:30:00Z", "4000.00"),
        sale(2, "2026-03-31T22:30:00Z", "2000.00"),
    ];
    assert_eq!(fold(terms.clone(), &entries).0, ["400.00", "200.00"]);
    terms.time_zone = "UTC".to_owned();
    assert_eq!(fold(terms, &entries).0, ["400.00", "240.00"]);
}

#[test]
fn a_trailing_window_forgets_what_lies_as_many_days_back() {
    let brackets = [
        ("0.00", BracketPay::Rate(rate("0.10"))),
        ("100.00", BracketPay::Rate(rate("0.20"))),
    ];
    let trailing = tiers(Mode::Attained, Window::Trailing { days: 7 }, &brackets);
    let entries = [
        sale(1, "2026-03-01T00:00:00Z", "60.00"),
        sale(2, "2026-03-07T23:59:59Z", "60.00"),
        sale(3, "2026-03-08T00:00:00Z", "30.00"),
        sale(4, "2026-03-14T00:00:00Z", "10.00"),
    ];
    let (pays, _) = fold(Terms::of(vec![trailing]), &entries);
    assert_eq!(pays, ["6.00", "12.00", "3.00", "2.00"]);
}

#[test]
fn uplines_get_their_share_of_the_sale_or_of_the_level_below() {
    let with = |levels: Vec<Level>, percent: &str, amount: &str| {
        let mut terms = Terms::of(vec![Component::percent("sale", rate(percent))]);
        terms.levels = levels;
        let plan = plan(terms);
        let mut fold = Fold::new([&plan], gbp());
        let paid = fold.step(&sale(1, "2026-03-01T00:00:00Z", amount)).unwrap();
        let levels: Vec<String> = paid.levels.iter().map(ToString::to_string).collect();
        (paid.pay.to_string(), levels)
    };
    let level = |text: &str, of| Level {
        rate: rate(text),
        of,
        rounding: Rounding::HalfUp,
    };
    let ten = |of| level("0.10", of);
    assert_eq!(
        with(vec![ten(LevelBase::Sale)], "0.20", "100.00"),
        ("20.00".to_owned(), vec!["10.00".to_owned()])
    );
    assert_eq!(
        with(vec![ten(LevelBase::Commission)], "0.20", "100.00").1,
        ["2.00"]
    );
    assert_eq!(
        with(
            vec![
                ten(LevelBase::Commission),
                ten(LevelBase::Commission),
                ten(LevelBase::Commission)
            ],
            "1",
            "100.00"
        ),
        (
            "100.00".to_owned(),
            vec!["10.00".to_owned(), "1.00".to_owned(), "0.10".to_owned()]
        )
    );
    let five = || level("0.05", LevelBase::Sale);
    assert_eq!(
        with(vec![five(), five()], "0.20", "200.00").1,
        ["10.00", "10.00"]
    );
    let floor = Level {
        rounding: Rounding::Floor,
        ..five()
    };
    assert_eq!(with(vec![floor], "0.20", "0.99").1, ["0.04"]);
    assert_eq!(with(vec![five()], "0.20", "0.99").1, ["0.05"]);
}

#[test]
fn revenue_share_is_taken_of_amounts_less_adjustments_and_may_carry_a_loss() {
    let play = |number: u8, when: &str, amount: &str, adjustments: &str| Entry {
        adjustments: minor(adjustments),
        ..sale(number, when, amount)
    };
    let entries = [
        play(1, "2026-01-10T00:00:00Z", "100.00", "20.00"),
        play(2, "2026-01-20T00:00:00Z", "0.00", "130.00"),
        play(3, "2026-02-10T00:00:00Z", "200.00", "0.00"),
    ];
    let pays = |carryover| {
        let share = RevenueShare {
            window: Window::Month,
            brackets: vec![(0, rate("0.50"))],
            carryover,
        };
        let component = Component::simple("sale", Pay::RevenueShare(share));
        fold(Terms::of(vec![component]), &entries).0
    };
    assert_eq!(pays(Carryover::Reset), ["40.00", "-40.00", "100.00"]);
    assert_eq!(pays(Carryover::Carry), ["40.00", "-40.00", "75.00"]);
    assert_eq!(
        pays(Carryover::Capped(money("20.00"))),
        ["40.00", "-40.00", "90.00"]
    );
}

#[test]
fn a_gate_pays_what_is_behind_it_once_its_window_has_reached_the_threshold() {
    let gated = |at_least: i64| {
        let mut component = Component::percent("sale", rate("0.10"));
        component.gate = Some(Gate {
            measure: own(Unit::Count),
            window: Window::Month,
            at_least,
        });
        Terms::of(vec![component])
    };
    let entries = [
        sale(1, "2026-03-01T00:00:00Z", "100.00"),
        sale(2, "2026-03-31T00:00:00Z", "50.00"),
        sale(3, "2026-04-01T00:00:00Z", "10.00"),
    ];
    let (pays, whole) = fold(gated(2), &entries);
    assert_eq!(
        pays,
        ["0.00", "0.00", "0.00"],
        "provisional until it closes"
    );
    assert_eq!(
        whole,
        money("15.00"),
        "March reached two sales, April did not"
    );
    assert_eq!(fold(gated(3), &entries).1, money("0.00"));
}

#[test]
fn only_the_events_that_a_measure_names_count_for_it() {
    let mut component = Component::percent("sale", rate("0.10"));
    component.gate = Some(Gate {
        measure: Measure {
            events: vec!["lead".to_owned()],
            ..own(Unit::Count)
        },
        window: Window::Month,
        at_least: 2,
    });
    let lead = |number: u8| Entry {
        event: "lead".to_owned(),
        ..sale(number, "2026-03-02T00:00:00Z", "0.00")
    };
    let sold = sale(1, "2026-03-01T00:00:00Z", "100.00");
    let terms = || Terms::of(vec![component.clone()]);
    assert_eq!(fold(terms(), &[sold.clone(), lead(2)]).1, money("0.00"));
    assert_eq!(fold(terms(), &[sold, lead(2), lead(3)]).1, money("10.00"));
}

#[test]
fn a_window_is_numbered_by_its_year_and_first_month() {
    let utc = Zone::of("UTC");
    let number = |window, when: &str| utc.window(window, at(when));
    assert_eq!(number(Window::Month, "2026-03-31T23:59:59Z"), 202_603);
    assert_eq!(number(Window::Month, "2025-03-01T00:00:00Z"), 202_503);
    assert_eq!(number(Window::Quarter, "2026-12-31T00:00:00Z"), 202_610);
    assert_eq!(number(Window::Quarter, "2026-03-31T00:00:00Z"), 202_601);
    assert_eq!(
        utc.end(Window::Quarter, 202_610),
        at("2027-01-01T00:00:00Z")
    );
    assert_eq!(utc.end(Window::Month, 202_612), at("2027-01-01T00:00:00Z"));
}

#[test]
fn caps_clamp_to_what_is_left_and_say_so() {
    let mut terms = Terms::of(vec![Component::percent("sale", rate("0.10"))]);
    terms.caps = vec![
        Cap {
            scope: CapScope::Conversion,
            window: Window::Lifetime,
            amount: money("8.00"),
        },
        Cap {
            scope: CapScope::Partner,
            window: Window::Month,
            amount: money("12.00"),
        },
    ];
    let plan = plan(terms);
    let mut fold = Fold::new([&plan], gbp());
    let mut step = |number: u8, when: &str, amount: &str| {
        let paid = fold.step(&sale(number, when, amount)).unwrap();
        let cuts: Vec<(u32, String, String)> = paid
            .cuts
            .iter()
            .map(|cut| (cut.cap, cut.by.to_string(), cut.room.to_string()))
            .collect();
        (paid.pay.to_string(), cuts)
    };
    let cut = |cap, by: &str, room: &str| (cap, by.to_owned(), room.to_owned());
    assert_eq!(
        step(1, "2026-03-01T00:00:00Z", "100.00"),
        ("8.00".to_owned(), vec![cut(0, "2.00", "8.00")])
    );
    assert_eq!(
        step(2, "2026-03-02T00:00:00Z", "50.00"),
        ("4.00".to_owned(), vec![cut(1, "1.00", "4.00")])
    );
    assert_eq!(
        step(3, "2026-03-03T00:00:00Z", "50.00"),
        ("0.00".to_owned(), vec![cut(1, "5.00", "0.00")])
    );
    assert_eq!(
        step(4, "2026-04-01T00:00:00Z", "80.00"),
        ("8.00".to_owned(), Vec::new()),
        "all that a cap has room for is no cut"
    );
}

/// Ten per cent behind a gate of two sales a month, under these caps.
fn gated(caps: &[(CapScope, &str)]) -> Terms {
    let mut component = Component::percent("sale", rate("0.10"));
    component.gate = Some(Gate {
        measure: own(Unit::Count),
        window: Window::Month,
        at_least: 2,
    });
    let mut terms = Terms::of(vec![component]);
    terms.caps = caps
        .iter()
        .map(|(scope, amount)| Cap {
            scope: *scope,
            window: Window::Month,
            amount: money(amount),
        })
        .collect();
    terms
}

#[test]
fn every_cap_binds_what_a_gate_releases() {
    let entries = [
        of(sale(1, "2026-03-01T00:00:00Z", "100.00"), "ann"),
        of(sale(2, "2026-03-02T00:00:00Z", "200.00"), "ann"),
        of(sale(3, "2026-03-03T00:00:00Z", "100.00"), "bob"),
        sale(4, "2026-03-04T00:00:00Z", "50.00"),
        // In the next month, before March is closed: it uses up nothing of March.
        of(sale(5, "2026-04-01T00:00:00Z", "500.00"), "ann"),
    ];
    let whole = |caps: &[(CapScope, &str)]| fold(gated(caps), &entries).1.to_string();
    assert_eq!(whole(&[]), "45.00", "April has one sale and pays nothing");
    assert_eq!(whole(&[(CapScope::Conversion, "12.00")]), "37.00");
    assert_eq!(whole(&[(CapScope::Customer, "12.00")]), "27.00");
    assert_eq!(whole(&[(CapScope::Customer, "4.00")]), "12.00");
    assert_eq!(whole(&[(CapScope::Partner, "40.00")]), "40.00");
    assert_eq!(whole(&[(CapScope::Program, "40.00")]), "40.00");
    assert_eq!(
        whole(&[(CapScope::Customer, "12.00"), (CapScope::Partner, "20.00")]),
        "20.00"
    );
}

#[test]
fn what_other_caps_take_off_is_no_customers_use() {
    let mut terms = gated(&[(CapScope::Customer, "12.00"), (CapScope::Partner, "15.00")]);
    terms.caps[0].window = Window::Lifetime;
    let month = |month: u8| {
        ["ann", "bob"].into_iter().zip(1..).map(move |(name, day)| {
            let when = format!("2026-{month:02}-{day:02}T00:00:00Z");
            of(sale(10 * month + day, &when, "100.00"), name)
        })
    };
    let entries: Vec<Entry> = month(3).chain(month(4)).collect();
    // March: ten of each, five of which the partner's cap takes off the last. April: two and seven are left.
    assert_eq!(fold(terms, &entries).1, money("24.00"));
}

#[test]
fn a_conversions_cap_binds_what_waits_beside_what_it_pays_now() {
    let mut terms = gated(&[(CapScope::Conversion, "12.00")]);
    terms
        .components
        .push(Component::percent("sale", rate("0.05")));
    let plan = plan(terms);
    let mut fold = Fold::new([&plan], gbp());
    let mut step = |number: u8, amount: &str| {
        let paid = fold
            .step(&sale(number, "2026-03-01T00:00:00Z", amount))
            .unwrap();
        let cuts: Vec<(String, String)> = paid
            .cuts
            .iter()
            .map(|cut| (cut.by.to_string(), cut.room.to_string()))
            .collect();
        (paid.pay.to_string(), cuts)
    };
    // 4.00 now and 8.00 later are all that the cap has room for.
    assert_eq!(step(1, "80.00"), ("4.00".to_owned(), Vec::new()));
    let cut = ("3.00".to_owned(), "7.00".to_owned());
    assert_eq!(step(2, "100.00"), ("5.00".to_owned(), vec![cut]));
    fold.close(Timestamp::MAX).unwrap();
    let closes = fold.closes();
    assert_eq!(closes[0].pay, money("15.00"));
}

#[test]
fn what_falls_behind_a_gate_is_set_against_what_caps_took_off() {
    let mut share = Component::simple(
        "sale",
        Pay::RevenueShare(RevenueShare {
            window: Window::Month,
            brackets: vec![(0, rate("0.30"))],
            carryover: Carryover::Reset,
        }),
    );
    share.gate = Some(Gate {
        measure: own(Unit::Count),
        window: Window::Month,
        at_least: 1,
    });
    let mut terms = Terms::of(vec![share]);
    terms.caps = vec![Cap {
        scope: CapScope::Conversion,
        window: Window::Lifetime,
        amount: money("100.00"),
    }];
    let back = Entry {
        adjustments: minor("700.00"),
        ..sale(2, "2026-03-02T00:00:00Z", "0.00")
    };
    let entries = [sale(1, "2026-03-01T00:00:00Z", "1000.00"), back];
    assert_eq!(fold(terms, &entries).1, money("90.00"));
}

#[test]
fn what_is_measured_alone_is_no_sale_that_uplines_share() {
    let mut tiered = ten_then_twelve(Mode::Attained);
    if let Pay::Tiered(tiers) = &mut tiered.pay {
        tiers.measure.events = vec!["sale".to_owned(), "lead".to_owned()];
    }
    let bonus = Component::simple(
        "sale",
        Pay::Milestone {
            measure: own(Unit::Count),
            window: Window::Month,
            at: 2,
            amount: money("7.00"),
        },
    );
    let shares = |component: Component, entries: &[Entry]| {
        let mut terms = Terms::of(vec![component]);
        terms.levels = vec![Level {
            rate: rate("0.10"),
            of: LevelBase::Sale,
            rounding: Rounding::HalfUp,
        }];
        let plan = plan(terms);
        let mut fold = Fold::new([&plan], gbp());
        let told = |entry: &Entry| {
            let paid = fold.step(entry).unwrap();
            let measured = paid.steps.first().and_then(|step| step.measured);
            (paid.pay.to_string(), paid.levels[0].to_string(), measured)
        };
        entries.iter().map(told).collect::<Vec<_>>()
    };
    let first = sale(1, "2026-03-01T00:00:00Z", "100.00");
    let second = sale(2, "2026-03-02T00:00:00Z", "100.00");
    let lead = Entry {
        event: "lead".to_owned(),
        ..second.clone()
    };
    let told = |pay: &str, share: &str, measured| (pay.to_owned(), share.to_owned(), measured);
    assert_eq!(
        shares(tiered, &[first.clone(), lead]),
        [
            told("10.00", "10.00", Some((0, 10_000))),
            told("0.00", "0.00", None)
        ]
    );
    // A bonus is for the month, not for the sale that reaches it; and it is told of when it is reached.
    assert_eq!(
        shares(bonus, &[first, second]),
        [
            told("0.00", "0.00", None),
            told("7.00", "0.00", Some((1, 2)))
        ]
    );
}

#[test]
fn what_is_measured_alone_is_never_the_one_that_is_chosen() {
    let mut tiered = ten_then_twelve(Mode::Attained);
    if let Pay::Tiered(tiers) = &mut tiered.pay {
        tiers.measure.events = vec!["lead".to_owned()];
    }
    let flat = Component::simple("lead", Pay::Flat(money("3.00")));
    let lead = Entry {
        event: "lead".to_owned(),
        ..sale(1, "2026-03-01T00:00:00Z", "100.00")
    };
    for pays in [Pays::First, Pays::Highest, Pays::All] {
        let mut terms = Terms::of(vec![tiered.clone(), flat.clone()]);
        terms.pays = pays;
        assert_eq!(
            fold(terms, std::slice::from_ref(&lead)).0,
            ["3.00"],
            "{pays:?}"
        );
    }
}

#[test]
fn what_partners_below_sell_moves_pay_along_its_line() {
    let points = [
        ("0.00", BracketPay::Total(money("0.00"))),
        ("1000.00", BracketPay::Total(money("100.00"))),
    ];
    let mut component = tiers(Mode::Interpolated, Window::Month, &points);
    if let Pay::Tiered(tiers) = &mut component.pay {
        tiers.measure.scope = Scope::SubTree;
    }
    let below = Entry {
        own: false,
        ..sale(1, "2026-03-01T00:00:00Z", "400.00")
    };
    let own = sale(2, "2026-03-02T00:00:00Z", "100.00");
    assert_eq!(
        fold(Terms::of(vec![component]), &[below, own]).0,
        ["40.00", "10.00"]
    );
}

#[test]
fn the_case_of_letters_makes_no_difference_to_a_condition() {
    let holds = |value: &str, text: &str| {
        let condition = Condition::Among {
            field: TextField::Product,
            values: vec![value.to_owned()],
            is: true,
        };
        let entry = Entry {
            product: Some(text.to_owned()),
            ..sale(1, "2026-03-01T00:00:00Z", "1.00")
        };
        holds(&condition, &entry, None, gbp())
    };
    assert!(holds("rose", "ROSE"));
    assert!(holds("BÄR", "bär"));
    assert!(!holds("BÄR", "BAR"));
    assert!(!holds("bar", "BÄR"));
    assert!(!holds("rose", "roses"));
}

#[test]
fn a_customer_is_known_by_each_of_its_events() {
    let mut component = Component::percent("sale", rate("0.10"));
    component.duration = Duration::FirstSale;
    let lead = Entry {
        event: "lead".to_owned(),
        ..of(sale(1, "2026-03-01T00:00:00Z", "5.00"), "ann")
    };
    let entries = [
        lead,
        of(sale(2, "2026-03-02T00:00:00Z", "100.00"), "ann"),
        of(sale(3, "2026-03-03T00:00:00Z", "100.00"), "ann"),
    ];
    assert_eq!(
        fold(Terms::of(vec![component]), &entries).0,
        ["0.00", "10.00", "0.00"]
    );
}

#[test]
fn what_a_gate_releases_uses_the_programs_budget_before_what_comes_after_it() {
    let mut terms = gated(&[(CapScope::Program, "30.00")]);
    terms.caps[0].window = Window::Quarter;
    terms
        .components
        .push(Component::percent("renewal", rate("0.10")));
    let plan = plan(terms);
    let mut fold = Fold::new([&plan], gbp());
    let other = |number: u8, when: &str, event: &str| Entry {
        partner: PartnerId::from_bytes([8; 16]),
        event: event.to_owned(),
        ..sale(number, when, "100.00")
    };
    let mut pays = Vec::new();
    for entry in [
        sale(1, "2026-01-10T00:00:00Z", "100.00"),
        sale(2, "2026-01-11T00:00:00Z", "100.00"),
        // Another partner's, in the next month: twenty of thirty are used by then.
        other(3, "2026-02-01T00:00:00Z", "renewal"),
        other(4, "2026-02-02T00:00:00Z", "renewal"),
    ] {
        pays.push(fold.step(&entry).unwrap().pay.to_string());
    }
    assert_eq!(pays, ["0.00", "0.00", "10.00", "0.00"]);
    let closes: Vec<String> = fold
        .closes()
        .iter()
        .map(|close| close.pay.to_string())
        .collect();
    assert_eq!(closes, ["20.00"]);
}

#[test]
fn uplines_get_of_a_sale_only_where_the_plan_pays_for_it() {
    let upline = Level {
        rate: rate("0.10"),
        of: LevelBase::Sale,
        rounding: Rounding::HalfUp,
    };
    let mut terms = Terms::of(vec![Component::percent("sale", rate("0.20"))]);
    terms.components[0].when = Some(Condition::Among {
        field: TextField::Country,
        values: vec!["GB".to_owned()],
        is: true,
    });
    terms.levels = vec![upline];
    let here = Entry {
        country: Some("GB".to_owned()),
        ..sale(1, "2026-03-01T00:00:00Z", "100.00")
    };
    let elsewhere = Entry {
        country: Some("FR".to_owned()),
        ..sale(2, "2026-03-02T00:00:00Z", "100.00")
    };
    let trial = Entry {
        event: "trial".to_owned(),
        ..here.clone()
    };
    let plan_of_sales = plan(terms);
    let mut fold = Fold::new([&plan_of_sales], gbp());
    let mut share = |entry: &Entry| fold.step(entry).unwrap().levels[0].to_string();
    assert_eq!(share(&here), "10.00");
    assert_eq!(share(&elsewhere), "0.00", "no component pays for it");
    assert_eq!(share(&trial), "0.00", "no component asks for the event");

    // Behind a gate the sale waits with what is paid for it.
    let mut terms = gated(&[]);
    terms.levels = vec![upline];
    let plan_behind = plan(terms);
    let mut fold = Fold::new([&plan_behind], gbp());
    for entry in [
        sale(1, "2026-03-01T00:00:00Z", "100.00"),
        sale(2, "2026-03-02T00:00:00Z", "50.00"),
        sale(3, "2026-04-02T00:00:00Z", "70.00"),
    ] {
        assert_eq!(fold.step(&entry).unwrap().levels[0].to_string(), "0.00");
    }
    fold.close(Timestamp::MAX).unwrap();
    let closes: Vec<String> = fold
        .closes()
        .iter()
        .map(|close| close.levels[0].to_string())
        .collect();
    assert_eq!(
        closes,
        ["15.00", "0.00"],
        "March was reached, April was not"
    );
}

#[test]
fn a_customer_known_from_another_version_is_not_new() {
    let mut terms = Terms::of(vec![Component::percent("sale", rate("0.10"))]);
    terms.components[0].duration = Duration::Months(2);
    let plan = plan(terms);
    let known = |number: u8, when: &str, since: &str| Entry {
        known_since: Some(at(since)),
        ..of(sale(number, when, "100.00"), "ann")
    };
    let mut fold = Fold::new([&plan], gbp());
    let first = fold
        .step(&known(1, "2026-03-01T00:00:00Z", "2026-01-15T00:00:00Z"))
        .unwrap();
    assert_eq!((first.pay, first.months), (money("10.00"), Some(1)));
    let late = fold
        .step(&known(2, "2026-03-15T00:00:00Z", "2026-01-15T00:00:00Z"))
        .unwrap();
    assert_eq!((late.pay, late.months), (money("0.00"), Some(2)));
    // Nobody knew her from elsewhere: her first here counts.
    let other = fold
        .step(&of(sale(3, "2026-03-20T00:00:00Z", "100.00"), "bob"))
        .unwrap();
    assert_eq!((other.pay, other.months), (money("10.00"), None));
}

#[test]
fn nobody_gives_back_what_a_cap_never_let_pass() {
    let share = Component::simple(
        "sale",
        Pay::RevenueShare(RevenueShare {
            window: Window::Month,
            brackets: vec![(0, rate("0.30"))],
            carryover: Carryover::Reset,
        }),
    );
    let bet = |number: u8, day: u8, amount: &str, chargebacks: &str| Entry {
        adjustments: minor(chargebacks),
        ..sale(number, &format!("2026-03-{day:02}T00:00:00Z"), amount)
    };
    for scope in [CapScope::Conversion, CapScope::Partner, CapScope::Program] {
        let mut terms = Terms::of(vec![share.clone()]);
        terms.caps = vec![Cap {
            scope,
            window: if scope == CapScope::Conversion {
                Window::Lifetime
            } else {
                Window::Month
            },
            amount: money("100.00"),
        }];
        let up_and_down = [
            bet(1, 1, "1000.00", "0.00"),
            bet(2, 2, "0.00", "1000.00"),
            bet(3, 3, "500.00", "0.00"),
        ];
        let (pays, whole) = fold(terms.clone(), &up_and_down);
        assert_eq!(pays, ["100.00", "-100.00", "100.00"], "{scope:?}");
        assert_eq!(whole, money("100.00"));
        // Of 300.00 that it shares, 200.00 never were paid: the first 200.00 that it falls cost nothing.
        let part = [bet(1, 1, "1000.00", "0.00"), bet(2, 2, "0.00", "700.00")];
        assert_eq!(fold(terms.clone(), &part).0, ["100.00", "-10.00"]);
        let plan = plan(terms);
        let mut fold = Fold::new([&plan], gbp());
        let first = fold.step(&part[0]).unwrap();
        assert_eq!(first.steps[0].measured, Some((0, 100_000)));
        let cuts = fold.step(&part[1]).unwrap().cuts;
        assert_eq!(cuts[0].by, money("200.00").negated().unwrap());
    }
}

/// Thirty per cent of a month's net revenue, under one cap of 100.00.
fn capped_share(scope: CapScope, window: Window) -> Terms {
    let mut terms = Terms::of(vec![Component::simple(
        "sale",
        Pay::RevenueShare(RevenueShare {
            window: Window::Month,
            brackets: vec![(0, rate("0.30"))],
            carryover: Carryover::Carry,
        }),
    )]);
    terms.caps = vec![Cap {
        scope,
        window,
        amount: money("100.00"),
    }];
    terms
}

fn bet(number: u8, when: &str, amount: &str, chargebacks: &str) -> Entry {
    Entry {
        adjustments: minor(chargebacks),
        ..sale(number, when, amount)
    }
}

#[test]
fn what_a_cap_took_off_in_one_month_is_no_months_else() {
    let terms = capped_share(CapScope::Conversion, Window::Lifetime);
    let entries = [
        bet(1, "2026-03-01T00:00:00Z", "1000.00", "0.00"),
        bet(2, "2026-04-01T00:00:00Z", "300.00", "0.00"),
        bet(3, "2026-04-02T00:00:00Z", "0.00", "300.00"),
    ];
    let (pays, whole) = fold(terms, &entries);
    assert_eq!(pays, ["100.00", "90.00", "-90.00"]);
    assert_eq!(whole, money("100.00"));
}

#[test]
fn what_a_customers_cap_took_off_is_no_other_customers() {
    let terms = capped_share(CapScope::Customer, Window::Month);
    let entries = [
        of(bet(1, "2026-03-01T00:00:00Z", "1000.00", "0.00"), "ann"),
        of(bet(2, "2026-03-02T00:00:00Z", "300.00", "0.00"), "bob"),
        of(bet(3, "2026-03-03T00:00:00Z", "0.00", "300.00"), "bob"),
        of(bet(4, "2026-03-04T00:00:00Z", "0.00", "500.00"), "ann"),
    ];
    let (pays, whole) = fold(terms, &entries);
    // Of Ann's 300.00 only 150.00 are left, which is more than the cap lets pass.
    assert_eq!(pays, ["100.00", "90.00", "-90.00", "0.00"]);
    assert_eq!(whole, money("100.00"));
}

#[test]
fn what_waits_behind_a_gate_falls_by_itself() {
    let mut terms = capped_share(CapScope::Conversion, Window::Lifetime);
    terms.caps[0].amount = money("50.00");
    terms.components[0].gate = Some(Gate {
        measure: own(Unit::Count),
        window: Window::Month,
        at_least: 1,
    });
    terms
        .components
        .push(Component::percent("renewal", rate("0.10")));
    let renewal = Entry {
        event: "renewal".to_owned(),
        ..sale(1, "2026-03-01T00:00:00Z", "1000.00")
    };
    let entries = [
        renewal,
        bet(2, "2026-03-02T00:00:00Z", "100.00", "0.00"),
        bet(3, "2026-03-03T00:00:00Z", "0.00", "100.00"),
    ];
    let (pays, whole) = fold(terms, &entries);
    assert_eq!((pays[0].as_str(), whole), ("50.00", money("50.00")));
}

#[test]
fn uplines_get_of_a_sale_with_the_first_of_its_gates_that_is_passed() {
    let gated = |at_least: i64, share: &str| {
        let mut component = Component::percent("sale", rate(share));
        component.gate = Some(Gate {
            measure: own(Unit::Count),
            window: Window::Month,
            at_least,
        });
        component
    };
    let shares = |at_least: [i64; 3]| {
        let mut terms = Terms::of(at_least.map(|count| gated(count, "0.01")).to_vec());
        terms.levels = vec![Level {
            rate: rate("0.10"),
            of: LevelBase::Sale,
            rounding: Rounding::HalfUp,
        }];
        let plan = plan(terms);
        let mut fold = Fold::new([&plan], gbp());
        for number in 1..=3 {
            let _ = fold
                .step(&sale(number, "2026-03-01T00:00:00Z", "100.00"))
                .unwrap();
        }
        fold.close(Timestamp::MAX).unwrap();
        let closes = fold.closes();
        let shares = closes.iter().map(|close| close.levels[0].to_string());
        shares.collect::<Vec<_>>()
    };
    assert_eq!(shares([10, 2, 2]), ["0.00", "30.00", "0.00"]);
    assert_eq!(shares([10, 10, 10]), ["0.00", "0.00", "0.00"]);
}

#[test]
fn gates_decide_in_the_order_in_which_their_windows_end() {
    let gated = |window: Window, share: &str| {
        let mut component = Component::percent("sale", rate(share));
        component.gate = Some(Gate {
            measure: own(Unit::Count),
            window,
            at_least: 1,
        });
        component
    };
    let mut terms = Terms::of(vec![
        gated(Window::Quarter, "0.01"),
        gated(Window::Month, "0.50"),
        Component::percent("sale", rate("1")),
    ]);
    terms.caps = vec![Cap {
        scope: CapScope::Partner,
        window: Window::Month,
        amount: money("100.00"),
    }];
    let plan = plan(terms);
    let mut fold = Fold::new([&plan], gbp());
    // All of February's cap is used up as it happens, so its gate has nothing left to let pass.
    for (number, when) in [(1, "2026-02-10T00:00:00Z"), (2, "2026-05-10T00:00:00Z")] {
        let _ = fold.step(&sale(number, when, "100.00")).unwrap();
    }
    let closes: Vec<(u32, String)> = fold
        .closes()
        .iter()
        .map(|close| (close.component, close.pay.to_string()))
        .collect();
    assert_eq!(closes, [(1, "0.00".to_owned()), (0, "1.00".to_owned())]);
}

#[test]
fn a_minimum_and_a_maximum_are_told_beside_what_they_changed() {
    let mut component = Component::percent("sale", rate("0.10"));
    component.minimum = Some(money("1.00"));
    component.maximum = Some(money("8.00"));
    let plan = plan(Terms::of(vec![component]));
    let mut fold = Fold::new([&plan], gbp());
    let mut step = |number: u8, amount: &str| {
        let paid = fold
            .step(&sale(number, "2026-03-01T00:00:00Z", amount))
            .unwrap();
        (paid.pay, paid.steps[0].unbound)
    };
    assert_eq!(step(1, "5.00"), (money("1.00"), Some(money("0.50"))));
    assert_eq!(step(2, "50.00"), (money("5.00"), None));
    assert_eq!(step(3, "500.00"), (money("8.00"), Some(money("50.00"))));
}

#[test]
fn a_customer_pays_for_as_long_as_the_plan_says() {
    let lasting = |duration| {
        let mut component = Component::percent("sale", rate("0.10"));
        component.duration = duration;
        Terms::of(vec![component])
    };
    let entries = [
        of(sale(1, "2026-01-31T10:00:00Z", "10.00"), "ada"),
        of(sale(2, "2026-02-28T09:59:59Z", "20.00"), "ada"),
        of(sale(3, "2026-02-28T10:00:00Z", "30.00"), "ada"),
        of(sale(4, "2026-02-28T10:00:00Z", "40.00"), "ben"),
    ];
    assert_eq!(
        fold(lasting(Duration::FirstSale), &entries).0,
        ["1.00", "0.00", "0.00", "4.00"]
    );
    assert_eq!(
        fold(lasting(Duration::Months(1)), &entries).0,
        ["1.00", "2.00", "0.00", "4.00"],
        "a month from the 31st is whole on the last day of a shorter one"
    );
    assert_eq!(
        fold(lasting(Duration::Forever), &entries).0,
        ["1.00", "2.00", "3.00", "4.00"]
    );
}

#[test]
fn several_that_match_all_pay_or_the_first_or_the_highest() {
    let mut uk = Component::percent("sale", rate("0.05"));
    uk.when = Some(Condition::Any(vec![
        Condition::Among {
            field: TextField::Country,
            values: vec!["gb".to_owned()],
            is: true,
        },
        Condition::Within {
            field: NumberField::Amount,
            at_least: Some(Decimal::from(100)),
            below: None,
        },
    ]));
    let pays = |pays, country: &str, amount: &str| {
        let mut terms = Terms::of(vec![
            uk.clone(),
            Component::percent("sale", rate("0.02")),
            Component::flat("sale", money("3.00")),
        ]);
        terms.pays = pays;
        let mut entry = sale(1, "2026-03-01T00:00:00Z", amount);
        entry.country = Some(country.to_owned());
        fold(terms, &[entry]).0.remove(0)
    };
    assert_eq!(pays(Pays::All, "GB", "50.00"), "6.50");
    assert_eq!(pays(Pays::All, "FR", "50.00"), "4.00");
    assert_eq!(pays(Pays::First, "GB", "50.00"), "2.50");
    assert_eq!(pays(Pays::First, "FR", "50.00"), "1.00");
    assert_eq!(pays(Pays::First, "FR", "100.00"), "5.00");
    assert_eq!(pays(Pays::Highest, "GB", "50.00"), "3.00");
    assert_eq!(pays(Pays::Highest, "GB", "80.00"), "4.00");
}

#[test]
fn what_partners_below_sell_lifts_the_bracket_of_what_is_there() {
    let mut component = ten_then_twelve(Mode::Retroactive);
    if let Pay::Tiered(tiers) = &mut component.pay {
        tiers.measure.scope = Scope::SubTree;
    }
    let below = Entry {
        own: false,
        ..sale(2, "2026-03-02T00:00:00Z", "4500.00")
    };
    let entries = [sale(1, "2026-03-01T00:00:00Z", "1000.00"), below];
    let (pays, whole) = fold(Terms::of(vec![component]), &entries);
    assert_eq!(pays, ["100.00", "20.00"]);
    assert_eq!(whole, money("120.00"));
}

#[test]
fn a_milestone_pays_its_bonus_once() {
    let milestone = Component::simple(
        "sale",
        Pay::Milestone {
            measure: own(Unit::Count),
            window: Window::Lifetime,
            at: 2,
            amount: money("50.00"),
        },
    );
    let entries = [
        sale(1, "2026-03-01T00:00:00Z", "1.00"),
        sale(2, "2026-04-01T00:00:00Z", "1.00"),
        sale(3, "2026-05-01T00:00:00Z", "1.00"),
    ];
    let (pays, _) = fold(Terms::of(vec![milestone]), &entries);
    assert_eq!(pays, ["0.00", "50.00", "0.00"]);
}

#[test]
fn a_milestone_pays_beside_whatever_is_chosen() {
    let milestone = Pay::Milestone {
        measure: own(Unit::Count),
        window: Window::Lifetime,
        at: 2,
        amount: money("5.00"),
    };
    for pays in [Pays::All, Pays::First, Pays::Highest] {
        let mut terms = Terms::of(vec![
            Component::percent("sale", rate("0.10")),
            Component::simple("sale", milestone.clone()),
        ]);
        terms.pays = pays;
        let entries = [
            sale(1, "2026-03-01T00:00:00Z", "100.00"),
            sale(2, "2026-04-01T00:00:00Z", "100.00"),
        ];
        assert_eq!(fold(terms, &entries).0, ["10.00", "15.00"], "{pays:?}");
    }
}

#[test]
fn what_does_not_match_is_measured_and_not_paid() {
    for (mode, expected) in [
        (Mode::Attained, ["0.00", "240.00"]),
        (Mode::Marginal, ["0.00", "220.00"]),
        (Mode::Retroactive, ["0.00", "240.00"]),
    ] {
        let mut component = ten_then_twelve(mode);
        component.when = Some(Condition::Among {
            field: TextField::Country,
            values: vec!["GB".to_owned()],
            is: true,
        });
        let abroad = sale(1, "2026-03-01T00:00:00Z", "4000.00");
        let mut here = sale(2, "2026-03-02T00:00:00Z", "2000.00");
        here.country = Some("GB".to_owned());
        let (pays, _) = fold(Terms::of(vec![component]), &[abroad, here]);
        assert_eq!(pays, expected, "{mode:?}");
    }
}

#[test]
fn what_is_not_chosen_lifts_what_was() {
    let mut extra = Component::flat("sale", money("1.00"));
    extra.when = Some(Condition::Among {
        field: TextField::Product,
        values: vec!["extra".to_owned()],
        is: true,
    });
    let mut terms = Terms::of(vec![extra, ten_then_twelve(Mode::Retroactive)]);
    terms.pays = Pays::First;
    let first = sale(1, "2026-03-01T00:00:00Z", "4000.00");
    let mut second = sale(2, "2026-03-02T00:00:00Z", "2000.00");
    second.product = Some("extra".to_owned());
    let third = sale(3, "2026-03-03T00:00:00Z", "100.00");
    // The second is paid by the first of the list; its measure brings the other's first sale to 12 %.
    let (pays, _) = fold(terms, &[first, second, third]);
    assert_eq!(pays, ["400.00", "81.00", "12.00"]);
}

#[test]
fn only_what_asks_after_the_past_depends_on_the_customer() {
    let asks = |field| {
        let mut component = Component::percent("sale", rate("0.10"));
        component.when = Some(Condition::All(vec![Condition::Within {
            field,
            at_least: Some(Decimal::from(3)),
            below: None,
        }]));
        reach(&Terms::of(vec![component]))
    };
    assert_eq!(asks(NumberField::MonthsSinceFirstSale), Reach::Customer);
    assert_eq!(asks(NumberField::Amount), Reach::Event);
    assert_eq!(asks(NumberField::Quantity), Reach::Event);
}

#[test]
fn the_same_instant_is_ordered_by_the_conversion() {
    let entries = [
        sale(2, "2026-03-01T00:00:00Z", "2000.00"),
        sale(1, "2026-03-01T00:00:00Z", "4000.00"),
    ];
    let (pays, _) = fold(Terms::of(vec![ten_then_twelve(Mode::Attained)]), &entries);
    assert_eq!(pays, ["400.00", "240.00"]);
}

fn amounts() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0_i64..400_000, 1..12)
}

fn entries_of(amounts: &[i64]) -> Vec<Entry> {
    amounts
        .iter()
        .zip(1..)
        .map(|(amount, day)| Entry {
            amount: Some(*amount),
            ..sale(day, &format!("2026-03-{day:02}T12:00:00Z"), "0.00")
        })
        .collect()
}

proptest! {
    #[test]
    fn parts_of_a_window_add_up_to_its_rounded_whole(amounts in amounts(), percent in 1_u32..2_000) {
        let first = Rate::of(Decimal::new(i64::from(percent), 4));
        let second = Rate::of(Decimal::new(i64::from(percent) + 333, 4));
        let brackets = [
            ("0.00", BracketPay::Rate(first)),
            ("5000.00", BracketPay::Rate(second)),
        ];
        let entries = entries_of(&amounts);
        let total: i64 = amounts.iter().sum();
        let low = Decimal::from(total.min(500_000)) * first.decimal();
        let high = Decimal::from((total - 500_000).max(0)) * second.decimal();
        let marginal = tiers(Mode::Marginal, Window::Month, &brackets);
        let (_, whole) = fold(Terms::of(vec![marginal]), &entries);
        prop_assert_eq!(whole.minor(), half_up(low + high).unwrap());
        let retroactive = tiers(Mode::Retroactive, Window::Month, &brackets);
        let (_, whole) = fold(Terms::of(vec![retroactive]), &entries);
        let rate = if total >= 500_000 { second } else { first };
        prop_assert_eq!(whole.minor(), half_up(Decimal::from(total) * rate.decimal()).unwrap());
    }

    #[test]
    fn a_fold_goes_on_where_it_stood(amounts in amounts(), cut in 0_usize..12) {
        let mut terms = Terms::of(vec![
            ten_then_twelve(Mode::Marginal),
            ten_then_twelve(Mode::Retroactive),
        ]);
        terms.caps = vec![Cap { scope: CapScope::Partner, window: Window::Month, amount: money("700.00") }];
        let plan = plan(terms);
        let entries = entries_of(&amounts);
        let cut = cut.min(entries.len());
        let mut whole = Fold::new([&plan], gbp());
        let at_once: Vec<Paid> = entries.iter().map(|entry| whole.step(entry).unwrap()).collect();
        let mut first = Fold::new([&plan], gbp());
        let mut in_two: Vec<Paid> = entries[..cut].iter().map(|entry| first.step(entry).unwrap()).collect();
        let mut second = Fold::from([&plan], gbp(), first.state().clone());
        in_two.extend(entries[cut..].iter().map(|entry| second.step(entry).unwrap()));
        prop_assert_eq!(at_once, in_two);
        prop_assert_eq!(whole.state(), second.state());
    }

    #[test]
    fn a_cap_is_never_exceeded_and_room_goes_to_the_next_in_order(amounts in amounts()) {
        let mut terms = Terms::of(vec![Component::percent("sale", rate("0.10"))]);
        terms.caps = vec![Cap { scope: CapScope::Partner, window: Window::Month, amount: money("500.00") }];
        let entries = entries_of(&amounts);
        let (_, whole) = fold(terms, &entries);
        let uncapped: i64 = amounts.iter().map(|amount| half_up(Decimal::from(*amount) / Decimal::TEN).unwrap()).sum();
        prop_assert_eq!(whole.minor(), uncapped.min(50_000));
    }
}

/// What becomes known of a window: an event, or that one is taken back whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    Sale(usize),
    Reversal(usize),
}

/// Every order of these.
fn orders(news: &[News]) -> Vec<Vec<News>> {
    let mut found = vec![Vec::new()];
    for one in news {
        found = found
            .into_iter()
            .flat_map(|order| {
                (0..=order.len()).map(move |at| {
                    let mut order = order.clone();
                    order.insert(at, *one);
                    order
                })
            })
            .collect();
    }
    found
}

/// What a book has posted in the end when news arrive in that order: an event after all others goes on
/// where the fold stood, any other has all folded again, as the use cases do it.
fn posted(plan: &PlanVersion, entries: &[Entry], order: &[News]) -> i64 {
    let (mut standing, mut gone): (Vec<Entry>, Vec<usize>) = (Vec::new(), Vec::new());
    let (mut posted, mut state) = (0, Some(State::default()));
    for news in order {
        match *news {
            News::Sale(index) if gone.contains(&index) => continue,
            News::Sale(index) => {
                let entry = &entries[index];
                let last = standing.last().map(Entry::position);
                let in_order = last.is_none_or(|last| entry.position() > last);
                let at = standing.partition_point(|other| other.position() < entry.position());
                standing.insert(at, entry.clone());
                if let Some(stood) = state.take().filter(|_| in_order) {
                    let mut fold = Fold::from([plan], gbp(), stood);
                    posted += fold.step(entry).unwrap().pay.minor();
                    state = Some(fold.state().clone());
                    continue;
                }
            }
            News::Reversal(index) => {
                gone.push(index);
                let id = entries[index].conversion;
                standing.retain(|entry| entry.conversion != id);
            }
        }
        let reckoned =
            crate::commissions::book::reckon([plan], gbp(), &standing, None, None).unwrap();
        let whole = reckoned
            .totals
            .values()
            .map(|totals| totals[0])
            .sum::<i64>();
        let delta = whole - posted;
        posted += delta;
        state = Some(reckoned.state);
    }
    posted
}

/// Six events of which two are taken back, in each of the 40,320 orders in which that can become known.
fn any_order_pays_the_same(mode: Mode) {
    let brackets = match mode {
        Mode::Interpolated => [
            ("0.00", BracketPay::Total(money("0.00"))),
            ("1000.00", BracketPay::Total(money("100.00"))),
            ("3000.00", BracketPay::Total(money("333.33"))),
        ],
        _ => [
            ("0.00", BracketPay::Rate(rate("0.0333"))),
            ("1000.00", BracketPay::Rate(rate("0.0777"))),
            ("3000.00", BracketPay::Rate(rate("0.1111"))),
        ],
    };
    let mut terms = Terms::of(vec![tiers(mode, Window::Month, &brackets)]);
    terms.caps = vec![Cap {
        scope: CapScope::Partner,
        window: Window::Month,
        amount: money("280.00"),
    }];
    let plan = plan(terms);
    let entries: Vec<Entry> = ["333.33", "777.77", "0.01", "1234.56", "999.99", "450.00"]
        .iter()
        .zip(1..)
        .map(|(amount, day)| sale(day, &format!("2026-03-{day:02}T12:00:00Z"), amount))
        .collect();
    let mut news: Vec<News> = (0..entries.len()).map(News::Sale).collect();
    news.extend([News::Reversal(1), News::Reversal(3)]);
    let left: Vec<Entry> = [0, 2, 4, 5]
        .map(|index: usize| entries[index].clone())
        .to_vec();
    let expected = fold(plan.terms.clone(), &left).1.minor();
    assert!(expected > 0);
    let orders = orders(&news);
    assert_eq!(orders.len(), 40_320);
    for order in orders {
        assert_eq!(
            posted(&plan, &entries, &order),
            expected,
            "{mode:?} {order:?}"
        );
    }
}

#[test]
fn attained_tiers_post_the_same_in_every_order() {
    any_order_pays_the_same(Mode::Attained);
}

#[test]
fn marginal_tiers_post_the_same_in_every_order() {
    any_order_pays_the_same(Mode::Marginal);
}

#[test]
fn interpolated_tiers_post_the_same_in_every_order() {
    any_order_pays_the_same(Mode::Interpolated);
}

#[test]
fn retroactive_tiers_post_the_same_in_every_order() {
    any_order_pays_the_same(Mode::Retroactive);
}
