//! Queues and streams are transport: losing them loses nothing.

use futures_util::future::join_all;
use tributary_tests::World;

#[tokio::test]
async fn with_all_queues_dropped_and_the_stream_trimmed_every_acknowledged_conversion_gets_its_outcome()
 {
    let world = World::start().await;
    let stand = world.stand().await;
    let post = async |from: usize, to: usize| {
        let (world, stand) = (&world, &stand);
        let sale = async |number| world.sale(stand, &format!("o-{number}"), "10.00").await;
        join_all((from..to).map(sale)).await
    };
    // One half has come as far as the queue, the other no further than the stream.
    let mut conversions = post(0, 500).await;
    world.fill_queues().await;
    assert_eq!(world.waiting_messages(), 500);
    conversions.extend(post(500, 1_000).await);
    world.lose_transport().await;
    let cloud = world.instance.cloud();
    world.settle().await;
    for conversion in &conversions {
        assert_eq!(world.state(conversion).await, "received", "nothing arrived");
    }

    cloud.recorder().start();
    // Work is bounded per minute; a few minutes see all of it through.
    for _ in 0..20 {
        let to = world.now() + jiff::SignedDuration::from_mins(1);
        world.advance_to(to).await;
    }
    let calls = cloud.recorder().stop();
    assert!(calls.iter().all(|call| call.operation != "Scan"));
    for conversion in &conversions {
        assert_eq!(world.state(conversion).await, "held");
    }
    assert_eq!(world.balances(&stand.partner).await[0], "3000.00");
}
