# SPDX-License-Identifier: Apache-2.0
"""tests/support/previous.py - the program of the release before this one.

Built from its commit, which tests/system/previous_release names, and kept in .cache/previous.
"""
import os
import pathlib
import shutil
import subprocess

SOURCE = pathlib.Path(os.environ["POMONA_SOURCE"])
COMMIT = (SOURCE / "tests/system/previous_release").read_text().split()[0]
KEPT = SOURCE / ".cache/previous" / COMMIT / "pomona"


def program():
    if KEPT.exists():
        return KEPT
    work = KEPT.parent.with_suffix(f".partial{os.getpid()}")
    (work / "source").mkdir(parents=True)
    try:
        archive = subprocess.run(["git", "archive", COMMIT], cwd=SOURCE, capture_output=True, check=False)
        assert archive.returncode == 0, (f"commit {COMMIT}, the release before this one, is not in this checkout "
                                         "(a shallow one?): git fetch --unshallow")
        subprocess.run(["tar", "-x", "-C", work / "source"], input=archive.stdout, check=True)
        for command in (["cmake", "--preset", "release"], ["cmake", "--build", "--preset", "release", "--target",
                                                           "pomona"]):
            done = subprocess.run(command, cwd=work / "source", capture_output=True, text=True, timeout=1500,
                                  check=False)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(work / "source/build/release/pomona", KEPT.with_suffix(".partial"))
        KEPT.with_suffix(".partial").rename(KEPT)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return KEPT
