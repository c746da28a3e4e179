//! Whom leads are offered to: turns, distances, capacity, claims and what rules would have done.

use axum::http::{Method, header};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary::channel::model::Profile;
use tributary::channel::{self, store};
use tributary::ids::PartnerId;
use tributary::leads::{self, routing::Credits};
use tributary_tests::{Answer, World};

/// A program with partners who take leads.
pub(crate) struct Desk {
    pub(crate) world: World,
    pub(crate) program: String,
    /// Ids and keys.
    pub(crate) partners: Vec<(String, String)>,
}

impl Desk {
    /// A program with these rules and a partner of each of these profiles, sorted by their ids.
    pub(crate) async fn open(routing: Value, profiles: &[Value]) -> Self {
        let world = World::start().await;
        let (program, ..) = world
            .program(
                30,
                json!([{ "kind": "percent", "event": "sale", "rate": "0.10" }]),
            )
            .await;
        let mut desk = Self {
            world,
            program,
            partners: Vec::new(),
        };
        for number in 0..profiles.len() {
            let (id, ..) = desk
                .world
                .partner_in(&desk.program, &format!("P{number}"))
                .await;
            let keys = format!("/v1/partners/{id}/keys");
            let key = desk.world.post(&keys, json!({})).await.expect(201);
            desk.partners.push((id, key.str("key").to_owned()));
        }
        desk.partners.sort();
        for ((id, _), profile) in desk.partners.iter().zip(profiles) {
            desk.describe(id, profile.clone()).await;
        }
        let _ = desk.route_by(routing).await.expect(200);
        desk
    }

    /// Sets a profile, and lets the caches forget the one before.
    pub(crate) async fn describe(&self, partner: &str, profile: Value) {
        let path = format!("/v1/partners/{partner}/profiles/{}", self.program);
        let known = self.world.get(&path).await;
        let said = if known.status.is_success() {
            self.world.replace(&path, profile).await
        } else {
            self.world.put(&path, profile).await
        };
        assert!(said.status.is_success(), "{}", said.text);
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v1/programs/{}{rest}", self.program)
    }

    pub(crate) async fn route_by(&self, routing: Value) -> Answer {
        let path = self.path("/routing");
        let stands = self.world.get(&path).await.expect(200);
        if stands.headers[header::ETAG] == "\"0\"" {
            self.world.put(&path, routing).await
        } else {
            self.world.replace(&path, routing).await
        }
    }

    /// Brings a lead.
    pub(crate) async fn bring(&self, lead: Value) -> Answer {
        self.world.post(&self.path("/leads"), lead).await
    }

    /// Brings so many leads in lists and returns to whom each was offered, empty for nobody.
    async fn bring_many(&self, series: &str, count: usize) -> Vec<String> {
        let mut offered = Vec::new();
        let numbers: Vec<usize> = (0..count).collect();
        for numbers in numbers.chunks(50) {
            let leads: Vec<Value> = numbers
                .iter()
                .map(|number| json!({ "company": { "domain": format!("{series}{number}.example") } }))
                .collect();
            let path = self.path("/leads:batch");
            let report = self.world.post(&path, json!({ "leads": leads })).await;
            for row in report.expect(200).body["rows"].as_array().unwrap() {
                offered.push(row["partner"].as_str().unwrap_or_default().to_owned());
            }
        }
        offered
    }

    pub(crate) async fn as_partner(&self, partner: usize, method: Method, path: &str) -> Answer {
        let key = &self.partners[partner].1;
        self.world.ask(key, method, path, &[], None).await
    }

    pub(crate) async fn tell(&self, partner: usize, path: &str, body: Value) -> Answer {
        let key = &self.partners[partner].1;
        self.world
            .ask(key, Method::POST, path, &[], Some(&body))
            .await
    }

    /// Which of the partners a lead is offered to.
    pub(crate) fn place(&self, id: &str) -> usize {
        let found = self.partners.iter().position(|(partner, _)| partner == id);
        found.unwrap_or_else(|| panic!("{id:?} is no partner here"))
    }

    fn counts(&self, offered: &[String]) -> Vec<usize> {
        let mut counts = vec![0; self.partners.len()];
        for partner in offered {
            counts[self.place(partner)] += 1;
        }
        counts
    }
}

pub(crate) fn in_turn() -> Value {
    json!({ "rules": [{ "code": "all", "strategy": { "kind": "round_robin" } }] })
}

fn nearest(country_first: bool) -> Value {
    json!({ "rules": [{ "code": "near", "strategy": {
        "kind": "nearest", "rings_km": [100, 250], "country_first": country_first,
    } }] })
}

#[tokio::test]
async fn six_hundred_leads_by_3_2_1_are_300_200_100_and_nobody_is_ever_a_lead_off() {
    let weights = [3, 2, 1];
    let desk = Desk::open(
        in_turn(),
        &weights.map(|weight| json!({ "weight": weight })),
    )
    .await;
    let offered = desk.bring_many("c", 600).await;
    assert_eq!(desk.counts(&offered), [300, 200, 100]);
    for leads in 1..=offered.len() {
        let counts = desk.counts(&offered[..leads]);
        for (count, weight) in counts.iter().zip(weights) {
            let off = (count * 6).abs_diff(leads * weight);
            assert!(off < 6, "{counts:?} after {leads}");
        }
    }
}

#[tokio::test]
async fn who_is_full_is_skipped_and_comes_back_to_its_weight_alone() {
    let full = json!({ "weight": 3, "max_open_leads": 2 });
    let other = json!({ "weight": 1 });
    let desk = Desk::open(in_turn(), &[full, other.clone(), other]).await;
    let offered = desk.bring_many("full", 40).await;
    let counts = desk.counts(&offered);
    assert_eq!((counts[0], counts[1] + counts[2]), (2, 38));
    assert!(counts[1].abs_diff(counts[2]) <= 1, "{counts:?}");
    let lead = desk
        .world
        .get(&format!("/v1/leads?program={}", desk.program))
        .await;
    let newest = lead.items()[0]["id"].as_str().unwrap();
    let why = desk
        .world
        .get(&format!("/v1/leads/{newest}/assignments"))
        .await;
    let tried = why.body["items"][0]["explanation"]["tried"][0].clone();
    assert_eq!(tried["not_eligible"], json!({ "capacity": 1 }));
    // Room for more: it gets its share of what comes now, and nothing for what it missed.
    desk.describe(&desk.partners[0].0, json!({ "weight": 3 }))
        .await;
    let offered = desk.bring_many("room", 50).await;
    let counts = desk.counts(&offered);
    assert!(counts[0].abs_diff(30) <= 1, "{counts:?}");
    let first = desk.counts(&offered[..5]);
    assert!(first[0] <= 4, "no backlog: {first:?}");
}

#[tokio::test]
async fn a_british_lead_goes_to_a_british_partner_without_coordinates_before_a_nearer_foreign_one()
{
    let place = |country: &str, at: Option<(&str, &str)>| {
        let mut place = json!({ "country": country });
        if let Some((latitude, longitude)) = at {
            (place["latitude"], place["longitude"]) = (json!(latitude), json!(longitude));
        }
        json!({ "location": place })
    };
    let profiles = [
        place("FR", Some(("50.9513", "1.8587"))),
        place("GB", None),
        place("DE", Some(("52.5200", "13.4050"))),
    ];
    let desk = Desk::open(nearest(true), &profiles).await;
    let [french, british, german] = [0, 1, 2];
    // Dover: Calais is 41 km away.
    let lead = |domain: &str| json!({ "company": { "domain": domain, "country": "GB", "latitude": "51.1290", "longitude": "1.3080" } });
    let offered = desk.bring(lead("dover.example")).await.expect(201);
    assert_eq!(desk.place(offered.str("partner")), british);
    let path = format!("/v1/leads/{}/assignments", offered.str("id"));
    let why = desk.world.get(&path).await.expect(200);
    let ranked = &why.body["items"][0]["explanation"]["tried"][0]["ranked"];
    assert_eq!(ranked[0]["score"]["same_country"], true);
    assert_eq!(ranked[0]["score"]["distance_m"], Value::Null);
    let metres = ranked[1]["score"]["distance_m"].as_u64().unwrap();
    assert!((41_000..46_000).contains(&metres), "{metres}");
    assert_eq!(ranked[1]["score"]["ring_km"], 100);
    // By distance alone it is Calais.
    let _ = desk.route_by(nearest(false)).await.expect(200);
    let offered = desk.bring(lead("deal.example")).await.expect(201);
    assert_eq!(desk.place(offered.str("partner")), french);
    // Where nobody is near, the country; where nobody is in it, anybody.
    let german_lead = json!({ "company": { "domain": "koeln.example", "country": "DE" } });
    let offered = desk.bring(german_lead).await.expect(201);
    assert_eq!(desk.place(offered.str("partner")), german);
    let spanish = json!({ "company": { "domain": "cadiz.example", "country": "ES", "latitude": "36.5", "longitude": "-6.3" } });
    let offered = desk.bring(spanish).await.expect(201);
    assert_eq!(desk.place(offered.str("partner")), french);
}

#[tokio::test]
async fn what_was_declined_is_never_offered_to_the_same_again_and_is_nobody_elses_to_see() {
    let desk = Desk::open(in_turn(), &[json!({}), json!({}), json!({})]).await;
    let company = json!({ "name": "Roses Ltd", "country": "GB", "domain": "roses.example" });
    let lead = desk.bring(json!({ "company": company })).await.expect(201);
    let path = format!("/v1/leads/{}", lead.str("id"));
    let mut had = vec![desk.place(lead.str("partner"))];
    for round in 1..=3 {
        for other in (0..3).filter(|other| !had.contains(other)) {
            let _ = desk
                .as_partner(other, Method::GET, &path)
                .await
                .problem(404, "not_found");
            let accept = format!("{path}/accept");
            let _ = desk
                .as_partner(other, Method::POST, &accept)
                .await
                .problem(404, "not_found");
            let decline = format!("{path}/decline");
            let reason = json!({ "reason": "other" });
            let _ = desk
                .tell(other, &decline, reason)
                .await
                .problem(404, "not_found");
        }
        let present = *had.last().unwrap();
        let reason = json!({ "reason": "no_capacity" });
        let declined = desk.tell(present, &format!("{path}/decline"), reason).await;
        assert_eq!(declined.expect(200).str("stage"), "declined");
        let now = desk.world.get(&path).await.expect(200);
        if round == 3 {
            assert_eq!(now.str("stage"), "vendor_queue");
            break;
        }
        let next = desk.place(now.str("partner"));
        assert!(!had.contains(&next), "{had:?} then {next}");
        had.push(next);
    }
    // Whoever declined sees what it declined, without a name, and nothing of what became of it.
    let theirs = desk
        .as_partner(had[0], Method::GET, &path)
        .await
        .expect(200);
    assert_eq!(theirs.str("stage"), "declined");
    assert!(!theirs.text.contains("oses"), "{}", theirs.text);
    let accept = format!("{path}/accept");
    let _ = desk
        .as_partner(had[0], Method::POST, &accept)
        .await
        .problem(409, "wrong_state");
    // Not by hand either.
    let tag = desk.world.get(&path).await.headers[header::ETAG].clone();
    let based_on = [("if-match", tag.to_str().unwrap())];
    for to in [desk.partners[had[0]].0.as_str(), "routing"] {
        let body = json!({ "to": to });
        let reassign = format!("{path}/reassign");
        let sent = desk
            .world
            .ask(
                &desk.world.key,
                Method::POST,
                &reassign,
                &based_on,
                Some(&body),
            )
            .await;
        if to == "routing" {
            assert_eq!(sent.expect(200).str("stage"), "vendor_queue");
        } else {
            let _ = sent.problem(409, "wrong_state");
        }
    }
}

#[tokio::test]
async fn eligibility_keeps_out_whom_it_should_and_says_why() {
    let profiles = [
        json!({ "tier": "gold", "product_lines": ["erp"], "languages": ["de"] }),
        json!({ "tier": "silver" }),
        json!({ "tier": "gold", "product_lines": ["crm"] }),
        json!({ "tier": "gold" }),
        json!({ "tier": "gold", "languages": ["de"], "territories": [{ "country": "DE", "postcodes": ["10-14"] }] }),
    ];
    let mut desk = Desk::open(json!({ "rules": [] }), &[]).await;
    let channel = json!({ "product_lines": ["crm", "erp"], "tiers": ["silver", "gold"] });
    let _ = desk
        .world
        .put(&desk.path("/channel"), channel)
        .await
        .expect(200);
    for number in 0..profiles.len() {
        let (id, ..) = desk
            .world
            .partner_in(&desk.program, &format!("Q{number}"))
            .await;
        desk.partners.push((id, String::new()));
    }
    desk.partners.sort();
    for ((id, _), profile) in desk.partners.iter().zip(&profiles) {
        desk.describe(id, profile.clone()).await;
    }
    let rule = json!({ "rules": [{ "code": "erp", "when": { "product_lines": ["erp"], "countries": ["DE"], "employees_from": 50 },
        "eligible": { "tiers": ["gold"], "language": true }, "strategy": { "kind": "round_robin" } }] });
    let _ = desk.route_by(rule).await.expect(200);
    let lead = json!({
        "company": { "domain": "werk.example", "country": "DE", "postcode": "80331" },
        "product_lines": ["erp"], "language": "de", "employees": 60,
    });
    let offered = desk.bring(lead.clone()).await.expect(201);
    assert_eq!(desk.place(offered.str("partner")), 0);
    let path = format!("/v1/leads/{}/assignments", offered.str("id"));
    let why = desk.world.get(&path).await.expect(200);
    let tried = &why.body["items"][0]["explanation"]["tried"][0];
    assert_eq!(tried["eligible"], 1);
    let counted = json!({ "tier": 1, "product_line": 1, "language": 1, "territory": 1 });
    assert_eq!(tried["not_eligible"], counted);
    // Nobody's rule: an operator's.
    let mut small = lead;
    small["employees"] = json!(10);
    small["company"]["domain"] = json!("klein.example");
    let queued = desk.bring(small).await.expect(201);
    assert_eq!(queued.str("stage"), "vendor_queue");
    let path = format!("/v1/leads/{}/assignments", queued.str("id"));
    let why = desk.world.get(&path).await.expect(200);
    let explanation = &why.body["items"][0]["explanation"];
    assert_eq!(explanation["passed_over"], json!(["erp"]));
    assert_eq!(explanation["choice"], Value::Null);
    let queue = format!("/v1/leads?program={}&stage=vendor_queue", desk.program);
    let queue = desk.world.get(&queue).await.expect(200);
    assert_eq!(queue.items().len(), 1);
}

#[tokio::test]
async fn who_is_suspended_is_passed_over_without_being_on_the_roster_anew() {
    let desk = Desk::open(in_turn(), &[json!({ "weight": 9 }), json!({})]).await;
    let first = &desk.partners[0].0;
    let suspend = format!("/v1/partners/{first}/suspend");
    let suspended = desk.world.post(&suspend, json!({})).await;
    assert!(suspended.status.is_success(), "{}", suspended.text);
    let offered = desk.bring_many("s", 3).await;
    assert_eq!(desk.counts(&offered), [0, 3]);
}

#[tokio::test]
async fn of_very_many_who_cannot_take_it_the_explanation_stays_true() {
    let desk = Desk::open(in_turn(), &[json!({})]).await;
    let (app, program) = (desk.world.instance.app(), desk.program.parse().unwrap());
    let own = desk.partners[0].0.parse().unwrap();
    let own = channel::find_profile(app, program, own).await.unwrap();
    // On the roster, and no partners any more.
    for number in 0..210_u8 {
        let mut bytes = [0; 16];
        bytes[15] = number;
        let gone = Profile {
            partner: PartnerId::from_bytes(bytes),
            ..own.clone()
        };
        let part = store::find_part(&app.main, program, gone.partner);
        let part = store::save_part(part.await.unwrap(), &gone).unwrap();
        app.main.transact(&[part.unwrap()]).await.unwrap();
    }
    desk.describe(&desk.partners[0].0, json!({})).await;
    let lead = json!({ "company": { "domain": "many.example" } });
    let queued = desk.bring(lead).await.expect(201);
    assert_eq!(queued.str("stage"), "vendor_queue");
    let path = format!("/v1/leads/{}/assignments", queued.str("id"));
    let why = desk.world.get(&path).await.expect(200);
    let explanation = &why.body["items"][0]["explanation"];
    assert_eq!(explanation["choice"], Value::Null);
    assert_eq!(explanation["stopped_after"], 200);
    let tried = &explanation["tried"][0];
    assert_eq!(tried["not_eligible"], json!({ "not_active": 200 }));
    assert_eq!(tried["eligible"], 11);
    assert_eq!(tried["ranked"].as_array().unwrap().len(), 11);
}

#[tokio::test]
async fn turns_of_more_partners_than_one_item_holds_read_back() {
    let desk = Desk::open(in_turn(), &[]).await;
    let (app, program) = (desk.world.instance.app(), desk.program.parse().unwrap());
    let credits = |count: u32, of: i32| {
        let each = (0..count).map(|number| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            (PartnerId::from_bytes(bytes), of)
        });
        Credits(each.collect())
    };
    for turns in [credits(25_000, 7), credits(25_001, -7), credits(3, 1)] {
        let before = leads::store::standing(&app.main, program, None, &["all"]);
        let before = before.await.unwrap();
        let ops = before.save_turns("all", &turns).unwrap();
        app.main.transact(&ops).await.unwrap();
        // From the same version no second change is made, of whichever item.
        let again = before.save_turns("all", &credits(25_000, 9)).unwrap();
        assert!(app.main.transact(&again).await.is_err());
        let after = leads::store::standing(&app.main, program, None, &["all"]);
        assert_eq!(after.await.unwrap().turns()["all"], turns);
    }
}

#[tokio::test]
async fn working_hours_count_where_a_rule_says_so() {
    let hours = json!({ "time_zone": "UTC", "openings": [{ "day": "monday", "from": "13:00", "to": "17:00" }] });
    let rules = json!({ "rules": [{ "code": "open", "eligible": { "working_hours": true }, "strategy": { "kind": "round_robin" } }] });
    let desk = Desk::open(rules, &[json!({ "working_hours": hours })]).await;
    // It is Monday, nine o'clock.
    let early = desk.bring_many("early", 1).await;
    assert_eq!(early, [""]);
    desk.world
        .advance_to("2026-03-02T14:00:00Z".parse().unwrap())
        .await;
    let open = desk.bring_many("open", 1).await;
    assert_eq!(desk.counts(&open), [1]);
}

#[tokio::test]
async fn leads_that_come_in_at_once_take_their_turns_all_the_same() {
    let desk = Desk::open(in_turn(), &[json!({ "weight": 2 }), json!({ "weight": 1 })]).await;
    let bring = (0..12).map(|number| {
        desk.bring(json!({ "company": { "domain": format!("once{number}.example") } }))
    });
    let offered: Vec<String> = join_all(bring)
        .await
        .into_iter()
        .map(|answer| answer.expect(201).str("partner").to_owned())
        .collect();
    assert_eq!(desk.counts(&offered), [8, 4]);
}

#[tokio::test]
async fn a_simulation_says_what_other_rules_would_have_done_and_changes_nothing() {
    let desk = Desk::open(in_turn(), &[json!({ "weight": 3 }), json!({ "weight": 1 })]).await;
    let offered = desk.bring_many("sim", 8).await;
    assert_eq!(desk.counts(&offered), [6, 2]);
    let second = desk.partners[1].0.clone();
    let rules = json!([{ "code": "all", "strategy": { "kind": "fixed", "partner": second } }]);
    let path = desk.path("/routing:simulate");
    let body = json!({ "rules": rules, "last": 4 });
    let simulated = desk.world.post(&path, body).await.expect(200);
    assert_eq!(simulated.body["leads"].as_array().unwrap().len(), 4);
    assert_eq!(simulated.body["leads"][0]["rule"], "all");
    let all = json!({ "rules": rules });
    let simulated = desk.world.post(&path, all).await.expect(200);
    assert_eq!(simulated.body["changed"], 6);
    let expected = json!([
        { "partner": desk.partners[0].0, "was": 6, "would": 0 },
        { "partner": second, "was": 2, "would": 8 },
    ]);
    assert_eq!(simulated.body["partners"], expected);
    // The turns go on where they were.
    let same = json!({ "rules": in_turn()["rules"] });
    let again = desk.world.post(&path, same).await.expect(200);
    // Those that came in at the same moment may have come in another order.
    let counted = &again.body["partners"];
    assert_eq!(
        (&counted[0]["would"], &counted[1]["would"]),
        (&json!(6), &json!(2))
    );
    let more = desk.bring_many("more", 4).await;
    assert_eq!(desk.counts(&more), [3, 1]);
    let nobody = desk
        .world
        .post(&path, json!({ "rules": [] }))
        .await
        .expect(200);
    assert_eq!(nobody.body["partners"][0]["partner"], Value::Null);
}

#[tokio::test]
async fn rules_are_said_with_their_version_and_each_wrong_field_is_named() {
    let desk = Desk::open(json!({ "rules": [] }), &[]).await;
    let path = desk.path("/routing");
    let read = desk.world.get(&path).await.expect(200);
    assert_eq!(read.headers[header::ETAG], "\"1\"");
    assert_eq!(read.body, json!({ "rules": [], "sla_minutes": 1440 }));
    let blind = desk.world.put(&path, in_turn()).await;
    let _ = blind.problem(428, "if_match_missing");
    let old = [("if-match", "\"7\"")];
    let body = in_turn();
    let stale = desk
        .world
        .ask(&desk.world.key, Method::PUT, &path, &old, Some(&body));
    let _ = stale.await.problem(412, "version_stale");
    let rule = |rule: Value| json!({ "rules": [rule] });
    let with = |field: &str, value: Value| {
        let mut rule = json!({ "code": "a", "strategy": { "kind": "round_robin" } });
        rule[field] = value;
        rule
    };
    for (body, field, code) in [
        (json!({}), "rules", "required"),
        (
            json!({ "rules": [], "sla_minutes": 0 }),
            "sla_minutes",
            "out_of_range",
        ),
        (
            json!({ "rules": [], "sla_minutes": "5" }),
            "sla_minutes",
            "wrong_type",
        ),
        (
            json!({ "rules": [], "idle_days": 366 }),
            "idle_days",
            "out_of_range",
        ),
        (
            json!({ "rules": [], "form": { "work_bits": 27 } }),
            "form.work_bits",
            "out_of_range",
        ),
        (
            json!({ "rules": [], "form": { "per_address": 0 } }),
            "form.per_address",
            "out_of_range",
        ),
        (json!({ "rules": [], "odd": 1 }), "odd", "unknown_field"),
        (
            rule(with("code", json!("A"))),
            "rules[0].code",
            "characters_refused",
        ),
        (
            rule(with("when", json!({ "countries": ["UK"] }))),
            "rules[0].when.countries[0]",
            "country_unknown",
        ),
        (
            rule(with("when", json!({ "regions": ["BY"] }))),
            "rules[0].when.regions[0]",
            "characters_refused",
        ),
        (
            rule(with("when", json!({ "product_lines": ["erp"] }))),
            "rules[0].when.product_lines[0]",
            "reference_unknown",
        ),
        (
            rule(with("eligible", json!({ "tiers": ["gold"] }))),
            "rules[0].eligible.tiers[0]",
            "reference_unknown",
        ),
        (
            rule(with("eligible", json!({ "certifications": ["x"] }))),
            "rules[0].eligible.certifications[0]",
            "reference_unknown",
        ),
        (
            rule(with("eligible", json!({ "within_km": 0 }))),
            "rules[0].eligible.within_km",
            "out_of_range",
        ),
        (
            rule(with("eligible", json!({ "exclude": ["me"] }))),
            "rules[0].eligible.exclude[0]",
            "id_malformed",
        ),
        (
            rule(with("strategy", json!({ "kind": "lottery" }))),
            "rules[0].strategy.kind",
            "not_one_of",
        ),
        (
            rule(with("strategy", json!({ "kind": "fixed" }))),
            "rules[0].strategy.partner",
            "required",
        ),
        (
            rule(with(
                "strategy",
                json!({ "kind": "nearest", "rings_km": [9, 9] }),
            )),
            "rules[0].strategy.rings_km[1]",
            "range_empty",
        ),
        (
            rule(with(
                "strategy",
                json!({ "kind": "nearest", "rings_km": ["9"] }),
            )),
            "rules[0].strategy.rings_km[0]",
            "wrong_type",
        ),
        (
            rule(with(
                "strategy",
                json!({ "kind": "best_performing", "newcomer_floor": 0.5 }),
            )),
            "rules[0].strategy.newcomer_floor",
            "decimal_string_expected",
        ),
    ] {
        let refused = desk.world.replace(&path, body).await.problem(422, code);
        assert_eq!(refused.str("/errors/0/field"), field, "{}", refused.text);
    }
    let twice = json!({ "rules": [with("code", json!("a")), with("code", json!("a"))] });
    let twice = desk.world.replace(&path, twice).await;
    assert_eq!(
        twice.problem(409, "exists").str("/errors/0/field"),
        "rules[1].code"
    );
    let simulate = desk.path("/routing:simulate");
    let body = json!({ "rules": [], "last": 201 });
    let refused = desk.world.post(&simulate, body).await;
    let _ = refused.problem(422, "out_of_range");
    assert_eq!(desk.world.get(&path).await.headers[header::ETAG], "\"1\"");
}
