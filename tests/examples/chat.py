#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The chat's programs among clients that are polite and clients that are not: chat.py SERVER CLIENT [CASE]..."""
import json
import os
import signal
import socket
import struct
import subprocess
import sys

SERVER, CLIENT = sys.argv[1:3]
TIMEOUT = 40


class Peer:
    """A connection that speaks the protocol by hand."""

    all = []

    def __init__(self, port, receive_buffer=0):
        self.socket = socket.socket()
        self.socket.settimeout(TIMEOUT)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.lines = self.socket.makefile("rb")
        self.all.append(self)

    def send(self, **message):
        self.send_raw(json.dumps(message).encode() + b"\n")

    def send_raw(self, line):
        self.socket.sendall(line)

    def receive(self):
        line = self.lines.readline()
        return json.loads(line) if line else None

    def receive_whole(self):
        """The next message that came whole; None at the end, also at one within a line."""
        try:
            line = self.lines.readline()
        except ConnectionResetError:
            return None
        return json.loads(line) if line.endswith(b"\n") else None

    def expect(self, **message):
        received = self.receive()
        assert received == message, f"{received} instead of {message}"

    def complaint(self):
        received = self.receive()
        assert received and received["type"] == "error" and received["text"], f"{received} is no complaint"
        return received["text"]

    def join(self, group):
        self.send(type="join", group=group)
        self.expect(type="joined", group=group)

    def post(self, group, text):
        self.send(type="post", group=group, text=text)

    def leave(self, group):
        """Until it has left: what was received, and the count of what was missed."""
        self.send(type="leave", group=group)
        texts, missed = [], 0
        while (message := self.receive()) != {"type": "left", "group": group}:
            assert message and message["group"] == group, message
            if message["type"] == "missed":
                missed += message["count"]
            else:
                texts.append(message["text"])
        return texts, missed

    def close(self):
        self.lines.close()
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class Server:
    def __init__(self, *options):
        command = [SERVER, *options, "127.0.0.1", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[-1])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        while Peer.all:
            Peer.all.pop().close()  # for those that stay the server would wait its two seconds
        if kind is None:
            self.stop(signal.SIGTERM)
        self.process.kill()
        self.process.wait()

    def stop(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=TIMEOUT)
        assert code == 0, f"the server's exit code is {code}"


def connect(server, count):
    return [Peer(server.port) for _ in range(count)]


def works(server):
    """Whether two others can talk."""
    one, two = connect(server, 2)
    one.join("check")
    two.join("check")
    one.post("check", "still there?")
    assert two.receive()["text"] == "still there?"


def conversation():
    with Server() as server:
        ann, bob, cem = connect(server, 3)
        ann.join("red")
        bob.join("red")
        bob.join("blue")
        cem.join("blue")
        ann.post("red", "from ann")
        for peer in ann, bob:
            peer.expect(type="message", group="red", **{"from": 1}, text="from ann")
        cem.post("blue", 'ünï "quoted" \\ \n')
        for peer in bob, cem:
            peer.expect(type="message", group="blue", **{"from": 3}, text='ünï "quoted" \\ \n')
        ann.post("blue", "not a member")
        assert ann.complaint() == "not in this group"
        assert bob.leave("red") == ([], 0)
        ann.post("red", "alone")
        assert ann.receive()["text"] == "alone"
        bob.post("blue", "only blue comes")
        assert bob.receive()["text"] == cem.receive()["text"] == "only blue comes"
        ann.leave("red")  # empty now: it goes, and comes again
        ann.join("red")
        ann.send(type="leave", group="blue")
        assert ann.complaint() == "not in this group"


def limits():
    with Server("--clients", "2") as server:
        one, two = connect(server, 2)
        one.join("g" * 32)
        two.join("g" * 32)
        one.send(type="join", group="g" * 32)
        assert one.complaint() == "already in this group"
        for name in ("g" * 33, "", "é" * 17):
            one.send(type="join", group=name)
            assert "group" in one.complaint()
        for number in range(15):
            one.join(f"group {number}")
        one.send(type="join", group="one more")
        assert one.complaint() == "in too many groups"

        third = Peer(server.port)
        third.send(type="join", group="group 0")
        assert third.complaint() == "the server is full"
        assert third.receive() is None
        two.socket.shutdown(socket.SHUT_WR)
        assert two.receive() is None  # its session is over
        while True:  # its place is free in a moment
            third = Peer(server.port)
            third.send(type="join", group="group 0")
            if third.receive()["type"] == "joined":
                break


def slow():
    """One that does not read keeps nobody from talking, and when it reads it learns how many messages it missed."""
    text, count = "x" * 500, 2000
    with Server() as server:
        poster, reader = connect(server, 2)
        dead = Peer(server.port, receive_buffer=4096)
        for peer in poster, reader, dead:
            peer.join("busy")
        for number in range(count):
            poster.post("busy", f"{number} {text}")
            for peer in poster, reader:
                assert peer.receive()["text"] == f"{number} {text}"
        assert reader.leave("busy") == ([], 0)
        texts, missed = dead.leave("busy")
        numbers = [int(received.split()[0]) for received in texts]
        print(f"received {len(texts)}, missed {missed}")
        assert len(texts) + missed == count and missed > 0
        assert numbers == sorted(set(numbers)) and numbers[0] == 0 and numbers[-1] == count - 1
        dead.join("busy")  # it is a client like another now
        poster.post("busy", "hello again")
        assert dead.receive()["text"] == "hello again"


def impatient():
    """One that leaves a group and does not take what is left of it loses its place."""
    with Server("--clients", "2", "--patience", "0.3") as server:
        poster = Peer(server.port)
        dead = Peer(server.port, receive_buffer=4096)
        for peer in poster, dead:
            peer.join("busy")
        for number in range(2000):
            poster.post("busy", "x" * 500)
            assert poster.receive()["type"] == "message"
        dead.send(type="leave", group="busy")
        while True:
            third = Peer(server.port)
            third.send(type="join", group="busy")
            if third.receive()["type"] == "joined":
                break
        messages = list(iter(dead.receive_whole, None))
        assert messages and messages[-1]["type"] != "left", messages[-1]


def flood():
    """Posts as fast as they can be sent: each receiver's account is right, whatever it missed."""
    count = 5000
    with Server() as server:
        poster, reader = connect(server, 2)
        for peer in poster, reader:
            peer.join("flood")
        post = json.dumps({"type": "post", "group": "flood", "text": "water"}).encode() + b"\n"
        pid = os.fork()
        if pid == 0:
            poster.send_raw(post * count)
            os._exit(0)
        texts, missed = 0, 0
        while texts + missed < count:
            message = reader.receive()
            texts += message["type"] == "message"
            missed += message["count"] if message["type"] == "missed" else 0
        assert os.waitpid(pid, 0)[1] == 0
        print(f"received {texts}, missed {missed}")
        assert texts + missed == count
        assert reader.leave("flood") == ([], 0)
        received, missed = poster.leave("flood")
        assert len(received) + missed == count


BAD = [
    b"",
    b"garbage",
    b"null",
    b"[]",
    b"{",
    b"{}",
    b'{"type":7}',
    b'{"type":"sing","group":"a"}',
    b'{"type":"joined","group":"a"}',
    b'{"type":"join"}',
    b'{"type":"join","group":7}',
    b'{"type":"join","group":"a","more":{}}',
    b'{"type":"post","group":"a"}',
    b'{"type":"post","group":"a","text":["a"]}',
    b'{"type":"missed","group":"a","count":-1}',
    b'{"type":"missed","group":"a","count":1e400}',
    b'{"type":"join","group":"a"} {}',
    b'{"type":"join","group":"a\x00"}',
    b'{"type":"join","group":"\xff"}',
    b'{"type":"join","group":"\xed\xa0\x80"}',
    b'{"type":"post","group":"a","text":"' + b"\x01" * 900 + b'"}',
    b"[" * 1000,
    b'{"a":' * 200,
    b'{"type":"post","group":"a","text":"' + b"x" * 1000 + b'"}',
    b"x" * 1024,
    b"y" * 100000,
]


def prompt():
    """Who knows that the server listens may stop it."""
    for _ in range(20):
        with Server():
            pass


def bad():
    with Server() as server:
        peer, other = connect(server, 2)
        for one in peer, other:
            one.join("a")
        for line in BAD:
            peer.send_raw(line + b"\n")
            print(line[:60], "->", peer.complaint())
        peer.send_raw(b'{"type":"post",\r\n')
        assert peer.complaint() == "not a JSON object"
        peer.send_raw(b' { "text" : "\\u00fc", "group" : "a", "type" : "post" } \r\n')
        assert other.receive()["text"] == "ü"


def rude():
    """Reset, gone within a line, half-closed, silent for ever: nobody else notices."""
    with Server() as server:
        for _ in range(20):
            peer = Peer(server.port)
            peer.join("rude")
            peer.send_raw(b'{"type":"post","group":"rude","text":"' if _ % 2 else b"z" * 3000)
            peer.reset()
        half = Peer(server.port)
        half.send(type="join", group="half")
        for number in range(50):
            half.post("half", str(number))
        half.send_raw(b'{"type":"post","group":"half","text":"last, without an end"}')
        half.socket.shutdown(socket.SHUT_WR)
        half.expect(type="joined", group="half")
        texts = [message["text"] for message in iter(half.receive, None)]
        assert texts == [str(number) for number in range(50)] + ["last, without an end"], texts
        works(server)


def client():
    with Server() as server:
        peer = Peer(server.port)
        peer.join("tea")
        command = [CLIENT, "127.0.0.1", str(server.port)]
        talk = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        talk.stdin.write("join tea\n")
        talk.stdin.flush()
        assert talk.stdout.readline() == "joined tea\n"
        peer.post("tea", "red \x1b[31m or green?")
        assert talk.stdout.readline() == "tea, 1: red ?[31m or green?\n"
        talk.stdin.write(f"post tea green, please\nwhat?\npost tea {'x' * 2000}\npost tea {'x' * 1000}\npost milk a\n"
                         "leave tea\nleave tea")
        out, err = talk.communicate(timeout=TIMEOUT)
        print(out, err)
        assert talk.returncode == 0
        # What a group brings and what is answered comes from two tasks: only what leaving tells has its place.
        lines = out.splitlines()
        assert sorted(lines[:2]) == ["error: not in this group", "tea, 2: green, please"], out
        assert lines[2:] == ["left tea", "error: not in this group"], out
        assert err.count("help") == 1 and err.count("too long") == 2, err
        assert peer.receive()["text"] == "red \x1b[31m or green?"
        assert peer.receive()["text"] == "green, please"

    # A server that sends what it should not, and goes away.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [CLIENT, "127.0.0.1", str(listener.getsockname()[1])]
        talk = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        connection = listener.accept()[0]
        connection.sendall(b"garbage\n" + b"long" * 5000 + b'\n{"type":"left","group":"b"}\n{"type":"missed","group":"b","count":3}\n')
        connection.close()
        out = [talk.stdout.readline() for _ in range(4)]
        code = talk.wait(timeout=TIMEOUT)  # its standard input is still open
        assert [len(line.split("no message")) for line in out[:2]] == [2, 2] and out[2:] == ["left b\n", "b: 3 missed\n"], out
        assert code == 1 and "has closed" in talk.stderr.read()
        talk.stdin.close()
    refused = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT)
    assert refused.returncode == 1 and "refused" in refused.stderr, refused


def stop():
    """What is on its way arrives; one that does not read cannot hold the server up."""
    for number in signal.SIGTERM, signal.SIGINT:
        with Server() as server:
            peer, idle = connect(server, 2)
            dead = Peer(server.port, receive_buffer=4096)
            for one in peer, dead:
                one.join("end")
            for _ in range(500):
                peer.post("end", "x" * 500)
                assert peer.receive()["type"] == "message"
            peer.post("end", "the last word")
            assert peer.receive()["text"] == "the last word"
            server.stop(number)
            assert peer.receive() is None and idle.receive() is None
            assert server.process.returncode == 0


CASES = {case.__name__: case for case in (conversation, limits, slow, impatient, flood, bad, prompt, rude, client, stop)}
for name in sys.argv[3:] or CASES:
    print(f"--- {name}", flush=True)
    CASES[name]()
