#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an example with a directory for its files, and children, leaves when it is told to stop: nothing.
interrupted.py PROGRAM [ARGUMENT]..."""
import os
import signal
import subprocess
import sys
import tempfile
import time

with tempfile.TemporaryDirectory() as directory:
    for signo in (signal.SIGINT, signal.SIGTERM):
        run = subprocess.Popen(sys.argv[1:], env=dict(os.environ, TMPDIR=directory), text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while not os.listdir(directory) and run.poll() is None:
            time.sleep(0.01)
        run.send_signal(signo)
        printed, _ = run.communicate()  # to the end of the pipe, which the children have, too
        print(printed, run.returncode)
        assert run.returncode == 1 and "Interrupted system call" in printed, f"exit code {run.returncode}"
        assert os.listdir(directory) == [], f"left behind: {os.listdir(directory)}"
