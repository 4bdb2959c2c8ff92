# SPDX-License-Identifier: Apache-2.0
"""tests/system/test_clean_root.py - one command is enough on a bare Debian 12.

scripts/quickstart.sh runs in a root that holds the package manager and the
committed tree, nothing else.  How to reach the network is the host's affair:
its apt sources, proxies, certificates and pip settings are copied in.  The
root lives in a mount and process namespace, so nothing survives the test but
the cached bare system in .cache/clean_root.

Needs root, debootstrap and a Debian host; without them it fails and says so.
"""
import os
import pathlib
import platform
import re
import shutil
import subprocess
import time

import pytest

SOURCE = pathlib.Path(os.environ["POMONA_SOURCE"])
CACHE = SOURCE / ".cache/clean_root"
SUITE = "bookworm"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
HOST_CERTIFICATES = "/etc/host-certificates.crt"
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
RUN_S, SECOND_RUN_S, BOOTSTRAP_S = 1500, 20, 600

# argv: root, command.  Mounts are private to the namespace that unshare made.
ENTER = """
mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" &&
exec chroot "$1" /bin/bash -c "$2"
"""


def mirror():
    """The first Debian archive of this machine's own apt sources."""
    for path in ["/etc/apt/sources.list", *sorted(map(str, pathlib.Path(
            "/etc/apt/sources.list.d").glob("*")))]:
        if not path.endswith((".list", ".sources")) or not os.path.exists(path):
            continue
        text = pathlib.Path(path).read_text(encoding="utf-8")
        found = re.search(r"^(?:URIs:|deb(?: \[[^]]*\])?) +(\S+/debian/?)(?:\s|$)", text,
                          re.MULTILINE)
        if found:
            return found.group(1)
    return pytest.fail("this machine's apt sources name no Debian archive")


def bare_system():
    """A minimal Debian 12, made once."""
    base = CACHE / SUITE
    if base.exists():
        return base
    partial = CACHE / f"{SUITE}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["debootstrap", "--variant=minbase", SUITE, partial, mirror()], check=True,
                   timeout=BOOTSTRAP_S, stdout=subprocess.DEVNULL)
    partial.rename(base)
    return base


def copy_settings(root):
    """What the host needs to reach the network, the clean root needs too."""
    for name in ("resolv.conf", "hosts", "pip.conf", "apt/sources.list", "apt/sources.list.d",
                 "apt/apt.conf.d", "apt/auth.conf", "apt/auth.conf.d"):
        host, guest = pathlib.Path("/etc", name), root / "etc" / name
        if host.is_dir():
            shutil.rmtree(guest, ignore_errors=True)
            shutil.copytree(host, guest)
        elif host.exists():
            shutil.copyfile(host, guest)
    if os.path.exists(CERTIFICATES):
        shutil.copyfile(CERTIFICATES, str(root) + HOST_CERTIFICATES)


def environment():
    kept = {name: value for name, value in os.environ.items()
            if name.lower().endswith("_proxy") or name.startswith("PIP_")}
    if os.path.exists(CERTIFICATES):
        kept.update(dict.fromkeys(CERTIFICATE_VARIABLES, HOST_CERTIFICATES))
    return {**kept, "HOME": "/root", "LANG": "C.UTF-8",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def copy_tree(root):
    tree = root / "root/pomona"
    tree.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=SOURCE, check=True,
                             capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)


@pytest.fixture(name="root")
def root_fixture():
    assert os.geteuid() == 0, "this test changes roots: run it as root"
    assert shutil.which("debootstrap"), "this test needs debootstrap: apt-get install debootstrap"
    assert platform.system() == "Linux"
    root = CACHE / "root"
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", bare_system(), root], check=True)
    copy_settings(root)
    copy_tree(root)
    yield root
    shutil.rmtree(root, ignore_errors=True)


def run_inside(root, command, deadline_s):
    """The command's output; everything it started has ended when this returns."""
    start = time.monotonic()
    done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child",
                           "--propagation", "private", "/bin/bash", "-c", ENTER, "enter", root,
                           command], env=environment(), stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=deadline_s,
                          check=False)
    print(f"{time.monotonic() - start:.1f} s\n{done.stdout}")
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_quickstart_needs_nothing_but_the_package_manager(root):
    command = "cd /root/pomona && scripts/quickstart.sh"
    first = run_inside(root, command, RUN_S)
    assert "installing" in first
    assert re.search(r"first token after \d+ ms, then [\d.]+ tokens/s", first)
    second = run_inside(root, command, SECOND_RUN_S)
    assert "installing" not in second
    assert re.search(r"first token after \d+ ms, then [\d.]+ tokens/s", second)
