# SPDX-License-Identifier: MIT
"""The web server of the examples, started for a test and stopped with it."""
import contextlib
import signal
import subprocess


class Server:
    def __init__(self, process, port):
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def ask_to_stop(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        """It must end by itself, with 0, and have said nothing."""
        rest = self.process.communicate(timeout=30)[0]
        assert self.process.returncode == 0, f"the server's exit code is {self.process.returncode}: {rest}"
        assert rest == "", f"the server said: {rest}"


@contextlib.contextmanager
def running(program, *options):
    command = [program, *options, "127.0.0.1", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        greeting = process.stdout.readline()
        assert greeting.startswith("listening on port "), f"the server began with: {greeting}"
        yield Server(process, int(greeting.split()[-1]))
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    except BaseException:
        process.kill()
        print(process.communicate()[0])
        raise
    server = Server(process, 0)
    server.wait()
