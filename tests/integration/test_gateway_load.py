# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_gateway_load.py - many open streams through one gateway: none fails, none is late.

200 streams of 10 tokens a second for 5 s; with POMONA_TEST_FULL=1, 2,000 for 60 s, and only then it is
judged how late tokens are, since that needs a quiet machine.  Sanitized code takes more memory and is not judged.
"""
import os

from support.cluster import resident_bytes
from support.load import allow_files, double, gateway, load

IS_FULL = os.environ.get("POMONA_TEST_FULL") == "1"
IS_SANITIZED = bool(os.environ.get("POMONA_SANITIZE"))
STREAMS, SECONDS = (2000, 60) if IS_FULL else (200, 5)
LATE_MS = 5             # added, 99 of 100 tokens
STREAM_BYTES = 64 << 10


def test_streams_are_passed_on_without_error_delay_or_much_memory(tmp_path):
    allow_files()
    with double(tmp_path, 10) as up, gateway(tmp_path, up) as gate:
        before = resident_bytes(gate.process.pid)
        ramp = 0.1 * STREAMS ** 0.5
        direct = load(up.port, STREAMS, 10 * min(SECONDS, 10), ramp)
        through = load(gate.port, STREAMS, 10 * SECONDS, ramp, memory_of=gate.process.pid)
        print("direct ", direct)
        print("through", through)
        for run, seconds in ((direct, min(SECONDS, 10)), (through, SECONDS)):
            assert run["errors"] == 0 and run["done"] == STREAMS, run
            assert run["late_ms"]["n"] == STREAMS * 10 * seconds
        if IS_FULL and not IS_SANITIZED:
            assert through["late_ms"]["p99"] - direct["late_ms"]["p99"] < LATE_MS
        each = (through["peak_bytes"] - before) / STREAMS
        print(f"{each / 1024:.1f} KiB a stream")
        assert IS_SANITIZED or each < STREAM_BYTES
