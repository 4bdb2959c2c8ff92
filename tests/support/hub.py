# SPDX-License-Identifier: Apache-2.0
"""tests/support/hub.py - a hub on loopback that behaves as huggingface.co, misbehaves and breaks off.

    with Hub(content) as hub:
        subprocess.run([POMONA, "pull", hub.NAME], env={"HF_ENDPOINT": hub.url})

What it does is set by the test; what it was asked is in `asked`: (path, Range, If-Range).
"""
import hashlib
import http.server
import json
import re
import threading
import time

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.ThreadingHTTPServer):
    REPOSITORY = "me/tiny-GGUF"
    NAME = f"{REPOSITORY}:Tiny.Q4_1.gguf"
    CUT = 30_000_000
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.size = content, len(content)
        self.sha256, self.tag = hashlib.sha256(content).hexdigest(), '"v1"'
        self.cuts = 0              # answers that end after CUT bytes
        self.stops = False         # ... or stop there and say nothing more
        self.has_ranges = True
        self.redirect = True       # as the hub does, to where the bytes are
        self.status = None         # instead of an answer
        self.waits = []            # Retry-After of the next answers, with a status of 429
        self.expires = 0           # so many answers of where the bytes are, then a 403
        self.pause = 0             # seconds before the bytes of each answer
        self.siblings = ["README.md", "Tiny.Q4_1.gguf", "Tiny.Q8_0.gguf"]
        self.revisions = ["main"]
        self.asked, self.tokens, self.given = [], [], 0
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stops = False
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, *_):
        """Who asked may be killed by the test."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def file(self, revision="main"):
        return f"/{self.REPOSITORY}/resolve/{revision}/Tiny.Q4_1.gguf"

    def count(self, name):
        """Take one off the number called `name`; whether there was one."""
        with self.lock:
            left = getattr(self, name)
            setattr(self, name, max(left - 1, 0))
            return left > 0


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
        with hub.lock:
            hub.asked.append((self.path, self.headers["Range"], self.headers["If-Range"]))
            hub.tokens.append(self.headers["Authorization"])
            wait = hub.waits.pop(0) if hub.waits else None
        files = [hub.file(revision) for revision in hub.revisions]
        if wait is not None:
            self.reply(429, Retry_After=str(wait))
        elif hub.status:
            self.reply(hub.status)
        elif self.path.startswith(f"/api/models/{hub.REPOSITORY}"):
            self.reply(200, json.dumps({"siblings": [{"rfilename": f} for f in hub.siblings]}).encode())
        elif self.path in files and hub.redirect:
            self.reply(302, Location="/cdn/blob?key=secret", X_Linked_ETag=f'"{hub.sha256}"',
                       X_Linked_Size=str(hub.size), X_Repo_Commit=COMMIT)
        elif self.path.startswith("/cdn/blob") and hub.expires and hub.count("expires"):
            self.reply(403)
        elif self.path in files or self.path.startswith("/cdn/blob"):
            self.give()
        else:
            self.reply(404)

    def give(self):
        hub = self.server
        first, total = 0, len(hub.content)
        end = total
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        if wanted and hub.has_ranges and self.headers["If-Range"] in (None, hub.tag):
            first = int(wanted[1])
            end = min(int(wanted[2]) + 1, total) if wanted[2] else total
            if first >= total:
                return self.reply(416, Content_Range=f"bytes */{total}")
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{total}")
        else:
            self.send_response(200)
        self.send_header("ETag", hub.tag)
        self.send_header("Content-Length", end - first)
        self.end_headers()
        time.sleep(hub.pause)
        if hub.count("cuts"):
            self.wfile.write(hub.content[first:min(first + hub.CUT, (first + end) // 2 + 1)
                                         if wanted and wanted[2] else first + hub.CUT])
            self.wfile.flush()
            while hub.stops:
                time.sleep(0.05)
            self.close_connection = True
        else:
            with hub.lock:
                hub.given += end - first
            self.wfile.write(hub.content[first:end])
