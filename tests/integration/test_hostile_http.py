# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_hostile_http.py - what hostile clients do with HTTP, while an ordinary one streams on.

The attackers have addresses of their own (127.0.0.2 and up), as they would.
"""
import http.client
import io
import json
import os
import select
import signal
import socket
import threading
import time

import pytest

from support.cluster import MODEL, resident_bytes, wait_until
from support.guarded import Guarded

SETTINGS = """
auth: { required: true }
cors: { origins: [ "https://chat.example.org" ] }
sizes: { body_bytes: 209715200 }
timeouts: { header_s: 2, body_s: 2, idle_s: 3 }
connections: { total: 300, per_address: 64 }
log: { access: true }
"""
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Tell me of ships."}]}
# Sanitized code keeps what was freed for a while.
IS_SANITIZED = bool(os.environ.get("POMONA_SANITIZE"))
GROWTH_MAX = (320 if IS_SANITIZED else 16) << 20


class Ordinary(threading.Thread):
    """Streams one answer after another, and notes what went wrong."""

    def __init__(self, node, key):
        super().__init__(daemon=True)
        self.node, self.key = node, key
        self.n_events, self.n_answers, self.wrong, self.is_over = 0, 0, [], False

    def run(self):
        while not self.is_over:
            connection = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=60)
            try:
                connection.request("POST", "/v1/chat/completions",
                                   json.dumps({**CHAT, "stream": True, "max_tokens": 64}),
                                   {"Content-Type": "application/json",
                                    "Authorization": f"Bearer {self.key}"})
                text = b""
                response = connection.getresponse()
                while line := response.readline():
                    self.n_events += line.startswith(b"data: ")
                    text = line if line.strip() else text
                if response.status != 200 or text != b"data: [DONE]\n":
                    self.wrong.append((response.status, text[:200]))
                self.n_answers += 1
            except (OSError, http.client.HTTPException) as e:
                self.wrong.append(repr(e))
            finally:
                connection.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with Guarded(tmp_path_factory.mktemp("hostile"), SETTINGS) as node:
        node.good = node.key("good")
        node.ordinary = Ordinary(node, node.good)
        node.ordinary.start()
        wait_until(lambda: node.ordinary.n_answers, 60, "an answer was streamed")
        yield node
        node.ordinary.is_over = True
        node.ordinary.join(60)
        assert node.ordinary.wrong == []


@pytest.fixture
def node(guarded):
    """The node; afterwards the ordinary client got on meanwhile, and nothing went wrong for it."""
    before = guarded.ordinary.n_events
    yield guarded
    wait_until(lambda: guarded.ordinary.n_events > before + 8, 60, "the ordinary client gets on")
    assert guarded.ordinary.wrong == [] and guarded.node.is_up()


def dial(node, source="127.0.0.2"):
    return socket.create_connection(("127.0.0.1", node.port), timeout=30, source_address=(source, 0))


def read_all(s):
    text = b""
    try:
        while chunk := s.recv(65536):
            text += chunk
    except ConnectionError:
        pass
    return text


def say(node, text):
    """All that is answered until the server closes."""
    with dial(node) as s:
        s.sendall(text)
        return read_all(s)


def split(answer):
    """[(status, header, body)] of answers that give their length."""
    found = []
    while answer:
        head, _, answer = answer.partition(b"\r\n\r\n")
        header = http.client.parse_headers(io.BytesIO(head.partition(b"\r\n")[2] + b"\r\n\r\n"))
        n = int(header["Content-Length"])
        found.append((int(head.split()[1]), header, answer[:n]))
        answer = answer[n:]
    return found


HOST = b"Host: x\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST
SMUGGLED = b"GET /cluster/state HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("request_bytes,status", [
    (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
    (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
    (POST + b"Content-Length: 0\r\nContent-Length: 40\r\n\r\n" + SMUGGLED, 400),
    (POST + b"Content-Length: 0, 40\r\n\r\n" + SMUGGLED, 400),
    (POST + b"Content-Length: +0\r\n\r\n" + SMUGGLED, 400),
    (POST + b"Content-Length : 0\r\n\r\n" + SMUGGLED, 400),
    (POST + b"Transfer-Encoding: xchunked\r\n\r\n" + SMUGGLED, 501),
    (POST + b"Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n" + SMUGGLED, 501),
    (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED, 501),
    (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
    (POST + b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
    (POST + b"X: y\rTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED, 400),
    (POST.replace(b"\r\n", b"\n") + b"\n" + SMUGGLED, 400),
    (b"HEAD /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
    (b"GET /health HTTP/1.1\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    (b"GET /health HTTP/3.0\r\nHost: x\r\n\r\n", 505),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"BREW /health HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /health\x00x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431),
    (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    (POST + b"Content-Length: 300000000\r\n\r\n", 413),
    (POST + b"Content-Length: 2\r\nExpect: 200-maybe\r\n\r\n{}", 417),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 400),
], ids=lambda v: None if isinstance(v, bytes) else str(v))
def test_what_has_two_meanings_gets_one_refusal(node, request_bytes, status):
    (seen, header, body), *more = split(say(node, request_bytes))
    assert seen == status and more == [], (seen, body, more)
    assert json.loads(body)["error"]["message"] and header["x-request-id"]
    assert header["Connection"] == "close"


@pytest.mark.parametrize("line", [b"5;x=y\r\nhello", b"0x5\r\nhello", b"5\nhello", b"-1\r\n", b"f" * 17,
                                  b"5\r\nhelloX", b"0\r\nX: y\r\n", b"fffffff\r\n"])
def test_a_strange_chunk_ends_the_connection(node, line):
    key = b"Authorization: Bearer %s\r\n" % node.good.encode()
    answer = say(node, POST + key + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n" + line + b"\r\n\r\n" + SMUGGLED)
    assert [status for status, _, _ in split(answer)] == [413 if line[:3] == b"fff" and len(line) < 12 else 400]


def test_bad_text_is_taken_for_what_it_is(node):
    key = b"Authorization: Bearer %s\r\n" % node.good.encode()
    answer = say(node, b"GET /v1/models/%ff%fe%00 HTTP/1.1\r\n" + HOST + key + b"Connection: close\r\n\r\n")
    status, _, body = split(answer)[0]
    assert status == 404 and json.loads(body.decode())["error"]
    answer = say(node, b"GET /v1/models/%ff%c0%af HTTP/1.1\r\n" + HOST + key + b"Connection: close\r\n\r\n")
    status, _, body = split(answer)[0]
    assert status == 404 and json.loads(body.decode())["error"]
    answer = say(node, b"GET /health HTTP/1.1\r\n" + HOST + b"X-Name: \xff\xfe\r\nx-request-id: a\xff\r\n"
                 b"Connection: close\r\n\r\n")
    status, header, _ = split(answer)[0]
    assert status == 200 and header["x-request-id"].startswith("req_")


def test_a_header_or_a_body_a_byte_at_a_time_is_late(node):
    head = POST + b"Content-Length: 1000\r\n\r\n"
    for at_once, byte in ((b"GET /health HTTP/1.1\r\nHost: x\r\nX: ", b"x"), (head, b" ")):
        begun = time.monotonic()
        with dial(node) as s:
            s.sendall(at_once)
            is_answered = False
            while not is_answered:
                s.sendall(byte)
                is_answered = bool(select.select([s], [], [], 0.1)[0])
            assert [status for status, _, _ in split(read_all(s))] == [408]
            assert time.monotonic() - begun > 2


def test_silence_and_idleness_end(node):
    with dial(node) as silent, dial(node) as idle:
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_all(silent) == b""
        assert [status for status, _, _ in split(read_all(idle))] == [200]


@pytest.mark.parametrize("text", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
                                  POST + b"Content-Length: 10\r\n\r\n{",
                                  POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"])
def test_a_half_closed_socket_is_closed(node, text):
    with dial(node) as s:
        s.sendall(text)
        s.shutdown(socket.SHUT_WR)
        read_all(s)


def test_pipelined_requests_are_answered_in_order(node):
    ids = [b"p%d" % i for i in range(40)]
    one = b"GET /health HTTP/1.1\r\nHost: x\r\nx-request-id: %s\r\n\r\n"
    last = (one % b"last").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answers = split(say(node, b"".join(one % i for i in ids) + last))
    assert [header["x-request-id"].encode() for _, header, _ in answers] == [*ids, b"last"]
    answers = split(say(node, one % b"good" + b"GET /health HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n" + one % b"x"))
    assert [status for status, _, _ in answers] == [200, 400]
    for method in (b"DELETE", b"GET", b"PATCH", b"OPTIONS", b"TRACE"):
        answers = split(say(node, method + b" /api/delete HTTP/1.1\r\nHost: x\r\nContent-Length: 52\r\n\r\n" +
                            SMUGGLED.ljust(52) + last))
        assert [header["x-request-id"] for _, header, _ in answers][1:] == ["last"], method
    with dial(node) as s: # a body that evhttp does not take comes after its answer, and is no request
        s.sendall(b"TRACE /health HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED))
        first = s.recv(65536)
        s.sendall(SMUGGLED)
        s.sendall(last)
        answers = split(first + read_all(s))
    assert [status for status, _, _ in answers] == [405, 200] and answers[1][1]["x-request-id"] == "last"
    answers = split(say(node, b"POST /health HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n" + last))
    assert [status for status, _, _ in answers] == [405, 200]


def test_what_is_pipelined_without_end_takes_no_memory(node):
    key = b"Authorization: Bearer %s\r\n" % node.good.encode()
    body = json.dumps({**CHAT, "stream": True, "max_tokens": 100, "ignore_eos": True}).encode()
    before = resident_bytes(node.node.process.pid)
    with dial(node) as s:
        s.sendall(POST + key + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        for _ in range(40):
            try:
                s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 25000)
            except OSError:
                break
        answer = read_all(s)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert resident_bytes(node.node.process.pid) < before + GROWTH_MAX


def test_a_bad_key_is_refused_by_the_header_alone(node):
    for key in (b"", b"Authorization: Bearer nonsense\r\n", b"x-api-key: a.b.c\r\n"):
        with dial(node) as s:
            s.sendall(POST + key + b"Content-Length: 104857600\r\n\r\n")
            (status, header, body), *more = split(read_all(s))
        assert status == 401 and json.loads(body)["error"]["code"] == "invalid_api_key" and not more
        assert header["WWW-Authenticate"].startswith("Bearer")
    with dial(node) as s:
        s.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        status, header, body = split(read_all(s))[0]
    assert status == 401 and json.loads(body)["type"] == "error" and header["request-id"]
    with dial(node) as s:
        s.sendall(POST + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        assert [status for status, _, _ in split(read_all(s))] == [401]
    with dial(node) as s:
        s.sendall(b"POST /v1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n")
        assert [status for status, _, _ in split(read_all(s))] == [404]


def test_a_hundred_megabytes_are_not_kept(node):
    before = resident_bytes(node.node.process.pid)
    body = b" " * (100 << 20)
    for headers, status in (({"Authorization": "Bearer nonsense"}, 401),
                            ({"Content-Length": str(300 << 20)}, 413)):
        connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=60,
                                                source_address=("127.0.0.3", 0))
        try:
            connection.request("POST", "/v1/chat/completions", body, headers)
        except (BrokenPipeError, ConnectionResetError):
            pass # it was told to stop
        assert connection.getresponse().status == status
        connection.close()
    assert resident_bytes(node.node.process.pid) < before + GROWTH_MAX


@pytest.fixture
def patient(node):
    """The node while it gives who says nothing more time than any test takes to dial."""
    def told(settings, status):
        node.config.write_text(settings)
        node.node.process.send_signal(signal.SIGHUP)
        wait_until(lambda: node.ask("GET", "/v1/models")[0] == status, 60, "the settings are taken")
    told(SETTINGS.replace("header_s: 2", "header_s: 300").replace("required: true", "required: false"),
         200)
    yield node
    told(SETTINGS, 401)


def test_a_flood_of_connections_is_held_to_its_address(patient):
    node = patient
    with dial(node, "127.0.0.4") as s:
        s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert split(read_all(s))[0][0] == 200
    sockets = []
    try:
        for _ in range(150):
            sockets.append(dial(node, "127.0.0.4"))
        answers = []
        for s in sockets[100:]:
            answers += split(read_all(s))
        assert {status for status, _, _ in answers} == {429}
        assert node.ask("GET", "/health")[0] == 200
    finally:
        for s in sockets:
            s.close()

    def is_let_in():
        with dial(node, "127.0.0.4") as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return split(read_all(s))[0][0] == 200
    wait_until(is_let_in, 60, "who closed his connections is let in again")


def test_connections_beyond_all_wait(node):
    sockets = [dial(node, f"127.0.1.{i % 6 + 1}") for i in range(330)]
    try:
        assert node.node.is_up()
    finally:
        for s in sockets:
            s.close()
    wait_until(node.answers, 60, "when they are gone there is room")


def test_other_pages_may_not_ask(node):
    fine, own = "https://chat.example.org", f"http://127.0.0.1:{node.port}"
    for origin, status, allowed in ((fine, 200, fine), (own, 200, None), ("https://evil.example", 403, None),
                                    ("null", 403, None), (f"{fine}.evil.example", 403, None),
                                    ("http://chat.example.org", 403, None)):
        seen, headers, _ = node.ask("GET", "/v1/models", node.good, headers={"Origin": origin})
        assert (seen, headers["Access-Control-Allow-Origin"]) == (status, allowed), origin
        assert headers["Vary"] == "Origin" and "Access-Control-Allow-Credentials" not in headers
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, x-a"}
    seen, headers, _ = node.ask("OPTIONS", "/v1/chat/completions", headers={"Origin": fine, **asked})
    assert seen == 204 and headers["Access-Control-Allow-Origin"] == fine
    assert headers["Access-Control-Allow-Headers"] == "authorization, x-a"
    assert "POST" in headers["Access-Control-Allow-Methods"]
    seen, headers, _ = node.ask("OPTIONS", "/v1/chat/completions", headers={"Origin": "https://evil.example", **asked})
    assert seen == 403 and "Access-Control-Allow-Methods" not in headers


def test_a_page_that_may_ask_reads_why_it_was_refused_early(node):
    fine = "https://chat.example.org"
    too_long = POST + b"Origin: %s\r\nContent-Length: 300000000\r\n\r\n"
    no_key = POST + b"Origin: %s\r\nContent-Length: 1000000\r\n\r\n"
    for request, status in ((too_long, 413), (no_key, 401)):
        for origin, allowed in ((fine, fine), ("https://evil.example", None)):
            (seen, header, _), = split(say(node, request % origin.encode()))
            assert (seen, header["Access-Control-Allow-Origin"]) == (status, allowed)
            assert header["Vary"] == "Origin"
            assert ("x-request-id" in header.get("Access-Control-Expose-Headers", "")) == bool(allowed)


def test_without_keys_nobody_asks_for_a_host_that_is_not_here(tmp_path):
    """A page whose own name was made to mean 127.0.0.1: to the browser it asks its own server."""
    with Guarded(tmp_path, "hosts: [ llm.example.org ]") as node:
        at = f":{node.port}"
        machine = socket.gethostname()
        for host in ("localhost", "localhost" + at, "LocalHost.", "a.localhost", "127.0.0.1" + at, "10.1.2.3",
                     "[::1]" + at, machine + at, machine.partition(".")[0] + ".local", "llm.example.org:80"):
            assert node.ask("GET", "/v1/models", headers={"Host": host})[0] == 200, host
        for host in ("evil.example" + at, "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost",
                     "[evil.example]", "0x7f.1", "llm.example.org.evil.example", "[::1", ":80"):
            origin = {"Host": host, "Origin": f"http://{host}"}
            seen, _, body = node.ask("GET", "/v1/models", headers=origin)
            assert seen == 403 and body["error"]["code"] == "host_not_allowed", host
            assert "'hosts'" in body["error"]["message"]
            assert node.ask("GET", "/health", headers=origin)[0] == 403
        evil = b"Host: evil.example\r\n"
        body = node.ask("POST", "/v1/messages", body={}, headers={"Host": "evil.example"})[2]
        assert body["type"] == "error" and body["error"]["type"] == "permission_error"
        (seen, _, _), = split(say(node, POST.replace(HOST, evil) + b"Content-Length: 1000000\r\n\r\n"))
        assert seen == 403                                  # before its body is read
        assert b" 200 OK\r\n" in say(node, b"GET /health HTTP/1.0\r\n\r\n")        # as no browser asks
        node.config.write_text("auth: { required: true }")
        wait_until(lambda: node.ask("GET", "/v1/models")[0] == 401, 20, "keys are needed")
        key = node.key("good")
        assert node.ask("GET", "/v1/models", key, headers={"Host": "evil.example"})[0] == 200


def test_the_access_log_tells_no_content(node):
    canary = "canary-7f3a"
    begun = len(node.log())
    body = {**CHAT, "messages": [{"role": "user", "content": canary}], "max_tokens": 3}
    seen, _, _ = node.ask("POST", f"/v1/chat/completions?{canary}", node.good, body,
                          {"x-request-id": "mine-1"})
    assert seen == 200
    node.ask("GET", f"/{canary}", node.good, headers={"x-request-id": "mine-2"})
    node.ask("GET", "/v1/models", canary, headers={"x-request-id": "mine-3"})
    say(node, b"GET /health HTTP/9.9\r\nHost: x\r\nx-request-id: mine-4\r\n\r\n")
    log = node.log()[begun:]
    lines = [next(line for line in log.splitlines() if f"request_id=mine-{i} " in line and "component=access" in line)
             for i in range(1, 4)]
    assert " method=POST route=/chat/completions status=200 " in lines[0] and "completion_tokens=3 " in lines[0]
    assert " by=key:good" in lines[0] and "method=GET route=- status=404" in lines[1]
    assert "method=GET route=/models status=401" in lines[2]
    assert canary not in log and node.good not in node.log()
    assert any(" status=505 " in line for line in log.splitlines())
