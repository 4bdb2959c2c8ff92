# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_cli.py - what the program promises on the command line.

Exit status 0 fine, 1 failed, 2 wrong use; results on standard output; an
error is one sentence on standard error that starts with the command's name.
"""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

POMONA = os.environ["POMONA"]
MODEL = os.environ["POMONA_TEST_MODEL"]
DEADLINE_S = 120
COMMANDS = re.findall(r"^  (\w+)  ", subprocess.run(
    [POMONA, "help"], capture_output=True, text=True, check=True).stdout, re.MULTILINE)


def pomona(*args, stdin="", **environment):
    return subprocess.run([POMONA, *map(str, args)], input=stdin, capture_output=True, text=True,
                          timeout=DEADLINE_S, env={**os.environ, **environment}, check=False)


def assert_fails(done, status, *words):
    """`done` failed with one sentence that holds all of `words`."""
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("pomona"), done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture(name="data")
def data_fixture(tmp_path):
    return tmp_path / "data"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_without_a_command_the_help_is_shown_as_wrong_use():
    done = pomona()
    assert done.returncode == 2 and "usage: pomona" in done.stderr and done.stdout == ""


def test_help_lists_every_command_of_the_product():
    assert set(COMMANDS) >= {"bench", "chat", "doctor", "drain", "help", "import", "models", "place", "plan",
                             "run", "status", "undrain", "unplace", "version"}


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "help"])
def test_every_command_explains_itself(command):
    for done in (pomona(command, "--help"), pomona("help", command)):
        assert done.returncode == 0 and done.stderr == ""
        assert done.stdout.startswith(f"usage: pomona {command} ")
        assert "--help" in done.stdout
        assert max(map(len, done.stdout.split("\n"))) <= 110


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "help"])
def test_every_command_refuses_what_it_does_not_know(command):
    assert_fails(pomona(command, "--no-such-option"), 2, command, "--no-such-option", "--help")


@pytest.mark.parametrize("args", [
    ("frobnicate",),
    ("run",),
    ("run", "model"),
    ("run", "model", "prompt", "more"),
    ("run", "model", "prompt", "--max-tokens", "0"),
    ("run", "model", "prompt", "--temperature", "2.1"),
    ("run", "model", "prompt", "--seed", "-1"),
    ("bench", "model", "--batch", "1,0"),
    ("bench", "model", "--threads", "0"),
    ("bench", "model", "--prompt", "1,x"),
    ("bench", "model", "--reps"),
    ("place", "model", "--split", "1;2"),
    ("place", "model", "--nodes", "a", "--split", "1,2"),
    ("plan", "model", "--context", "many"),
    ("version", "3"),
])
def test_wrong_use_has_status_2(args):
    assert_fails(pomona(*args), 2)


def test_version_is_one_line():
    done = pomona("version")
    assert done.returncode == 0
    assert re.fullmatch(r"pomona \d+\.\d+\.\d+\n", done.stdout)
    assert pomona("--version").stdout == done.stdout


def test_a_missing_model_is_named(data):
    assert_fails(pomona("run", "no-such-model", "x", "--data", data), 1, "no-such-model")


def test_a_file_that_is_no_model_is_refused(data, tmp_path):
    path = tmp_path / "noise.gguf"
    path.write_bytes(b"not a model" * 100)
    for args in (("run", path, "x"), ("import", path), ("bench", path)):
        assert_fails(pomona(*args, "--data", data), 1, "noise")
    assert pomona("models", "--data", data).stdout.startswith("no models")


def test_a_standard_output_that_is_full_is_a_failure():
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([POMONA, "help", "run"], stdout=full, stderr=subprocess.PIPE,
                              text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 1 and "standard output" in done.stderr


@pytest.mark.parametrize("how", [(), ("--link",)])
def test_an_imported_model_is_listed_and_runs_by_name(data, how):
    done = pomona("import", MODEL, "--name", "smollm2", "--data", data, *how)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "smollm2: llama, 30 layers, 98.4 MB\n"
    model = json.loads(pomona("models", "--json", POMONA_DATA=str(data)).stdout)
    assert (model["name"], model["architecture"], model["n_layer"]) == ("smollm2", "llama", 30)
    assert model["file_bytes"] == os.path.getsize(MODEL)
    assert "134.5M" in pomona("models", "--data", data).stdout
    done = pomona("run", "SmolLM2", "Hello", "--max-tokens", "4", "--data", data)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr
    panels = os.path.join(data, "models", "smollm2.gguf.panels")  # of a link, too, in the store
    assert sorted(os.listdir(panels)) == [f"layer-{n:03}" for n in range(30)] + ["output"]
    model = json.loads(pomona("models", "--json", "--data", data).stdout)
    assert model["panel_bytes"] > model["file_bytes"] / 2
    assert "may be deleted" in pomona("doctor", "--data", data).stdout
    os.unlink(os.path.join(data, "models", "smollm2.gguf"))
    assert panels in pomona("models", "--data", data).stderr


def test_weights_that_cannot_be_kept_are_packed_in_memory(data, tmp_path):
    model = tmp_path / "model.gguf"
    model.symlink_to(MODEL)
    assert pomona("import", model, "--link", "--data", data).returncode == 0
    (data / "models" / "model.gguf.panels").write_text("in the way")
    (tmp_path / "cache").write_text("in the way")
    args = ("run", "model", "Hello", "--raw", "--temperature", "0", "-n", "4", "--data", data)
    lost = pomona(*args, XDG_CACHE_HOME=str(tmp_path / "cache"), HOME=str(tmp_path / "cache"))
    assert lost.returncode == 0 and "repacked at every start" in lost.stderr
    kept = pomona(*args, XDG_CACHE_HOME=str(tmp_path / "other"))
    assert kept.stdout == lost.stdout and kept.stderr == ""
    assert len(list((tmp_path / "other").glob("pomona/panels/model.gguf-*/layer-*"))) == 30


def test_a_taken_name_is_not_given_twice(data, tmp_path):
    other = tmp_path / "other.gguf"
    other.write_bytes(open(MODEL, "rb").read() + b"\0" * 64)
    assert pomona("import", MODEL, "--name", "m", "--link", "--data", data).returncode == 0
    assert_fails(pomona("import", other, "--name", "m", "--link", "--data", data), 1, "m")


def test_the_same_seed_gives_the_same_answer():
    args = ("run", MODEL, "Name a fruit.", "--max-tokens", "24", "--temperature", "1")
    first, again, other = (pomona(*args, "--seed", seed) for seed in (7, 7, 8))
    assert first.returncode == 0, first.stderr
    assert first.stdout == again.stdout != other.stdout


def test_threads_do_not_change_the_answer():
    args = ("run", MODEL, "Name a fruit.", "--max-tokens", "24", "--temperature", "0")
    assert pomona(*args, "-t", 1).stdout == pomona(*args, "-t", 3).stdout != ""


def test_keys_and_values_in_8_bits_answer_too():
    args = ("run", MODEL, "Name a fruit.", "--max-tokens", "24", "--temperature", "0")
    done = pomona(*args, "--kv", "q8_0")
    assert done.returncode == 0 and done.stdout, done.stderr
    assert_fails(pomona(*args, "--kv", "q9"), 1, "q9", "f16", "q8_0")


def test_activations_of_8_bits_answer_too():
    args = ("run", MODEL, "Name a fruit.", "--max-tokens", "24", "--temperature", "0")
    done = pomona(*args, "--activations", 8)
    assert done.returncode == 0 and done.stdout, done.stderr
    assert pomona(*args, "--activations", 8, "-t", 1).stdout == done.stdout
    assert_fails(pomona(*args, "--activations", 12), 1, "12", "16", "8")


def test_guesses_change_no_answer():
    args = ("run", MODEL, "Repeat: one two three one two three one two three", "--max-tokens", "32",
            "--temperature", "0")
    plain = pomona(*args, "--no-spec")
    assert plain.returncode == 0 and plain.stdout, plain.stderr
    assert pomona(*args).stdout == plain.stdout
    assert pomona(*args, "--draft", MODEL).stdout == plain.stdout
    assert_fails(pomona(*args, "--draft", "nosuch"), 1, "draft", "nosuch")


def test_run_in_json_tells_the_answer_and_its_numbers():
    args = ("run", MODEL, "-", "--max-tokens", "8", "--temperature", "0")
    plain, done = pomona(*args, stdin="Hello"), pomona(*args, "--json", stdin="Hello")
    answer = json.loads(done.stdout)
    assert answer["text"] + "\n" == plain.stdout
    assert answer["completion_tokens"] <= 8 and answer["prompt_tokens"] > 8
    assert answer["finish_reason"] in ("stop", "length")
    assert answer["first_token_s"] > 0 and answer["tokens_per_s"] > 0
    assert isinstance(answer["seed"], int)


def test_raw_text_goes_without_the_template():
    args = ("run", MODEL, "Once upon a", "--max-tokens", "1", "--temperature", "0", "--json")
    raw, chat = (json.loads(pomona(*args, *extra).stdout) for extra in (("--raw",), ()))
    assert raw["prompt_tokens"] == 3 < chat["prompt_tokens"]
    assert raw["text"] == " time"


def test_the_system_prompt_reaches_the_model():
    args = ("run", MODEL, "Hi", "--max-tokens", "1", "--json")
    with_it, without = (json.loads(pomona(*args, *extra).stdout)
                        for extra in (("--system", "word " * 100), ()))
    assert with_it["prompt_tokens"] > 100 > without["prompt_tokens"]


def test_a_prompt_longer_than_the_context_is_refused():
    assert_fails(pomona("run", MODEL, "word " * 200, "--context", "64"), 1)


@pytest.mark.parametrize("prompt", [b"", b"a\0b", b"\xff\xfe"])
def test_a_prompt_that_is_no_text_is_refused(prompt):
    done = subprocess.run([POMONA, "run", MODEL, "-"], input=prompt, capture_output=True,
                          timeout=DEADLINE_S, check=False)
    assert done.returncode == 1 and done.stdout == b"" and b"prompt" in done.stderr


def test_bench_prints_one_object_for_each_test():
    done = pomona("bench", MODEL, "-t", 2, "-p", 16, "-n", 4, "-b", "1,2", "--reps", 2, "--json")
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["test"] for r in results] == ["pp16", "tg4", "tg4@b2"]
    for result in results:
        assert result["threads"] == 2 and result["tokens_per_s"] > 0 <= result["stddev"]
        for figure in ("median", "gb_per_s", "gops", "stream_gb_per_s", "peak_gops"):
            assert result[figure] > 0, (figure, result)
        assert result["stream_share"] == pytest.approx(
            result["gb_per_s"] / result["stream_gb_per_s"], rel=0.01)
    table = pomona("bench", MODEL, "-p", 0, "-n", 4, "--reps", 1).stdout
    assert "tg4" in table and "pp" not in table and "kernels" in table and "STREAM" in table


def test_bench_takes_lists():
    done = pomona("bench", MODEL, "-t", "1,2", "-p", "8,16", "-n", "2", "-r", 1, "--json")
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(r["test"], r["threads"]) for r in results] == [
        (test, threads) for threads in (1, 2) for test in ("pp8", "pp16", "tg2")]


@pytest.mark.parametrize("args", [("status",), ("place", "m"), ("unplace", "m"), ("plan", "m"), ("drain", "n"),
                                  ("undrain", "n")])
def test_where_no_node_answers_the_way_out_is_told(args):
    url = f"http://127.0.0.1:{free_port()}"
    assert_fails(pomona(*args, "--api", url), 1, "no node answers", url, "pomona serve")
    assert_fails(pomona(*args, POMONA_API=url), 1, url)
    assert_fails(pomona(*args, "--api", "nonsense"), 1, "http://")


def test_doctor_finds_this_machine_ready(data):
    done = pomona("doctor", "--data", data, "--api", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 0, done.stdout
    for name in ("processor", "memory", "data folder", "models", "ports", "node", "libraries"):
        assert re.search(rf"^(ok  |note)  {name} ", done.stdout, re.MULTILINE), done.stdout
    assert "engine cpu" in done.stdout and ", systemd" in done.stdout


def test_doctor_fails_where_the_data_folder_cannot_be():
    done = pomona("doctor", "--data", "/dev/null/pomona")
    assert done.returncode == 1 and "FAIL  data folder" in done.stdout


class Chat:
    """`pomona chat` with a pipe at either end."""

    def __init__(self, *args):
        self.process = subprocess.Popen([POMONA, "chat", MODEL, *args], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.timer = threading.Timer(DEADLINE_S, self.process.kill)
        self.timer.start()
        self.seen = b""

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def read_until(self, wanted):
        while wanted not in self.seen:
            byte = os.read(self.process.stdout.fileno(), 1)
            assert byte, (self.seen, self.process.stderr.read())
            self.seen += byte
        text, self.seen = self.seen, b""
        return text

    def end(self):
        out, err = self.process.communicate(timeout=DEADLINE_S)
        self.timer.cancel()
        assert err == b""
        return self.process.returncode, out


def test_chat_answers_until_end_of_input():
    chat = Chat("--max-tokens", "8", "--temperature", "0")
    chat.read_until(b"> ")
    chat.say("Hello")
    assert len(chat.read_until(b"\n> ")) > 4
    chat.say("/help")
    assert b"/clear" in chat.read_until(b"\n> ")
    chat.say("/nonsense")
    assert b"no such command" in chat.read_until(b"\n> ")
    chat.say("/clear")
    assert b"new conversation" in chat.read_until(b"\n> ")
    assert chat.end()[0] == 0


def test_interrupting_an_answer_keeps_the_chat():
    chat = Chat("--max-tokens", "2000", "--temperature", "1", "--context", "4096")
    chat.read_until(b"> ")
    chat.say("Write a very long story about the sea, with many chapters.")
    for _ in range(20):
        assert os.read(chat.process.stdout.fileno(), 1)
    chat.process.send_signal(signal.SIGINT)
    assert b"(stopped)" in chat.read_until(b"\n> ")
    chat.process.send_signal(signal.SIGINT)
    chat.read_until(b"\n> ")
    chat.say("/exit")
    assert chat.end()[0] == 0


def test_two_interrupts_at_the_prompt_leave():
    chat = Chat()
    chat.read_until(b"> ")
    chat.process.send_signal(signal.SIGINT)
    chat.read_until(b"> ")
    chat.process.send_signal(signal.SIGINT)
    assert chat.end()[0] == 0


def test_status_shows_a_running_node(data):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    node = subprocess.Popen([POMONA, "serve", "--model", MODEL, "--listen", f"127.0.0.1:{port}",
                             "--data", str(data)], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while (done := pomona("status", "--json", "--api", url)).returncode != 0:
            assert time.monotonic() < end and node.poll() is None, done.stderr
            time.sleep(0.05)
        state = json.loads(done.stdout)
        assert [n["alive"] for n in state["nodes"]] == [True]
        model = state["models"][0]["name"]
        assert model in pomona("status", "--api", url).stdout
        plan = json.loads(pomona("plan", model, "--json", "--api", url).stdout)
        assert sum(s["n_layers"] for s in plan["shards"]) == 30
        done = pomona("place", model, "--api", url)
        assert done.returncode == 0 and "is ready" in done.stdout, done.stderr
        assert "0-29" in pomona("status", "--api", url).stdout
        assert pomona("unplace", model, "--api", url).returncode == 0
        assert_fails(pomona("unplace", model, "--api", url), 1)
        assert_fails(pomona("place", "no-such-model", "--api", url), 1, "no-such-model")
        assert "answers at" in pomona("doctor", "--data", data, "--api", url).stdout
    finally:
        node.send_signal(signal.SIGTERM)
        assert node.wait(timeout=60) == 0
