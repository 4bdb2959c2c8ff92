# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_pull.py - `pomona pull` against a hub on loopback that behaves, misbehaves and breaks off."""
import json
import os
import signal
import subprocess

import pytest

from support.cluster import MODEL_FILE, POMONA, wait_until
from support.hub import COMMIT, Hub

BYTES = MODEL_FILE.read_bytes()
CUT = Hub.CUT


@pytest.fixture
def hub():
    with Hub(BYTES) as hub:
        yield hub


def command(tmp_path, *words):
    return [POMONA, "pull", *words, "--data", str(tmp_path / "data")]


def pull(hub, tmp_path, *words, **env):
    done = subprocess.run(command(tmp_path, *words), capture_output=True, text=True, timeout=60,
                          env={**os.environ, "HF_ENDPOINT": hub.url, **env})
    return done.returncode, done.stdout + done.stderr


def left(tmp_path):
    return sorted(p.name for p in (tmp_path / "data" / "models").iterdir())


def assert_pulled(tmp_path, name="Tiny.Q4_1"):
    assert (tmp_path / "data" / "models" / f"{name}.gguf").read_bytes() == BYTES
    assert not [f for f in left(tmp_path) if f.startswith(".")], left(tmp_path)


def test_a_file_of_a_repository(hub, tmp_path):
    status, said = pull(hub, tmp_path, "me/tiny-GGUF:Tiny.Q4_1.gguf", HF_TOKEN="secret")
    assert status == 0 and "SHA-256 is the hub's" in said, said
    assert_pulled(tmp_path)
    assert [path for path, _, _ in hub.asked] == [hub.file(), "/cdn/blob?key=secret"]
    assert hub.tokens[0] == "Bearer secret"


def test_the_token_is_shown_to_the_hub_alone(hub, tmp_path):
    status, said = pull(hub, tmp_path, hub.url.replace("127.0.0.1", "localhost") + hub.file(),
                        HF_TOKEN="secret")
    assert status == 0, said
    assert set(hub.tokens) == {None}


def test_letters_of_the_name_will_do_if_no_other_has_them(hub, tmp_path):
    status, said = pull(hub, tmp_path, "me/tiny-GGUF:q4_1", "--name", "small")
    assert status == 0, said
    assert_pulled(tmp_path, "small")
    status, said = pull(hub, tmp_path, "me/tiny-GGUF")
    assert status == 1 and "Tiny.Q4_1.gguf, Tiny.Q8_0.gguf" in said, said
    status, said = pull(hub, tmp_path, "me/tiny-GGUF:Q2_K")
    assert status == 1 and "no file of 'me/tiny-GGUF' fits 'Q2_K'" in said, said
    hub.siblings = ["README.md"]
    status, said = pull(hub, tmp_path, "me/tiny-GGUF")
    assert status == 1 and "has no GGUF file" in said, said


def test_a_url_without_a_hash(hub, tmp_path):
    hub.redirect = False
    status, said = pull(hub, tmp_path, hub.url + hub.file())
    assert status == 0 and "only its size was checked" in said, said
    assert_pulled(tmp_path)


def test_a_broken_connection_is_taken_up_where_it_was(hub, tmp_path):
    hub.cuts = 2
    status, said = pull(hub, tmp_path, "me/tiny-GGUF:Tiny.Q4_1.gguf")
    assert status == 0, said
    assert_pulled(tmp_path)
    ranges = [asked for path, asked, _ in hub.asked if path.startswith("/cdn/blob")]
    assert ranges == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]


def test_a_killed_pull_goes_on_at_the_next(hub, tmp_path):
    hub.cuts, hub.stops = 1, True
    words = command(tmp_path, "me/tiny-GGUF:Tiny.Q4_1.gguf")
    process = subprocess.Popen(words, env={**os.environ, "HF_ENDPOINT": hub.url})
    part = tmp_path / "data" / "models" / ".Tiny.Q4_1.part"
    wait_until(lambda: part.exists() and part.stat().st_size == CUT, 30, "the part is there")
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    hub.stops, hub.asked = False, []
    status, said = pull(hub, tmp_path, "me/tiny-GGUF:Tiny.Q4_1.gguf")
    assert status == 0, said
    assert_pulled(tmp_path)
    assert hub.asked[-1] == ("/cdn/blob?key=secret", f"bytes={CUT}-", '"v1"')


@pytest.mark.parametrize("has_ranges, tag", [(False, '"v1"'), (True, '"v2"')])
def test_what_cannot_be_continued_begins_again(hub, tmp_path, has_ranges, tag):
    hub.cuts, hub.stops = 1, True
    process = subprocess.Popen(command(tmp_path, "me/tiny-GGUF:Tiny.Q4_1.gguf"),
                               env={**os.environ, "HF_ENDPOINT": hub.url})
    part = tmp_path / "data" / "models" / ".Tiny.Q4_1.part"
    wait_until(lambda: part.exists() and part.stat().st_size == CUT, 30, "the part is there")
    process.kill()
    process.wait(timeout=60)
    hub.stops, hub.has_ranges, hub.tag = False, has_ranges, tag
    status, said = pull(hub, tmp_path, "me/tiny-GGUF:Tiny.Q4_1.gguf")
    assert status == 0, said
    assert_pulled(tmp_path)


def test_a_file_that_is_not_what_the_hub_says_is_refused(hub, tmp_path):
    hub.content = BYTES[:-1] + b"\x00" if BYTES[-1] else BYTES[:-1] + b"\x01"
    status, said = pull(hub, tmp_path, "me/tiny-GGUF:Tiny.Q4_1.gguf")
    assert status == 1 and "SHA-256" in said, said
    assert left(tmp_path) == []
    hub.content, hub.size = BYTES, len(BYTES) + 5
    status, said = pull(hub, tmp_path, "me/tiny-GGUF:Tiny.Q4_1.gguf")
    assert status == 1 and f"the hub says it has {len(BYTES) + 5}" in said, said
    assert left(tmp_path) == []


def test_what_is_no_model_is_refused(hub, tmp_path):
    hub.redirect, hub.content = False, b"<html>" * 1000
    status, said = pull(hub, tmp_path, hub.url + hub.file())
    assert status == 1 and "GGUF" in said, said
    assert left(tmp_path) == []


@pytest.mark.parametrize("http_status, word", [(401, "HF_TOKEN"), (404, "nothing at"),
                                               (429, "too often")])
def test_refusals_are_told_in_words_and_at_once(hub, tmp_path, http_status, word):
    hub.status = http_status
    for what in ("me/tiny-GGUF:Tiny.Q4_1.gguf", "me/tiny-GGUF"):
        hub.asked = []
        status, said = pull(hub, tmp_path, what)
        assert status == 1 and word in said and said.count("\n") == 1, said
        assert len(hub.asked) == 1


def test_a_name_that_is_taken_costs_no_transfer(hub, tmp_path):
    assert pull(hub, tmp_path, "me/tiny-GGUF:Tiny.Q4_1.gguf")[0] == 0
    hub.asked = []
    status, said = pull(hub, tmp_path, "me/tiny-GGUF:Tiny.Q4_1.gguf")
    assert status == 1 and "--name" in said and hub.asked == [], said


@pytest.mark.parametrize("what", ["tiny", "a/b/c", "../x", "a/b:../c.gguf", "ftp://h/x.gguf",
                                  "https://127.0.0.1/x.bin", "/etc/passwd", "a/b:c?d.gguf"])
def test_what_names_no_file_is_refused_without_asking(hub, tmp_path, what):
    status, said = pull(hub, tmp_path, what)
    assert status == 1 and hub.asked == [], said


def models(tmp_path):
    done = subprocess.run([POMONA, "models", "--json", "--data", str(tmp_path / "data")],
                          capture_output=True, text=True, timeout=60, check=True)
    return {m["name"]: m for m in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("what", [
    "hf:me/tiny-GGUF/Tiny.Q4_1.gguf@v2", "hf.co/me/tiny-GGUF:Tiny.Q4_1.gguf@v2",
    "huggingface.co/me/tiny-GGUF:Q4_1@v2", "URL/me/tiny-GGUF/blob/v2/Tiny.Q4_1.gguf"])
def test_a_revision_and_where_it_came_from(hub, tmp_path, what):
    hub.revisions = ["v2"]
    status, said = pull(hub, tmp_path, what.replace("URL", hub.url), "--name", "m")
    assert status == 0, said
    assert (hub.file("v2"), None, None) in hub.asked
    assert models(tmp_path)["m"]["origin"] == f"hf:me/tiny-GGUF/Tiny.Q4_1.gguf@{COMMIT}"


def test_an_origin_is_of_one_file(hub, tmp_path):
    assert pull(hub, tmp_path, hub.url.replace("127.0.0.1", "localhost") + hub.file())[0] == 0
    folder = tmp_path / "data" / "models"
    assert models(tmp_path)["Tiny.Q4_1"]["origin"].startswith("http://localhost:")
    note = json.loads((folder / "Tiny.Q4_1.origin").read_text())
    (folder / "Tiny.Q4_1.origin").write_text(json.dumps({**note, "digest": "0" * 32}))
    assert models(tmp_path)["Tiny.Q4_1"]["origin"] == ""


def test_a_split_model_is_refused_in_one_sentence_and_at_once(hub, tmp_path):
    hub.siblings = [f"Big.Q8_0-0000{i}-of-00002.gguf" for i in (1, 2)]
    for what, n_asked in (("me/tiny-GGUF:Q8_0", 1),
                          ("me/tiny-GGUF:Big.Q8_0-00001-of-00002.gguf", 0)):
        hub.asked = []
        status, said = pull(hub, tmp_path, what)
        assert status == 1 and "does not read" in said and said.count("\n") == 1, said
        assert len(hub.asked) == n_asked


def test_a_hub_that_is_asked_too_often_is_asked_again_when_it_says(hub, tmp_path):
    hub.waits = [1, 1]
    status, said = pull(hub, tmp_path, hub.NAME)
    assert status == 0, said
    assert_pulled(tmp_path)
    assert len(hub.asked) == 4
    hub.waits, hub.asked = [86400], []
    status, said = pull(hub, tmp_path, hub.NAME, "--name", "other")
    assert status == 1 and "too often" in said and len(hub.asked) == 1, said


def test_progress_and_result_as_json(hub, tmp_path):
    hub.cuts = 1
    status, said = pull(hub, tmp_path, hub.NAME, "--json", "--hub", hub.url, HF_ENDPOINT="")
    assert status == 0, said
    *lines, last = map(json.loads, said.splitlines())
    assert lines and all(0 < line["done_bytes"] <= line["total_bytes"] == len(BYTES) and
                         line["bytes_per_s"] > 0 for line in lines)
    assert last["name"] == "Tiny.Q4_1" and last["is_hashed"] and last["file_bytes"] == len(BYTES)


def test_no_key_of_an_address_is_told(hub, tmp_path):
    hub.expires = 100
    status, said = pull(hub, tmp_path, hub.NAME, HF_TOKEN="hf_hidden")
    assert status == 1 and "secret" not in said and "hf_hidden" not in said, said
    status, said = pull(hub, tmp_path, hub.url + "/cdn/x.gguf?key=secret")
    assert status == 1 and "secret" not in said, said
