#!/usr/bin/env python3
"""Stands for the bridge: notes its arguments and what it sees, and answers on the admin port.

Its own flags, after the real ones: ``--exit-with=CODE`` ends it at once, ``--exit-on-signal-with=CODE`` after SIGTERM;
with ``--deaf`` it goes on.
"""

import http.server
import json
import os
import signal
import socket
import stat
import sys
import threading

if sys.argv[1:] == ["--version"]:
    print("bridge 0.1.0")
    sys.exit()

flags = [part for argument in sys.argv[1:] for part in argument.split("=", 1)]
upstream = flags[flags.index("--upstream") + 1].removeprefix("unix:")


def option(name, default=None):
    return flags[flags.index(name) + 1] if name in flags else default


def note(**facts):
    with open(os.environ["FAKE_BRIDGE_JOURNAL"], "a") as journal:
        journal.write(json.dumps(facts) + "\n")


def upstream_answers():
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(upstream)
        return True
    except OSError:
        return False


class Admin(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *args):
        pass


mode = stat.S_IMODE(os.stat(os.path.dirname(upstream)).st_mode)
note(arguments=sys.argv[1:], pid=os.getpid(), mode=oct(mode), upstream_answers=upstream_answers())
print("a line of the bridge's log", flush=True)
if option("--exit-with"):
    sys.exit(int(option("--exit-with")))
host, port = option("--admin-listen").split(":")
server = http.server.ThreadingHTTPServer((host, int(port)), Admin)


def stop(number, frame):
    note(signal=number, upstream_answers=upstream_answers())
    if "--deaf" not in flags:
        threading.Thread(target=server.shutdown).start()


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, lambda number, frame: note(signal=number))
server.serve_forever()
sys.exit(int(option("--exit-on-signal-with", 0)))
