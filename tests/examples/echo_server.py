#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Peers of the echo server, polite and not: echo_server.py PROGRAM. None of them may disturb another."""
import socket
import struct
import subprocess
import sys

PEERS = 4
MEGABYTE = bytes(range(256)) * 4096


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def read_to_end(peer):
    received = bytearray()
    while part := peer.recv(65536):
        received += part
    return bytes(received)


def send_what_fits(peer):
    """Sends until nobody takes more, since nobody reads the answers."""
    sent = 0
    peer.settimeout(0.2)
    try:
        while True:
            sent += peer.send(MEGABYTE)
    except TimeoutError:
        peer.settimeout(20)
        return sent


def visit(program, port):
    slow = connect(port)
    sent = send_what_fits(slow)

    rude = connect(port)
    rude.sendall(b"about to reset")
    rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    rude.close()

    polite = connect(port)
    for message in (b"one\n", b"two\n"):
        polite.sendall(message)
        assert polite.recv(100) == message, "an answer is not what was sent"
    polite.close()

    half = connect(port)
    half.sendall(MEGABYTE[:100000])
    half.shutdown(socket.SHUT_WR)
    assert read_to_end(half) == MEGABYTE[:100000], "half-closed: not all came back"

    second = subprocess.run([program, "127.0.0.1", str(port)], capture_output=True, text=True, timeout=20)
    assert second.returncode == 1 and "in use" in second.stderr, f"port in use: {second}"

    slow.shutdown(socket.SHUT_WR)
    assert len(read_to_end(slow)) == sent, "slow reader: not all came back"


def main():
    program = sys.argv[1]
    command = [program, "--once", str(PEERS), "127.0.0.1", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            greeting = server.stdout.readline()
            visit(program, int(greeting.split()[-1]))
            print(greeting + server.communicate(timeout=20)[0], end="")
        finally:
            server.kill()
    assert server.returncode == 0, f"the server's exit code is {server.returncode}"


main()
