//! Queues and streams are transport: losing them loses nothing.

use futures_util::future::join_all;
use tributary_tests::World;

#[tokio::test]
async fn with_all_queues_dropped_and_the_stream_trimmed_every_acknowledged_conversion_gets_its_outcome()
 {
    let world = World::start().await;
    let stand = world.stand().await;
    let conversions: Vec<String> = join_all((0..1_000).map(|number| {
        let (world, stand) = (&world, &stand);
        async move { world.sale(stand, &format!("o-{number}"), "10.00").await }
    }))
    .await;
    let cloud = world.instance.cloud();
    let sqs = cloud.sqs();
    for name in cloud.queues().names() {
        let url = sqs
            .get_queue_url()
            .queue_name(&name)
            .send()
            .await
            .unwrap()
            .queue_url
            .unwrap();
        sqs.purge_queue().queue_url(url).send().await.unwrap();
    }
    cloud.trim_all_streams().unwrap();
    world.settle().await;
    assert_eq!(
        world.state(&conversions[0]).await,
        "received",
        "nothing was delivered"
    );

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
