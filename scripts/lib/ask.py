# SPDX-License-Identifier: Apache-2.0
"""scripts/lib/ask.py - stream one chat completion and say how fast it came.

    python3 ask.py URL MODEL PROMPT

Standard library only, so that it runs wherever Python does.  The answer is
printed as it arrives; exit status 1 when there is none.
"""
import json
import sys
import time
import urllib.error
import urllib.request

DEADLINE_S = 120  # of silence


def fail(words):
    print(f"\nask.py: {words}", file=sys.stderr)
    sys.exit(1)


def request(url, model, prompt):
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": 96,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return urllib.request.Request(
        url + "/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )


def events(response):
    """Data of server-sent events, until [DONE]."""
    for line in response:
        if not line.startswith(b"data: "):
            continue
        data = line[len(b"data: "):].strip()
        if data == b"[DONE]":
            return
        yield json.loads(data)
    fail("the stream ended early")


def print_answer(response):
    """Print text as it comes; return the usage and when the first and the last text came."""
    usage, first, last = None, None, None
    for event in events(response):
        if "error" in event:
            fail(event["error"]["message"])
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            text = choice["delta"].get("content")
            if text:
                last = time.monotonic()
                first = first or last
                print(text, end="", flush=True)
    print()
    return usage, first, last


def main():
    url, model, prompt = sys.argv[1:]
    # A proxy of the environment is not for this machine's own address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    start = time.monotonic()
    try:
        with opener.open(request(url, model, prompt), timeout=DEADLINE_S) as response:
            usage, first, last = print_answer(response)
    except urllib.error.HTTPError as error:
        fail(json.load(error)["error"]["message"])
    except OSError as error:
        fail(f"{url}: {error}")
    if first is None or usage is None:
        fail("the answer has no text or no usage")
    tokens = usage["completion_tokens"]
    rate = (tokens - 1) / (last - first) if last > first else 0.0
    print(f"\nfirst token after {1000 * (first - start):.0f} ms, "
          f"then {rate:.1f} tokens/s ({tokens} tokens)")


if __name__ == "__main__":
    main()
