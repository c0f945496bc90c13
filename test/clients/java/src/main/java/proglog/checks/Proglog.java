package proglog.checks;

import com.google.protobuf.ByteString;
import io.grpc.ManagedChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import proglog.v1.ConsumeRequest;
import proglog.v1.ConsumeResponse;
import proglog.v1.ConsumedRecord;
import proglog.v1.CreateTopicRequest;
import proglog.v1.LogServiceGrpc;
import proglog.v1.LogServiceGrpc.LogServiceBlockingStub;
import proglog.v1.ProduceRequest;
import proglog.v1.ProduceResponse;
import proglog.v1.Record;
import proglog.v1.TopicServiceGrpc;
import proglog.v1.TopicSettings;

/** The calls that all checks make, on one channel. */
final class Proglog {
  /** No call may wait for ever; a deadline begins when the stub is made. */
  static final Duration DEADLINE = Duration.ofSeconds(30);

  final ManagedChannel channel;

  Proglog(ManagedChannel channel) {
    this.channel = channel;
  }

  LogServiceBlockingStub log() {
    return LogServiceGrpc.newBlockingStub(channel).withDeadlineAfter(DEADLINE);
  }

  /** Makes a topic with a name that nothing else has. */
  String createTopic() {
    return createTopic(TopicSettings.getDefaultInstance());
  }

  String createTopic(TopicSettings settings) {
    String topic = "java-" + Long.toUnsignedString(ThreadLocalRandom.current().nextLong(), 36);
    var request = CreateTopicRequest.newBuilder().setTopic(topic).setSettings(settings).build();
    TopicServiceGrpc.newBlockingStub(channel).withDeadlineAfter(DEADLINE).createTopic(request);
    return topic;
  }

  ProduceResponse produce(String topic, List<Record> records) {
    return log()
        .produce(ProduceRequest.newBuilder().setTopic(topic).addAllRecords(records).build());
  }

  /** Produces one record for each value. */
  ProduceResponse produce(String topic, String... values) {
    return produce(topic, records(values));
  }

  /** Reads the topic from its beginning to its end, in as many calls as that takes. */
  List<Record> readAll(String topic) {
    var records = new ArrayList<Record>();
    var request = ConsumeRequest.newBuilder().setTopic(topic).setOffset(0);
    ConsumeResponse response;
    do {
      response = log().consume(request.build());
      response.getRecordsList().stream().map(ConsumedRecord::getRecord).forEach(records::add);
      request.setOffset(response.getResumeOffset());
    } while (response.getResumeOffset() < response.getHighWatermark());
    return records;
  }

  static List<Record> records(String... values) {
    var records = new ArrayList<Record>();
    for (String value : values) {
      records.add(Record.newBuilder().setValue(ByteString.copyFromUtf8(value)).build());
    }
    return records;
  }

  /** The values of records, as text. */
  static List<String> values(List<ConsumedRecord> records) {
    return records.stream().map(it -> it.getRecord().getValue().toStringUtf8()).toList();
  }
}
