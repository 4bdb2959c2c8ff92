# SPDX-License-Identifier: Apache-2.0
"""tests/support/machines.py - processes of one machine as if each were on a machine of its own.

    with Machines(3, folder) as machines:
        host.popen(**machines.on(0, [...]))    # on a host of support/netns.py

Machine i has a boot id of its own, so that nobody takes two for one, and as much processor as if nobody
else computed: a core where there are enough, else an equal share of the time of all, by
cgroup (v1 or v2).  Needs root.
"""
import os
import uuid
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
SPARE = 0.75         # of the cores is shared out; who asks and who routes packets has the rest
PERIOD_US = 2000     # the shortest of which the kernel gives half: turns of a pipeline take longer
BOOT_ID = "/proc/sys/kernel/random/boot_id"


def _group(name):
    """A cgroup that bounds processor time, and whether it is of the older version."""
    is_v1 = (CGROUPS / "cpu/cpu.cfs_quota_us").exists()
    if not is_v1:
        (CGROUPS / "cgroup.subtree_control").write_text("+cpu")
    group = (CGROUPS / "cpu" if is_v1 else CGROUPS) / name
    group.mkdir()
    return group, is_v1


class Machines:
    def __init__(self, n, folder):
        cores = sorted(os.sched_getaffinity(0))
        self.n, self.folder, self.groups = n, Path(folder), []
        self.cores = cores[:n] if n <= len(cores) else None
        self.share = 1.0 if self.cores else SPARE * len(cores) / n
        for i in range(n):
            (self.folder / f"boot{i}").write_text(f"{uuid.uuid4()}\n")

    def __enter__(self):
        for i in range(0 if self.cores else self.n):
            group, is_v1 = _group(f"pomona-test-{os.getpid()}-{i}")
            self.groups.append(group)
            quota = int(self.share * PERIOD_US)
            if is_v1:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (group / "cpu.cfs_quota_us").write_text(str(quota))
            else:
                (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        return self

    def __exit__(self, *_):
        """Once its processes have ended."""
        for group in self.groups:
            group.rmdir()

    def on(self, i, command):
        """What Host.popen() needs to run `command` on machine i.  The mount is seen there alone: each
        `ip netns exec` has mounts of its own."""
        script = f'mount --bind {self.folder / f"boot{i}"} {BOOT_ID} && exec "$@"'
        return {"command": ["sh", "-c", script, "sh", *map(str, command)],
                "preexec_fn": lambda: self._enter(i)}

    def _enter(self, i):
        if self.cores:
            os.sched_setaffinity(0, {self.cores[i]})
        else:
            (self.groups[i] / "cgroup.procs").write_text(str(os.getpid()))
