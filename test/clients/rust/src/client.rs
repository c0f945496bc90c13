//! The calls that all checks make, on one channel.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    time::Duration,
};

use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use crate::proto::{
    log::log_client::LogClient,
    proglog::{
        ConsumeRequest, ConsumedRecord, CreateTopicRequest, ProduceRequest, ProduceResponse,
        Record, TopicSettings, consume_request::Start, log_service_client::LogServiceClient,
        topic_service_client::TopicServiceClient,
    },
};

/// No call may wait for ever. tonic counts until the headers of the answer: a stream may last.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Clones of the clients share the connection, so each call takes one.
pub struct Client {
    channel: Channel,
}

impl Client {
    /// Connects with the first call, and again when the connection is lost.
    pub fn new(address: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .expect("an address is HOST:PORT")
            .timeout(DEADLINE)
            // Finds out that a server is gone while a tail is silent.
            .http2_keep_alive_interval(Duration::from_secs(10));
        Self { channel: endpoint.connect_lazy() }
    }

    pub fn log(&self) -> LogServiceClient<Channel> {
        LogServiceClient::new(self.channel.clone())
    }

    pub fn seed(&self) -> LogClient<Channel> {
        LogClient::new(self.channel.clone())
    }

    /// Makes a topic with a name that nothing else has.
    pub async fn create_topic(&self) -> Result<String, Status> {
        self.create_topic_with(TopicSettings::default()).await
    }

    pub async fn create_topic_with(&self, settings: TopicSettings) -> Result<String, Status> {
        let topic = format!("rust-{:016x}", RandomState::new().build_hasher().finish());
        let request = CreateTopicRequest { topic: topic.clone(), settings: Some(settings) };
        TopicServiceClient::new(self.channel.clone()).create_topic(request).await?;
        Ok(topic)
    }

    pub async fn produce(
        &self,
        topic: &str,
        records: Vec<Record>,
    ) -> Result<ProduceResponse, Status> {
        let request = ProduceRequest { topic: topic.into(), records, ..Default::default() };
        Ok(self.log().produce(request).await?.into_inner())
    }

    /// Reads the topic from its beginning to its end, in as many calls as that takes.
    pub async fn read_all(&self, topic: &str) -> Result<Vec<Record>, Status> {
        let mut records = Vec::new();
        let mut offset = 0;
        loop {
            let request = ConsumeRequest {
                topic: topic.into(),
                start: Some(Start::Offset(offset)),
                ..Default::default()
            };
            let response = self.log().consume(request).await?.into_inner();
            records.extend(response.records.into_iter().filter_map(|it| it.record));
            offset = response.resume_offset;
            if offset >= response.high_watermark {
                return Ok(records);
            }
        }
    }
}

/// One record for each value.
pub fn records(values: &[&str]) -> Vec<Record> {
    let record = |value: &&str| Record { value: value.as_bytes().into(), ..Default::default() };
    values.iter().map(record).collect()
}

/// The values of records, as text.
pub fn values(records: &[ConsumedRecord]) -> Vec<String> {
    let value = |it: &ConsumedRecord| it.record.clone().unwrap_or_default().value;
    records.iter().map(|it| String::from_utf8_lossy(&value(it)).into_owned()).collect()
}
