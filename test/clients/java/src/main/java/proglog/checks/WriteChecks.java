package proglog.checks;

import com.google.protobuf.ByteString;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import log.v1.LogGrpc;
import log.v1.LogOuterClass;
import proglog.v1.ConsumeRequest;
import proglog.v1.Durability;
import proglog.v1.Header;
import proglog.v1.LogServiceGrpc;
import proglog.v1.ProduceRequest;
import proglog.v1.ProduceResponse;
import proglog.v1.ProduceStreamRequest;
import proglog.v1.ProduceStreamResponse;
import proglog.v1.Record;
import proglog.v1.TopicSettings;

/** Checks of what appends records. */
final class WriteChecks {
  private static final int BATCHES = 1_000;
  private static final int LARGE_RECORD_BYTES = 900_000;

  private final Proglog proglog;

  WriteChecks(Proglog proglog) {
    this.proglog = proglog;
  }

  void produce() {
    String topic = proglog.createTopic();
    ProduceResponse response = proglog.produce(topic, "hello");
    Expect.equal(0L, response.getFirstOffset(), "first offset");
    Expect.equal(0L, response.getLastOffset(), "last offset");
    Expect.equal(Durability.DURABILITY_SYNCED_ONE, response.getDurability(), "durability");
    Expect.isTrue(response.getAppendTimeUnixUs() > 0, "no append time");
  }

  void produceBatch() {
    String topic = proglog.createTopic();
    var records = new ArrayList<Record>();
    for (int i = 0; i < 1_000; i++) {
      records.add(
          Record.newBuilder()
              .setKey(ByteString.copyFromUtf8("key-" + i % 10))
              .setValue(ByteString.copyFromUtf8("value-" + i))
              .addHeaders(header("content-type", "text/plain"))
              .addHeaders(header("number", Integer.toString(i)))
              .setClientTimeUnixUs(1_700_000_000_000_000L + i)
              .build());
    }
    ProduceResponse response = proglog.produce(topic, records);
    Expect.equal(0L, response.getFirstOffset(), "first offset");
    Expect.equal(999L, response.getLastOffset(), "last offset");
    Expect.isTrue(records.equals(proglog.readAll(topic)), "other records were read than written");
  }

  /** Many batches in flight on one stream; the answers come in the order of the batches. */
  void produceStream() throws Exception {
    String topic = proglog.createTopic();
    var answers = new Answers();
    StreamObserver<ProduceStreamRequest> requests =
        LogServiceGrpc.newStub(proglog.channel)
            .withDeadlineAfter(Proglog.DEADLINE)
            .produceStream(answers);
    for (int i = 0; i < BATCHES; i++) {
      var batch = ProduceRequest.newBuilder().addAllRecords(Proglog.records("value-" + i));
      // The first batch names the topic of the stream.
      if (i == 0) batch.setTopic(topic);
      requests.onNext(ProduceStreamRequest.newBuilder().addBatches(batch).build());
    }
    requests.onCompleted();
    List<ProduceResponse> acknowledged = answers.all.get(30, TimeUnit.SECONDS);
    Expect.equal(BATCHES, acknowledged.size(), "acknowledgements");
    for (int i = 0; i < BATCHES; i++) {
      Expect.equal((long) i, acknowledged.get(i).getFirstOffset(), "offset of batch " + i);
    }
    Expect.equal(BATCHES, proglog.readAll(topic).size(), "records");
  }

  /** Collects the acknowledgements of a stream; they come on a thread of the channel. */
  private static final class Answers implements StreamObserver<ProduceStreamResponse> {
    final CompletableFuture<List<ProduceResponse>> all = new CompletableFuture<>();
    private final List<ProduceResponse> soFar = new ArrayList<>();

    @Override
    public void onNext(ProduceStreamResponse response) {
      soFar.addAll(response.getAcknowledgementsList());
    }

    @Override
    public void onError(Throwable error) {
      all.completeExceptionally(error);
    }

    @Override
    public void onCompleted() {
      all.complete(soFar);
    }
  }

  void largeMessage() {
    String topic = proglog.createTopic();
    List<Record> batch = Collections.nCopies(6, recordOf(LARGE_RECORD_BYTES));
    proglog.produce(topic, batch);
    Expect.isTrue(batch.equals(proglog.readAll(topic)), "other records were read than written");

    // An answer is below 4 MiB, what clients take by default, unless one record alone is larger.
    var settings = TopicSettings.newBuilder().setMaxRecordBytes(6 << 20).build();
    String topicOfOne = proglog.createTopic(settings);
    proglog.produce(topicOfOne, List.of(recordOf(5 << 20)));
    var request = ConsumeRequest.newBuilder().setTopic(topicOfOne).build();
    var response = proglog.log().withMaxInboundMessageSize(8 << 20).consume(request);
    Expect.equal(5 << 20, response.getRecords(0).getRecord().getValue().size(), "bytes");
  }

  /** The contract of proglog-rs: single records of the topic {@code default}. */
  void seed() {
    var log = LogGrpc.newBlockingStub(proglog.channel).withDeadlineAfter(Proglog.DEADLINE);
    var payload = ByteString.copyFromUtf8("hello");
    long offset =
        log.produce(LogOuterClass.ProduceRequest.newBuilder().setRecord(payload).build())
            .getOffset();
    var request = LogOuterClass.ConsumeRequest.newBuilder();
    var response = log.consume(request.setOffset(offset).build());
    Expect.equal(payload, response.getRecord(), "record");
    Expect.equal(offset, response.getOffset(), "offset");
    request.setOffset(offset + 1_000_000);
    Expect.failure(Status.Code.NOT_FOUND, () -> log.consume(request.build()));
  }

  private static Header.Builder header(String name, String value) {
    return Header.newBuilder().setName(name).setValue(ByteString.copyFromUtf8(value));
  }

  private static Record recordOf(int bytes) {
    return Record.newBuilder().setValue(ByteString.copyFrom(new byte[bytes])).build();
  }
}
