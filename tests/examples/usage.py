#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an example says to arguments that it does not know: how it is used, and 2: usage.py PROGRAM."""
import subprocess
import sys

for arguments in (["--nonsense"], ["--nonsense", "5"], ["--nonsense"] * 20):
    run = subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    print(arguments, run.returncode, run.stdout, run.stderr)
    assert run.returncode == 2, f"exit code {run.returncode}"
    assert "usage: " in run.stderr and run.stdout == "", "it does not say how it is used, and nothing else"
