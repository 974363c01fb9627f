#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs watch_file PROGRAM on a file that changes, and sees that the ring makes its calls: no thread of the pool comes, and,
where strace works, no plain system call opens the file or asks for its status."""
import os
import shutil
import subprocess
import sys
import tempfile


def tracer(log):
    strace = shutil.which("strace")
    command = [strace, "-f", "-o", log, "-e", "trace=openat,statx,newfstatat"] if strace else None
    if command and subprocess.run(command + ["true"], capture_output=True).returncode == 0:
        return command
    return []


def main():
    with tempfile.TemporaryDirectory() as directory:
        watched, log = os.path.join(directory, "watched"), os.path.join(directory, "log")
        with open(watched, "w") as file:
            file.write("first line\nsecond\n")
        trace = tracer(log)
        environment = dict(os.environ)
        if trace:  # the leak sanitizer traces too, and there can be only one; the second run below looks for leaks
            environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        run = subprocess.run(trace + [sys.argv[1], watched, "1"], capture_output=True, text=True, timeout=40, env=environment)
        print(run.stdout, run.stderr, "traced" if trace else "not traced")
        assert run.returncode == 0, run.returncode
        assert "change 1: 18 bytes: first line" in run.stdout
        if os.environ.get("ROTA_BACKEND") == "epoll":
            return
        assert "\n0 threads of the blocking pool" in run.stdout
        if trace:
            with open(log) as lines:
                calls = [line for line in lines if watched in line]
            assert not calls, calls
    own = subprocess.run([sys.argv[1]], capture_output=True, text=True, timeout=40)
    print(own.stdout)
    assert own.returncode == 0 and "change 3: 17 bytes: content number 3" in own.stdout


main()
