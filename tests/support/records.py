# SPDX-License-Identifier: Apache-2.0
"""Feed a program of tests/support that speaks the records of records.h."""
import os
import struct
import subprocess


def run_records(program, arguments, records):
    """Run the program on the records; returns those it writes.  arguments: one, or a list."""
    if isinstance(arguments, str):
        arguments = [arguments]
    path = os.path.join(os.environ["POMONA_BUILD"], "tests", "support", program)
    fed = b"".join(struct.pack("=I", len(r)) + r for r in records)
    done = subprocess.run([path, *arguments], input=fed, capture_output=True, timeout=120,
                          check=False)
    assert done.returncode == 0, done.stderr.decode()
    got, at = [], 0
    while at < len(done.stdout):
        (n,) = struct.unpack_from("=I", done.stdout, at)
        got.append(done.stdout[at + 4:at + 4 + n])
        at += 4 + n
    return got
