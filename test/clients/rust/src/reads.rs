//! Checks of what reads records.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tonic::Streaming;

use crate::{
    client::{Client, DEADLINE, records, values},
    proto::proglog::{
        ConsumeRequest, ConsumeStreamRequest, ConsumeStreamResponse, consume_request::Start,
        consume_stream_request,
    },
    report::{Checked, ensure, ensure_equal},
};

pub async fn consume(client: &Client) -> Checked {
    let topic = client.create_topic().await?;
    client.produce(&topic, records(&["a", "b", "c", "d"])).await?;
    let from = |start, max_records| ConsumeRequest {
        topic: topic.clone(),
        start: Some(start),
        max_records,
        ..Default::default()
    };
    let two = client.log().consume(from(Start::Offset(1), 2)).await?.into_inner();
    ensure_equal!(["b", "c"], *values(&two.records), "from offset 1");
    ensure_equal!(1, two.records[0].offset, "offset");
    ensure_equal!(3, two.resume_offset, "resume offset");
    ensure_equal!(4, two.high_watermark, "high watermark");
    let last = client.log().consume(from(Start::LastRecords(1), 0)).await?.into_inner();
    ensure_equal!(["d"], *values(&last.records), "last record");
    let none = client.log().consume(from(Start::Offset(4), 0)).await?.into_inner();
    ensure!(none.records.is_empty(), "records at the end");
    ensure_equal!(4, none.resume_offset, "resume offset at the end");
    Ok(())
}

/// Asks for a record before it is there.
pub async fn consume_long_poll(client: &Client) -> Checked {
    let topic = client.create_topic().await?;
    let request = ConsumeRequest {
        topic: topic.clone(),
        start: Some(Start::Offset(0)),
        wait: Some(prost_types::Duration { seconds: 20, nanos: 0 }),
        ..Default::default()
    };
    let mut log = client.log();
    let answer = tokio::spawn(async move { log.consume(request).await });
    sleep(Duration::from_millis(200)).await;
    ensure!(!answer.is_finished(), "the answer came before the record");
    client.produce(&topic, records(&["late"])).await?;
    ensure_equal!(["late"], *values(&answer.await??.into_inner().records), "records");
    Ok(())
}

pub async fn tail(client: &Client) -> Checked {
    let topic = client.create_topic().await?;
    client.produce(&topic, records(&["before"])).await?;
    let from = |start, end_offset| ConsumeStreamRequest {
        topic: topic.clone(),
        start: Some(start),
        end_offset,
        ..Default::default()
    };
    let end = from(consume_stream_request::Start::LastRecords(0), None);
    let mut tail = client.log().consume_stream(end).await?.into_inner();
    // The first message comes at once, so that one knows that the stream has begun.
    let first = next(&mut tail).await?;
    ensure!(first.records.is_empty(), "records at the end");
    ensure_equal!(1, first.resume_offset, "resume offset at the end");
    ensure!(first.heartbeat_interval.is_some(), "no heartbeat interval");

    client.produce(&topic, records(&["a", "b"])).await?;
    ensure_equal!(3, read_on(&mut tail, &["a", "b"]).await?, "resume offset");
    client.produce(&topic, records(&["c"])).await?;
    ensure_equal!(4, read_on(&mut tail, &["c"]).await?, "resume offset");

    // A stream ends by itself when it is told where.
    let part = from(consume_stream_request::Start::Offset(2), Some(4));
    let mut part = client.log().consume_stream(part).await?.into_inner();
    ensure_equal!(4, read_on(&mut part, &["b", "c"]).await?, "resume offset");
    while let Some(message) = part.message().await? {
        ensure!(message.records.is_empty(), "records after the end");
    }
    Ok(())
}

/// Takes messages until so many records came. Returns where to go on.
async fn read_on(stream: &mut Streaming<ConsumeStreamResponse>, wanted: &[&str]) -> Checked<u64> {
    let mut got = Vec::new();
    loop {
        let message = next(stream).await?;
        got.extend(values(&message.records));
        if got.len() >= wanted.len() {
            ensure_equal!(*wanted, *got, "records");
            return Ok(message.resume_offset);
        }
    }
}

async fn next(stream: &mut Streaming<ConsumeStreamResponse>) -> Checked<ConsumeStreamResponse> {
    timeout(DEADLINE, stream.message()).await??.ok_or_else(|| "the stream ended".into())
}
