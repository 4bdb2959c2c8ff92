# SPDX-License-Identifier: Apache-2.0
"""tests/support/upstream.py - a server of OpenAI's API that does what a test says, for tests of upstreams.

    with Upstream() as up:
        up.then(status=503, headers={"Retry-After": "2"})   # once; afterwards as usual
        up.requests[0]["body"]

It notes what it was sent. A stream is `up.events`, `up.pause` seconds apart.
"""
import http.server
import json
import socket
import threading
import time


class Upstream:
    def __init__(self, port=0):
        self.requests = []           # of generation: {"path", "headers", "body", "raw"}
        self.probes = 0
        self.is_well = True
        self.events = [chunk(f"w{i} ") for i in range(5)] + ["data: [DONE]\n\n"]
        self.pause = 0.0
        self.n_left = 0              # clients that went away
        self.plans = []
        self.lock = threading.Lock()
        self.port = port

    def then(self, **plan):
        """What happens to the next request: status, headers, body; refuse; cut_after=N events; events."""
        self.plans.append(plan)

    def __enter__(self):
        up = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                up.probes += 1
                self.answer(200 if up.is_well else 500, b'{"object":"list","data":[]}')

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                with up.lock:
                    up.requests.append({"path": self.path, "headers": dict(self.headers), "raw": raw,
                                        "body": json.loads(raw)})
                    plan = up.plans.pop(0) if up.plans else {}
                if plan.get("refuse"):
                    self.cut()
                elif "status" in plan:
                    self.answer(plan["status"], plan.get("body", b'{"error":{"message":"no"}}'),
                                plan.get("headers", {}))
                elif json.loads(raw).get("stream"):
                    self.stream(plan)
                else:
                    self.answer(200, plan.get("body", b'{"id":"x","choices":[]}'))

            def answer(self, status, body, headers=()):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                for name in headers:
                    self.send_header(name, headers[name])
                self.end_headers()
                self.wfile.write(body)

            def cut(self):
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                self.connection.shutdown(socket.SHUT_RDWR)

            def stream(self, plan):
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    for i, event in enumerate(plan.get("events", up.events)):
                        if i == plan.get("cut_after"):
                            self.wfile.write(b"20\r\ndata: {\"hal")      # in the middle of an event
                            self.wfile.flush()
                            time.sleep(0.05)
                            self.cut()
                            return
                        data = event.encode()
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                        self.wfile.flush()
                        time.sleep(up.pause)
                    self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    up.n_left += 1
                    self.close_connection = True

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def chunk(text):
    """One event of a chat's stream, with a field that no gateway knows."""
    return "data: " + json.dumps({"id": "u", "object": "chat.completion.chunk", "x_own": 1.10,
                                  "choices": [{"index": 0, "delta": {"content": text}}]}) + "\n\n"
