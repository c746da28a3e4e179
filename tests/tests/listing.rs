//! Lists, newest first, while they grow.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use tributary_local::connector::{Call, Intercept, Verdict};
use tributary_tests::{Stand, World};

async fn post(world: &World, stand: &Stand, from: usize, count: usize) -> Vec<String> {
    join_all(
        (from..from + count)
            .map(|number| async move { world.sale(stand, &format!("o-{number}"), "10.00").await }),
    )
    .await
}

/// Lets others go on for a while before each call, so that the calls of all who are at work interleave.
#[derive(Default)]
struct Interleaved;

impl Intercept for Interleaved {
    fn before(&self, call: &Call<'_>) -> Verdict {
        let turns = call.number * 7 % 5;
        Verdict::Hold(Box::pin(async move {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        }))
    }
}

#[tokio::test]
async fn ten_thousand_conversions_are_listed_newest_first_while_others_arrive_without_gap_or_repeat()
 {
    const INSTANTS: usize = 100;
    let world = World::start().await;
    let stand = world.stand().await;
    let clock = &world.instance.app().clock;
    let mut known = HashSet::new();
    for round in 0..INSTANTS {
        if round > 0 {
            clock.set(world.now() + jiff::SignedDuration::from_hours(7));
        }
        known.extend(post(&world, &stand, round * 100, 100).await);
    }
    assert_eq!(known.len(), 10_000);
    world
        .instance
        .cloud()
        .set_interceptor(Some(Arc::new(Interleaved)));

    let pages = Mutex::new(Vec::<Vec<(String, String)>>::new());
    let done = AtomicBool::new(false);
    let read = async {
        let mut cursor = String::new();
        // None of these divides an instant, and the smallest is read from shards that run dry within it.
        for limit in [137, 7, 61].into_iter().cycle() {
            let path = format!(
                "/v1/conversions?program={}&limit={limit}{cursor}",
                stand.program
            );
            let page = world.get(&path).await.expect(200);
            let entry = |item: &serde_json::Value| {
                let text = |field: &str| item[field].as_str().unwrap().to_owned();
                (text("received_at"), text("id"))
            };
            pages
                .lock()
                .unwrap()
                .push(page.items().iter().map(entry).collect());
            let Some(next) = page.body["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        done.store(true, Ordering::SeqCst);
    };
    // Who writes has a clock that is behind: what arrives is received at the very instant being listed.
    let write = async {
        let mut late = Vec::new();
        while !done.load(Ordering::SeqCst) {
            let listing = pages
                .lock()
                .unwrap()
                .last()
                .and_then(|page| page.last().cloned());
            if let Some((instant, _)) = listing {
                clock.set(instant.parse().unwrap());
            }
            late.extend(post(&world, &stand, 10_000 + late.len(), 3).await);
        }
        late
    };
    let ((), late) = tokio::join!(read, write);

    let pages = pages.into_inner().unwrap();
    let split = |pair: &[Vec<(String, String)>]| {
        pair[0].last().map(|last| &last.0) == pair[1].first().map(|first| &first.0)
    };
    let splits = pages.windows(2).filter(|pair| split(pair)).count();
    assert!(splits > 30, "only {splits} pages end within an instant");
    let seen: Vec<&(String, String)> = pages.iter().flatten().collect();
    for pair in seen.windows(2) {
        assert!(pair[0].0 >= pair[1].0, "newest first: {pair:?}");
    }
    let listed: HashSet<&String> = seen.iter().map(|(_, id)| id).collect();
    assert_eq!(listed.len(), seen.len(), "no conversion is listed twice");
    assert!(
        known.iter().all(|id| listed.contains(id)),
        "every conversion that was there is listed"
    );
    let met = late.iter().filter(|id| listed.contains(id)).count();
    assert!(late.len() > 100, "only {} arrived meanwhile", late.len());
    assert!(
        met > 0 && met < late.len(),
        "{met} of {} late arrivals stood before the reader and the others behind",
        late.len()
    );
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
