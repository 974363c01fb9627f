#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients of the web server, polite and not: http_server.py PROGRAM."""
import os
import resource
import socket
import sys
import tempfile
import threading
import time

import web

HELLO = b"Hello, World!\n"
MANY = 1000
FOREVER = 60  # seconds: what must happen before somebody loses patience

program = sys.argv[1]


class Client:
    """A connection; answers are read off it one by one."""

    def __init__(self, server, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(FOREVER)
        self.socket.connect(("127.0.0.1", server.port))
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def answer(self, has_body=True):
        """Status, header fields, body; None at the end."""
        line = self.file.readline()
        if not line:
            return None
        version, status, _ = line.split(b" ", 2)
        assert version == b"HTTP/1.1", line
        fields = {}
        while (line := self.file.readline()) != b"\r\n":
            assert line.endswith(b"\r\n"), line
            name, value = line.split(b":", 1)
            fields[name.decode().lower()] = value.strip().decode()
        body = self.file.read(int(fields.get("content-length", 0))) if has_body else b""
        return int(status), fields, body

    def get(self, path, method="GET", fields="", body=b""):
        self.send(f"{method} {path} HTTP/1.1\r\nHost: here\r\n{fields}\r\n".encode() + body)
        return self.answer(has_body=method != "HEAD")

    def expect_end(self):
        try:
            rest = self.file.read(1)
        except ConnectionResetError:
            rest = b""
        assert rest == b"", "the connection goes on"


def refused(server, data, status):
    """An answer that says why, and the end."""
    client = Client(server)
    client.send(data)
    got = client.answer()
    assert got and got[0] == status, f"{data[:60]}: {got}, not {status}"
    assert got[1]["connection"] == "close", got
    client.expect_end()


def routes(server, root):
    client = Client(server)
    status, fields, body = client.get("/")
    assert (status, body) == (200, HELLO) and "date" in fields and "connection" not in fields
    status, fields, body = client.get("/json")
    assert fields["content-type"] == "application/json" and body == b'{"message": "Hello, World!"}\n'
    assert client.get("http://here/json?query")[2] == body, "the absolute form, and a query"
    status, fields, body = client.get("/", method="HEAD")
    assert (status, fields["content-length"]) == (200, str(len(HELLO)))
    assert client.get("/delay/0.01")[2] == b"after 0.010 s\n"
    for wrong in ("", "x", "-1", "1e3", "nan", "0x1", "61"):
        assert client.get("/delay/" + wrong)[0] == 400, wrong
    assert client.get("/nowhere")[0] == 404
    status, fields, _ = client.get("/", method="POST", fields="Content-Length: 2\r\n", body=b"no")
    assert status == 405 and fields["allow"] == "GET, HEAD"
    status, fields, _ = client.get("/echo")
    assert status == 405 and fields["allow"] == "POST"
    assert client.get("/", method="DELETE")[0] == 405


def bodies(server, root):
    client = Client(server)
    largest = os.urandom(64 * 1024)
    assert client.get("/echo", "POST", f"Content-Length: {len(largest)}\r\n", largest)[2] == largest
    chunks = b"3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n"
    assert client.get("/echo", "POST", "Transfer-Encoding: chunked\r\n", chunks)[2] == b"abcdefgh"
    assert client.get("/echo", "POST", "Content-Length: 0\r\n")[2] == b""
    client.send(b"POST /echo HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert client.answer() == (100, {}, b"")
    client.send(b"hello")
    assert client.answer()[2] == b"hello"
    # One that does not wait for it is not told either, not even later.
    client.send(b"POST /echo HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi")
    assert client.answer()[2] == b"hi"
    assert client.get("/")[2] == HELLO
    refused(server, b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 65537\r\n\r\n" + bytes(65537), 413)
    endless = b"10000\r\n" + bytes(0x10000) + b"\r\n1\r\n.\r\n0\r\n\r\n"
    refused(server, b"POST /echo HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n" + endless, 413)


def requests_that_make_no_sense(server, root):
    refused(server, b"what is this\r\n\r\n", 400)
    refused(server, b"GET / HTTP/1.1\r\n\r\n", 400)  # no Host
    refused(server, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400)
    refused(server, b"GET / HTTP/1.1\r\nHost: a\r\nHo st: b\r\n\r\n", 400)
    refused(server, b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400)
    refused(server, b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400)
    refused(server, b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414)
    refused(server, b"GET / HTTP/1.1\r\nHost: a\r\nLong: " + b"a" * 10000 + b"\r\n\r\n", 431)
    refused(server, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"Field: value\r\n" * 1000 + b"\r\n", 431)
    # The answer to the good one in front is not lost.
    client = Client(server)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrubbish\r\n\r\n" + bytes(100000))
    assert client.answer()[2] == HELLO
    assert client.answer()[0] == 400
    client.expect_end()


def keeping_alive(server, root):
    client = Client(server)
    for _ in range(100):
        assert client.get("/")[2] == HELLO
    assert client.get("/", fields="Connection: close\r\n")[1]["connection"] == "close"
    client.expect_end()
    client = Client(server)
    client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert client.answer()[1]["connection"] == "keep-alive"
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.answer()[2] == HELLO
    client.expect_end()
    # A client that closes its direction still gets its answer.
    client = Client(server)
    client.send(b"GET /delay/0.05 HTTP/1.1\r\nHost: here\r\n\r\n")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.answer()[0] == 200
    client.expect_end()


def pipelining(server, root):
    client = Client(server)
    paths = ["/", "/json", "/delay/0.01", "/nowhere", "/files/small.txt"] * 100
    requests = "".join(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n" for path in paths).encode()
    threading.Thread(target=client.send, args=(requests,), daemon=True).start()
    statuses = [client.answer()[0] for _ in paths]
    assert statuses == [200, 200, 200, 404, 200] * 100, statuses
    # In the smallest pieces.
    for byte in b"GET /json HTTP/1.1\r\nHost: here\r\n\r\n":
        client.send(bytes([byte]))
    assert client.answer()[0] == 200


def files(server, root):
    client = Client(server)
    status, fields, body = client.get("/files/large")
    with open(root + "/large", "rb") as file:
        assert (status, body) == (200, file.read())
    status, fields, _ = client.get("/files/large", method="HEAD")
    assert (status, fields["content-length"]) == (200, str(os.path.getsize(root + "/large")))
    status, fields, body = client.get("/files/small.txt")
    assert (fields["content-type"], body) == ("text/plain", b"small\n")
    assert client.get("/files/empty")[2] == b""
    # Behind one that is spliced comes one that is buffered.
    client.send(b"GET /files/large HTTP/1.1\r\nHost: here\r\n\r\nGET /files/small.txt HTTP/1.1\r\nHost: here\r\n\r\n")
    assert len(client.answer()[2]) == os.path.getsize(root + "/large") and client.answer()[2] == b"small\n"
    for outside in ("../../etc/passwd", "/etc/passwd", "leaves", "directory", "fifo", "", "none"):
        assert client.get("/files/" + outside)[0] == 404, outside


def many(server, root):
    """All at once, and all are there at the same time."""
    clients = [Client(server) for _ in range(MANY)]
    for _ in range(3):
        for client in clients:
            client.send(b"GET /delay/0.05 HTTP/1.1\r\nHost: here\r\n\r\n")
        for client in clients:
            assert client.answer()[0] == 200


def slow_clients():
    with web.running(program, "--timeout", "0.3", "--root", ".") as server:
        idle, slow = Client(server), Client(server)
        assert idle.get("/")[2] == HELLO
        slow.send(b"GET / HTTP/1.1\r\n")
        status, fields, _ = slow.answer()
        assert (status, fields["connection"]) == (408, "close")
        slow.expect_end()
        idle.expect_end()
        body = Client(server)
        body.send(b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nonly")
        assert body.answer()[0] == 408
        body.expect_end()


def slow_reader(root):
    """Asks for more than the buffers hold, and takes nothing: it is given up."""
    with web.running(program, "--timeout", "0.3", "--root", root) as server:
        reader = Client(server, receive_buffer=4096)
        reader.send(b"GET /files/large HTTP/1.1\r\nHost: here\r\n\r\n" * 20)
        others = Client(server)
        while is_held(reader, server):
            others = Client(server)
            assert others.get("/")[2] == HELLO
            time.sleep(0.05)


def is_held(client, server):
    """Whether the server still has its end of the connection: a line of /proc/net/tcp says so."""
    mine = client.socket.getsockname()[1]
    with open("/proc/net/tcp") as file:
        ends = [line.split()[1:4] for line in file.readlines()[1:]]
    return [f"0100007F:{server.port:04X}", f"0100007F:{mine:04X}", "01"] in ends


def stopping():
    with web.running(program, "--grace", str(FOREVER)) as server:
        idle, busy = Client(server), Client(server)
        idle.get("/")
        busy.get("/")  # it has been accepted: who is not when the server stops listening is reset
        busy.send(b"GET /delay/0.5 HTTP/1.1\r\nHost: here\r\n\r\nGET / HTTP/1.1\r\nHost: here\r\n\r\n")
        server.ask_to_stop()
        idle.expect_end()
        status, fields, _ = busy.answer()
        assert (status, fields["connection"]) == (200, "close"), "a request that was under way"
        busy.expect_end()
        server.wait()
        try:
            Client(server)
            raise AssertionError("it still listens")
        except ConnectionRefusedError:
            pass
    with web.running(program, "--grace", "0.2") as server:
        busy = Client(server)
        busy.get("/")
        busy.send(b"GET /delay/60 HTTP/1.1\r\nHost: here\r\n\r\n")
        server.ask_to_stop()
        busy.expect_end()
        server.wait()


def other_endings():
    with web.running(program) as server:
        command = [program, "127.0.0.1", str(server.port)]
        second = web.subprocess.run(command, capture_output=True, text=True, timeout=FOREVER)
        assert second.returncode == 1 and "in use" in second.stderr, second
    assert web.subprocess.run([program, "--grace", "x"], stderr=web.subprocess.DEVNULL).returncode == 2


def make_files(root):
    for name, content in (("large", os.urandom(3000000)), ("small.txt", b"small\n"), ("empty", b"")):
        with open(f"{root}/{name}", "wb") as file:
            file.write(content)
    os.symlink("/etc/passwd", root + "/leaves")
    os.mkdir(root + "/directory")
    os.mkfifo(root + "/fifo")


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as root:
        make_files(root)
        with web.running(program, "--root", root) as server:
            for visit in (routes, bodies, requests_that_make_no_sense, keeping_alive, pipelining, files, many):
                visit(server, root)
                print(visit.__name__, "ok", flush=True)
        slow_clients()
        slow_reader(root)
    stopping()
    other_endings()
    print("ok")


main()
