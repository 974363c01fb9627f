#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Negative controls of the model checker: with one ordering weakened or one check left out, a program must fail.

mutants.txt says what is changed, as text that must occur exactly once in its file: so a mutant that does not apply any
more fails the suite, as one does that survives.

usage: mutants.py SOURCE WORK CHECKER PROGRAM=FILE,FILE... -- COMPILER FLAG...
"""
import concurrent.futures
import os
import shutil
import subprocess
import sys

FOUND = 1  # explore.c
TIME_LIMIT_S = 60


class Mutant:
    def __init__(self, program, path):
        self.program, self.path = program, path
        self.before, self.after = [], []

    def name(self):
        return f"{self.program}: {self.path}: {self.before[0].strip()}"


def read_mutants(path):
    mutants = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\n")
            if line == "" or line.startswith("#"):
                continue
            if line.startswith("-"):
                mutants[-1].before.append(line[1:])
            elif line.startswith("+"):
                mutants[-1].after.append(line[1:])
            elif len(line.split()) == 2:
                mutants.append(Mutant(*line.split()))
            else:
                sys.exit(f"{path}:{number}: neither 'PROGRAM FILE' nor -TEXT nor +TEXT")
    return mutants


class Builder:
    """Compiles a program from a tree of sources; objects of unchanged .c files are shared by all mutants of them."""

    def __init__(self, source, work, checker, programs, compiler):
        self.source, self.work, self.checker = source, work, checker
        self.programs, self.compiler = programs, compiler

    def compile(self, tree, path, out):
        subprocess.run(self.compiler + ["-c", os.path.join(tree, path), "-o", out], check=True, timeout=TIME_LIMIT_S)

    def copy(self, to):
        for folder in ("runtime", "io", "sync", "tests/model"):
            shutil.copytree(os.path.join(self.source, folder), os.path.join(to, folder))

    def plain_objects(self, pool):
        """The object of each source as it is, once."""
        paths = sorted({path for sources in self.programs.values() for path in sources})
        objects = {path: os.path.join(self.work, path.replace("/", "_") + ".o") for path in paths}
        list(pool.map(lambda path: self.compile(self.source, path, objects[path]), paths))
        return objects

    def run(self, mutant, directory, objects):
        """What the checker says about the mutant: its exit code and output."""
        os.makedirs(directory)
        self.copy(directory)
        changed = os.path.join(directory, mutant.path)
        with open(changed, encoding="utf-8") as file:
            text = file.read()
        before, after = "\n".join(mutant.before), "\n".join(mutant.after)
        if text.count(before) != 1:
            return None, f"its text occurs {text.count(before)} times"
        with open(changed, "w", encoding="utf-8") as file:
            file.write(text.replace(before, after))
        linked = []
        for path in self.programs[mutant.program]:
            # A source may include another one, or the header that was changed.
            if path.startswith("tests/") or mutant.path.endswith(".h") or path == mutant.path:
                linked.append(os.path.join(directory, path.replace("/", "_") + ".o"))
                self.compile(directory, path, linked[-1])
            else:
                linked.append(objects[path])
        program = os.path.join(directory, "program")
        words = next(i for i, word in enumerate(self.compiler) if word.startswith("-"))  # more than one: ccache
        subprocess.run(self.compiler[:words] + ["-no-pie", "-Wl,--unresolved-symbols=ignore-all", "-o", program] + linked +
                       [self.checker, "-lpthread"], check=True, timeout=TIME_LIMIT_S)
        result = subprocess.run([program, str(TIME_LIMIT_S)], stdout=subprocess.PIPE, text=True, check=False)
        shutil.rmtree(directory)
        return result.returncode, result.stdout


def main():
    source, work, checker = sys.argv[1:4]
    end = sys.argv.index("--")
    programs = {}
    for argument in sys.argv[4:end]:
        program, files = argument.split("=")
        programs[program] = files.split(",")
    builder = Builder(source, work, checker, programs, sys.argv[end + 1:])
    mutants = read_mutants(os.path.join(source, "tests/model/mutants.txt"))
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = builder.plain_objects(pool)
        runs = [pool.submit(builder.run, mutant, os.path.join(work, str(i)), objects)
                for i, mutant in enumerate(mutants)]
        for mutant, run in zip(mutants, runs):
            code, output = run.result()
            if code == FOUND:
                lines = [line for line in output.splitlines() if "executions" not in line]
                print(f"{mutant.name()}\n    {lines[0] if lines else ''}")
                continue
            failed += 1
            print(f"{mutant.name()}\n    NOT FOUND: exit code {code}\n{output}")
    print(f"{len(mutants) - failed} of {len(mutants)} mutants were found")
    return 1 if failed or not mutants else 0


sys.exit(main())
