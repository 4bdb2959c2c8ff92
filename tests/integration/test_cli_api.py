# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_cli_api.py - client commands against nodes that misbehave.

A small HTTP server says whatever a test wants said.  Whatever that is, a
command ends soon, with one sentence and exit status 1.
"""
import contextlib
import http.server
import os
import subprocess
import threading

import pytest

POMONA = os.environ["POMONA"]
DEADLINE_S = 30
REFUSAL = b'{"error":{"message":"no model named \'m\' here","type":"t","param":null,"code":null}}'


@contextlib.contextmanager
def server(status, body, length=None):
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}"
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def pomona(url, *args):
    return subprocess.run([POMONA, *args, "--api", url], capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False)


def assert_fails(done, words):
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and words in done.stderr, done.stderr


COMMANDS = [("status",), ("plan", "m"), ("place", "m"), ("unplace", "m"),
            ("drain", "n"), ("undrain", "n")]


@pytest.mark.parametrize("args", COMMANDS)
@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_refusal_is_told_in_the_node_s_own_words(args, status):
    with server(status, REFUSAL) as url:
        assert_fails(pomona(url, *args), "no model named 'm' here")


@pytest.mark.parametrize("args", COMMANDS)
@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b'{"error":7}'])
def test_a_refusal_without_words_is_told_by_its_number(args, body):
    with server(502, body) as url:
        assert_fails(pomona(url, *args), "502")


@pytest.mark.parametrize("args", COMMANDS)
def test_what_is_not_json_is_not_a_node(args):
    with server(200, b"<html>hello</html>\n") as url:
        assert_fails(pomona(url, *args), "not JSON")


@pytest.mark.parametrize("args", COMMANDS)
def test_an_answer_cut_short_is_a_failure(args):
    with server(200, b'{"progress":0.5}\n', length=1000) as url:
        assert_fails(pomona(url, *args), "broke off")


@pytest.mark.parametrize("args", [("status",), ("place", "m")])
def test_an_answer_without_end_is_cut(args):
    with server(200, b"[" * (17 << 20)) as url:
        assert_fails(pomona(url, *args), "16 MiB")


@pytest.mark.parametrize("last", [b"", b'{"progress":1}\n', b"{}\n"])
def test_a_placing_that_never_says_ready_failed(last):
    with server(200, b'{"progress":0.1}\n' + last) as url:
        assert_fails(pomona(url, "place", "m"), "before the model was placed")


def test_a_placing_that_fails_half_way_tells_why():
    with server(200, b'{"progress":0.1}\n' + REFUSAL + b"\n") as url:
        assert_fails(pomona(url, "place", "m"), "no model named 'm' here")


@pytest.mark.parametrize("body", [b"{}", b"[]", b"7", b'{"nodes":7,"instances":[7],"models":null}'])
def test_odd_json_does_no_harm(body):
    with server(200, body) as url:
        assert pomona(url, "status").returncode in (0, 1)
        assert pomona(url, "plan", "m").returncode in (0, 1)
        assert pomona(url, "place", "m").returncode == 1
