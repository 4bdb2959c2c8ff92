#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/gateway.py - what the gateway adds to an upstream: time, memory, and how much it passes on.

    POMONA=build/release/pomona POMONA_BUILD=build/release PYTHONPATH=tests \\
        bench/gateway.py [--litellm DIR/bin/litellm] [--streams 2000] [--seconds 20]

The server is tests/support/stream_double, which computes nothing; nginx (in the path) and LiteLLM's proxy pass on
the same requests in the same run. All share this machine's cores with the clients.
"""
import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("POMONA_TEST_MODEL", "none.gguf")
NGINX_PROGRAM = shutil.which("nginx")

from support.cluster import free_ports, resident_bytes            # noqa: E402
from support.load import Served, allow_files, double, gateway, load  # noqa: E402

NGINX = """
worker_processes auto; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 8192; }}
http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream up {{ server 127.0.0.1:{up}; keepalive 512; }}
  server {{ listen 127.0.0.1:{port} reuseport; keepalive_requests 100000000;
    location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";
                  proxy_buffering off; }} }} }}
"""


def nginx(folder, up):
    port = free_ports(1)[0]
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, up=up.port, port=port))
    return Served([NGINX_PROGRAM, "-c", str(config)], port, folder / "nginx.log")


def litellm(program, folder, up):
    port = free_ports(1)[0]
    config = folder / "litellm.yaml"
    config.write_text(json.dumps({"model_list": [{"model_name": "m", "litellm_params": {
        "model": "openai/m", "api_base": f"http://127.0.0.1:{up.port}/v1", "api_key": "x"}}]}))
    return Served([program, "--config", str(config), "--port", str(port), "--host", "127.0.0.1"],
                  port, folder / "litellm.log", seconds=120)


def throughput(options, folder, up, gate):
    """Short answers, 32 clients; in turns, the best of each."""
    who = {"direct": up.port, "pomona": gate.port}
    with nginx(folder, up) as proxy:
        who["nginx"] = proxy.port
        rates, first = {}, {}
        for _ in range(2):
            for name, port in who.items():
                run = load(port, 32, 0, options.short)
                assert run["errors"] == 0, (name, run)
                rates[name] = max(rates.get(name, 0), run["done"] / run["seconds"])
        for name, port in who.items():
            first[name] = load(port, 1, 0, options.short)["first_ms"]["p50"]
    if options.litellm:
        with litellm(options.litellm, folder, up) as proxy:
            load(proxy.port, 4, 0, 1)
            run = load(proxy.port, 32, 0, options.short)
            rates["litellm"] = run["done"] / run["seconds"] if run["errors"] == 0 else 0
            first["litellm"] = load(proxy.port, 1, 0, options.short)["first_ms"]["p50"]
    return rates, first


def highest_rate(folder):
    """Tokens a second through one loop, where the last percent is less than 100 ms late."""
    best = 0
    for per_s in (80, 120, 160, 200, 240):
        with double(folder, per_s) as up, gateway(folder, up) as gate:
            run = load(gate.port, 500, per_s * 4, 0.1)
        rate = run["late_ms"]["n"] / run["seconds"]
        if run["errors"] or run["late_ms"]["p99"] > 100:
            break
        best = max(best, rate)
    return best


def show_short(rates, first):
    print("| requests/s, 32 clients | " + " | ".join(f"{k} {v:.0f}" for k, v in rates.items()))
    print("| first byte, p50, ms | " + " | ".join(f"{k} {v:.3f}" for k, v in first.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--litellm", help="its program; else it is left out")
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rate-only", action="store_true", help="the highest rate alone")
    parser.add_argument("--short-only", action="store_true", help="the short answers alone")
    parser.add_argument("--short", type=float, default=3, help="seconds of a run of short answers")
    options = parser.parse_args()
    if not NGINX_PROGRAM:
        sys.exit("bench/gateway.py: nginx is not in the path; install it (Debian: apt-get install nginx-light).")
    allow_files()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if options.rate_only:
            print(f"| highest rate of one loop, tokens/s | {highest_rate(folder):.0f}")
            return
        if options.short_only:
            with double(folder, 10) as up, gateway(folder, up) as gate:
                show_short(*throughput(options, folder, up, gate))
            return
        with double(folder, 10) as up, gateway(folder, up) as gate:
            idle = resident_bytes(gate.process.pid)
            rates, first = throughput(options, folder, up, gate)
            direct = load(up.port, options.streams, 100, 4)
            through = load(gate.port, options.streams, 10 * options.seconds, 4,
                           memory_of=gate.process.pid)
        rate = highest_rate(folder)
    show_short(rates, first)
    print(f"| {options.streams} streams, errors | {through['errors']}, of {through['late_ms']['n']} tokens")
    print(f"| token late, p50 / p99, ms | direct {direct['late_ms']['p50']:.2f} / "
          f"{direct['late_ms']['p99']:.2f} | through {through['late_ms']['p50']:.2f} / "
          f"{through['late_ms']['p99']:.2f}")
    print(f"| memory a stream, KiB | {(through['peak_bytes'] - idle) / options.streams / 1024:.1f}")
    print(f"| highest rate of one loop, tokens/s | {rate:.0f}")


if __name__ == "__main__":
    sys.exit(main())
