# SPDX-License-Identifier: Apache-2.0
"""tests/lint/macos.py - every C file compiles for macOS on Apple silicon.

    python tests/lint/macos.py BUILD        BUILD has the generated headers

A check of syntax and types, on any machine: the compiler and macOS' own headers come with the
package `ziglang`, those of the libraries from this machine's packages, which are the same on
macOS.  Nothing is linked and nothing runs: scripts/check_macos.sh does that, on a Mac.
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile

import ziglang

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ZIG = pathlib.Path(ziglang.__file__).parent

# Headers of libraries, by the pkg-config module that says where they are; the rest of such a
# folder is of another system and must not be seen.
LIBRARIES = {
    "libevent": ("event2",), "libcurl": ("curl",), "jansson": ("jansson.h", "jansson_config.h"),
    "libcyaml": ("cyaml",), "cjose": ("cjose",), "yaml-0.1": ("yaml.h",),
    "libprotobuf-c": ("protobuf-c",), "libutf8proc": ("utf8proc.h",), "libxxhash": ("xxhash.h",),
    "ompi-c": ("mpi.h", "mpi_portable_platform.h"), "libcrypto": ("openssl",), "sqlite3": ("sqlite3.h",),
    "cmocka": ("cmocka.h", "cmocka_pbc.h", "cmocka_version.h"),
}
# Of macOS itself, but not among the headers that come with the compiler.
DNS_SD = "avahi-compat-libdns_sd/dns_sd.h"

# What CMakeLists.txt leave out on macOS: kernels of other processors, Linux' own ways, and tests
# that need a linker with --wrap or forbid system calls.
ELSEWHERE = ("src/engine/cpu/x86/", "src/engine/cpu/probe/avx", "src/engine/cpu/probe/amx",
             "tests/support/amx_emulated.c", "tests/support/scripted_engine.c",
             "tests/support/allocations.c", "tests/unit/execute/test_system_calls.c")

FLAGS = ["-target", "arm64-apple-macosx13.0", "-mcpu=apple-m2", "-std=c17", "-fsyntax-only",
         "-nostdinc", "-isystem", ZIG / "lib/include",
         "-isystem", ZIG / "lib/libc/include/any-darwin-any",
         "-D_DARWIN_C_SOURCE", '-DPOMONA_VERSION="0"',
         "-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Werror"]


def include_folders(module):
    """Where the module's headers may be, the most particular first."""
    flags = subprocess.run(["pkg-config", "--cflags-only-I", "--keep-system-cflags", module],
                           check=True, capture_output=True, text=True).stdout.split()
    machine = subprocess.run(["cc", "-print-multiarch"], check=True, capture_output=True,
                             text=True).stdout.strip()
    return [pathlib.Path(f[2:]) for f in flags] + [pathlib.Path("/usr/include") / machine]


def link_headers(into):
    """Folders of the libraries' headers alone; a library that has two gets two."""
    folders = {}
    for module, names in LIBRARIES.items():
        found = set()
        for i, folder in enumerate(dict.fromkeys(include_folders(module))):
            for name in names:
                if (folder / name).exists():
                    place = folders.setdefault(i, into / str(i))
                    place.mkdir(exist_ok=True)
                    if not (place / name).exists():
                        (place / name).symlink_to(folder / name)
                    found.add(name)
        if not found:
            sys.exit(f"no header of {module} was found: install what scripts/lib/packages.sh lists")
    (into / "0" / "dns_sd.h").symlink_to(pathlib.Path("/usr/include") / DNS_SD)
    return list(folders.values())


def sources():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "src", "tests"],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    return [n for n in sorted(set(listed)) if n.endswith(".c") and (ROOT / n).is_file()
            and not n.startswith(ELSEWHERE)]


def compile_all(build):
    with tempfile.TemporaryDirectory() as scratch:
        folders = link_headers(pathlib.Path(scratch))
        command = [ZIG / "zig", "clang", *FLAGS, "-I", ROOT / "src", "-I", ROOT / "tests",
                   "-I", build / "generated"]
        for folder in folders:
            command += ["-isystem", folder]

        def check(name):
            return name, subprocess.run([*command, name], cwd=ROOT, check=False,
                                        capture_output=True, text=True)

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(check, sources()))


def main():
    done = compile_all(pathlib.Path(sys.argv[1]).resolve())
    failed = [(name, d.stderr) for name, d in done if d.returncode != 0]
    for name, words in failed:
        print(f"{name}: does not compile for macOS\n{words}")
    print(f"{len(done)} files, {len(failed)} do not compile for macOS")
    sys.exit(1 if failed or not done else 0)


if __name__ == "__main__":
    main()
