"""A login node of a fake Slurm cluster: an SSH server with Slurm's commands, whose jobs run when a test says so."""

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import pathlib
import re
import shlex
import subprocess
import threading

import asyncssh

USER = "flyte"
# What the login node has beside Slurm.
SHELL = ("find", "mkdir", "pwd", "stat", "tail")
# The options of sbatch that a script may have here: https://slurm.schedmd.com/sbatch.html
DIRECTIVES = {"comment", "cpus-per-task", "error", "job-name", "output", "partition", "time"}
QUEUED = ("CONFIGURING", "PENDING", "RUNNING", "COMPLETING", "SUSPENDED")
UNKNOWN = "slurm_load_jobs error: Invalid job id specified\n"


class WrongArguments(Exception):
    pass


class Arguments(argparse.ArgumentParser):
    """Of one of Slurm's commands, without abbreviations."""

    def __init__(self, **switches):
        super().__init__(allow_abbrev=False, add_help=False, exit_on_error=False)
        for switch, kind in switches.items():
            dashes = "-" if len(switch) == 1 else "--"
            more = {"action": "store_true"} if kind is bool else {"type": kind}
            self.add_argument(dashes + switch, required=True, **more)

    def error(self, message):
        raise WrongArguments(message)


def arguments(*positional, **switches):
    parser = Arguments(**switches)
    for name in positional:
        parser.add_argument(name)
    return parser


SBATCH = arguments("script", parsable=bool)
SQUEUE = arguments(h=bool, j=str, o=str)
SACCT = arguments(X=bool, n=bool, P=bool, j=str, format=str)
SCONTROL = arguments("verb", "kind", "job", oneliner=bool)
SCANCEL = arguments("job")


@dataclasses.dataclass
class Job:
    id: str
    script: str
    directives: dict
    # The fingerprint of the SSH key that submitted it.
    key: str
    state: str = "PENDING"
    exit_code: str = "0:0"
    reason: str = "Priority"
    # Whether slurmdbd keeps it: a cluster may have none.
    is_accounted: bool = True


class Refusal(Exception):
    """A command of Slurm that fails: what it writes to stderr."""


def directives(script):
    """The options in a script's head, as sbatch reads them: up to its first command."""
    found = {}
    lines = script.splitlines()
    if not lines[0].startswith("#!"):
        raise Refusal("sbatch: error: This does not look like a batch script.")
    for line in lines[1:]:
        if line.startswith("#SBATCH "):
            name, _, value = line.removeprefix("#SBATCH --").partition("=")
            if name not in DIRECTIVES:
                raise Refusal(f"sbatch: unrecognized option '--{name}'")
            found[name] = value
        elif line and not line.startswith("#"):
            break
    return found


class FakeSlurm:
    def __init__(self, files):
        self.home = files / "home"
        self.home.mkdir()
        self.files = files
        self.jobs = {}
        self.ids = itertools.count(101)
        # The jobs that scancel was asked to end.
        self.cancelled = []
        # What no command of Slurm takes.
        self.problems = []
        self.keys = {name: asyncssh.generate_private_key("ssh-ed25519") for name in ("operator", "author")}
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")

    @property
    def environment(self):
        known = self.files / "known_hosts"
        known.write_text(f"[127.0.0.1]:{self.port} {self.host_key.export_public_key().decode()}")
        connection = {"HOST": "127.0.0.1", "PORT": str(self.port), "USERNAME": USER, "KNOWN_HOSTS": str(known)}
        connection["SSH_PRIVATE_KEY"] = self.private_key("operator")
        return {f"FLYTE_SLURM_{name}": value for name, value in connection.items()}

    def private_key(self, of):
        return self.keys[of].export_private_key().decode()

    def submitted(self, name):
        """The jobs of the task `name`."""
        return [job for job in self.jobs.values() if job.directives["job-name"].startswith(f"flyte-{name}-")]

    def run(self, job):
        """Runs a job's script on this machine."""
        with open(job.directives["output"], "w") as out, open(job.directives["error"], "w") as err:
            done = subprocess.run(["bash", "-c", job.script], cwd=self.home, stdout=out, stderr=err, timeout=60)
        job.exit_code = f"{done.returncode}:0"
        job.state = "FAILED" if done.returncode else "COMPLETED"
        job.reason = "None"

    def sbatch(self, words, key):
        path = pathlib.Path(SBATCH.parse_args(words).script)
        job = Job(str(next(self.ids)), path.read_text(), directives(path.read_text()), key)
        self.jobs[job.id] = job
        return f"{job.id}\n"

    def squeue(self, words, key):
        asked = SQUEUE.parse_args(words)
        job = self.jobs.get(asked.j)
        if job is None:
            raise Refusal(UNKNOWN)
        fields = {"%i": job.id, "%T": job.state, "%r": job.reason}
        return re.sub("%.", lambda field: fields[field[0]], asked.o) + "\n" if job.state in QUEUED else ""

    def sacct(self, words, key):
        asked = SACCT.parse_args(words)
        job = self.jobs.get(asked.j)
        if job is None or not job.is_accounted:
            return ""
        fields = {"JobIDRaw": job.id, "State": job.state, "ExitCode": job.exit_code, "Reason": job.reason}
        return "|".join(fields[name] for name in asked.format.split(",")) + "\n"

    def scontrol(self, words, key):
        asked = SCONTROL.parse_args(words)
        if (asked.verb, asked.kind) != ("show", "job"):
            raise WrongArguments(words)
        job = self.jobs.get(asked.job)
        if job is None:
            raise Refusal(UNKNOWN)
        name = job.directives["job-name"]
        return f"JobId={job.id} JobName={name} JobState={job.state} Reason={job.reason} ExitCode={job.exit_code}\n"

    def scancel(self, words, key):
        job = self.jobs.get(SCANCEL.parse_args(words).job)
        if job is None:
            raise Refusal("scancel: error: Kill job error: Invalid job id specified\n")
        self.cancelled.append(job)
        # It says nothing about a job that has ended.
        if job.state in QUEUED:
            job.state, job.reason = "CANCELLED by 1000", "None"
        return ""

    async def serve(self, process):
        """Runs one command of an SSH session."""
        words = shlex.split(process.command)
        out, err, status = "", "", 0
        if words[0] in SHELL:
            out, err, status = await self.shell(process.command)
        else:
            try:
                command = {"sbatch": self.sbatch, "squeue": self.squeue, "sacct": self.sacct}
                command |= {"scontrol": self.scontrol, "scancel": self.scancel}
                out = command[words[0]](words[1:], process.get_extra_info("key"))
            except Refusal as refusal:
                err, status = str(refusal), 1
            except Exception as error:
                self.problems.append(f"{process.command}: {error!r}")
                err, status = str(error), 1
        process.stdout.write(out)
        process.stderr.write(err)
        process.exit(status)

    async def shell(self, command):
        pipe = asyncio.subprocess.PIPE
        running = await asyncio.create_subprocess_shell(command, cwd=self.home, stdout=pipe, stderr=pipe)
        out, err = await running.communicate()
        return out.decode(), err.decode(), running.returncode


class LoginNode(asyncssh.SSHServer):
    def __init__(self, slurm):
        self.fingerprints = {key.get_fingerprint(): name for name, key in slurm.keys.items()}

    def connection_made(self, connection):
        self.connection = connection

    def public_key_auth_supported(self):
        return True

    def validate_public_key(self, username, key):
        owner = self.fingerprints.get(key.get_fingerprint())
        self.connection.set_extra_info(key=owner)
        return username == USER and owner is not None


@contextlib.contextmanager
def running(files):
    slurm = FakeSlurm(files)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen():
        node = {"server_factory": lambda: LoginNode(slurm), "server_host_keys": [slurm.host_key]}
        return await asyncssh.listen("127.0.0.1", 0, process_factory=slurm.serve, sftp_factory=True, **node)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(timeout=30)
    slurm.port = server.get_port()
    try:
        yield slurm
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=30)
