# SPDX-License-Identifier: Apache-2.0
"""tests/system/test_quickstart.py - scripts/quickstart.sh leaves nothing behind, unless told to.

Each run gets a session of its own, so that whatever it started can be found
whichever process group it moved to.  Runs use this checkout's release build.
"""
import json
import os
import re
import signal
import subprocess
import time
import urllib.request

import pytest

from support.cluster import IS_TIMED

SOURCE = os.environ["POMONA_SOURCE"]
SCRIPT = "scripts/quickstart.sh"
STATE = os.path.join(SOURCE, ".cache/quickstart")
IS_FULL = bool(os.environ.get("POMONA_TEST_FULL"))
MOMENTS = ["==> 1/6", "==> 2/6", "==> 3/6", "==> 4/6", "API at", "==> 5/6", "quick-2 ", "==> 6/6", "sky"]
FIRST_RUN_S, SECOND_RUN_S = 600, 20 if IS_TIMED else 120


def start(*args):
    """Told apart from this process: who runs this in the background has it ignore SIGINT."""
    return subprocess.Popen([SCRIPT, *args], cwd=SOURCE, start_new_session=True, text=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def run(*args, deadline_s=FIRST_RUN_S):
    process = start(*args)
    try:
        output, _ = process.communicate(timeout=deadline_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
        raise
    return process, output


def session_members(sid):
    """Every process of the session, zombies left out."""
    listed = subprocess.run(["ps", "-axo", "pid=,stat=,command="], capture_output=True, text=True,
                            check=True).stdout
    members = []
    for line in listed.splitlines():
        pid, stat, command = line.split(None, 2)
        try:
            if os.getsid(int(pid)) == sid and not stat.startswith("Z"):
                members.append(command)
        except ProcessLookupError:
            pass
    return members


def assert_nothing_left(process):
    """A runner ends with its control socket, which may take a moment after its node."""
    end = time.monotonic() + 5
    while (left := session_members(process.pid)) and time.monotonic() < end:
        time.sleep(0.05)
    assert left == []
    assert [name for name in os.listdir(STATE) if name.startswith("run.")] == []


@pytest.fixture(scope="module", autouse=True)
def first_run_fixture():
    """Packages, build and model are there afterwards."""
    process, output = run()
    assert process.returncode == 0, output
    assert_nothing_left(process)
    return output


def test_a_second_run_answers_from_two_nodes():
    process, output = run(deadline_s=SECOND_RUN_S)
    assert process.returncode == 0, output
    assert re.search(r"quick-1 +0-\d+ ", output) and re.search(r"quick-2 +\d+-29 ", output), output
    assert re.search(r"\n\S.*\n\nfirst token after \d+ ms, then [\d.]+ tokens/s", output), output
    assert "\033" not in output
    assert_nothing_left(process)


@pytest.mark.parametrize("moment, sign, status", [
    *((moment, signal.SIGINT, 130) for moment in MOMENTS),
    *((moment, signal.SIGTERM, 143) for moment in (MOMENTS if IS_FULL else ["API at"]))])
def test_interrupted_at_any_moment_it_leaves_no_process(moment, sign, status):
    process = start()
    for line in process.stdout:
        if moment in line:
            break
    os.killpg(process.pid, sign)
    output, _ = process.communicate(timeout=120)
    if "tokens/s" not in output:    # else it was done before it was told
        assert process.returncode == status, output
    assert_nothing_left(process)


def health(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url.replace("/v1", "/health"), timeout=5) as response:
        return json.load(response)


def test_kept_nodes_answer_until_they_are_stopped():
    kept, output = run("--keep")
    try:
        assert kept.returncode == 0, output
        url = re.search(r'base_url="([^"]+)"', output).group(1)
        assert health(url)["nodes_alive"] == 2
        again, words = run()
        assert again.returncode == 1 and "--stop" in words
        assert health(url)["nodes_alive"] == 2
    finally:
        stopped, _ = run("--stop", deadline_s=120)
    assert stopped.returncode == 0
    assert_nothing_left(kept)
    with pytest.raises(OSError):
        health(url)
    assert run("--stop")[1] == "nothing is running\n"


def test_wrong_use_has_status_2():
    process, output = run("--nonsense")
    assert process.returncode == 2 and "--help" in output
