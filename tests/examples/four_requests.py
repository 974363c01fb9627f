#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Four requests through libcurl to the web server of the examples: four_requests.py PROGRAM [SERVER]."""
import re
import subprocess
import sys

import web


def run(program, url):
    return subprocess.run([program, url], capture_output=True, text=True, timeout=50)


def main():
    program = sys.argv[1]
    if len(sys.argv) < 3:
        print("skipped: http_server was not built, since libhttp-parser-dev is missing")
        sys.exit(77)
    with web.running(sys.argv[2]) as server:
        answered = run(program, server.url + "/delay/0.14")
        print(answered.stdout, answered.stderr, sep="")
        assert answered.returncode == 0, answered
        ms = re.findall(r"^(?:one after the other|joined): (\d+) ms \(published for the original: (?:656|137)\)$",
                        answered.stdout, re.MULTILINE)
        # Never early: each waits for 140 ms.
        assert len(ms) == 2 and int(ms[0]) >= 4 * 140 and int(ms[1]) >= 140, ms
        assert re.search(r"^ratio: \d+\.\d \(published for the original: 4\.7\)$", answered.stdout, re.MULTILINE)
        missing = run(program, server.url + "/nowhere")
        assert missing.returncode == 1 and "HTTP response code" in missing.stderr and missing.stdout == "", missing
    nobody = run(program, server.url)
    assert nobody.returncode == 1 and "connect" in nobody.stderr.lower(), nobody


main()
