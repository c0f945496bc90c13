package proglog.checks;

import com.google.protobuf.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import proglog.v1.ConsumeRequest;
import proglog.v1.ConsumeStreamRequest;
import proglog.v1.ConsumeStreamResponse;
import proglog.v1.LogServiceGrpc;

/** Checks of what reads records. */
final class ReadChecks {
  private final Proglog proglog;

  ReadChecks(Proglog proglog) {
    this.proglog = proglog;
  }

  void consume() {
    String topic = proglog.createTopic();
    proglog.produce(topic, "a", "b", "c", "d");
    var request = ConsumeRequest.newBuilder().setTopic(topic);
    var two = proglog.log().consume(request.setOffset(1).setMaxRecords(2).build());
    Expect.equal(List.of("b", "c"), Proglog.values(two.getRecordsList()), "from offset 1");
    Expect.equal(1L, two.getRecords(0).getOffset(), "offset");
    Expect.equal(3L, two.getResumeOffset(), "resume offset");
    Expect.equal(4L, two.getHighWatermark(), "high watermark");
    var last = proglog.log().consume(request.setLastRecords(1).build());
    Expect.equal(List.of("d"), Proglog.values(last.getRecordsList()), "last record");
    var none = proglog.log().consume(request.setOffset(4).build());
    Expect.equal(0, none.getRecordsCount(), "records at the end");
    Expect.equal(4L, none.getResumeOffset(), "resume offset at the end");
  }

  /** Asks for a record before it is there. */
  void consumeLongPoll() throws Exception {
    String topic = proglog.createTopic();
    var request =
        ConsumeRequest.newBuilder()
            .setTopic(topic)
            .setOffset(0)
            .setWait(Duration.newBuilder().setSeconds(20))
            .build();
    var answer =
        LogServiceGrpc.newFutureStub(proglog.channel)
            .withDeadlineAfter(Proglog.DEADLINE)
            .consume(request);
    Thread.sleep(200);
    Expect.isTrue(!answer.isDone(), "the answer came before the record");
    proglog.produce(topic, "late");
    var records = answer.get(30, TimeUnit.SECONDS).getRecordsList();
    Expect.equal(List.of("late"), Proglog.values(records), "records");
  }

  void tail() {
    String topic = proglog.createTopic();
    proglog.produce(topic, "before");
    var request = ConsumeStreamRequest.newBuilder().setTopic(topic);
    var tail = proglog.log().consumeStream(request.setLastRecords(0).build());
    // The first message comes at once, so that one knows that the stream has begun.
    ConsumeStreamResponse first = tail.next();
    Expect.equal(0, first.getRecordsCount(), "records at the end");
    Expect.equal(1L, first.getResumeOffset(), "resume offset at the end");
    Expect.isTrue(first.hasHeartbeatInterval(), "no heartbeat interval");

    proglog.produce(topic, "a", "b");
    Expect.equal(3L, readOn(tail, List.of("a", "b")), "resume offset");
    proglog.produce(topic, "c");
    Expect.equal(4L, readOn(tail, List.of("c")), "resume offset");

    // A stream ends by itself when it is told where.
    var part = proglog.log().consumeStream(request.setOffset(2).setEndOffset(4).build());
    Expect.equal(4L, readOn(part, List.of("b", "c")), "resume offset");
    while (part.hasNext()) Expect.equal(0, part.next().getRecordsCount(), "records after the end");
  }

  /** Takes messages until so many records came, and returns where to go on. */
  private static long readOn(Iterator<ConsumeStreamResponse> stream, List<String> wanted) {
    var got = new ArrayList<String>();
    long resumeOffset = 0;
    while (got.size() < wanted.size()) {
      ConsumeStreamResponse message = stream.next();
      got.addAll(Proglog.values(message.getRecordsList()));
      resumeOffset = message.getResumeOffset();
    }
    Expect.equal(wanted, got, "records");
    return resumeOffset;
  }
}
