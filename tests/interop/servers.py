"""The project's own client against general XMPP servers, whose modules answer like CCS: each in a folder of its own, and
each writing to stdout what it sees, as JSON lines."""

import contextlib
import os
import shutil
import socket
from dataclasses import dataclass
from string import Template

import install
from endpoint import DATA, KEY, SENDER
from process import Program, Unmet, equal


@dataclass
class Peer:
    """A server, and how it is started."""

    name: str
    install: object
    config: str
    argv: object
    environment: object


PEERS = [
    Peer(
        "Prosody (Debian)", install.prosody, "prosody/prosody.cfg.lua",
        lambda program, config, folder: [program, "--config", config, "-F"],
        lambda config, folder: {},
    ),
    Peer(
        "ejabberd (Debian)", install.ejabberd, "ejabberd/ejabberd.yml",
        # Not by ejabberdctl, which changes to a user and to folders of its own.
        lambda modules, config, folder: [
            "erl", "-noinput", "-pa", modules, "-mnesia", "dir", f'"{folder}/mnesia"', "-s", "ejabberd",
        ],
        lambda config, folder: {
            "ERL_LIBS": install.ejabberd_libraries(), "EJABBERD_CONFIG_PATH": config,
            "EJABBERD_LOG_PATH": folder / "ejabberd.log", "HOME": folder,
        },
    ),
]


class Bench:
    """A server that runs, and programs of ours that connect to it."""

    def __init__(self, peer, programs, folder):
        self.ccs, self.ping = programs
        self.state = folder / "state"
        self.folder = folder / f"{peer.name.split()[0]}-run"
        # Users of an earlier run would not be registered again.
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.peer = peer
        self.installed = peer.install(folder)
        self.port = free_port()
        self.ours = []
        self.server = None

    def start(self):
        """Starts the server, by the same port each time, and waits until it takes connections."""
        config = self.folder / os.path.basename(self.peer.config)
        template = Template((install.HERE / f"{self.peer.config}.in").read_text(encoding="utf-8"))
        config.write_text(template.substitute(
            port=self.port, here=install.HERE, folder=self.folder,
            certificate=self.state / "cert.pem", certificate_key=self.state / "cert-key.pem",
        ), encoding="utf-8")
        environment = {"CCS_SENDER": SENDER, "CCS_KEY": KEY}
        for name, value in self.peer.environment(config, self.folder).items():
            environment[name] = str(value)
        argv = [str(part) for part in self.peer.argv(self.installed, config, self.folder)]
        self.server = Program(self.peer.name, argv, environment, self.folder / "stderr.log")
        self.server.until("started")

    def ccs_command(self, *args, key="key"):
        """Starts a command of ours."""
        login = [
            "--host", "127.0.0.1", "--port", str(self.port), "--ca", str(self.state / "ca.pem"),
            "--sender", SENDER, "--key-file", str(self.state / key),
        ]
        return self._ours(f"ccs {args[0]}", [self.ccs, *args, *login], {})

    def pings(self):
        """Starts the client that pings."""
        environment = {
            "CCS_HOST": "127.0.0.1", "CCS_PORT": str(self.port), "CCS_CA": str(self.state / "ca.pem"),
            "CCS_SENDER": SENDER, "CCS_KEY": KEY,
        }
        return self._ours("the ping example", [self.ping], environment)

    def _ours(self, name, argv, environment):
        log = self.folder / f"ours-{len(self.ours)}.log"
        self.ours.append(Program(name, argv, environment, log))
        return self.ours[-1]

    def listen(self):
        """A `ccs listen` that is logged in."""
        listening = self.ccs_command("listen")
        self.server.until("login", sender=SENDER)
        return listening

    def end_ours(self):
        for program in self.ours:
            program.kill()
        self.ours.clear()

    def close(self):
        self.end_ours()
        if self.server:
            self.server.kill()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def send(bench, to, message_id):
    """A `ccs send` with one message, on its way."""
    sending = bench.ccs_command("send", "--json", "-")
    sending.tell(to=to, message_id=message_id, data=DATA)
    return sending


def answered(sending, event, message_id, code, **members):
    """The command says what became of its message, and ends with the exit code that goes with it."""
    sending.until(event, message_id=message_id, **members)
    sending.no_more()
    equal("the exit code of ccs send", sending.ended(), code)


def log_in(bench):
    listening = bench.listen()
    listening.terminate()
    equal("the exit code of ccs listen", listening.ended(), 0)


def bad_key(bench):
    listening = bench.ccs_command("listen", key="wrong-key")
    bench.server.until("refused")
    equal("the exit code of ccs listen", listening.ended(), 3)
    bench.server.never("login")


def ping(bench):
    pings = bench.pings()
    bench.server.until("ping")
    pings.until("pong")


def send_and_ack(bench):
    sending = send(bench, "phone-1", "m-1")
    taken = bench.server.until("downstream", message_id="m-1", to="phone-1")
    equal("the data that the server read", taken["data"], DATA)
    answered(sending, "ack", "m-1", 0)


def nack(bench):
    sending = send(bench, "bad-1", "m-1")
    bench.server.until("downstream", message_id="m-1")
    answered(sending, "nack", "m-1", 7, error="BAD_REGISTRATION")


def receive_and_ack(bench):
    listening = bench.listen()
    sending = send(bench, "echo-1", "m-1")
    answered(sending, "ack", "m-1", 0)
    bench.server.until("upstream_sent", message_id="up-m-1")
    read = listening.until("upstream", message_id="up-m-1")
    equal("the sender that ccs listen read", read["from"], "echo-1")
    equal("the data that ccs listen read", read["data"], DATA)
    acked = {"message_id": "up-m-1", "from": "echo-1"}
    bench.server.until("upstream_acked", **acked)


def restart(bench):
    """A command that listens and one that has something to send find the server again by themselves."""
    listening = bench.listen()
    bench.server.terminate()
    bench.server.ended()
    listening.until("reconnecting")
    sending = send(bench, "phone-1", "m-1")
    sending.until("reconnecting")
    bench.start()
    bench.server.until("downstream", message_id="m-1", to="phone-1")
    answered(sending, "ack", "m-1", 0)
    # Both have logged in again before anything is sent to the one that listens.
    listening.terminate()
    equal("the exit code of ccs listen", listening.ended(), 0)


CASES = {
    "log in": log_in,
    "bad key": bad_key,
    "ping": ping,
    "send, ack": send_and_ack,
    "nack": nack,
    "receive, ack": receive_and_ack,
    "restart": restart,
}


def run(peer, programs, folder):
    """Installs the peer and runs its cases; gives failures as they come, and at last the cells of its row by case."""
    cells = {}
    with contextlib.closing(Bench(peer, programs, folder)) as bench:
        bench.start()
        for name, case in CASES.items():
            try:
                cells[name] = case(bench) or "yes"
            except (Unmet, OSError) as why:
                cells[name] = "FAIL"
                yield name, why
            bench.end_ours()
            bench.server.forget()
    yield None, cells
