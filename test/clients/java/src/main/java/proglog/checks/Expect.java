package proglog.checks;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.Objects;

/** What a check expects; each method throws an {@link AssertionError} that says what it got. */
final class Expect {
  private Expect() {}

  static void isTrue(boolean condition, String what) {
    if (!condition) throw new AssertionError(what);
  }

  static void equal(Object wanted, Object got, String what) {
    isTrue(Objects.equals(wanted, got), what + ": wanted " + wanted + ", got " + got);
  }

  /** Expects a call to fail, and returns how. */
  static StatusRuntimeException failure(Status.Code wanted, Runnable call) {
    try {
      call.run();
    } catch (StatusRuntimeException e) {
      equal(wanted, e.getStatus().getCode(), "status of " + e.getStatus().getDescription());
      return e;
    }
    throw new AssertionError("wanted " + wanted + ", got an answer");
  }
}
