# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_pull.py - `pomona pull` against a hub on loopback that behaves, misbehaves and breaks off."""
import hashlib
import http.server
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from support.cluster import MODEL_FILE, POMONA, wait_until

BYTES = MODEL_FILE.read_bytes()
SHA256 = hashlib.sha256(BYTES).hexdigest()
FILE = "/me/tiny-GGUF/resolve/main/Tiny.Q4_1.gguf"
CUT = 30_000_000


class Hub(http.server.ThreadingHTTPServer):
    """What it does is set by the test; what it was asked is in `asked`: (path, Range, If-Range)."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.sha256, self.tag, self.size = BYTES, SHA256, '"v1"', len(BYTES)
        self.cuts = 0              # answers that end after CUT bytes
        self.stops = False         # ... or stop there and say nothing more
        self.has_ranges = True
        self.redirect = True       # as the hub does, to where the bytes are
        self.status = None         # instead of an answer
        self.siblings = ["README.md", "Tiny.Q4_1.gguf", "Tiny.Q8_0.gguf"]
        self.asked, self.tokens = [], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        hub = self.server
        hub.asked.append((self.path, self.headers["Range"], self.headers["If-Range"]))
        hub.tokens.append(self.headers["Authorization"])
        if hub.status:
            self.reply(hub.status)
        elif self.path == "/api/models/me/tiny-GGUF":
            self.reply(200, json.dumps({"siblings": [{"rfilename": f} for f in hub.siblings]}).encode())
        elif self.path == FILE and hub.redirect:
            self.reply(302, Location="/cdn/blob", X_Linked_ETag=f'"{hub.sha256}"',
                       X_Linked_Size=str(hub.size))
        elif self.path in (FILE, "/cdn/blob"):
            self.give()
        else:
            self.reply(404)

    def give(self):
        hub = self.server
        first, total = 0, len(hub.content)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if wanted and hub.has_ranges and self.headers["If-Range"] in (None, hub.tag):
            first = int(wanted[1])
            if first >= total:
                return self.reply(416, Content_Range=f"bytes */{total}")
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        else:
            self.send_response(200)
        self.send_header("ETag", hub.tag)
        self.send_header("Content-Length", total - first)
        self.end_headers()
        if hub.cuts > 0:
            hub.cuts -= 1
            self.wfile.write(hub.content[first:first + CUT])
            self.wfile.flush()
            while hub.stops:
                time.sleep(0.05)
            self.close_connection = True
        else:
            self.wfile.write(hub.content[first:])


@pytest.fixture
def hub():
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever)
    thread.start()
    yield hub
    hub.stops = False
    hub.shutdown()
    thread.join()
    hub.server_close()


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
    assert [path for path, _, _ in hub.asked] == [FILE, "/cdn/blob"]
    assert hub.tokens[0] == "Bearer secret"


def test_the_token_is_shown_to_the_hub_alone(hub, tmp_path):
    status, said = pull(hub, tmp_path, hub.url.replace("127.0.0.1", "localhost") + FILE,
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
    status, said = pull(hub, tmp_path, hub.url + FILE)
    assert status == 0 and "only its size was checked" in said, said
    assert_pulled(tmp_path)


def test_a_broken_connection_is_taken_up_where_it_was(hub, tmp_path):
    hub.cuts = 2
    status, said = pull(hub, tmp_path, "me/tiny-GGUF:Tiny.Q4_1.gguf")
    assert status == 0, said
    assert_pulled(tmp_path)
    ranges = [asked for path, asked, _ in hub.asked if path == "/cdn/blob"]
    assert ranges == [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]


def test_a_killed_pull_goes_on_at_the_next(hub, tmp_path):
    hub.cuts, hub.stops = 1, True
    words = command(tmp_path, "me/tiny-GGUF:Tiny.Q4_1.gguf")
    process = subprocess.Popen(words, env={**os.environ, "HF_ENDPOINT": hub.url})
    part = tmp_path / "data" / "models" / ".Tiny.Q4_1.part"
    wait_until(lambda: part.exists() and part.stat().st_size == CUT, 30, "the part is there")
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    hub.stops, hub.asked = False, []
    status, said = pull(hub, tmp_path, "me/tiny-GGUF:Tiny.Q4_1.gguf")
    assert status == 0, said
    assert_pulled(tmp_path)
    assert hub.asked[-1] == ("/cdn/blob", f"bytes={CUT}-", '"v1"')


@pytest.mark.parametrize("has_ranges, tag", [(False, '"v1"'), (True, '"v2"')])
def test_what_cannot_be_continued_begins_again(hub, tmp_path, has_ranges, tag):
    hub.cuts, hub.stops = 1, True
    process = subprocess.Popen(command(tmp_path, "me/tiny-GGUF:Tiny.Q4_1.gguf"),
                               env={**os.environ, "HF_ENDPOINT": hub.url})
    part = tmp_path / "data" / "models" / ".Tiny.Q4_1.part"
    wait_until(lambda: part.exists() and part.stat().st_size == CUT, 30, "the part is there")
    process.kill()
    process.wait(timeout=10)
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
    status, said = pull(hub, tmp_path, hub.url + FILE)
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
