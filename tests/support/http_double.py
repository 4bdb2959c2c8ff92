# SPDX-License-Identifier: Apache-2.0
"""tests/support/http_double.py - an HTTP server of a test's own on loopback, while it is entered.

    class Ones(HttpDouble):
        def __init__(self):
            class Handler(Quiet):
                def do_GET(handler):
                    ...
            super().__init__(Handler)
"""
import http.server
import threading


class Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


class HttpDouble:
    def __init__(self, handler):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
