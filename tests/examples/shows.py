#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs an example and sees that it shows what it claims: shows.py NAME COMMAND [ARGUMENT]... The claims, one regular
expression a line, are searched for in its output in this order; the command must end with 0. Claims about standard error
come last. Skipped where the back end that ROTA_BACKEND names does not work."""
import os
import re
import subprocess
import sys

ALONE = os.environ.get("ROTA_FLAVOR") == "current_thread"
RECEIVED = "".join(f"Received value: {value}\\n" for value in ("false", "true", "false", "true"))

CLAIMS = {
    "hello": [r"^Hello from a task$"],
    "loopers": [
        r"^serial:\n(\[1\] \d\n){5}(\[2\] \d\n){5}(\[3\] \d\n){5}each looper ran to its end",
        r"^yield:\n(\[1\] \d\n\[2\] \d\n\[3\] \d\n){5}the loopers took strict turns$",
        r"^blocking:\n(\[[123]\] \d\n){15}pool threads ran the loopers, \d at the same time$",
    ],
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
    "cancellation": [
        r"^endless: Operation canceled, cleaned up: yes$",
        r"^cancelled: Operation canceled$",
        r"^quick: done$",
        r"^slow: Connection timed out, cleaned up: yes$",
        r"^scope: Connection timed out$",
        r"^deadline: Connection timed out$",
    ],
    "streams": [
        r"^call 0 after \d+ ms$",
        r"^call 2 after \d+ ms$",
        r"^9 items, at most 3 at once, in \d+ ms$",
        r"^stream: 0 4 16 36 64, sum 120$",
    ],
    "joined_request": [
        r"^task: done after \d+\.\d\d units$",
        r'^request: "HTTP/1.1 200 OK" after \d+\.\d\d units$',
        r"^together: \d+\.\d\d units \(published for the original: 5\.49\)$",
    ],
    "mistakes": [
        r"^result dropped: received 7\nresult dropped: received 7\n",
        r"^result checked: received 7\nresult checked: Broken pipe$",
        r"^blocks: a task of 5 ms ticks was late by \d+\.\d ms at most$",
        r"^offloads: a task of 5 ms ticks was late by \d+\.\d ms at most$",
        r"^two waits of 50 ms, called: \d+ ms$",
        r"^two waits of 50 ms, spawned: \d+ ms$",
    ],
    "condition": [
        r"^two threads\n" + RECEIVED,
        r"^two tasks\n" + RECEIVED,
    ],
    "flavors": [
        r"^configured as current_thread: 8 tasks, 8 of them on the main thread, 1 workers$",
        r"^as the environment says: 8 tasks, %d of them on the main thread" % (8 if ALONE else 0),
    ],
}
REPORTS = {
    "future_by_hand": [r"future 0x[0-9a-f]+ was polled after it was ready"],
    "block_on": [r"rota_block_on inside task \d+ .* would block its worker"],
    # Alone, there is no thread that could tell.
    "mistakes": [] if ALONE else [r'stall: fiber \d+ "blocks" has run for .* while others wait; spawned at \S+\+0x'],
}


def search(claims, text, where):
    at = 0
    for claim in claims:
        found = re.compile(claim, re.MULTILINE).search(text, at)
        assert found, f"{where}: not there, or not in this place: {claim}"
        at = found.end()


def main():
    name, command = sys.argv[1], sys.argv[2:]
    run = subprocess.run(command, capture_output=True, text=True)
    print(run.stdout, run.stderr, sep="")
    if run.returncode == 77 or run.returncode != 0 and "io_uring does not work here" in run.stderr:
        sys.exit(77)
    assert run.returncode == 0, f"exit code {run.returncode}"
    search(CLAIMS.get(name, []), run.stdout, "standard output")
    search(REPORTS.get(name, []), run.stderr, "standard error")


main()
