"""Starts Python programs that begin with what flytekit imports of others already imported: forks of one process.

flytekit itself, its plugins and this client are imported by each program anew, under its own environment.
"""

import contextlib
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading

# Two thirds of the time that `import flytekit` takes. None of them starts a thread, and none reads what the tests set.
IMPORTS = ["pandas", "snowflake.connector", "pyspark.sql", "aiohttp", "grpc.aio", "gcsfs", "adlfs", "s3fs", "rich_click"]


class Process:
    """A program that was started; as much of subprocess.Popen as the tests use."""

    def __init__(self, command, pid, stdout, stderr, status):
        self.args, self.pid, self.returncode = command, pid, None
        self.stdout, self.stderr, self._status = (os.fdopen(end, "r") for end in (stdout, stderr, status))

    def send_signal(self, number):
        os.kill(self.pid, number)

    def communicate(self, timeout):
        """What it printed since, when it has ended."""
        printed = ["", ""]

        def read(index, stream):
            printed[index] = stream.read()

        readers = [threading.Thread(target=read, args=each, daemon=True) for each in enumerate((self.stdout, self.stderr))]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout)
        if any(reader.is_alive() for reader in readers):
            self.send_signal(signal.SIGKILL)
            raise subprocess.TimeoutExpired(self.args, timeout)
        self.returncode = int(self._status.read())
        for stream in (self.stdout, self.stderr, self._status):
            stream.close()
        return printed


class ForkServer:
    """The process that programs are forked from. It ends with this one."""

    def __init__(self, environment):
        self._socket, theirs = socket.socketpair()
        command = [sys.executable, __file__, str(theirs.fileno())]
        self._process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])
        theirs.close()

    def start(self, *command, cwd, env):
        """Runs a Python program, with its arguments."""
        pipes = [os.pipe() for _ in range(3)]
        request = json.dumps({"command": [str(part) for part in command], "cwd": str(cwd), "env": env}).encode()
        self._socket.sendall(len(request).to_bytes(4, "big"))
        socket.send_fds(self._socket, [request[:1]], [written for _, written in pipes])
        self._socket.sendall(request[1:])
        for _, written in pipes:
            os.close(written)
        pid = int.from_bytes(_receive(self._socket, 4), "big")
        return Process(command, pid, *(read for read, _ in pipes))

    def close(self):
        self._socket.close()
        self._process.wait()


def _receive(connection, size):
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise EOFError
        received += part
    return received


def _become(request, outputs):
    """Makes this process the program that is asked for."""
    for number, output in enumerate(outputs[:2], start=1):
        os.dup2(output, number)
    for output in outputs:
        os.close(output)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv[:] = request["command"]
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))


def _serve(connection):
    """Forks for every request. Returns in the forks alone."""
    running = {}
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is connection:
                try:
                    size = int.from_bytes(_receive(connection, 4), "big")
                except EOFError:
                    os._exit(0)
                first, outputs, _, _ = socket.recv_fds(connection, 1, 3)
                request = json.loads(first + _receive(connection, size - 1))
                pid = os.fork()
                if pid == 0:
                    selector.close()
                    connection.close()
                    for ended, status in running.values():
                        os.close(ended)
                        os.close(status)
                    _become(request, outputs)
                    return
                connection.sendall(pid.to_bytes(4, "big"))
                ended = os.pidfd_open(pid)
                running[pid] = (ended, outputs[2])
                selector.register(ended, selectors.EVENT_READ, pid)
                for output in outputs[:2]:
                    os.close(output)
            else:
                ended, status = running.pop(key.data)
                _, code = os.waitpid(key.data, 0)
                selector.unregister(ended)
                os.write(status, str(os.waitstatus_to_exitcode(code)).encode())
                os.close(ended)
                os.close(status)


if __name__ == "__main__":
    for name in IMPORTS:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert threading.active_count() == 1, "a fork would lose the other threads"
    _serve(socket.socket(fileno=int(sys.argv[1])))
    # Here, where no frame below holds a token that a traceback could show.
    runpy.run_path(sys.argv[0], run_name="__main__")
