#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles the C code of the guides, and runs its programs: code.py [DOCUMENT...]

A block that begins with ```c compiles as it stands, without a warning; "```c fragment" is left alone. One with a main
is a program: it runs, with worker threads and without ("flavor=multi_thread": only so), and must end with 0. When the
next block, with nothing in between, begins with ```text, it is what the program prints, to both of its outputs; after
```console its first line is the command, "$ ./program ARGUMENT...". In these, "..." stands for any characters of a line.
Environment: SOURCE, the top of the tree; BUILD, where the library is; CC, which may be several words."""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile

SOURCE, BUILD = os.environ["SOURCE"], os.environ["BUILD"]
COMPILE = os.environ["CC"].split() + ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-I", SOURCE]
LINK = ["-L", BUILD, "-lrota", "-Wl,-rpath," + BUILD]
FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIMIT_S = 60


class Failure(Exception):
    pass


class Block:
    def __init__(self, document, text, match, following):
        line = text.count("\n", 0, match.start()) + 1
        words = match[1].split()
        self.place = f"{os.path.basename(document)}:{line}"
        self.attributes = words[1:]
        self.code = match[2]
        self.is_program = re.search(r"^int main\(", self.code, re.MULTILINE) is not None
        self.arguments, self.shown = [], None
        if following and not text[match.end():following.start()].strip():
            kind = following[1].split()[:1]
            if kind == ["text"]:
                self.shown = following[2]
            elif kind == ["console"]:
                command, self.shown = following[2].split("\n", 1)
                self.arguments = command.split()[2:]

    def flavors(self):
        named = [word.split("=")[1] for word in self.attributes if word.startswith("flavor=")]
        return named or ["multi_thread", "current_thread"]


def blocks_of(document):
    with open(document, encoding="utf-8") as file:
        text = file.read()
    matches = list(FENCED.finditer(text))
    for match, following in zip(matches, matches[1:] + [None]):
        words = match[1].split()
        if words[:1] == ["c"] and "fragment" not in words:
            yield Block(document, text, match, following)


def matches_shown(printed, shown):
    return re.fullmatch(".*".join(map(re.escape, shown.split("..."))), printed) is not None


def run(block, program, directory, flavor):
    environment = dict(os.environ, ROTA_FLAVOR=flavor, ROTA_STALL_REPORT="off")
    ended = subprocess.run([program] + block.arguments, cwd=directory, env=environment, timeout=LIMIT_S, text=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    # Where io_uring is not allowed a runtime says so once.
    printed = re.sub(r"^rota: back end: .*\n", "", ended.stdout, flags=re.MULTILINE)
    if ended.returncode != 0:
        raise Failure(f"{flavor}: ended with {ended.returncode}, after printing\n{printed}")
    if block.shown is not None and not matches_shown(printed, block.shown):
        raise Failure(f"{flavor}: printed\n{printed}and is shown with\n{block.shown}")


def check(block):
    with tempfile.TemporaryDirectory() as directory:
        source, program = os.path.join(directory, "block.c"), os.path.join(directory, "program")
        with open(source, "w", encoding="utf-8") as file:
            file.write(block.code)
        command = COMPILE + [source, "-o", program] + (LINK if block.is_program else ["-c"])
        compiled = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        if compiled.returncode != 0:
            raise Failure(f"does not compile\n{compiled.stderr}")
        if not block.is_program:
            return "compiles"
        for flavor in block.flavors():
            run(block, program, directory, flavor)
        return "runs" if block.shown is None else "runs as shown"


def report(block):
    try:
        print(f"{block.place}: {check(block)}", flush=True)
        return True
    except (Failure, subprocess.TimeoutExpired) as failure:
        print(f"{block.place}: {failure}", flush=True)
        return False


def main():
    guides = [os.path.join(SOURCE, "README.md")] + sorted(glob.glob(os.path.join(SOURCE, "docs", "guide*.md")))
    blocks = [block for document in sys.argv[1:] or guides for block in blocks_of(document)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as executor:
        good = sum(executor.map(report, blocks))
    print(f"{good} of {len(blocks)} blocks are as they should be")
    return 0 if blocks and good == len(blocks) else 1


sys.exit(main())
