#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an example does when there is no room for what it prints: it fails, and says why, save hello, which is too
short for that: full.py PROGRAM [ARGUMENT]..."""
import subprocess
import sys

with open("/dev/full", "w") as full:
    run = subprocess.run(sys.argv[1:], stdout=full, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
print(run.returncode, run.stderr)
assert run.returncode == 1, f"exit code {run.returncode}"
assert "No space left on device" in run.stderr or sys.argv[1].endswith("/hello"), "it does not say why"
