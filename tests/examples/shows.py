#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs an example and sees that it shows what it claims: shows.py NAME COMMAND [ARGUMENT]... The claims, one regular
expression a line, are searched for in its output in this order, those of a list within in any; the command must end with
0. Claims about standard error come last. Skipped where the back end that ROTA_BACKEND names does not work."""
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree

ALONE = os.environ.get("ROTA_FLAVOR") == "current_thread"
RECEIVED = "".join(f"Received value: {value}\\n" for value in ("false", "true", "false", "true"))


def by_time(*claims):
    """What is said in order of time. One thread says it so, however long it was not scheduled; of two, each of which has
    something to say, either may be the one that is not."""
    return list(claims) if ALONE else [list(claims)]


CLAIMS = {
    "hello": [r"^Hello from a task$"],
    "loopers": [
        r"^serial:\n(\[1\] \d\n){5}(\[2\] \d\n){5}(\[3\] \d\n){5}each looper ran to its end",
        r"^yield:\n(\[1\] \d\n\[2\] \d\n\[3\] \d\n){5}the loopers took strict turns$",
        r"^blocking:\n(\[[123]\] \d\n){15}pool threads ran the loopers, \d at the same time$",
    ],
    "echo_thousand": [
        r"^300 clients, 2 messages each, \d+ workers, \d+\.\d\d s$",
        r"^\d+ lines, peak \d+ KiB, CPU \d+\.\d% of one$",
        r"^published for the original: 41 lines, peak 4640 KiB, CPU 3% with one thread, 20% with many$",
    ],
    "echo_clients": [
        r"^(300 clients on \d+ workers: 6000|100 clients on \d+ workers: 1000) round trips of 64 bytes, every byte verified$",
        r"^\d+\.\d{3} s, \d+ round trips/s, CPU \d+\.\d{3} s \(\d+% of one core\), peak memory \d+ KiB$",
    ],
    "cat_async": [r"\A" + "".join(f"line {i} of 1000\n" for i in range(1, 1001)) + r"\Z"],
    "http_get": [  # each once; in which order, is up to the machine
        r"\A" + "".join(rf"(?=(?:.*\n)*/{n}: HTTP/1\.1 200 OK, 14 bytes\n)" for n in range(1, 5)) + r"(?:.*\n){4}\Z"
    ],
    "long_computation": [
        r"^\d+ computations on \d+ workers$",
        r"^in one go( +\d+){2}( +\d+\.\d\d){3}$",
        r"^yielding( +\d+){2}( +\d+\.\d\d){3}$",
        r"^blocking( +\d+){2}( +\d+\.\d\d){3}$",
        r"^each found 25997 primes below 300000$",
    ],
    "three_ways": [r"^20 pieces of 10 ms$"] + [rf"^{way} +\d+\.\d{{3}} " for way in ("in turn", "threads", "tasks")],
    "million_tasks": [r"^ +\d+ futures +\d+ B +\d+ ns +\d+ ns$", r"^ +\d+ fibers +\d+ B +\d+ ns +\d+ ns$"],
    "idle_connections": [r"^1000 idle connections: \d+ B each, \d+ ns to connect and start, \d+ ns to end$"],
    "fibonacci": [
        r"^fib\(25\) = 75025, on \d+ CPUs with \d+ workers +published: fib\(50\)$",
        r"^  1 once .* 39\.7 s +1\.00$",
        r"^  4 threads .* 42\.6 s +1\.07$",
        r"^  8 threads .* 99\.95%$",
        r"^  4 tasks ",
        r"^  8 tasks ",
        r"^  1 divided ",
    ],
    "fib_fork": [r"^fib\(27\) = 196418 on \d+ workers in \d+\.\d+ s, \d+\.\d\d ns a call"],
    "cpu_vs_io": [
        rf"^{work} +in turn .*\n +a thread each .*\n +pool of 8 .*\n +a process each .*\n +tasks, 1 thread .*\n +tasks "
        for work in ("computing", "requests", "files")
    ] + [r"^(the picture: .*cpu_vs_io\.svg|no picture: gnuplot is not installed)$"],
    "processes": [
        r"^four processes: \d+ ms \(published for the original: 123 ms\)$",
        r"^four tasks, output captured: \d+ ms \(published for the original: 137 ms\)$",
        r"^cancelled: killed and waited for$",
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
        *by_time(r"^slept for 600 ms: after \d+ ms$", r"^slept for 1000 ms: after \d+ ms$"),
        r"^together: \d+ ms$",
    ],
    "completion_order": [
        # Of those that have ended before it looked, a select takes any.
        [rf"^select: the task of {ms} ms after \d+ ms$" for ms in (200, 400, 600)],
        *by_time(*(rf"^scope: the task of {ms} ms after \d+ ms$" for ms in (200, 400, 600))),
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
        *by_time(
            r"^task: done after \d+\.\d\d units$",
            r'^request: "HTTP/1.1 200 OK" after \d+\.\d\d units$',
        ),
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
        ends = []
        for one in claim if isinstance(claim, list) else [claim]:
            found = re.compile(one, re.MULTILINE).search(text, at)
            assert found, f"{where}: not there, or not in this place: {one}"
            ends.append(found.end())
        at = max(ends)


def look_for_early_ones(stdout):
    """Who says how long he wanted to wait, and how long he did."""
    for wanted, waited in re.findall(r"(\d+) ms:? after (\d+) ms$", stdout, re.MULTILINE):
        assert int(waited) >= int(wanted), f"{waited} ms are too early for {wanted} ms"


def look_at_files(directory, stdout):
    """What cpu_vs_io leaves in a directory: its table, the same as JSON, and a picture."""
    with open(os.path.join(directory, "cpu_vs_io.txt")) as file:
        table = file.read()
    assert stdout.startswith(table), "the table in the file is another"
    with open(os.path.join(directory, "cpu_vs_io.json")) as file:
        rows = json.load(file)
    printed = re.findall(r"^.{10} (.{15}) +(\d+\.\d{3}) ", table, re.MULTILINE)[-18:]
    assert [row["way"] for row in rows] == [way.strip() for way, _ in printed], rows
    assert all(abs(row["time_s"] - float(time)) < 0.001 for row, (_, time) in zip(rows, printed)), rows
    assert [row["work"] for row in rows] == ["computing"] * 6 + ["requests"] * 6 + ["files"] * 6, rows
    assert all(row["cpu_s"] >= 0 and row["peak_kib"] > 0 and row["pieces"] > 0 for row in rows), rows
    if "the picture: " in stdout:
        text = "".join(xml.etree.ElementTree.parse(os.path.join(directory, "cpu_vs_io.svg")).getroot().itertext())
        assert all(text.count(row["way"]) >= 6 for row in rows), "a way is missing in the picture"


def main():
    name, command = sys.argv[1], sys.argv[2:]
    run = subprocess.run(command, capture_output=True, text=True)
    print(run.stdout, run.stderr, sep="")
    if run.returncode == 77 or run.returncode != 0 and "io_uring does not work here" in run.stderr:
        sys.exit(77)
    assert run.returncode == 0, f"exit code {run.returncode}"
    search(CLAIMS.get(name, []), run.stdout, "standard output")
    search(REPORTS.get(name, []), run.stderr, "standard error")
    look_for_early_ones(run.stdout)
    if name == "cpu_vs_io":
        look_at_files(command[-1], run.stdout)


main()
