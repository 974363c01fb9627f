#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Redis client against a real server, started for it: redis_client.py PROGRAM."""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

CLAIMS = r"SET foo bar: OK\nGET foo: bar\n100 tasks counted to 10000 over one connection, in \d+ ms\n"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_until_it_listens(path, server):
    while True:
        assert server.poll() is None, f"redis-server ended with {server.returncode}"
        try:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(path)
                return
        except OSError:
            time.sleep(0.02)


def ask(path, command):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(path)
        peer.sendall(command)
        return peer.recv(1000)


def visit(program, path, port):
    for where in ([path], ["localhost", str(port)]):
        ask(path, b"FLUSHALL\r\n")
        run = subprocess.run([program, *where], capture_output=True, text=True, timeout=50)
        print(run.stdout, run.stderr, sep="")
        assert run.returncode == 0 and re.fullmatch(CLAIMS, run.stdout), run
        assert ask(path, b"GET foo\r\n") == b"$3\r\nbar\r\n", "Redis does not know of it"
    # What Redis refuses, the client tells.
    ask(path, b"CONFIG SET requirepass secret\r\n")
    run = subprocess.run([program, path], capture_output=True, text=True, timeout=50)
    assert run.returncode == 1 and "NOAUTH" in run.stderr and run.stdout == "", run


def main():
    program = sys.argv[1]
    # Debian's server is the same file as redis-check-rdb, and does what it is called by.
    redis = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    if redis is None:
        print("skipped: redis-server is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        path, port = os.path.join(folder, "socket"), free_port()
        command = ["redis-server", "--unixsocket", path, "--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--save", "",
                   "--appendonly", "no", "--loglevel", "warning"]
        server = subprocess.Popen(command, executable=redis, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            wait_until_it_listens(path, server)
            visit(program, path, port)
        finally:
            server.terminate()
            server.wait(timeout=30)
        run = subprocess.run([program, path], capture_output=True, text=True, timeout=50)
        assert run.returncode == 1 and run.stderr.startswith("redis_client: "), run


main()
