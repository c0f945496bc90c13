"""Checks that stock grpcio clients work against proglog.

python main.py HOST:PORT
"""

import sys
import time
import uuid
from collections.abc import Iterator

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from log.v1 import log_pb2 as seed_pb2
from log.v1.log_pb2_grpc import LogStub
from proglog.v1.log_service_pb2 import (
    ConsumeRequest,
    ConsumeStreamRequest,
    ConsumeStreamResponse,
    OpenProducerRequest,
    Producer,
    ProduceRequest,
    ProduceStreamRequest,
)
from proglog.v1.log_service_pb2_grpc import LogServiceStub
from proglog.v1.record_pb2 import ConsumedRecord, Record
from proglog.v1.topic_service_pb2 import CreateTopicRequest, TopicSettings
from proglog.v1.topic_service_pb2_grpc import TopicServiceStub

from checks import CheckFailed, restart_server, retry, run_checks
from records import expect_acknowledged, expect_same, new_records

CALL_SECONDS_MAX = 30
STREAM_BATCHES = 1000


class Program:
    """The clients, all on one channel, and what they wrote."""

    def __init__(self, address: str, channel: grpc.Channel) -> None:
        self.address = address
        self.log = LogServiceStub(channel)
        self.topics = TopicServiceStub(channel)
        self.seed = LogStub(channel)
        self.topic = f"grpcio-{uuid.uuid4()}"
        self.written: list[Record] = []  # by offset

    def run(self) -> bool:
        return run_checks(
            [
                ("produce", self.check_produce),
                ("produce-batch", self.check_produce_batch),
                ("consume", self.check_consume),
                ("consume-long-poll", self.check_long_poll),
                ("tail", self.check_tail),
                ("catch-up", self.check_catch_up),
                ("produce-stream", self.check_produce_stream),
                ("error-details", self.check_error_details),
                ("deadline", self.check_deadline),
                ("cancel", self.check_cancel),
                ("large-message", self.check_large_message),
                ("seed", self.check_seed),
                ("reconnect", self.check_reconnect),
            ]
        )

    @property
    def next_offset(self) -> int:
        return len(self.written)

    def produce(self, *records: Record) -> None:
        """Appends records. Only this program writes to its topic: their offset is known before."""
        request = ProduceRequest(topic=self.topic, records=records)
        answer = self.log.Produce(request, timeout=CALL_SECONDS_MAX)
        first = self.next_offset
        self.written.extend(records)
        expect_acknowledged(answer, first, len(records))

    def consume_all(self, offset: int) -> list[ConsumedRecord]:
        """Reads from an offset to the end, in as many calls as that takes."""
        records: list[ConsumedRecord] = []
        while True:
            request = ConsumeRequest(topic=self.topic, offset=offset)
            answer = self.log.Consume(request, timeout=CALL_SECONDS_MAX)
            records.extend(answer.records)
            offset = answer.resume_offset
            if offset == answer.high_watermark:
                return records

    def wait_at_end(self, timeout: float) -> grpc.Future:
        """A long poll at the end of the topic, begun but not awaited."""
        request = ConsumeRequest(
            topic=self.topic, offset=self.next_offset, wait=Duration(seconds=10)
        )
        return self.log.Consume.future(request, timeout=timeout)

    def open_tail(self) -> Iterator[ConsumeStreamResponse]:
        """Begins to read at the end of the topic. What is produced after it is seen:
        the first message comes at once, and says where the end is."""
        request = ConsumeStreamRequest(topic=self.topic, last_records=0)
        stream = self.log.ConsumeStream(request, timeout=CALL_SECONDS_MAX)
        message = next(stream)
        if message.records or message.resume_offset != self.next_offset:
            raise CheckFailed(f"the tail began with {message}, want {self.next_offset}")
        return stream

    def check_produce(self) -> None:
        self.topics.CreateTopic(CreateTopicRequest(topic=self.topic), timeout=CALL_SECONDS_MAX)
        self.produce(Record(value=b"hello"))

    def check_produce_batch(self) -> None:
        first, batch = self.next_offset, new_records("batch", 1000)
        self.produce(*batch)
        expect_same(self.consume_all(first), batch, first)

    def check_consume(self) -> None:
        request = ConsumeRequest(topic=self.topic, offset=10, max_records=5)
        answer = self.log.Consume(request, timeout=CALL_SECONDS_MAX)
        if (answer.resume_offset, answer.high_watermark) != (15, self.next_offset):
            raise CheckFailed(f"got {answer}, want to go on at 15 of {self.next_offset}")
        expect_same(answer.records, self.written[10:15], 10)

    def check_long_poll(self) -> None:
        first = self.next_offset
        poll = self.wait_at_end(CALL_SECONDS_MAX)
        # Most likely the call waits by then. If not, it finds the record at once.
        time.sleep(0.2)
        self.produce(*new_records("awaited", 1))
        expect_same(poll.result().records, self.written[first:], first)

    def check_tail(self) -> None:
        first = self.next_offset
        stream = self.open_tail()
        records: list[ConsumedRecord] = []
        for record in new_records("tailed", 3):
            self.produce(record)
            while first + len(records) < self.next_offset:
                message = next(stream)
                records.extend(message.records)
                if message.resume_offset != first + len(records):
                    raise CheckFailed(f"got {len(records)} records up to {message.resume_offset}")
        stream.cancel()
        expect_same(records, self.written[first:], first)

    def check_catch_up(self) -> None:
        """A long stream of small records, on a connection of its own: a new one has small
        windows, which grpcio raises when it sees how fast data comes."""
        topic, count, batch = f"{self.topic}-catch-up", 80_000, 1_000
        self.topics.CreateTopic(CreateTopicRequest(topic=topic), timeout=CALL_SECONDS_MAX)
        for first in range(0, count, batch):
            records = [Record(value=str(n).zfill(100).encode()) for n in range(first, first + batch)]
            self.log.Produce(
                ProduceRequest(topic=topic, records=records), timeout=CALL_SECONDS_MAX
            )
        request = ConsumeStreamRequest(topic=topic, offset=0)
        following = 0
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self.address, options) as channel:
            stream = LogServiceStub(channel).ConsumeStream(request, timeout=CALL_SECONDS_MAX)
            while following < count:
                for record in next(stream).records:
                    if (record.offset, int(record.record.value)) != (following, following):
                        raise CheckFailed(f"got {record}, want record {following}")
                    following += 1
            stream.cancel()

    def check_produce_stream(self) -> None:
        """Has all batches in flight at once: grpcio sends them while answers come."""
        first, records = self.next_offset, new_records("streamed", STREAM_BATCHES)
        requests = (
            ProduceStreamRequest(batches=[ProduceRequest(topic=self.topic, records=[record])])
            for record in records
        )
        answered = 0
        for message in self.log.ProduceStream(requests, timeout=CALL_SECONDS_MAX):
            for answer in message.acknowledgements:
                expect_acknowledged(answer, first + answered, 1)
                answered += 1
        if answered != len(records):
            raise CheckFailed(f"the stream ended after {answered} of {len(records)} answers")
        self.written.extend(records)
        expect_same(self.consume_all(first), records, first)

    def check_error_details(self) -> None:
        try:
            request = ProduceRequest(topic="no-such-topic", records=[Record(value=b"lost")])
            self.log.Produce(request, timeout=CALL_SECONDS_MAX)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
            status = rpc_status.from_call(error)
        else:
            raise CheckFailed("produced to a topic that is not there")
        info = ErrorInfo()
        if not any(detail.Unpack(info) for detail in status.details):
            raise CheckFailed(f"no ErrorInfo in {status}")
        wanted = ErrorInfo(reason="TOPIC_NOT_FOUND", domain="proglog")
        wanted.metadata["topic"] = "no-such-topic"
        if info != wanted:
            raise CheckFailed(f"got {info}, want {wanted}")

    def check_deadline(self) -> None:
        code = self.wait_at_end(0.3).code()
        if code != grpc.StatusCode.DEADLINE_EXCEEDED:
            raise CheckFailed(f"got {code}, want DEADLINE_EXCEEDED")
        self.produce(*new_records("after-deadline", 1))

    def check_cancel(self) -> None:
        stream = self.open_tail()
        stream.cancel()
        try:
            message = next(stream)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.CANCELLED:
                raise
        else:
            raise CheckFailed(f"got {message} from a cancelled tail")
        self.produce(*new_records("after-cancel", 1))

    def check_large_message(self) -> None:
        first, batch = self.next_offset, [Record(value=b"proglog " * 112_500)] * 6
        self.produce(*batch)
        expect_same(self.consume_all(first), batch, first)
        # Answers stay below 4 MiB unless one record alone is larger.
        topic, record = f"{self.topic}-large", Record(value=b"proglog " * 625_000)
        settings = TopicSettings(max_record_bytes=6_000_000)
        self.topics.CreateTopic(CreateTopicRequest(topic=topic, settings=settings))
        self.log.Produce(ProduceRequest(topic=topic, records=[record]))
        expect_same(self.log.Consume(ConsumeRequest(topic=topic)).records, [record], 0)

    def check_seed(self) -> None:
        value = self.topic.encode()
        produced = self.seed.Produce(seed_pb2.ProduceRequest(record=value))
        consumed = self.seed.Consume(seed_pb2.ConsumeRequest(offset=produced.offset))
        if (consumed.record, consumed.offset) != (value, produced.offset):
            raise CheckFailed(f"got {consumed}")

    def check_reconnect(self) -> None:
        request = OpenProducerRequest(topic=self.topic, producer_id="reconnect")
        epoch = self.log.OpenProducer(request, timeout=CALL_SECONDS_MAX).epoch
        producer = Producer(id="reconnect", epoch=epoch, sequence=0)
        self.produce_once(producer, new_records("before", 10))
        restart_server()
        self.produce_once(producer, new_records("after", 10))
        expect_same(self.consume_all(0), self.written, 0)

    def produce_once(self, producer: Producer, batch: list[Record]) -> None:
        """Appends a batch, and sends it again while the server is not there. A producer's
        batch is appended once, also when the server went away before it answered."""
        request = ProduceRequest(topic=self.topic, records=batch, producer=producer)
        answer = retry(lambda: self.log.Produce(request, timeout=CALL_SECONDS_MAX))
        expect_acknowledged(answer, self.next_offset, len(batch))
        producer.sequence += 1
        self.written.extend(batch)


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python main.py HOST:PORT", file=sys.stderr)
        return 2
    # By default grpcio refuses answers over 4 MiB.
    options = [("grpc.max_receive_message_length", 16 * 2**20)]
    with grpc.insecure_channel(sys.argv[1], options) as channel:
        return 0 if Program(sys.argv[1], channel).run() else 1


if __name__ == "__main__":
    sys.exit(main())
