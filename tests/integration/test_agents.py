# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_agents.py - two agents from npm, unmodified, each doing a turn with a tool.

Claude Code speaks Anthropic's Messages, Codex OpenAI's Responses.  The model says what the test
wrote down (support/scripted.py), so what is tested is that the agent understands the node and the
node the agent.  Each has a home of its own, and nothing outside this machine is asked.
"""
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from support.scripted import NAME, Scripted, call

FOLDER = Path(os.environ["POMONA_SOURCE"]) / ".cache/npm-agents"
PACKAGES = {"@anthropic-ai/claude-code": "2.1.332", "@openai/codex": "0.169.0"}
PROOF = "pomona-proof-4711"


@pytest.fixture(scope="module")
def agents():
    """The folder of their executables, installed once in exactly these versions."""
    def version(package):
        manifest = FOLDER / "node_modules" / package / "package.json"
        return manifest.exists() and json.loads(manifest.read_text())["version"]

    assert shutil.which("npm"), "npm is missing; scripts/lib/packages.sh has it"
    if any(version(p) != v for p, v in PACKAGES.items()):
        FOLDER.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(FOLDER),
                        *(f"{p}@{v}" for p, v in PACKAGES.items())], check=True, timeout=280)
    return FOLDER / "node_modules"


@pytest.fixture
def home(tmp_path):
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    return tmp_path


def run(command, home, **environment):
    """What an agent says, which sees nothing of this process's own settings."""
    return subprocess.run(command, cwd=home / "work", stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240, check=False,
                          env={"PATH": os.environ["PATH"], "HOME": str(home / "home"), "TERM": "dumb",
                               **environment})


def claude(agents):
    machine = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
    return agents / f"@anthropic-ai/claude-code-{platform.system().lower()}-{machine}/claude"


def test_claude_code_does_a_turn_with_a_tool(agents, home):
    with Scripted(home, context=65536) as node:
        read = call("Bash", command="cat proof.txt", description="Read the file")
        node.says([{"when": f"<tool_response>\n{PROOF}",   # it asks for thoughts, so these are closed
                    "say": "Seen.</think>The file holds the proof."},
                   {"when": "show the proof", "say": f"To be read.</think>{read}"}, {"say": "Proof"}])
        (home / "work/proof.txt").write_text(PROOF)
        done = run([claude(agents), "-p", "show the proof", "--model", NAME,
                    "--allowedTools", "Bash(cat:*)"], home, ANTHROPIC_BASE_URL=node.url,
                   ANTHROPIC_API_KEY="none", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
                   ANTHROPIC_SMALL_FAST_MODEL=NAME, ANTHROPIC_DEFAULT_HAIKU_MODEL=NAME,
                   DISABLE_AUTOUPDATER="1")
        assert done.returncode == 0, done.stdout[-3000:]
        assert done.stdout.strip().endswith("The file holds the proof."), done.stdout[-3000:]


def test_codex_does_a_turn_with_a_tool(agents, home):
    with Scripted(home, context=65536) as node:
        node.says([{"when": PROOF, "say": "The file holds the proof."},
                   {"when": "\"exec_command\"", "say": call("exec_command", cmd="cat proof.txt")},
                   {"when": "\"shell_command\"", "say": call("shell_command", command="cat proof.txt")},
                   {"say": call("shell", command=["cat", "proof.txt"])}])
        (home / "work/proof.txt").write_text(PROOF)
        settings = home / "home/.codex"
        settings.mkdir()
        (settings / "config.toml").write_text(
            f'model = "{NAME}"\nmodel_provider = "node"\nmodel_context_window = 100000\n'
            '[analytics]\nenabled = false\n'
            f'[model_providers.node]\nname = "node"\nbase_url = "{node.url}/v1"\n'
            'wire_api = "responses"\nenv_key = "NODE_KEY"\nrequest_max_retries = 0\n')
        done = run([agents / ".bin/codex", "exec", "--skip-git-repo-check", "--sandbox",
                    "danger-full-access", "show the proof"], home, NODE_KEY="none",
                   CODEX_HOME=str(settings))
        assert done.returncode == 0 and "The file holds the proof." in done.stdout, done.stdout[-3000:]
