# SPDX-License-Identifier: Apache-2.0
"""tests/support/machines.py - processes of one machine as if each were on a machine of its own.

    machines = Machines(2, folder)
    host.popen(**machines.on(0, [...]))    # on a host of support/netns.py

Machine i has a boot id of its own, so that nobody takes two for one, and a core of its own.  More machines
than cores take the cores in turn, which is as good where no two of them compute at once: the ranks of one
stream.  A share of a core by cgroup is no machine, as a rank that waits for its turn most of the time
never uses it up.  Machines of one memory are measured one after the other.  Needs root.
"""
import os
import uuid
from pathlib import Path

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def n_cores():
    return len(os.sched_getaffinity(0))


class Machines:
    def __init__(self, n, folder):
        cores = sorted(os.sched_getaffinity(0))
        self.cores, self.folder = [cores[i % len(cores)] for i in range(n)], Path(folder)
        for i in range(n):
            (self.folder / f"boot{i}").write_text(f"{uuid.uuid4()}\n")

    def on(self, i, command):
        """What Host.popen() needs to run `command` on machine i.  The mount is seen there alone: each
        `ip netns exec` has mounts of its own."""
        script = f'mount --bind {self.folder / f"boot{i}"} {BOOT_ID} && exec "$@"'
        return {"command": ["sh", "-c", script, "sh", *map(str, command)],
                "preexec_fn": lambda: os.sched_setaffinity(0, {self.cores[i]})}

    def beside(self, i):
        """For `preexec_fn` of who asks machine i: where there is another core, it is not there."""
        others = os.sched_getaffinity(0) - {self.cores[i]}
        return lambda: os.sched_setaffinity(0, others or {self.cores[i]})
