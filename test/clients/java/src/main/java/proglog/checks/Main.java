package proglog.checks;

import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import java.util.concurrent.TimeUnit;

/** Checks a proglog server with grpc-java: {@code Main host:port}. */
public final class Main {
  private Main() {}

  public static void main(String[] args) throws InterruptedException {
    ManagedChannel channel =
        Grpc.newChannelBuilder(args[0], InsecureChannelCredentials.create())
            // Finds out that a server is gone while a tail is silent.
            .keepAliveTime(10, TimeUnit.SECONDS)
            .build();
    var proglog = new Proglog(channel);
    var report = new Report();
    var write = new WriteChecks(proglog);
    report.add("produce", write::produce);
    report.add("produce-batch", write::produceBatch);
    report.add("produce-stream", write::produceStream);
    report.add("large-message", write::largeMessage);
    report.add("seed", write::seed);
    var read = new ReadChecks(proglog);
    report.add("consume", read::consume);
    report.add("consume-long-poll", read::consumeLongPoll);
    report.add("tail", read::tail);
    var failure = new FailureChecks(proglog);
    report.add("error-details", failure::errorDetails);
    report.add("deadline", failure::deadline);
    report.add("cancel", failure::cancel);
    report.add("reconnect", failure::reconnect);
    channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    System.exit(report.isPassed() ? 0 : 1);
  }
}
