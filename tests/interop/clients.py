"""App servers on libraries that were written for Google's endpoint, or for XMPP at large, against `ccs serve`.

Each is a program in a folder of its own that takes commands as JSON lines:

    {"op":"connect"}                       open a connection, beside those there are
    {"op":"send","to":T,"message_id":I,"data":{..},"delivery_receipt_requested":true,"connection":N}
    {"op":"hold"}  {"op":"ack","connection":N}   ack nothing; ack what came last by that connection, and all that follows
    {"op":"ping"}  {"op":"close"}          ping; end the last connection, in order where the library can

and says what happens: online, refused, offline, holding, pong, ack, nack, upstream, receipt, draining, error. `connection` counts
the program's connections from 1, as the endpoint counts its own; without it the last one is meant.
"""

import contextlib
from dataclasses import dataclass

import install
from endpoint import DATA, KEY, SENDER, serve
from process import Program, Unmet, equal

# The port is compiled into node-xcs, so it gets an address where nobody else listens.
OWN_ADDRESS = "127.18.35.53:5235"


@dataclass
class Peer:
    """A client library, and where it differs from the others."""

    name: str
    install: object
    argv: object
    listen: str = "127.0.0.1:0"
    # Ends a stream by </stream:stream>, not by ending the transport.
    ends_streams: bool = True
    # Sees CONNECTION_DRAINING, and can hold a second connection.
    notices_draining: bool = True
    # Leaves it to the app server when to ack, and when to connect again.
    is_told: bool = True


PEERS = [
    Peer(
        "slixmpp 1.17.0 (PyPI)", install.slixmpp,
        lambda python: [python, install.HERE / "slixmpp" / "client.py"],
    ),
    Peer(
        "node-xcs 0.1.8 (npm)", install.node_xcs,
        lambda folder: ["node", "--require", "./hosts.js", folder / "client.js"],
        listen=OWN_ADDRESS, notices_draining=False, is_told=False,
    ),
    Peer("go-xmpp (Debian)", install.go_xmpp, lambda program: [program], ends_streams=False),
    Peer("libstrophe (Debian)", install.libstrophe, lambda program: [program]),
]


class Bench:
    """An endpoint and a client of it, for one case."""

    def __init__(self, peer, installed, ccs, folder, name, key, args):
        log = folder / f"{peer.name.split()[0]}-{name}"
        self.peer = peer
        self.endpoint, first = serve(ccs, folder / "state", f"{log}-endpoint.log", *args, listen=peer.listen)
        environment = {
            "CCS_HOST": first["addr"], "CCS_PORT": str(first["port"]), "CCS_CA": first["ca"],
            "CCS_SENDER": SENDER, "CCS_KEY": key,
            # How the CA is told to Go and to Node.
            "SSL_CERT_FILE": first["ca"], "NODE_EXTRA_CA_CERTS": first["ca"],
        }
        argv = [str(part) for part in peer.argv(installed)]
        cwd = installed if peer.argv(installed)[0] == "node" else None
        self.client = Program(peer.name, argv, environment, f"{log}-client.log", cwd=cwd)

    def log_in(self, number=1):
        """Opens a connection; both sides count it as `number`."""
        self.client.tell(op="connect")
        return self.online(number)

    def online(self, number):
        self.client.until("online", connection=number)
        return self.endpoint.until("login", sender=SENDER)["connection"]

    def send(self, to, message_id, **members):
        self.client.tell(op="send", to=to, message_id=message_id, data=DATA, **members)

    def upstream(self, message_id):
        """A phone sends to the app server."""
        self.endpoint.tell(op="upstream", **{"from": "phone-1"}, message_id=message_id, data=DATA)

    def hold_upstream(self, message_id, connection):
        """A message that the client has been sent and does not ack."""
        if self.peer.is_told:
            self.client.tell(op="hold")
            self.client.until("holding")
            self.upstream(message_id)
            self.client.until("upstream", message_id=message_id)
        else:
            # It acks whatever it reads, so it must not read.
            self.client.stop_reading()
            self.upstream(message_id)
        self.endpoint.until("upstream_sent", connection=connection, message_id=message_id)
        self.endpoint.never("upstream_acked", message_id=message_id)

    def close(self):
        self.client.kill()
        self.endpoint.kill()


def log_in(bench):
    connection = bench.log_in()
    bench.client.tell(op="close")
    bench.client.until("offline", connection=1)
    closed = bench.endpoint.until("closed", connection=connection, unacked=0)
    equal("the end of the stream is in order", "error" not in closed, bench.peer.ends_streams)


def bad_key(bench):
    bench.client.tell(op="connect")
    refused = bench.endpoint.until("refused", sender=SENDER)
    equal("the reason", refused["reason"], "the key is wrong")
    bench.client.until("refused")
    bench.client.never("online")
    bench.endpoint.never("login")


def ping(bench):
    bench.log_in()
    bench.client.tell(op="ping")
    bench.client.until("pong")
    # The endpoint has no event for it, but its trace shows both stanzas.
    bench.endpoint.traced("urn:xmpp:ping")


def send_and_ack(bench):
    connection = bench.log_in()
    bench.send("phone-1", "m-1")
    taken = bench.endpoint.until("downstream", connection=connection, message_id="m-1", to="phone-1")
    equal("the data that the endpoint read", taken["data"], DATA)
    bench.endpoint.until("delivered", message_id="m-1", device="phone-1")
    bench.client.until("ack", message_id="m-1")


def nack(bench):
    connection = bench.log_in()
    bench.send("bad-1", "m-1")
    bench.endpoint.until("nack", connection=connection, message_id="m-1", error="BAD_REGISTRATION")
    bench.client.until("nack", message_id="m-1", error="BAD_REGISTRATION")
    bench.endpoint.never("delivered")
    bench.client.never("ack")


def receive_and_ack(bench):
    connection = bench.log_in()
    bench.upstream("up-1")
    bench.endpoint.until("upstream_sent", connection=connection, message_id="up-1")
    read = bench.client.until("upstream", message_id="up-1", connection=1)
    equal("the sender that the client read", read["from"], "phone-1")
    equal("the data that the client read", read["data"], DATA)
    acked = {"connection": connection, "from": "phone-1", "message_id": "up-1"}
    bench.endpoint.until("upstream_acked", **acked)
    bench.endpoint.never("invalid")


def receipt(bench):
    connection = bench.log_in()
    bench.send("phone-1", "m-1", delivery_receipt_requested=True)
    bench.client.until("ack", message_id="m-1")
    bench.endpoint.until("receipt_sent", connection=connection, message_id="dr2:m-1")
    read = bench.client.until("receipt", message_id="dr2:m-1")
    equal("the message it is about", read["data"]["original_message_id"], "m-1")
    bench.endpoint.until("receipt_acked", connection=connection, message_id="dr2:m-1")
    bench.endpoint.never("invalid")


def draining(bench):
    first = bench.log_in()
    if not bench.peer.notices_draining:
        return draining_unnoticed(bench, first)
    bench.hold_upstream("up-1", first)
    bench.endpoint.tell(op="drain")
    bench.endpoint.until("draining", connection=first)
    bench.client.until("draining", connection=1)
    bench.send("phone-1", "m-1")
    refused_on(bench, first)
    # The same message goes out again by a new connection, and what came by the old one is acked there.
    second = bench.log_in(2)
    bench.send("phone-1", "m-1")
    bench.client.until("ack", message_id="m-1", connection=2)
    bench.endpoint.until("ack", connection=second, message_id="m-1")
    bench.client.tell(op="ack", connection=1)
    bench.endpoint.until("upstream_acked", connection=first, message_id="up-1")
    ended_in_order(bench, first)


def draining_unnoticed(bench, first):
    """The library does not say that the connection drains. It opens another one when the endpoint has closed this."""
    bench.endpoint.tell(op="drain")
    bench.endpoint.until("draining", connection=first)
    bench.send("phone-1", "m-1")
    refused_on(bench, first)
    ended_in_order(bench, first)
    second = bench.online(2)
    bench.client.never("draining")
    bench.send("phone-1", "m-1")
    bench.client.until("ack", message_id="m-1")
    bench.endpoint.until("ack", connection=second, message_id="m-1")
    return "late ¹"


def refused_on(bench, connection):
    refused = bench.endpoint.until("invalid", connection=connection, message_id="m-1")
    equal("the reason", refused["reason"], "CONNECTION_DRAINING")
    bench.client.until("nack", message_id="m-1", error="CONNECTION_DRAINING")


def ended_in_order(bench, connection):
    bench.client.until("offline", connection=1)
    closed = bench.endpoint.until("closed", connection=connection, unacked=0)
    # Whoever does not answer the end of the stream ends the transport, which after that end is in order too.
    equal("the error of the drained connection", closed.get("error"), None)


def disconnect(bench):
    first = bench.log_in()
    # This phone cuts the connection before it answers, the first time it sees the message.
    bench.send("drop-1", "m-1")
    bench.endpoint.until("downstream", connection=first, message_id="m-1")
    bench.endpoint.until("closed", connection=first)
    bench.client.until("offline", connection=1)
    bench.client.never("ack")
    second = again(bench)
    bench.send("drop-1", "m-1")
    bench.endpoint.until("downstream", connection=second, message_id="m-1")
    bench.endpoint.until("delivered", message_id="m-1")
    bench.client.until("ack", message_id="m-1")


def redelivery(bench):
    first = bench.log_in()
    bench.hold_upstream("up-1", first)
    bench.endpoint.tell(op="drop")
    bench.endpoint.until("closed", connection=first, unacked=1)
    if not bench.peer.is_told:
        bench.client.read_on()
    bench.client.until("offline", connection=1)
    second = again(bench)
    bench.endpoint.until("upstream_sent", connection=second, message_id="up-1")
    bench.client.until("upstream", message_id="up-1", connection=2)
    if bench.peer.is_told:
        bench.endpoint.never("upstream_acked")
        bench.client.tell(op="ack", connection=2)
    bench.endpoint.until("upstream_acked", connection=second, message_id="up-1")


def strict(bench):
    """An endpoint that tolerates nothing has nothing to say against this client."""
    receipt(bench)
    bench.upstream("up-1")
    bench.endpoint.until("upstream_acked", message_id="up-1")
    bench.client.tell(op="ping")
    bench.client.until("pong")
    bench.endpoint.never("fault")
    bench.endpoint.never("closed")


def again(bench):
    """The second login: the app server's doing, or the library's."""
    return bench.log_in(2) if bench.peer.is_told else bench.online(2)


CASES = {
    "log in": log_in,
    "bad key": bad_key,
    "ping": ping,
    "send, ack": send_and_ack,
    "nack": nack,
    "receive, ack": receive_and_ack,
    "receipt": receipt,
    "draining": draining,
    "disconnect": disconnect,
    "redelivery": redelivery,
    "strict": strict,
}


def run(peer, ccs, folder):
    """Installs the peer and runs its cases; gives the cells of its row by case."""
    installed = peer.install(folder)
    cells = {}
    for name, case in CASES.items():
        key = KEY[::-1] if case is bad_key else KEY
        args = ["--strict"] if case is strict else []
        file_name = name.replace(", ", "-").replace(" ", "-")
        bench = Bench(peer, installed, ccs, folder, file_name, key, args)
        with contextlib.closing(bench):
            try:
                cells[name] = case(bench) or "yes"
            except (Unmet, OSError) as why:
                cells[name] = "FAIL"
                yield name, why
    yield None, cells
