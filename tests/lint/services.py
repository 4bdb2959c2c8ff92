# SPDX-License-Identifier: Apache-2.0
"""tests/lint/services.py - the services are well formed, hardened, and the same on both systems.

    python tests/lint/services.py

systemd's own tools judge the units: exposure below 3, nothing that `verify` complains of but programs
that are not installed here.  launchd's files are read as property lists.
"""
import pathlib
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

CONFIG = pathlib.Path(__file__).resolve().parent.parent.parent / "config"
SERVICES = ("mlx-api-server", "mlx-health-monitor")
EXPOSURE_MAX = 3.0
PLACES = {"/var/lib/pomona": "DATA", "/var/db/pomona": "DATA", "${POMONA_NODE}": "NODE", "@NODE@": "NODE"}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def unit_path(name):
    return CONFIG / "systemd" / f"{name}.service"


def exposure(name):
    done = run("systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit_path(name)))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    return float(found.group(1)) if found else sys.exit(f"{name}: {done.stderr}")


def complaints(name):
    """With programs that are here in place of those that are not."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / f"{name}.service"
        copy.write_text(re.sub(r"(?m)^(Exec\w+=)/opt/\S+", r"\1/bin/true", unit_path(name).read_text()))
        done = run("systemd-analyze", "verify", "--man=no", str(copy))
        return [line for line in done.stderr.splitlines() if f"{name}.service" in line]


def words_of_unit(name):
    line = re.search(r"(?m)^ExecStart=(.*)$", unit_path(name).read_text()).group(1)
    return [PLACES.get(word, word) for word in shlex.split(line)]


def plist(name):
    with open(CONFIG / "launchd" / f"{name}.plist", "rb") as file:
        return plistlib.load(file)


def check_rotation(faults):
    """Every log that a property list names is rotated: newsyslog.conf(5) has six fields with an owner."""
    lines = (CONFIG / "newsyslog.d/pomona.conf").read_text().splitlines()
    entries = [line.split() for line in lines if line and not line.startswith("#")]
    rotated = {entry[0] for entry in entries if len(entry) == 7}
    for name in SERVICES:
        p = plist(name)
        for path in (p["EnvironmentVariables"]["POMONA_LOG_FILE"], p["StandardErrorPath"]):
            if path not in rotated:
                faults.append(f"newsyslog.d/pomona.conf: {path} is not rotated")


def check(name, faults):
    if exposure(name) >= EXPOSURE_MAX:
        faults.append(f"{name}.service: exposure {exposure(name)}, {EXPOSURE_MAX} is too much")
    faults += complaints(name)
    p = plist(name)
    if p["Label"] != name or p["UserName"] != "_pomona" or not p["KeepAlive"] or not p["RunAtLoad"]:
        faults.append(f"{name}.plist: label, user, KeepAlive or RunAtLoad is wrong")
    words = [PLACES.get(word, word) for word in p["ProgramArguments"]]
    if words != words_of_unit(name):
        faults.append(f"{name}: launchd starts {words}, systemd {words_of_unit(name)}")


def main():
    if not shutil.which("systemd-analyze"):
        sys.exit("systemd-analyze is missing: apt-get install systemd")
    faults = []
    for name in SERVICES:
        check(name, faults)
    check_rotation(faults)
    print("\n".join(faults))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
