package proglog.checks;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import io.grpc.ConnectivityState;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import proglog.v1.ConsumeRequest;
import proglog.v1.ConsumeStreamRequest;
import proglog.v1.OpenProducerRequest;
import proglog.v1.ProduceRequest;
import proglog.v1.Producer;

/** Checks of what fails, and of what goes on after it. */
final class FailureChecks {
  private static final String PRODUCER_ID = "java-checks";
  private static final Duration RETRY_TIME = Duration.ofSeconds(20);
  private static final BufferedReader STDIN = new BufferedReader(new InputStreamReader(System.in));

  private final Proglog proglog;

  FailureChecks(Proglog proglog) {
    this.proglog = proglog;
  }

  void errorDetails() throws InvalidProtocolBufferException {
    var request = ConsumeRequest.newBuilder().setTopic("java-missing").build();
    var error = Expect.failure(Status.Code.NOT_FOUND, () -> proglog.log().consume(request));
    ErrorInfo info = errorInfo(error);
    Expect.equal("TOPIC_NOT_FOUND", info.getReason(), "reason");
    Expect.equal("proglog", info.getDomain(), "domain");
    Expect.equal("java-missing", info.getMetadataOrThrow("topic"), "topic");
  }

  private static ErrorInfo errorInfo(StatusRuntimeException error)
      throws InvalidProtocolBufferException {
    for (var detail : StatusProto.fromThrowable(error).getDetailsList()) {
      if (detail.is(ErrorInfo.class)) return detail.unpack(ErrorInfo.class);
    }
    throw new AssertionError("no ErrorInfo in " + error);
  }

  void deadline() {
    String topic = proglog.createTopic();
    var isLost = watchConnection();
    var request =
        ConsumeRequest.newBuilder()
            .setTopic(topic)
            .setOffset(0)
            .setWait(com.google.protobuf.Duration.newBuilder().setSeconds(10))
            .build();
    var impatient = proglog.log().withDeadlineAfter(300, TimeUnit.MILLISECONDS);
    Expect.failure(Status.Code.DEADLINE_EXCEEDED, () -> impatient.consume(request));
    proglog.produce(topic, "after");
    Expect.isTrue(!isLost.get(), "the connection was lost");
  }

  void cancel() throws Exception {
    String topic = proglog.createTopic();
    var isLost = watchConnection();
    var request = ConsumeStreamRequest.newBuilder().setTopic(topic).build();
    try (var context = Context.current().withCancellation()) {
      var tail = context.call(() -> proglog.log().consumeStream(request));
      tail.next();
      context.cancel(null);
      Expect.failure(Status.Code.CANCELLED, tail::hasNext);
    }
    proglog.produce(topic, "after");
    Expect.isTrue(!isLost.get(), "the connection was lost");
  }

  /** Becomes true when the channel, which has a connection, loses it. */
  private AtomicBoolean watchConnection() {
    var isLost = new AtomicBoolean();
    Expect.equal(ConnectivityState.READY, proglog.channel.getState(false), "state");
    proglog.channel.notifyWhenStateChanged(ConnectivityState.READY, () -> isLost.set(true));
    return isLost;
  }

  /**
   * Goes on with the same channel after the server was killed and started again. A call that failed
   * with UNAVAILABLE may have been carried out: as the batches of a producer are numbered, sending
   * one again appends it once.
   */
  void reconnect() throws Exception {
    String topic = proglog.createTopic();
    var open = OpenProducerRequest.newBuilder().setTopic(topic).setProducerId(PRODUCER_ID).build();
    long epoch = proglog.log().openProducer(open).getEpoch();
    var batch =
        ProduceRequest.newBuilder()
            .setTopic(topic)
            .addAllRecords(Proglog.records("before"))
            .setProducer(Producer.newBuilder().setId(PRODUCER_ID).setEpoch(epoch).setSequence(0))
            .build();
    Expect.isTrue(!proglog.log().produce(batch).getDuplicate(), "the first try is no duplicate");

    System.out.println("restart?");
    Expect.equal("restarted", STDIN.readLine(), "line");

    var again = retryUnavailable(() -> proglog.log().produce(batch));
    Expect.isTrue(again.getDuplicate(), "the second try was appended once more");
    var next = batch.toBuilder().clearRecords().addAllRecords(Proglog.records("after"));
    next.getProducerBuilder().setSequence(1);
    Expect.equal(1L, proglog.log().produce(next.build()).getFirstOffset(), "offset");
    Expect.equal(Proglog.records("before", "after"), proglog.readAll(topic), "records");
  }

  private static <T> T retryUnavailable(Supplier<T> call) throws InterruptedException {
    long giveUpAt = System.nanoTime() + RETRY_TIME.toNanos();
    while (true) {
      try {
        return call.get();
      } catch (StatusRuntimeException e) {
        boolean isLate = System.nanoTime() > giveUpAt;
        if (isLate || e.getStatus().getCode() != Status.Code.UNAVAILABLE) throw e;
        Thread.sleep(100);
      }
    }
  }
}
