"""Runs the checks of a client program and says how each one went."""

import sys
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import grpc

Result = TypeVar("Result")

RETRY_SECONDS_MAX = 20
RETRY_PAUSE_SECONDS = 0.1


class CheckFailed(Exception):
    """The server answered, but not what it should."""


def run_checks(checks: Iterable[tuple[str, Callable[[], None]]]) -> bool:
    """Runs the checks in order. Returns whether all of them passed."""
    passed = True
    for name, check in checks:
        try:
            check()
        except Exception as failure:  # Whatever it is, the check did not pass.
            passed = False
            why = " ".join(str(failure).split())
            print(f"not ok {name}: {type(failure).__name__} {why}", flush=True)
        else:
            print(f"ok {name}", flush=True)
    return passed


def restart_server() -> None:
    """Has the server killed and started again. Returns when it listens."""
    print("restart?", flush=True)
    answer = sys.stdin.readline().strip()
    if answer != "restarted":
        raise CheckFailed(f"asked for a restart, answered {answer!r}")


def retry(call: Callable[[], Result]) -> Result:
    """Makes a call again while the server is not available. The call must be safe to repeat."""
    deadline = time.monotonic() + RETRY_SECONDS_MAX
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                raise
        time.sleep(RETRY_PAUSE_SECONDS)
