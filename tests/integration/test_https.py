# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_https.py - the API under TLS: clients, versions, certificates taken while it runs."""
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess

import openai
import httpx
import pytest
from cryptography import x509

from support.certificates import Authority
from support.cluster import MODEL, POMONA, wait_until
from support.guarded import Guarded
from support.monitoring import Monitor

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Count to ten."}]}


class Secured(Guarded):
    """A node under TLS with a certificate of `authority`."""

    def __init__(self, folder, more="", settings=""):
        self.authority = Authority(folder)
        self.certificate, self.private_key = folder / "api.pem", folder / "api.key"
        self.renew()
        super().__init__(folder, f"tls: {{ certificate: {self.certificate}, "
                                 f"private_key: {self.private_key}{more} }}\n{settings}",
                         context=ssl.create_default_context(cafile=self.authority.file))

    def renew(self, **options):
        """Other files in place of those there are; the serial number of the new certificate."""
        chain, key, serial = self.authority.issue("127.0.0.1", **options)
        for path, content in ((self.certificate, chain), (self.private_key, key)):
            new = path.with_suffix(".new")
            new.write_bytes(content)
            new.rename(path)
        return serial

    def shown(self):
        """Serial number of the certificate that a new connection is shown."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as s, \
                self.context.wrap_socket(s, server_hostname="127.0.0.1") as tls:
            return x509.load_der_x509_certificate(tls.getpeercert(True)).serial_number


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Secured(tmp_path_factory.mktemp("https")) as secured:
        yield secured


def test_a_client_library_streams_and_asks_again(node):
    client = openai.OpenAI(base_url=f"https://127.0.0.1:{node.port}/v1", api_key="none",
                           http_client=httpx.Client(verify=node.context))
    for _ in range(2):
        text = "".join(chunk.choices[0].delta.content or "" for chunk in
                       client.chat.completions.create(**CHAT, max_tokens=8, temperature=0,
                                                      stream=True) if chunk.choices)
        assert text
    assert client.models.list().data
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=MODEL, messages=[])


def test_curl_takes_it_for_what_it_is(node):
    url = f"https://127.0.0.1:{node.port}/v1/models"
    done = subprocess.run(["curl", "-sS", "--cacert", node.authority.file, url],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and json.loads(done.stdout)["data"], done.stderr
    assert subprocess.run(["curl", "-sS", url], capture_output=True, timeout=60).returncode == 60
    clear = subprocess.run(["curl", "-sS", url.replace("https", "http")], capture_output=True,
                           timeout=60)
    assert clear.returncode != 0


def test_the_command_line_trusts_who_it_is_told_to(node):
    command = [POMONA, "status", "--api", f"https://127.0.0.1:{node.port}"]
    done = subprocess.run(command, env={**os.environ, "POMONA_API_CA": str(node.authority.file)},
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "local" in done.stdout, done.stderr
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "POMONA_API_CA" in done.stderr, done.stderr


def test_old_versions_and_other_protocols_are_refused(node):
    for version, is_fine in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True),
                             (ssl.TLSVersion.TLSv1_1, False)):
        context = ssl.create_default_context(cafile=node.authority.file)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        connection = http.client.HTTPSConnection("127.0.0.1", node.port, timeout=60,
                                                 context=context)
        try:
            connection.request("GET", "/health")
            assert is_fine and connection.getresponse().status == 200
        except ssl.SSLError:
            assert not is_fine
        finally:
            connection.close()
    h2 = ssl.create_default_context(cafile=node.authority.file)
    h2.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", node.port), timeout=60) as s, \
            pytest.raises(ssl.SSLError):
        h2.wrap_socket(s, server_hostname="127.0.0.1")


def test_refusals_reach_the_client(node):
    status, headers, body = node.ask("GET", "/v1/models", headers={"Expect": "wonders"})
    assert status == 417 and "Expect" in body["error"]["message"] and headers["x-request-id"]


def test_a_new_certificate_is_for_new_connections(node):
    before = node.shown()
    stream = node.connection()
    stream.request("POST", "/v1/chat/completions",
                   json.dumps({**CHAT, "max_tokens": 300, "ignore_eos": True, "stream": True}),
                   {"Content-Type": "application/json"})
    response = stream.getresponse()
    assert response.status == 200 and response.readline()
    idle = node.connection()
    idle.request("GET", "/health")
    idle.getresponse().read()

    serial = node.renew()
    assert serial != before
    wait_until(lambda: node.shown() == serial, 10, "the new certificate is shown")
    serial = node.renew()
    node.node.process.send_signal(signal.SIGHUP)
    wait_until(lambda: node.shown() == serial, 10, "the next one, too")

    idle.request("GET", "/health")
    assert idle.getresponse().status == 200
    assert b"[DONE]" in response.read()
    idle.close()
    stream.close()


@pytest.mark.parametrize("name,spoil,words", [
    ("key of another", lambda n: n.private_key.write_bytes(n.authority.issue("x")[1]), "api.key"),
    ("no certificate", lambda n: n.certificate.write_text("nothing"), "no certificate in PEM"),
    ("expired", lambda n: n.renew(days=-1), "expired"),
    ("gone", lambda n: n.certificate.unlink(), "api.pem"),
], ids=lambda v: v if isinstance(v, str) and " " in v else "")
def test_a_wrong_certificate_is_refused_and_the_old_one_stays(node, name, spoil, words):
    serial = node.renew()
    wait_until(lambda: node.shown() == serial, 10, "a good certificate is shown")
    begun = len(node.log())
    spoil(node)
    wait_until(lambda: words in node.log()[begun:], 10, f"{name}: the log says so")
    assert "stay as they were" in node.log()[begun:]
    assert node.shown() == serial
    serial = node.renew()
    wait_until(lambda: node.shown() == serial, 10, "what is mended is taken")


def test_a_node_does_not_start_with_a_wrong_certificate(tmp_path):
    settings = tmp_path / "api_gateway.yaml"
    settings.write_text(f"tls: {{ certificate: {tmp_path}/none.pem, private_key: {tmp_path}/none }}\n")
    done = subprocess.run([POMONA, "serve", "--data", str(tmp_path), "--no-measure", "--listen",
                           "127.0.0.1:0", "--gateway-config", str(settings)],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "none.pem" in done.stderr, done.stderr


def test_the_oldest_version_is_a_setting(tmp_path):
    with Secured(tmp_path, ', min_version: "1.3"') as node:
        old = ssl.create_default_context(cafile=node.authority.file)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection(("127.0.0.1", node.port), timeout=60) as s, \
                pytest.raises(ssl.SSLError):
            old.wrap_socket(s, server_hostname="127.0.0.1")
        assert node.ask("GET", "/health")[0] == 200


def test_a_health_monitor_asks_with_its_key_and_trusts_whom_it_is_told_to_trust(tmp_path):
    settings = {"api_scheme": "https", "checks": [{"name": "node.up", "for_s": 0, "clear_s": 0}]}
    with Secured(tmp_path, settings="auth: { required: true }\n") as node:
        key = node.key("monitor", "--scopes", "chat,models,admin")
        assert node.ask("POST", "/v1/chat/completions", key, {**CHAT, "max_tokens": 1})[0] == 200    # the model is placed
        with Monitor(tmp_path / "watch", [("local", node.port)], settings,
                     environment={"POMONA_API_KEY": key}) as monitor:
            monitor.wait_state("node.up", "node/local", "critical")    # nobody of the system's signed that certificate
            monitor.settings["api_ca"] = str(node.authority.file)
            monitor.write_settings()
            monitor.process.send_signal(signal.SIGHUP)
            monitor.wait_state("node.up", "node/local", "ok")
            wait_until(lambda: {f["state"] for f in monitor.findings("canary.ok")} == {"ok"}, 60, "it is answered")
        assert key not in monitor.said()
