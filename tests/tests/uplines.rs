//! Who stands above whom in a program: never in a circle, and as it was when something happened.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tributary::ids::{PartnerId, ProgramId};
use tributary::partners;
use tributary_tests::{Answer, World};

/// A program with partners of these names, in it under `standard`, nobody above anybody.
async fn program_of<const N: usize>(world: &World, names: [&str; N]) -> (String, [String; N]) {
    let pays = json!([{ "kind": "percent", "event": "sale", "rate": "0.30" }]);
    let (program, _, _) = world.program(30, pays).await;
    let mut ids = Vec::new();
    for name in names {
        ids.push(world.partner_in(&program, name).await.0);
    }
    (program, ids.try_into().unwrap())
}

async fn place(world: &World, program: &str, partner: &str, upline: Value) -> Answer {
    place_from(world, program, partner, upline, None).await
}

async fn place_from(
    world: &World,
    program: &str,
    partner: &str,
    upline: Value,
    from: Option<&str>,
) -> Answer {
    let mut body = json!({ "program": program, "plan": "standard", "upline": upline });
    if let Some(from) = from {
        body["effective_from"] = json!(from);
    }
    world
        .post(&format!("/v1/partners/{partner}/enrolments"), body)
        .await
}

async fn above(world: &World, program: &str, partner: &str, at: &str, most: usize) -> Vec<String> {
    let (program, partner): (ProgramId, PartnerId) =
        (program.parse().unwrap(), partner.parse().unwrap());
    let app = world.instance.app();
    let found = partners::uplines(app, program, partner, at.parse().unwrap(), most).await;
    found.unwrap().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn past_events_keep_the_uplines_of_their_time() {
    let world = World::start().await;
    let (program, [ada, bob, cyd]) = program_of(&world, ["Ada", "Bob", "Cyd"]).await;
    let placed = place(&world, &program, &ada, json!(bob)).await.expect(200);
    assert_eq!(placed.str("/uplines/0/partner"), bob);
    assert_eq!(placed.body["version"], 2);
    let _ = place(&world, &program, &bob, json!(cyd)).await.expect(200);
    let later = "2026-04-01T00:00:00Z";
    let _ = place_from(&world, &program, &ada, json!(cyd), Some(later))
        .await
        .expect(200);
    for (at, most, expected) in [
        ("2026-03-02T08:59:59Z", 5, vec![]),
        ("2026-03-02T09:00:00Z", 5, vec![&bob, &cyd]),
        ("2026-03-31T23:59:59Z", 1, vec![&bob]),
        (later, 5, vec![&cyd]),
    ] {
        let found = above(&world, &program, &ada, at, most).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{at}");
    }
    // The same again changes nothing; nobody above from a later day on.
    let again = place_from(&world, &program, &ada, json!(cyd), Some(later))
        .await
        .expect(200);
    assert_eq!(again.body["version"], 3);
    let gone = "2026-05-01T00:00:00Z";
    let alone = place_from(&world, &program, &ada, Value::Null, Some(gone))
        .await
        .expect(200);
    assert_eq!(
        alone.body["uplines"][2],
        json!({ "partner": null, "effective_from": gone })
    );
    world.advance_days(1).await;
    assert!(above(&world, &program, &ada, gone, 5).await.is_empty());
    // A change of the plan alone leaves the upline as it is.
    let body = json!({ "program": program, "plan": "standard" });
    let kept = world
        .post(&format!("/v1/partners/{ada}/enrolments"), body)
        .await
        .expect(200);
    assert_eq!(kept.body["uplines"], alone.body["uplines"]);
}

#[tokio::test]
async fn a_first_enrolment_may_name_the_upline_of_all_its_events() {
    let world = World::start().await;
    let (program, [bob]) = program_of(&world, ["Bob"]).await;
    let body =
        json!({ "name": "Ada", "email": "ada@example.com", "country": "GB", "kind": "affiliate" });
    let ada = world
        .post("/v1/partners", body)
        .await
        .expect(201)
        .str("id")
        .to_owned();
    let placed = place(&world, &program, &ada, json!(bob)).await.expect(201);
    assert_eq!(
        placed.body["uplines"],
        json!([{ "partner": bob, "effective_from": null }])
    );
    assert_eq!(placed.body["version"], 1);
    assert_eq!(
        above(&world, &program, &ada, "2020-01-01T00:00:00Z", 5).await,
        [bob]
    );
}

#[tokio::test]
async fn a_circle_is_refused_and_the_way_around_is_named() {
    let world = World::start().await;
    let (program, [ada, bob, cyd]) = program_of(&world, ["Ada", "Bob", "Cyd"]).await;
    let _ = place(&world, &program, &ada, json!(bob)).await.expect(200);
    let _ = place(&world, &program, &bob, json!(cyd)).await.expect(200);
    let refused = place(&world, &program, &cyd, json!(ada))
        .await
        .problem(422, "upline_cycle");
    assert_eq!(refused.str("/errors/0/field"), "upline");
    let way = format!("{cyd} → {ada} → {bob} → {cyd}");
    assert!(refused.text.contains(&way), "{}", refused.text);
    let _ = place(&world, &program, &ada, json!(ada))
        .await
        .problem(422, "upline_cycle");
    // One that only closes on a day that is set is one too.
    let later = "2026-04-01T00:00:00Z";
    let _ = place_from(&world, &program, &bob, Value::Null, Some(later))
        .await
        .expect(200);
    let _ = place(&world, &program, &cyd, json!(ada))
        .await
        .problem(422, "upline_cycle");
    let _ = place_from(&world, &program, &cyd, json!(ada), Some(later))
        .await
        .expect(200);
}

#[tokio::test]
async fn an_upline_is_in_the_program_not_too_high_up_and_changes_from_now_on() {
    let world = World::start().await;
    let names = [
        "Ada", "Bob", "Cyd", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon", "Kay", "Leo",
    ];
    let (program, ids) = program_of(&world, names).await;
    let (other, [mia]) = program_of(&world, ["Mia"]).await;
    let refused = place(&world, &program, &ids[0], json!(mia))
        .await
        .problem(422, "not_enrolled");
    assert_eq!(refused.str("/errors/0/field"), "upline");
    let nobody = json!("ptr_00000000000000000000000000");
    let _ = place(&world, &program, &ids[0], nobody)
        .await
        .problem(422, "not_enrolled");
    let _ = place(&world, &program, &ids[0], json!("ptr_1"))
        .await
        .problem(422, "id_malformed");
    let past = Some("2026-03-01T00:00:00Z");
    let refused = place_from(&world, &program, &ids[0], json!(ids[1]), past).await;
    assert_eq!(
        refused
            .problem(422, "upline_in_past")
            .str("/errors/0/field"),
        "effective_from"
    );
    // From the top down: the eleventh has ten above it, a twelfth would have eleven.
    for pair in ids.windows(2).rev().take(10) {
        let _ = place(&world, &program, &pair[0], json!(pair[1]))
            .await
            .expect(200);
    }
    let _ = place(&world, &program, &ids[0], json!(ids[1]))
        .await
        .problem(422, "upline_too_deep");
    // Another program has a tree of its own.
    let _ = place(&world, &other, &ids[11], Value::Null)
        .await
        .expect(201);
    let _ = place(&world, &other, &mia, json!(ids[11]))
        .await
        .expect(200);
}

#[tokio::test]
async fn of_two_who_would_together_close_a_circle_one_is_refused() {
    let world = World::start().await;
    let (program, ids) = program_of(&world, ["Ada", "Bob", "Cyd", "Dan"]).await;
    let circle = (0..4).map(|n| {
        let (world, program, ids) = (&world, &program, &ids);
        async move { place(world, program, &ids[n], json!(ids[(n + 1) % 4])).await }
    });
    let answers = join_all(circle).await;
    let refused = answers
        .iter()
        .filter(|answer| answer.str("code") == "upline_cycle");
    assert_eq!(refused.count(), 1);
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        3
    );
}
