//! Checks of what appends records.

use crate::{
    client::{Client, records},
    proto::{
        log,
        proglog::{
            ConsumeRequest, Durability, Header, ProduceRequest, ProduceStreamRequest, Record,
            TopicSettings,
        },
    },
    report::{Checked, ensure, ensure_equal},
};

const BATCHES: u64 = 1_000;
const LARGE_RECORD_BYTES: usize = 900_000;
const LARGEST_RECORD_BYTES: usize = 5_000_000;

pub async fn produce(client: &Client) -> Checked {
    let topic = client.create_topic().await?;
    let response = client.produce(&topic, records(&["hello"])).await?;
    ensure_equal!(0, response.first_offset, "first offset");
    ensure_equal!(0, response.last_offset, "last offset");
    ensure_equal!(Durability::SyncedOne, response.durability(), "durability");
    ensure!(response.append_time_unix_us > 0, "no append time");
    Ok(())
}

pub async fn produce_batch(client: &Client) -> Checked {
    let topic = client.create_topic().await?;
    let header = |name: &str, value: String| Header { name: name.into(), value: value.into() };
    let batch: Vec<Record> = (0..1_000)
        .map(|i| Record {
            key: format!("key-{}", i % 10).into(),
            value: format!("value-{i}").into(),
            headers: vec![
                header("content-type", "text/plain".into()),
                header("number", i.to_string()),
            ],
            client_time_unix_us: Some(1_700_000_000_000_000 + i),
        })
        .collect();
    let response = client.produce(&topic, batch.clone()).await?;
    ensure_equal!(0, response.first_offset, "first offset");
    ensure_equal!(999, response.last_offset, "last offset");
    ensure!(batch == client.read_all(&topic).await?, "other records were read than written");
    Ok(())
}

/// Many batches in flight on one stream; the answers come in the order of the batches.
pub async fn produce_stream(client: &Client) -> Checked {
    let topic = client.create_topic().await?;
    let first_topic = topic.clone();
    let requests = (0..BATCHES).map(move |i| ProduceStreamRequest {
        batches: vec![ProduceRequest {
            // The first batch names the topic of the stream.
            topic: if i == 0 { first_topic.clone() } else { String::new() },
            records: records(&[&format!("value-{i}")]),
            ..Default::default()
        }],
    });
    let mut answers = client.log().produce_stream(tokio_stream::iter(requests)).await?.into_inner();
    let mut next_offset = 0;
    while let Some(answer) = answers.message().await? {
        for acknowledgement in answer.acknowledgements {
            ensure_equal!(next_offset, acknowledgement.first_offset, "offset");
            next_offset += 1;
        }
    }
    ensure_equal!(BATCHES, next_offset, "acknowledgements");
    ensure_equal!(BATCHES as usize, client.read_all(&topic).await?.len(), "records");
    Ok(())
}

pub async fn large_message(client: &Client) -> Checked {
    let topic = client.create_topic().await?;
    let batch = vec![record_of(LARGE_RECORD_BYTES); 6];
    client.produce(&topic, batch.clone()).await?;
    ensure!(batch == client.read_all(&topic).await?, "other records were read than written");

    // An answer is below 4 MiB, what clients take by default, unless one record alone is larger.
    let settings = TopicSettings { max_record_bytes: Some(6 << 20), ..Default::default() };
    let topic = client.create_topic_with(settings).await?;
    client.produce(&topic, vec![record_of(LARGEST_RECORD_BYTES)]).await?;
    let request = ConsumeRequest { topic, ..Default::default() };
    let mut log = client.log().max_decoding_message_size(8 << 20);
    let response = log.consume(request).await?.into_inner();
    let sizes: Vec<_> =
        response.records.iter().flat_map(|it| &it.record).map(|it| it.value.len()).collect();
    ensure_equal!(vec![LARGEST_RECORD_BYTES], sizes, "bytes");
    Ok(())
}

/// The contract of proglog-rs: single records of the topic `default`.
pub async fn seed(client: &Client) -> Checked {
    let record = b"hello".to_vec();
    let request = log::ProduceRequest { record: record.clone() };
    let offset = client.seed().produce(request).await?.into_inner().offset;
    let response = client.seed().consume(log::ConsumeRequest { offset }).await?.into_inner();
    ensure_equal!(log::ConsumeResponse { record, offset }, response, "answer");

    let missing = log::ConsumeRequest { offset: offset + 1_000_000 };
    let answer = client.seed().consume(missing).await;
    let code = answer.err().map(|status| status.code());
    ensure_equal!(Some(tonic::Code::NotFound), code, "code of a missing offset");
    Ok(())
}

fn record_of(bytes: usize) -> Record {
    Record { value: vec![0; bytes], ..Default::default() }
}
