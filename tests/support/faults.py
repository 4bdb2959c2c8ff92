# SPDX-License-Identifier: Apache-2.0
"""tests/support/faults.py - faults of one machine, made on purpose: a crowded memory, a slow disk, a wrong clock.

All need root, and remove what they made when their block ends.
"""
import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from support.http_double import HttpDouble, Quiet

CGROUPS = Path("/sys/fs/cgroup")

# Reads a file again and again that is larger than what its group may hold in memory.
THRASHER = """
import mmap, os, sys
for group in sys.argv[2:]:
    with open(group + "/cgroup.procs", "w") as f:
        f.write(str(os.getpid()))
fd = os.open(sys.argv[1], os.O_RDONLY)
pages = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
while True:
    for at in range(0, len(pages), 4096):
        pages[at]
"""
JOIN = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


@contextlib.contextmanager
def group(controller):
    """(folder whose files are the controller's, folder that tells of pressure): of cgroup v2, or of v1 beside it."""
    name = f"pomona-test-{os.getpid()}-{controller}"
    if (CGROUPS / "cgroup.controllers").exists():
        (CGROUPS / "cgroup.subtree_control").write_text(f"+{controller}")
        folders = [CGROUPS / name]
    else:
        folders = [CGROUPS / {"io": "blkio"}.get(controller, controller) / name, CGROUPS / "unified" / name]
    made = []
    try:
        for folder in folders:
            folder.mkdir()
            made.append(folder)
        yield folders[0], folders[-1]
    finally:
        until = time.monotonic() + 30
        while made and time.monotonic() < until:    # what ended may still be on its way out
            with contextlib.suppress(OSError):
                made[-1].rmdir()
                made.pop()
                continue
            time.sleep(0.05)
        assert not made, f"processes are left in {made}"


@contextlib.contextmanager
def memory_pressure(folder, megabytes=24):
    """The pressure file of a group whose one process waits for memory all the time."""
    large = folder / "large"
    with group("memory") as (limits, pressure):
        v2 = (limits / "memory.max").exists()
        (limits / ("memory.max" if v2 else "memory.limit_in_bytes")).write_text(str(megabytes << 20))
        with open(large, "wb") as f:
            for _ in range(3 * megabytes):
                f.write(os.urandom(1 << 20))
            f.flush()
            os.fsync(f.fileno())
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)    # else it is charged to us
        groups = sorted({str(limits), str(pressure)})
        process = subprocess.Popen([sys.executable, "-c", THRASHER, str(large), *groups])
        try:
            yield pressure / "memory.pressure"
        finally:
            process.kill()
            process.wait()
            large.unlink()


class SlowDisk:
    """A small disk of its own, mounted; slow for who was started with `prefix`, once slow() was said.

    with SlowDisk(tmp_path) as disk:
        Popen([*disk.prefix, "program"])
        disk.slow(4_000_000)
    """

    def __init__(self, folder, megabytes=128):
        self.image, self.path, self.bytes = folder / "image", folder / "disk", megabytes << 20
        self.undo = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as undo:
            self.group, _ = undo.enter_context(group("io"))
            with open(self.image, "wb") as f:
                f.truncate(self.bytes)
            loop = subprocess.run(["losetup", "-f", "--show", self.image], check=True, capture_output=True,
                                  text=True).stdout.strip()
            undo.callback(subprocess.run, ["losetup", "-d", loop], check=True)
            subprocess.run(["mkfs.ext4", "-q", loop], check=True)
            self.path.mkdir()
            subprocess.run(["mount", loop, self.path], check=True)
            undo.callback(subprocess.run, ["umount", self.path], check=True)
            device = os.stat(loop).st_rdev
            self.device = f"{os.major(device)}:{os.minor(device)}"
            self.undo = undo.pop_all()
        self.prefix = ["sh", "-c", JOIN, str(self.group)]
        return self

    def slow(self, bytes_per_s):
        """0: as fast as it is."""
        if (self.group / "io.max").exists():
            limit = bytes_per_s or "max"
            (self.group / "io.max").write_text(f"{self.device} rbps={limit} wbps={limit}")
            return
        for way in ("read", "write"):
            (self.group / f"blkio.throttle.{way}_bps_device").write_text(f"{self.device} {bytes_per_s}")

    def __exit__(self, *_):
        self.undo.close()


class Distorted(HttpDouble):
    """A node as seen through a glass: `change` may alter what its /readyz says, `delay_s` holds every answer back."""

    def __init__(self, api_port):
        self.change, self.delay_s = {}, 0

        class Handler(Quiet):
            def do_GET(handler):
                connection = http.client.HTTPConnection("127.0.0.1", api_port, timeout=60)
                with contextlib.closing(connection):
                    connection.request("GET", handler.path)
                    response = connection.getresponse()
                    body = response.read()
                if handler.path == "/readyz":
                    said = json.loads(body)
                    said.update({key: f(said[key]) for key, f in self.change.items()})
                    body = json.dumps(said).encode()
                time.sleep(self.delay_s)
                with contextlib.suppress(OSError):    # who asked may have left
                    handler.send_response(response.status)
                    handler.send_header("Content-Type", response.headers["Content-Type"])
                    handler.send_header("Content-Length", str(len(body)))
                    handler.end_headers()
                    handler.wfile.write(body)

        super().__init__(Handler)
