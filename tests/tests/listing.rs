//! Lists, newest first, while they grow.

use std::collections::HashSet;

use futures_util::future::join_all;
use tributary_tests::{Stand, World};

async fn post(world: &World, stand: &Stand, from: usize, count: usize) -> Vec<String> {
    join_all(
        (from..from + count)
            .map(|number| async move { world.sale(stand, &format!("o-{number}"), "10.00").await }),
    )
    .await
}

#[tokio::test]
async fn ten_thousand_conversions_are_listed_newest_first_while_others_arrive_without_gap_or_repeat()
 {
    let world = World::start().await;
    let stand = world.stand().await;
    let mut known = Vec::new();
    for round in 0..100 {
        known.extend(post(&world, &stand, round * 100, 100).await);
        world
            .instance
            .app()
            .clock
            .set(world.now() + jiff::SignedDuration::from_hours(7));
    }
    let known: HashSet<String> = known.into_iter().collect();
    assert_eq!(known.len(), 10_000);
    let (mut seen, mut cursor, mut late, mut newest) =
        (Vec::new(), String::new(), 10_000, String::from("9999"));
    loop {
        let page = world
            .get(&format!(
                "/v1/conversions?program={}&limit=200{cursor}",
                stand.program
            ))
            .await
            .expect(200);
        for item in page.items() {
            let received = item["received_at"].as_str().unwrap().to_owned();
            assert!(
                received <= newest,
                "newest first: {received} after {newest}"
            );
            newest = received;
            seen.push(item["id"].as_str().unwrap().to_owned());
        }
        let Some(next) = page.body["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
        // Between the pages others arrive, some in the same instant as entries on them.
        let _ = post(&world, &stand, late, 3).await;
        late += 3;
    }
    let listed: HashSet<&String> = seen.iter().collect();
    assert_eq!(listed.len(), seen.len(), "no conversion is listed twice");
    assert!(
        known.iter().all(|id| listed.contains(id)),
        "every conversion that was there is listed"
    );
    assert!(late > 10_100, "others did arrive meanwhile");
}

#[tokio::test]
async fn a_partners_conversions_are_listed_across_months() {
    let world = World::start().await;
    let stand = world.stand().await;
    let (other, _, _) = world.partner_in(&stand.program, "Bob").await;
    let mut expected = Vec::new();
    for number in 0..12 {
        expected.push(world.sale(&stand, &format!("o-{number}"), "10.00").await);
        world.settle().await;
        world.advance_days(17).await;
    }
    expected.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world
            .get(&format!(
                "/v1/conversions?partner={}&limit=5{cursor}",
                stand.partner
            ))
            .await
            .expect(200);
        seen.extend(
            page.items()
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page.body["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, expected);
    let none = world
        .get(&format!("/v1/conversions?partner={other}"))
        .await
        .expect(200);
    assert_eq!(none.items().len(), 0);
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let world = World::start().await;
    let stand = world.stand().await;
    let _ = post(&world, &stand, 0, 3).await;
    let page = world
        .get(&format!(
            "/v1/conversions?program={}&limit=1",
            stand.program
        ))
        .await
        .expect(200);
    let cursor = page.str("next_cursor").to_owned();
    let (other, _, _) = world
        .program(
            0,
            serde_json::json!([{ "kind": "flat", "event": "sale", "amount": "1.00" }]),
        )
        .await;
    let _ = world
        .get(&format!("/v1/conversions?program={other}&cursor={cursor}"))
        .await
        .problem(422, "cursor_invalid");
    let _ = world
        .get(&format!(
            "/v1/conversions?program={}&limit=0",
            stand.program
        ))
        .await
        .problem(422, "out_of_range");
}
