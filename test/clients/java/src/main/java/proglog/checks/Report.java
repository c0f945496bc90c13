package proglog.checks;

/** Runs checks and prints a line for each. */
final class Report {
  /** A check passes when it returns, and fails with what it throws. */
  interface Check {
    void run() throws Exception;
  }

  private boolean isPassed = true;

  /** Runs a check: {@code ok name}, or {@code not ok name: why}. */
  void add(String name, Check check) {
    try {
      check.run();
      System.out.println("ok " + name);
    } catch (Exception | AssertionError e) {
      isPassed = false;
      System.out.println("not ok " + name + ": " + e.toString().replaceAll("\\s+", " "));
      e.printStackTrace();
    }
  }

  boolean isPassed() {
    return isPassed;
  }
}
