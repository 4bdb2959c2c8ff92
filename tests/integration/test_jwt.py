# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_jwt.py - signed tokens: good ones of each algorithm, and every way to forge one.

Tokens are made by PyJWT and cryptography, or by hand where those refuse to make them.
"""
import base64
import hashlib
import hmac
import http.server
import json
import threading
import time

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from support.cluster import MODEL, wait_until
from support.guarded import Guarded

ISSUER, SECRET_ISSUER, URL_ISSUER = "https://issuer.test/", "https://secret.test/", "https://url.test/"
AUDIENCE = "pomona"
SECRET = b"0123456789abcdef0123456789abcdef-secret"


def b64(data):
    if not isinstance(data, bytes):
        data = json.dumps(data).encode() if not isinstance(data, str) else data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk(key, kid, **more):
    public = key.public_key()
    kinds = {rsa.RSAPublicKey: jwt.algorithms.RSAAlgorithm, ec.EllipticCurvePublicKey: jwt.algorithms.ECAlgorithm,
             ed25519.Ed25519PublicKey: jwt.algorithms.OKPAlgorithm}
    kind = next(v for k, v in kinds.items() if isinstance(public, k))
    return {**json.loads(kind.to_jwk(public)), "kid": kid, **more} | ({} if "key_ops" in more else {"use": "sig"} | more)


def without(entry, *names):
    return {k: v for k, v in entry.items() if k not in names}


RSA, RSA2, WEAK = (rsa.generate_private_key(65537, n) for n in (2048, 2048, 1024))
EC, EC2, P384 = (ec.generate_private_key(c) for c in (ec.SECP256R1(), ec.SECP256R1(), ec.SECP384R1()))
ED, ED2 = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()

KEYS = {"keys": [without(jwk(RSA, "rsa"), "key_ops"), without(jwk(EC, "ec"), "key_ops"),
                 without(jwk(ED, "ed"), "key_ops"), without(jwk(WEAK, "weak"), "key_ops"),
                 without(jwk(RSA2, "enc"), "key_ops") | {"use": "enc"},
                 without(jwk(EC2, "only-sign"), "use") | {"key_ops": ["sign"]},
                 without(jwk(P384, "p384"), "key_ops"),
                 without(jwk(ED2, "ps-only"), "key_ops") | {"alg": "PS256"},
                 {"kty": "oct", "kid": "oct", "k": b64(SECRET)},
                 {"kty": "strange", "kid": "strange"}]}


def claims(**more):
    now = int(time.time())
    made = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 600,
            "scope": "chat models", **more}
    return {k: v for k, v in made.items() if v is not None}


def sign(key, algorithm, kid=None, headers=None, **more):
    return jwt.encode(claims(**more), key, algorithm, headers={**({"kid": kid} if kid else {}), **(headers or {})})


def by_hand(header, payload, key=RSA):
    """Signed by RS256, whatever the header says."""
    signed = f"{header if isinstance(header, str) else b64(header)}.{payload if isinstance(payload, str) else b64(payload)}"
    return f"{signed}.{b64(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def hs256(header, payload, secret):
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def pem(key, form):
    return key.public_key().public_bytes(form, serialization.PublicFormat.SubjectPublicKeyInfo)


def settings(folder, url=None):
    (folder / "keys.json").write_text(json.dumps(KEYS))
    (folder / "secret").write_bytes(SECRET + b"\n")
    issuers = [{"issuer": ISSUER, "audiences": [AUDIENCE, "second"], "jwks_file": str(folder / "keys.json"),
                "algorithms": ["RS256", "PS256", "ES256", "EdDSA"]},
               {"issuer": SECRET_ISSUER, "audiences": [AUDIENCE], "secret_file": str(folder / "secret")}]
    if url:
        issuers.append({"issuer": URL_ISSUER, "audiences": [AUDIENCE], "jwks_url": url})
    return json.dumps({"auth": {"required": True, "issuers": issuers}})


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jwt")
    with Guarded(folder, settings(folder)) as guarded:
        yield guarded


GOOD = {
    "RS256": lambda: sign(RSA, "RS256", "rsa"),
    "PS256": lambda: sign(RSA, "PS256", "rsa"),
    "ES256": lambda: sign(EC, "ES256", "ec"),
    "EdDSA": lambda: sign(ED, "EdDSA", "ed"),
    "HS256": lambda: sign(SECRET, "HS256", iss=SECRET_ISSUER),
    "no kid, one key of that kind": lambda: sign(ED, "EdDSA"),
    "a list of audiences": lambda: sign(RSA, "RS256", "rsa", aud=["other", "second"]),
    "dates with fractions": lambda: sign(RSA, "RS256", "rsa", exp=time.time() + 60.5),
    "expired within the leeway": lambda: sign(RSA, "RS256", "rsa", exp=int(time.time()) - 10),
    "an access token": lambda: sign(RSA, "RS256", "rsa", headers={"typ": "at+jwt"}),
    "scopes in a list": lambda: sign(RSA, "RS256", "rsa", scope=["llm:models", "llm:chat"]),
    "no iat": lambda: sign(RSA, "RS256", "rsa", iat=None),
    "a model of all": lambda: sign(RSA, "RS256", "rsa", models=["*"]),
    "a jku that is not looked at": lambda: sign(RSA, "RS256", "rsa", headers={"jku": "http://127.0.0.1:1/"}),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_token_passes(node, name):
    status, _, body = node.ask("GET", "/v1/models", GOOD[name]())
    assert status == 200, body


def flip(token, part):
    """One bit of a part changed."""
    parts = token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
    raw[len(raw) // 2] ^= 1
    parts[part] = b64(bytes(raw))
    return ".".join(parts)


def es256_raw(signature):
    token = sign(EC, "ES256", "ec").rsplit(".", 1)[0]
    return f"{token}.{b64(signature)}"


RS = {"alg": "RS256", "kid": "rsa"}
N256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
NOW = int(time.time())

BAD = {
    "no signature": lambda: sign(RSA, "RS256", "rsa").rsplit(".", 1)[0] + ".",
    "two parts": lambda: sign(RSA, "RS256", "rsa").rsplit(".", 1)[0],
    "four parts": lambda: sign(RSA, "RS256", "rsa") + ".x",
    "five parts, as JWE": lambda: "a.b.c.d.e",
    "only dots": lambda: "..",
    "an empty payload": lambda: f"{b64(RS)}..{b64(b'x' * 256)}",
    "none": lambda: f"{b64({'alg': 'none'})}.{b64(claims())}.",
    "none with a signature": lambda: f"{b64({'alg': 'none'})}.{b64(claims())}.{b64(b'x')}",
    "None": lambda: f"{b64({'alg': 'None'})}.{b64(claims())}.{b64(b'x')}",
    "nOnE": lambda: f"{b64({'alg': 'nOnE'})}.{b64(claims())}.",
    "NONE, signed": lambda: by_hand({"alg": "NONE", "kid": "rsa"}, claims()),
    "no alg": lambda: by_hand({"kid": "rsa"}, claims()),
    "alg is null": lambda: by_hand({"alg": None, "kid": "rsa"}, claims()),
    "alg is a list": lambda: by_hand({"alg": ["RS256"], "kid": "rsa"}, claims()),
    "alg in lower case": lambda: by_hand({"alg": "rs256", "kid": "rsa"}, claims()),
    "alg with a space": lambda: by_hand({"alg": "RS256 ", "kid": "rsa"}, claims()),
    "RS512": lambda: sign(RSA, "RS512", "rsa"),
    "RS384": lambda: sign(RSA, "RS384", "rsa"),
    "ES384": lambda: sign(P384, "ES384", "p384"),
    "HS512": lambda: sign(SECRET * 2, "HS512", iss=SECRET_ISSUER),
    "HS256 with the PEM of the RSA key": lambda: hs256({"alg": "HS256", "kid": "rsa"}, claims(), pem(RSA, serialization.Encoding.PEM)),
    "HS256 with the DER of the RSA key": lambda: hs256({"alg": "HS256", "kid": "rsa"}, claims(), pem(RSA, serialization.Encoding.DER)),
    "HS256 with the modulus": lambda: hs256({"alg": "HS256", "kid": "rsa"}, claims(), RSA.public_key().public_numbers().n.to_bytes(256, "big")),
    "HS256 with the key set's oct key": lambda: hs256({"alg": "HS256", "kid": "oct"}, claims(), SECRET),
    "HS256 with an empty secret": lambda: hs256({"alg": "HS256"}, claims(iss=SECRET_ISSUER), b""),
    "HS256 with another secret": lambda: hs256({"alg": "HS256"}, claims(iss=SECRET_ISSUER), SECRET + b"\n"),
    "RS256 at the issuer of the secret": lambda: sign(RSA, "RS256", "rsa", iss=SECRET_ISSUER),
    "RS256 said to be PS256": lambda: by_hand({"alg": "PS256", "kid": "rsa"}, claims()),
    "RS256 said to be ES256": lambda: by_hand({"alg": "ES256", "kid": "ec"}, claims()),
    "RS256 said to be EdDSA": lambda: by_hand({"alg": "EdDSA", "kid": "ed"}, claims()),
    "another RSA key": lambda: sign(RSA2, "RS256", "rsa"),
    "another EC key": lambda: sign(EC2, "ES256", "ec"),
    "another Ed25519 key": lambda: sign(ED2, "EdDSA", "ed"),
    "a key of 1024 bits": lambda: by_hand({"alg": "RS256", "kid": "weak"}, claims(), WEAK),
    "a key for encryption": lambda: sign(RSA2, "RS256", "enc"),
    "a key that may only sign": lambda: sign(EC2, "ES256", "only-sign"),
    "a key of another alg": lambda: sign(ED2, "EdDSA", "ps-only"),
    "an unknown kid": lambda: sign(RSA, "RS256", "gone"),
    "the kid of another key": lambda: sign(RSA, "RS256", "ec"),
    "an empty kid": lambda: by_hand({"alg": "RS256", "kid": ""}, claims()),
    "a kid that is a path": lambda: sign(RSA2, "RS256", "../../../../dev/null"),
    "a kid that is SQL": lambda: sign(RSA2, "RS256", "' UNION SELECT 'x"),
    "a kid that is a number": lambda: by_hand({"alg": "RS256", "kid": 1}, claims()),
    "a long kid": lambda: sign(RSA, "RS256", "k" * 200),
    "a key inside the header": lambda: sign(RSA2, "RS256", headers={"jwk": json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA2.public_key()))}),
    "crit": lambda: sign(RSA, "RS256", "rsa", headers={"crit": ["exp"]}),
    "b64 false": lambda: by_hand({**RS, "b64": False}, claims()),
    "enc": lambda: by_hand({**RS, "enc": "A256GCM"}, claims()),
    "another type": lambda: sign(RSA, "RS256", "rsa", headers={"typ": "logout+jwt"}),
    "alg twice": lambda: by_hand(b64('{"alg":"none","alg":"RS256","kid":"rsa"}'), claims()),
    "alg twice, escaped": lambda: by_hand(b64('{"alg":"RS256","\\u0061lg":"RS256","kid":"rsa"}'), claims()),
    "exp twice": lambda: by_hand(RS, b64(json.dumps(claims())[:-1] + f',"exp":{NOW + 900}}}')),
    "iss twice": lambda: by_hand(RS, b64('{"iss":"https://evil/",' + json.dumps(claims())[1:])),
    "a header that is a list": lambda: by_hand(b64("[]"), claims()),
    "a payload that is text": lambda: by_hand(RS, b64('"claims"')),
    "a payload that is a list": lambda: by_hand(RS, b64("[]")),
    "a payload that is no JSON": lambda: by_hand(RS, b64("{")),
    "something after the payload": lambda: by_hand(RS, b64(json.dumps(claims()) + "{}")),
    "a payload that is not UTF-8": lambda: by_hand(RS, b64(json.dumps(claims())[:-1].encode() + b',"x":"\xff"}')),
    "a NUL in the subject": lambda: by_hand(RS, b64(json.dumps(claims(sub="a\0b")))),
    "a deep payload": lambda: by_hand(RS, b64(json.dumps(claims())[:-1] + ',"x":' + "[" * 50 + "]" * 50 + "}")),
    "a large payload": lambda: by_hand(RS, claims(x="x" * 7000)),
    "a large header": lambda: by_hand({**RS, "x": "x" * 2000}, claims()),
    "padding": lambda: by_hand(b64(RS) + "=", claims()),
    "the other alphabet": lambda: by_hand(base64.b64encode(json.dumps({**RS, "x": "???>>>"}).encode()).decode().rstrip("="), claims()),
    "a space inside": lambda: sign(RSA, "RS256", "rsa").replace(".", ". ", 1),
    "bits beyond the end": lambda: (lambda t: t[:-1] + chr(ord(t[-1]) + 1))(next(t for t in (sign(ED, "EdDSA", "ed", jti=str(i)) for i in range(99)) if t[-1] in "AQgw")),
    "a signature of 2 KB": lambda: sign(RSA, "RS256", "rsa") + "A" * 2000,
    "a bit of the header changed": lambda: flip(sign(RSA, "RS256", "rsa"), 0),
    "a bit of the payload changed": lambda: flip(sign(RSA, "RS256", "rsa"), 1),
    "a bit of the signature changed": lambda: flip(sign(RSA, "RS256", "rsa"), 2),
    "a bit of the EC signature changed": lambda: flip(sign(EC, "ES256", "ec"), 2),
    "a bit of the Ed25519 signature changed": lambda: flip(sign(ED, "EdDSA", "ed"), 2),
    "a bit of the HMAC changed": lambda: flip(sign(SECRET, "HS256", iss=SECRET_ISSUER), 2),
    "r and s are 0": lambda: es256_raw(bytes(64)),
    "s is 0": lambda: es256_raw(bytes(31) + b"\1" + bytes(32)),
    "r is n": lambda: es256_raw(N256.to_bytes(32, "big") + bytes(31) + b"\1"),
    "r and s are all ones": lambda: es256_raw(b"\xff" * 64),
    "a short EC signature": lambda: es256_raw(b"\1" * 63),
    "a long EC signature": lambda: es256_raw(b"\1" * 65),
    "an EC signature in DER": lambda: (lambda h: f"{h}.{b64(EC.sign(h.encode(), ec.ECDSA(hashes.SHA256())))}")(sign(EC, "ES256", "ec").rsplit(".", 1)[0]),
    "no iss": lambda: sign(RSA, "RS256", "rsa", iss=None),
    "another iss": lambda: sign(RSA, "RS256", "rsa", iss="https://evil.test/"),
    "iss without its slash": lambda: sign(RSA, "RS256", "rsa", iss=ISSUER[:-1]),
    "iss in a list": lambda: by_hand(RS, claims(iss=[ISSUER])),
    "no aud": lambda: sign(RSA, "RS256", "rsa", aud=None),
    "another aud": lambda: sign(RSA, "RS256", "rsa", aud="other"),
    "an empty list of aud": lambda: sign(RSA, "RS256", "rsa", aud=[]),
    "aud begins like ours": lambda: sign(RSA, "RS256", "rsa", aud=AUDIENCE + "x"),
    "aud of the other issuer": lambda: sign(SECRET, "HS256", iss=SECRET_ISSUER, aud="second"),
    "aud with a number": lambda: by_hand(RS, claims(aud=[AUDIENCE, 1])),
    "no exp": lambda: sign(RSA, "RS256", "rsa", exp=None),
    "exp is text": lambda: by_hand(RS, claims(exp=str(NOW + 600))),
    "exp is negative": lambda: by_hand(RS, claims(exp=-1)),
    "exp is true": lambda: by_hand(RS, claims(exp=True)),
    "exp is beyond 2^53": lambda: by_hand(RS, claims(exp=2**60)),
    "exp is 1e300": lambda: by_hand(RS, claims(exp=1e300)),
    "exp is NaN": lambda: by_hand(RS, b64(json.dumps(claims()).replace(str(claims()["exp"]), "NaN"))),
    "a life of years": lambda: sign(RSA, "RS256", "rsa", exp=NOW + 10**8),
    "a life of years without iat": lambda: sign(RSA, "RS256", "rsa", exp=NOW + 10**8, iat=None),
    "not yet": lambda: sign(RSA, "RS256", "rsa", nbf=NOW + 600),
    "made in the future": lambda: sign(RSA, "RS256", "rsa", iat=NOW + 600, exp=NOW + 700),
    "models is text": lambda: by_hand(RS, claims(models="*")),
    "tenant is a number": lambda: by_hand(RS, claims(tenant=1)),
    "a long subject": lambda: sign(RSA, "RS256", "rsa", sub="s" * 500),
    "more than 8 KiB": lambda: "a" * 9000 + ".b.c",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_refused(node, name):
    token = BAD[name]()
    status, headers, body = node.ask("GET", "/v1/models", token)
    assert status == 401, (name, body)
    assert body["error"]["code"] == "invalid_api_key" and "WWW-Authenticate" in headers
    assert node.ask("GET", "/livez")[0] == 200


def test_the_table_is_large_enough():
    assert len(BAD) >= 60


def test_an_expired_token_is_told_so(node):
    status, _, body = node.ask("GET", "/v1/models", sign(RSA, "RS256", "rsa", iat=NOW - 900, exp=NOW - 60))
    assert status == 401 and body["error"]["code"] == "token_expired"


def test_an_expired_forgery_is_told_nothing(node):
    status, _, body = node.ask("GET", "/v1/models", sign(RSA2, "RS256", "rsa", iat=NOW - 900, exp=NOW - 60))
    assert status == 401 and body["error"]["code"] == "invalid_api_key"


def test_claims_say_what_it_may(node):
    chat = {"model": MODEL, "prompt": "a", "max_tokens": 1}
    reader = sign(RSA, "RS256", "rsa", scope="models openid")
    assert node.ask("GET", "/v1/models", reader)[0] == 200
    assert node.ask("POST", "/v1/completions", reader, chat)[0] == 403
    assert node.ask("GET", "/cluster/state", sign(RSA, "RS256", "rsa"))[0] == 403
    assert node.ask("GET", "/cluster/state", sign(RSA, "RS256", "rsa", scope="admin"))[0] == 200
    assert node.ask("GET", "/v1/models", sign(RSA, "RS256", "rsa", scope=None))[0] == 403
    narrow = sign(RSA, "RS256", "rsa", models=["another"])
    status, _, body = node.ask("POST", "/v1/completions", narrow, chat)
    assert status == 403 and body["error"]["code"] == "model_not_allowed"


def test_no_token_is_in_the_log(node):
    token = GOOD["RS256"]()
    node.ask("GET", "/v1/models", token)
    assert token.rsplit(".", 1)[1][:40] not in node.log()


class KeyServer:
    """Gives the keys of `names`, as an issuer would."""
    def __init__(self):
        self.keys, self.n_asked = {}, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.n_asked += 1
                body = json.dumps({"keys": [jwk(k, n) for n, k in outer.keys.items()]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_keys_rotate_without_a_failed_request_and_floods_cost_one_fetch(tmp_path):
    issuer = KeyServer()
    issuer.keys = {"old": ED}
    with Guarded(tmp_path, settings(tmp_path, issuer.url)) as node:
        old = sign(ED, "EdDSA", "old", iss=URL_ISSUER)
        wait_until(lambda: node.ask("GET", "/v1/models", old)[0] == 200, 10, "keys are fetched")
        issuer.keys = {"old": ED, "new": ED2}    # the issuer signs with the new one at once
        statuses, lock = [], threading.Lock()

        def ask(key, kid):
            for _ in range(10):
                status = node.ask("GET", "/v1/models", sign(key, "EdDSA", kid, iss=URL_ISSUER))[0]
                with lock:
                    statuses.append(status)

        askers = [threading.Thread(target=ask, args=a) for a in [(ED, "old"), (ED2, "new")] * 4]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        assert statuses == [200] * 80
        n_before = issuer.n_asked
        for i in range(50):
            assert node.ask("GET", "/v1/models", sign(ED2, "EdDSA", f"x{i}", iss=URL_ISSUER))[0] == 401
        assert issuer.n_asked - n_before <= 1
        issuer.server.shutdown()


def test_a_key_file_rotates_too(tmp_path):
    with Guarded(tmp_path, settings(tmp_path)) as node:
        token = sign(ED2, "EdDSA", "next")
        assert node.ask("GET", "/v1/models", token)[0] == 401
        (tmp_path / "keys.json").write_text(json.dumps({"keys": [*KEYS["keys"], jwk(ED2, "next")]}))
        wait_until(lambda: node.ask("GET", "/v1/models", token)[0] == 200, 5, "the new key is read")
        (tmp_path / "keys.json").write_text("{")
        wait_until(lambda: "keys.json" in node.log(), 5, "the mistake is told")
        assert node.ask("GET", "/v1/models", token)[0] == 200
