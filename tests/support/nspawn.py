# SPDX-License-Identifier: Apache-2.0
"""tests/support/nspawn.py - whole machines: Debian booted by systemd-nspawn, with sshd, on a bridge.

    with Machines(3, tmp_path, packages) as machines:
        machines[0].ssh("systemctl is-system-running")
        machines.run(["scripts/deploy_production.sh", "status"])    # where the machines are reached

Machine i is m(i+1), 10.79.0.(i+11).  The bridge lives in a network namespace of this run, so nothing of this
machine's network is touched and runs do not meet.  Each machine's disk is a layer over one image, which
is made once and kept in .cache/machines; `packages` lie in its package cache, not installed, as
machines have no way to the outside.  Everything ends with the block.  Needs root, debootstrap,
systemd-nspawn and ssh.
"""
import contextlib
import ctypes
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

from support import netns

SOURCE = pathlib.Path(os.environ["POMONA_SOURCE"])
CACHE = SOURCE / ".cache/machines"
SUITE = "bookworm"
BASE = ["systemd", "systemd-sysv", "dbus", "openssh-server", "iproute2", "sudo"]
NEEDED = {"systemd-nspawn": "systemd-container", "debootstrap": "debootstrap", "ssh": "openssh-client",
          "ssh-keygen": "openssh-client", "nsenter": "util-linux", "jq": "jq"}
BOOT_S = 180
MARK = "pomona.test="    # an argument of a machine's systemd, which passes over it; then the test's process
PR_SET_PDEATHSIG = 1    # linux/prctl.h


def assert_possible():
    assert os.geteuid() == 0, "this test boots machines: run it as root"
    for tool, package in NEEDED.items():
        assert shutil.which(tool), f"this test needs {tool}: apt-get install {package}"


def mirror():
    """The first Debian archive of this machine's own apt sources."""
    for path in ["/etc/apt/sources.list", *sorted(map(str, pathlib.Path("/etc/apt/sources.list.d").glob("*")))]:
        if not path.endswith((".list", ".sources")) or not os.path.exists(path):
            continue
        found = re.search(r"^(?:URIs:|deb(?: \[[^]]*\])?) +(\S+/debian/?)(?:\s|$)",
                          pathlib.Path(path).read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found.group(1)
    raise AssertionError("this machine's apt sources name no Debian archive")


def copy_apt_settings(root):
    """How the host reaches its archive; what empties caches is left out."""
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    for name in ("apt.conf.d", "auth.conf", "auth.conf.d"):
        host, guest = pathlib.Path("/etc/apt", name), root / "etc/apt" / name
        if host.is_dir():
            shutil.rmtree(guest, ignore_errors=True)
            shutil.copytree(host, guest)
        elif host.exists():
            shutil.copyfile(host, guest)
    (root / "etc/apt/apt.conf.d/docker-clean").unlink(missing_ok=True)


def make_image(partial, packages):
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={','.join(BASE)}", SUITE, partial, mirror()],
                   check=True, timeout=900, stdout=subprocess.DEVNULL)
    copy_apt_settings(partial)
    for command in (["update"], ["install", "--download-only", "-y", "--no-install-recommends", *packages]):
        subprocess.run(["chroot", partial, "apt-get", "-qq", "-o", "APT::Keep-Downloaded-Packages=true", *command],
                       check=True, timeout=600, stdout=subprocess.DEVNULL)
    shutil.rmtree(partial / "etc/apt/apt.conf.d")
    (partial / "etc/apt/apt.conf.d").mkdir()
    for name in ("ssh.service", "systemd-networkd.service"):
        unit = partial / "lib/systemd/system" / name
        wants = partial / "etc/systemd/system/multi-user.target.wants" / name
        wants.unlink(missing_ok=True)
        wants.symlink_to("/" + str(unit.relative_to(partial)))
    for key in (partial / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    # A run's account that is not root.
    subprocess.run(["chroot", partial, "useradd", "--create-home", "--shell", "/bin/bash", "admin"], check=True)
    (partial / "etc/sudoers.d/admin").write_text("admin ALL=(ALL) NOPASSWD: ALL\n")


def image(packages):
    name = f"{SUITE}-{hashlib.sha256(' '.join(BASE + sorted(packages)).encode()).hexdigest()[:12]}"
    base, partial = CACHE / name, CACHE / f"{name}.partial{os.getpid()}"
    if not base.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        try:
            make_image(partial, packages)
            partial.rename(base)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return base


def die_with_the_test():
    """However it ends; what else it leaves, the next run removes."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def inits(mark):
    """First processes of machines whose mark begins so: {pid: mark}.  They outlive systemd-nspawn."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().decode(errors="replace").split("\0")
            found.update({int(path.parent.name): word for word in words[1:] if word.startswith(mark)
                          and words[0].endswith("systemd")})
    return found


def remove_leftovers():
    netns.Network._remove_leftovers()
    for pid, mark in inits(MARK).items():
        if not os.path.exists(f"/proc/{mark.removeprefix(MARK).split('-')[0]}"):
            os.kill(pid, signal.SIGKILL)
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        source, path, *_ = line.split()
        owner = source.removeprefix(netns.PREFIX)
        if source.startswith(netns.PREFIX) and owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            subprocess.run(["umount", "-l", path], capture_output=True, check=False)


class Machine:
    def __init__(self, machines, i):
        self.machines, self.name, self.address = machines, f"m{i + 1}", f"10.79.0.{i + 11}"
        self.folder = machines.folder / self.name
        self.root = self.folder / "root"
        self.mark = f"{MARK}{os.getpid()}-{self.name}"
        self.binds = []
        self.process = None

    def prepare(self, base, public_key):
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True)
        subprocess.run(["mount", "-t", "overlay", f"{netns.PREFIX}{os.getpid()}", "-o",
                        f"lowerdir={base},upperdir={self.folder / 'upper'},workdir={self.folder / 'work'}",
                        self.root], check=True)
        (self.root / "etc/hostname").write_text(f"{self.name}\n")
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost {self.name}\n")
        (self.root / "etc/machine-id").write_text("")
        (self.root / "etc/systemd/network/10-host0.network").write_text(
            f"[Match]\nName=host0\n[Network]\nAddress={self.address}/24\nLinkLocalAddressing=no\n")
        for home, owner in (("root", 0), ("home/admin", 1000)):
            ssh = self.root / home / ".ssh"
            ssh.mkdir(mode=0o700, exist_ok=True)
            (ssh / "authorized_keys").write_text(public_key)
            for path in (ssh, ssh / "authorized_keys"):
                os.chown(path, owner, owner)
                path.chmod(0o700 if path.is_dir() else 0o600)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                        self.root / "etc/ssh/ssh_host_ed25519_key"], check=True)

    def host_key(self):
        return (self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()

    def boot(self):
        # Outside pytest's capture, in a session of its own: Ctrl-C of the test is not for the machine.
        with open(self.folder / "console", "ab") as console:
            self.process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.machines.namespace}", "systemd-nspawn", "-q", "-D", self.root,
                 "--network-bridge=br0", "--boot", f"--machine={self.name}-{os.getpid()}", "--register=no",
                 "--keep-unit", "--notify-ready=no", *(f"--bind-ro={a}:{b}" for a, b in self.binds),
                 self.mark],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                preexec_fn=die_with_the_test)

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def await_boot(self):
        until = time.monotonic() + BOOT_S
        while True:
            done = self.ssh("systemctl is-system-running", check=False)
            if done.stdout.strip() in ("running", "degraded"):
                return
            assert self.is_up(), f"{self.name} ended: {(self.folder / 'console').read_text()[-2000:]}"
            assert time.monotonic() < until, f"{self.name} did not boot: {done.stdout} {done.stderr}"
            time.sleep(0.3)

    def shut_down(self):
        """As by its power button: every service ends in order."""
        self.process.terminate()
        self.process.wait(timeout=180)

    def cut_power(self):
        """All of it at once, as its first process is gone; systemd-nspawn ends with that."""
        for pid in inits(self.mark):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self.process is not None:
                self.process.wait(timeout=10)
        if self.is_up():
            self.process.kill()
            self.process.wait(timeout=30)
        # The other end of its cable goes some time after it, and the next boot wants the name.
        subprocess.run(["ip", "-n", self.machines.namespace, "link", "delete", f"vb-{self.name}-{os.getpid()}"[:15]],
                       capture_output=True, check=False)
        until = time.monotonic() + 30
        while inits(self.mark):
            assert time.monotonic() < until, f"{self.name} is still there"
            time.sleep(0.05)

    def ssh(self, command, check=True, timeout=120, user="root"):
        done = self.machines.run(["ssh", "-F", self.machines.ssh_config, "-o", "ConnectTimeout=5", "-l", user,
                                  self.address, command], timeout=timeout)
        assert not check or done.returncode == 0, (self.name, command, done.stdout, done.stderr)
        return done

    def out(self, command, **more):
        return self.ssh(command, **more).stdout.strip()

    def remove(self):
        self.cut_power()
        subprocess.run(["umount", "-l", self.root], capture_output=True, check=False)
        shutil.rmtree(self.folder / "upper", ignore_errors=True)


class Machines:
    def __init__(self, n, folder, packages):
        assert_possible()
        self.folder = pathlib.Path(folder)
        self.namespace = f"{netns.PREFIX}{os.getpid()}-machines"
        self.packages = packages
        self.ssh_config = self.folder / "ssh_config"
        self.key = self.folder / "key"
        self.machines = [Machine(self, i) for i in range(n)]

    def __getitem__(self, i):
        return self.machines[i]

    def __iter__(self):
        return iter(self.machines)

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers()
        base = image(self.packages)
        netns.ip("netns", "add", self.namespace)
        for words in ("link set lo up", "link add br0 type bridge", "addr add 10.79.0.1/24 dev br0",
                      "link set br0 up"):
            netns.ip("-n", self.namespace, *words.split())
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        public = self.key.with_suffix(".pub").read_text()
        for machine in self.machines:
            machine.prepare(base, public)
        self.write_ssh_config()

    def write_ssh_config(self, **users):
        """`users`: {machine's name: who logs in}; root otherwise."""
        known = "".join(f"{m.address} {m.host_key()}" for m in self.machines)
        (self.folder / "known_hosts").write_text(known)
        hosts = "".join(f"Host {m.address}\n  User {users.get(m.name, 'root')}\n" for m in self.machines)
        self.ssh_config.write_text(f"{hosts}Host *\n  IdentityFile {self.key}\n  IdentitiesOnly yes\n"
                                   f"  UserKnownHostsFile {self.folder / 'known_hosts'}\n"
                                   "  StrictHostKeyChecking yes\n  BatchMode yes\n  LogLevel ERROR\n")

    def boot(self):
        for machine in self.machines:
            machine.boot()
        for machine in self.machines:
            machine.await_boot()

    def inside(self, command):
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *map(str, command)]

    def run(self, command, timeout=120, **more):
        return subprocess.run(self.inside(command), capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, check=False, **more)

    def popen(self, command, **more):
        # A shell that starts the tests in the background has them ignore Ctrl-C.
        return subprocess.Popen(self.inside(command), stdin=subprocess.DEVNULL, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **more)

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread makes inside the block are on the bridge."""
        with netns.Host(self.namespace, "10.79.0.1").entered():
            yield

    def __exit__(self, *_):
        for machine in self.machines:
            machine.remove()
        subprocess.run(["ip", "netns", "delete", self.namespace], capture_output=True, check=False)


def end(process, seconds=60):
    """As Ctrl-C."""
    process.send_signal(signal.SIGINT)
    return process.wait(timeout=seconds)
