//! Checks of what fails, and of what goes on after it.

use std::{
    error::Error,
    io,
    iter::successors,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tonic::{Code, Request, Status, Streaming, TimeoutExpired};
use tonic_types::StatusExt;

use crate::{
    client::{Client, records},
    proto::proglog::{
        ConsumeRequest, ConsumeStreamRequest, OpenProducerRequest, ProduceRequest, ProduceResponse,
        Producer, consume_request::Start,
    },
    report::{Checked, ensure, ensure_equal},
};

const PRODUCER_ID: &str = "rust-checks";
const SHORT_DEADLINE: Duration = Duration::from_millis(300);
const RETRY_TIME: Duration = Duration::from_secs(20);

pub async fn error_details(client: &Client) -> Checked {
    let request = ConsumeRequest { topic: "rust-missing".into(), ..Default::default() };
    let status = client.log().consume(request).await.err().ok_or("no error")?;
    ensure_equal!(Code::NotFound, status.code(), "code");
    let info = status.get_details_error_info().ok_or("no ErrorInfo")?;
    ensure_equal!("TOPIC_NOT_FOUND", info.reason, "reason");
    ensure_equal!("proglog", info.domain, "domain");
    ensure_equal!(Some("rust-missing"), info.metadata.get("topic").map(String::as_str), "topic");
    Ok(())
}

pub async fn deadline(client: &Client) -> Checked {
    let topic = client.create_topic().await?;
    let request = ConsumeRequest {
        topic: topic.clone(),
        start: Some(Start::Offset(0)),
        wait: Some(prost_types::Duration { seconds: 10, nanos: 0 }),
        ..Default::default()
    };
    let answer = client.log().consume(within(SHORT_DEADLINE, request)).await;
    let status = answer.err().ok_or("no error")?;
    ensure!(is_late(&status), "the call did not end at its deadline");

    // On a stream it is the server that watches the deadline.
    let request = ConsumeStreamRequest { topic: topic.clone(), ..Default::default() };
    let answer = client.log().consume_stream(within(SHORT_DEADLINE, request)).await?;
    let code = code_at_end(answer.into_inner()).await;
    ensure_equal!(Code::DeadlineExceeded, code, "code of a stream");
    client.produce(&topic, records(&["after"])).await?;
    Ok(())
}

/// A request with a deadline, which the server is told of.
fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

/// Whether a call ended at its deadline. When tonic's clock is faster than the server's answer,
/// tonic says CANCELLED.
fn is_late(status: &Status) -> bool {
    let mut causes = successors(status.source(), |&cause| cause.source());
    status.code() == Code::DeadlineExceeded || causes.any(|cause| cause.is::<TimeoutExpired>())
}

/// Reads a stream to its end.
async fn code_at_end<T>(mut stream: Streaming<T>) -> Code {
    loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Code::Ok,
            Err(status) => return status.code(),
        }
    }
}

/// A stream is cancelled by dropping it.
pub async fn cancel(client: &Client) -> Checked {
    let topic = client.create_topic().await?;
    let request = ConsumeStreamRequest { topic: topic.clone(), ..Default::default() };
    let mut tail = client.log().consume_stream(request).await?.into_inner();
    tail.message().await?.ok_or("the stream ended")?;
    drop(tail);
    client.produce(&topic, records(&["after"])).await?;
    Ok(())
}

/// Goes on with the same channel after the server was killed and started again. A call that
/// failed with UNAVAILABLE may have been carried out: as the batches of a producer are numbered,
/// sending one again appends it once.
pub async fn reconnect(client: &Client) -> Checked {
    let topic = client.create_topic().await?;
    let open = OpenProducerRequest { topic: topic.clone(), producer_id: PRODUCER_ID.into() };
    let epoch = client.log().open_producer(open).await?.into_inner().epoch;
    let batch = |sequence, value| ProduceRequest {
        topic: topic.clone(),
        records: records(&[value]),
        producer: Some(Producer { id: PRODUCER_ID.into(), epoch, sequence }),
        ..Default::default()
    };
    let first = client.log().produce(batch(0, "before")).await?.into_inner();
    ensure!(!first.duplicate, "the first try is a duplicate");

    println!("restart?");
    let line = tokio::task::spawn_blocking(|| io::stdin().lines().next()).await?;
    ensure_equal!(Some("restarted"), line.transpose()?.as_deref(), "line");

    let again = produce_with_retries(client, batch(0, "before")).await?;
    ensure!(again.duplicate, "the second try was appended once more");
    let second = produce_with_retries(client, batch(1, "after")).await?;
    ensure_equal!(1, second.first_offset, "offset");
    ensure_equal!(records(&["before", "after"]), client.read_all(&topic).await?, "records");
    Ok(())
}

async fn produce_with_retries(
    client: &Client,
    request: ProduceRequest,
) -> Result<ProduceResponse, Status> {
    let began = Instant::now();
    loop {
        match client.log().produce(request.clone()).await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) if status.code() == Code::Unavailable && began.elapsed() < RETRY_TIME => {
                sleep(Duration::from_millis(100)).await;
            }
            Err(status) => return Err(status),
        }
    }
}
