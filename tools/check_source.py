# SPDX-License-Identifier: Apache-2.0
"""tools/check_source.py - the rules of the tree that a compiler does not know.

    python3 tools/check_source.py           check the tree that holds this file
    python3 tools/check_source.py --headers BUILD
                                            compile every header of src/ alone, as that build
                                            folder's compile_commands.json compiles src/

To add a rule: a function that yields (line, words) for one file, one row of
RULES.  Exit status 1 when anything was found; each finding is one line
"path:line: words", as editors read them.
"""
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES_MAX = 800
SPDX = "SPDX-License-Identifier: Apache-2.0"

# What to use instead: snprintf, strtol family with errno, gmtime_r, malloc.
BANNED = {"strcpy", "strcat", "sprintf", "vsprintf", "strtok", "gmtime", "localtime", "asctime",
          "ctime", "atoi", "atol", "atoll", "atof", "gets", "alloca", "system", "mktemp", "tmpnam"}
ENDING = {"exit", "_exit", "abort", "quick_exit"}
# Folders and files that may end the process.
MAY_END = ("src/main.c", "src/cmd/", "src/execute/runner", "src/cluster/runner_process",
           "src/cluster/spawn", "src/base/random.c", "src/net/job.c", "tests/")

CALL = re.compile(r"(?<![\w.>])([a-z_]\w*)\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
MODULE = re.compile(r"pomona_module\((\w+)(.*?)\n?\)", re.DOTALL)


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def code_only(text):
    """The text with comments, strings and character constants blanked out, lines kept."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.DOTALL)


def no_strings(text):
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.DOTALL)


def numbered(text):
    return enumerate(text.split("\n"), 1)


def read_uses():
    """Folder -> folders it may include, from the pomona_module() of each CMakeLists.txt."""
    uses = {}
    for path in sorted((ROOT / "src").glob("*/CMakeLists.txt")):
        text = re.sub(r"#[^\n]*", "", path.read_text())
        match = MODULE.search(text)
        if not match:
            continue
        words, section = match.group(2).split(), ""
        uses[match.group(1)] = set()
        for word in words:
            if word in ("LAYER", "USES", "LIBS", "SOURCES", "PROTOS"):
                section = word
            elif section == "USES":
                uses[match.group(1)].add(word)
    return uses


USES = read_uses()


def spdx_line(path, text):
    first_two = text.split("\n")[:2]  # a script's first line is its interpreter
    if not any(SPDX in line for line in first_two):
        yield 1, f"the first line must be '{SPDX}'"


def no_tabs(path, text):
    for number, line in numbered(text):
        if "\t" in line:
            yield number, "a tab: indent with spaces"
        if line != line.rstrip():
            yield number, "space at the end of the line"


def file_length(path, text):
    n = text.count("\n")
    if n > LINES_MAX:
        yield LINES_MAX, f"{n} lines: cut the file where its ideas part (at most {LINES_MAX})"


def no_line_comments(path, text):
    for number, line in numbered(no_strings(text)):
        if "//" in line:
            yield number, "a // comment: use /* */"


def no_unfinished_words(path, text):
    for number, line in numbered(text):
        if re.search(r"\b(TODO|FIXME|XXX)\b", line):
            yield number, "unfinished work: do it, or describe the decision as NEEDSWORK"


def no_banned_calls(path, text):
    may_end = str(path).startswith(MAY_END)
    for number, line in numbered(code_only(text)):
        for name in CALL.findall(line):
            if name in BANNED and not (name == "system" and path.parts[0] == "tests"):
                yield number, f"{name}() is banned"
            if name in ENDING and not may_end:
                yield number, f"{name}(): only cmd/ and runner processes end the process"


def include_layers(path, text):
    if path.parts[0] != "src" or len(path.parts) < 3:
        return
    folder = path.parts[1]
    for number, line in numbered(text):
        match = INCLUDE.match(line)
        if not match:
            continue
        used = match.group(1).split("/")[0]
        if "/" not in match.group(1):
            yield number, f'"{match.group(1)}": write the path from src/'
        elif used != folder and used not in USES.get(folder, set()):
            yield number, f"src/{folder} does not list {used} under USES in its CMakeLists.txt"


def header_guard(path, text):
    if path.suffix != ".h" or path.parts[0] != "src":
        return
    guard = "POMONA_" + re.sub(r"\W", "_", "_".join(path.with_suffix("").parts[1:])).upper() + "_H"
    if f"#ifndef {guard}\n#define {guard}\n" not in text:
        yield 1, f"the include guard must be {guard}"


def names_itself(path, text):
    """The comment at the top starts with the file's own path, so that it survives being moved."""
    shown = "/".join(path.parts[1:]) if path.parts[0] == "src" else str(path)
    if shown not in "\n".join(text.split("\n")[:4]):
        yield 2, f"the comment at the top must name the file: {shown}"


# Where what differs between systems is kept, so that everything else is the same on all.
PLATFORM_FILES = ("src/base/", "src/cluster/discovery/beacon.c", "src/cluster/discovery/mdns_library.c",
                  "src/cluster/supervise/spawn.c", "src/engine/cpu/crew.c",
                  "src/engine/cpu/panel_writer.c", "src/execute/runner/orphan.c", "tests/")


def platform_code(path, text):
    if str(path).startswith(PLATFORM_FILES):
        return
    for number, line in numbered(text):
        if re.match(r"\s*#\s*(el)?if.*(__APPLE__|__linux__)", line):
            yield number, "code of one system: it belongs into base/ or another of PLATFORM_FILES"


C = (".c", ".h", ".cpp", ".hpp")
ALL = C + (".py", ".sh", ".proto")
RULES = [
    (ALL, spdx_line),
    (ALL, no_tabs),
    (ALL, file_length),
    (C, no_unfinished_words),
    (C, no_line_comments),
    (C, no_banned_calls),
    (C, include_layers),
    (C, platform_code),
    (C, header_guard),
    (C, names_itself),
]


def files():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=False,
                            capture_output=True, text=True)
    if listed.returncode == 0:
        names = listed.stdout.split("\n")
    else:  # not a git checkout
        names = [str(p.relative_to(ROOT)) for top in ("src", "tests", "tools", "scripts", "bench")
                 for p in (ROOT / top).rglob("*")]
    return [pathlib.Path(n) for n in sorted(names) if n and (ROOT / n).is_file()]


def check_rules():
    found = 0
    for path in files():
        if path.suffix not in ALL:
            continue
        text = (ROOT / path).read_text()
        for suffixes, rule in RULES:
            if path.suffix not in suffixes:
                continue
            for number, words in rule(path, text):
                print(f"{path}:{number}: {words}")
                found += 1
    return found


def compiler_of(build):
    """The compiler and every flag that says where headers are, as src/ is compiled."""
    flags = {}
    for unit in json.loads((build / "compile_commands.json").read_text()):
        words = shlex.split(unit["command"])
        if not unit["file"].startswith(str(ROOT / "src")):
            continue
        compiler = words[0]
        for at, word in enumerate(words):
            if word == "-isystem":
                flags[word, words[at + 1]] = None
            elif word.startswith(("-I", "-D", "-std=")):
                flags[(word,)] = None
    return [compiler] + [word for flag in flags for word in flag]


# Folders of headers that only a compiler for that processor knows, by what -dumpmachine says.
PROCESSORS = {"arm": ("aarch64", "arm64"), "x86": ("x86_64",)}


def is_for(machine, path):
    return all(machine.startswith(names) for folder, names in PROCESSORS.items()
               if folder in path.parts)


def check_headers(build):
    """Each header must compile with nothing included before it, and twice."""
    compiler = compiler_of(build)
    machine = subprocess.run([compiler[0], "-dumpmachine"], check=True, capture_output=True,
                             text=True).stdout
    found = 0
    for path in files():
        if path.suffix != ".h" or path.parts[0] != "src" or not is_for(machine, path):
            continue
        name = "/".join(path.parts[1:])
        with tempfile.NamedTemporaryFile("w", suffix=".c") as unit:
            unit.write(f'#include "{name}"\n#include "{name}"\nextern int pomona_header;\n')
            unit.flush()
            done = subprocess.run(compiler + ["-fsyntax-only", unit.name], check=False,
                                  capture_output=True, text=True)
        if done.returncode != 0:
            print(f"{path}:1: does not compile alone\n{done.stderr}")
            found += 1
    return found


def main():
    if sys.argv[1:2] == ["--headers"]:
        found = check_headers(pathlib.Path(sys.argv[2]))
    else:
        found = check_rules()
    if found:
        print(f"{found} found")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
