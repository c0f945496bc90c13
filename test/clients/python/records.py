"""Makes records, and compares what came back with what was sent."""

from collections.abc import Sequence

from proglog.v1.log_service_pb2 import ProduceResponse
from proglog.v1.record_pb2 import DURABILITY_UNSPECIFIED, ConsumedRecord, Header, Record

from checks import CheckFailed


def new_records(name: str, count: int) -> list[Record]:
    """Records with keys, values and headers that tell them apart."""
    return [
        Record(
            key=f"{name}-{number}".encode(),
            value=f"value {number} of {name}".encode(),
            headers=[
                Header(name="content-type", value=b"text/plain"),
                Header(name="number", value=str(number).encode()),
            ],
        )
        for number in range(count)
    ]


def expect_same(got: Sequence[ConsumedRecord], want: Sequence[Record], first: int) -> None:
    """Fails unless `got` is `want`, at offsets from `first` on."""
    if len(got) != len(want):
        raise CheckFailed(f"got {len(got)} records, want {len(want)}")
    for offset, (consumed, record) in enumerate(zip(got, want, strict=True), start=first):
        if consumed.offset != offset:
            raise CheckFailed(f"got a record at offset {consumed.offset}, want {offset}")
        if consumed.record != record:
            raise CheckFailed(f"the record at offset {offset} is not what was produced")


def expect_acknowledged(answer: ProduceResponse, first: int, count: int) -> None:
    """Fails unless the answer is for `count` records from offset `first` on."""
    if (answer.first_offset, answer.last_offset) != (first, first + count - 1):
        raise CheckFailed(f"{count} records from {first} on were acknowledged as {answer}")
    if answer.append_time_unix_us <= 0 or answer.durability == DURABILITY_UNSPECIFIED:
        raise CheckFailed(f"no append time or durability in {answer}")
