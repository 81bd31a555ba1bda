"""An app server on slixmpp. Commands and events are those of ../clients.py."""

import asyncio
import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

from slixmpp import ClientXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

GCM = "{google:mobile:data}gcm"


def say(event, **members):
    print(json.dumps({"event": event, **members}), flush=True)


class Connection(ClientXMPP):
    holding = False

    def __init__(self, number):
        # slixmpp holds the certificate against the domain of the JID, so it is one that the certificate names.
        jid = os.environ["CCS_SENDER"] + "@gcm.googleapis.com"
        super().__init__(jid, os.environ["CCS_KEY"])
        self.number = number
        self.ca_certs = Path(os.environ["CCS_CA"])
        self.enable_starttls = False
        self.register_plugin("xep_0199")
        matcher = MatchXPath("{jabber:client}message/" + GCM)
        self.register_handler(Callback("gcm", matcher, self.received))
        self.add_event_handler("session_start", lambda _: say("online", connection=number))
        self.add_event_handler("failed_all_auth", lambda _: say("refused"))
        self.add_event_handler("disconnected", lambda _: say("offline", connection=number))
        # What an app server changes: host and port are told, not looked up.
        self.connect(os.environ["CCS_HOST"], int(os.environ["CCS_PORT"]))

    def received(self, message):
        body = json.loads(message.xml.find(GCM).text)
        kind = body.get("message_type")
        if message["type"] == "error":
            say("error", body=body, text=message["error"]["text"])
        elif kind in ("ack", "nack"):
            members = {key: body[key] for key in ("message_id", "error") if key in body}
            say(kind, connection=self.number, **members)
        elif kind == "control":
            say("draining", connection=self.number)
        else:
            members = {key: body[key] for key in ("message_id", "from", "data")}
            say(kind or "upstream", connection=self.number, **members)
            self.held = body
            if not Connection.holding:
                self.acknowledge()

    def acknowledge(self):
        held = self.held
        self.push({"to": held["from"], "message_id": held["message_id"], "message_type": "ack"})

    def push(self, body):
        message = self.Message()
        message["type"] = "normal"
        ElementTree.SubElement(message.xml, GCM).text = json.dumps(body)
        message.send()


async def main():
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    connections = []
    while line := await commands.readline():
        command = json.loads(line)
        op = command.pop("op")
        connection = connections[command.pop("connection", len(connections)) - 1] if connections else None
        if op == "connect":
            connections.append(Connection(len(connections) + 1))
        elif op == "send":
            connection.push(command)
        elif op == "hold":
            Connection.holding = True
            say("holding")
        elif op == "ack":
            Connection.holding = False
            connection.acknowledge()
        elif op == "ping":
            await connection["xep_0199"].ping()
            say("pong")
        elif op == "close":
            await connection.disconnect()
            return


asyncio.run(main())
