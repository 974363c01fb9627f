#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs an example and sees that it shows what it claims: shows.py PROGRAM [ARGUMENT]... The claims, one regular expression a
line, are searched for in its output in this order; the program must end with 0. Claims about standard error come last."""
import os
import re
import subprocess
import sys

CLAIMS = {
    "future_by_hand": [
        r"^polled: PENDING, rung, polled: READY$",
        r"^polled again: (READY, Invalid argument|aborted, as this is a debug build of rota)$",
        r"^rung: the wait returned 0$",
        r"^cancelled: the wait returned Operation canceled$",
    ],
    "block_on": [
        r"^rota_block_on inside a task: (Resource deadlock avoided|aborted, as this is a debug build of rota)$",
        r"^own block_on, own spawn_blocking: 42$",
        r"^task [1-9]\d* awaited own spawn_blocking: 43$",
        r"^rota_block_on from a plain thread: 43$",
    ],
    "join": [
        r"^sum of four results: 30$",
        r"^the third task fails: Numerical argument out of domain$",
        r"^a random number: \d+$",
        r"^a local task counted to 3$",
        r"^nobody joins me$",
    ],
    "sleepers": [
        r"^slept for 120 ms: after \d+ ms$",
        r"^slept for 200 ms: after \d+ ms$",
        r"^together: \d+ ms$",
    ],
    "completion_order": [
        r"^select: the task of 60 ms after \d+ ms$",
        r"^select: the task of 120 ms after \d+ ms$",
        r"^select: the task of 180 ms after \d+ ms$",
        r"^scope: the task of 60 ms after \d+ ms$",
        r"^scope: the task of 120 ms after \d+ ms$",
        r"^scope: the task of 180 ms after \d+ ms$",
    ],
}
REPORTS = {
    "future_by_hand": [r"future 0x[0-9a-f]+ was polled after it was ready"],
    "block_on": [r"rota_block_on inside task \d+ .* would block its worker"],
}


def search(claims, text, where):
    at = 0
    for claim in claims:
        found = re.compile(claim, re.MULTILINE).search(text, at)
        assert found, f"{where}: not there, or not in this place: {claim}"
        at = found.end()


def main():
    name = os.path.basename(sys.argv[1])
    run = subprocess.run(sys.argv[1:], capture_output=True, text=True, timeout=50)
    print(run.stdout, run.stderr, sep="")
    assert run.returncode == 0, f"exit code {run.returncode}"
    search(CLAIMS[name], run.stdout, "standard output")
    search(REPORTS.get(name, []), run.stderr, "standard error")


main()
