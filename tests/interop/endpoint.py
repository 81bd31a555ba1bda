"""`ccs serve`, and what of it a case needs."""

import json
import os
import subprocess

from process import Program

SENDER = "123456789012"
KEY = "AIzaSyTEST-key_0123456789abcdefghijklmn"
DATA = {"text": "w\u00f6rld <&> \"q\" 'a' ]]> \u2713 \U0001f600", "empty": ""}
SETTINGS = ("CCS_SENDER", "CCS_KEY", "CCS_KEY_FILE", "CCS_CA", "CCS_HOST", "CCS_PORT")


def build(root):
    """Builds the command and the example; gives their paths by name."""
    paths = {}
    for target in (["-p", "ccs-cli", "--bin", "ccs"], ["-p", "ccs-tests", "--example", "ping"]):
        built = subprocess.run(
            ["cargo", "build", "--quiet", "--locked", "--message-format=json", *target],
            cwd=root, stdout=subprocess.PIPE, text=True, check=True,
        )
        for line in built.stdout.splitlines():
            message = json.loads(line)
            if message.get("executable"):
                paths[message["target"]["name"]] = message["executable"]
    return paths["ccs"], paths["ping"]


def state(folder):
    """A state folder with the sender and the key of all cases, and a key that is wrong."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in (("sender", SENDER), ("key", KEY), ("wrong-key", KEY[::-1])):
        path = folder / name
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    return folder


def serve(ccs, state_folder, log, *args, listen="127.0.0.1:0"):
    """Starts an endpoint; gives it and its first line."""
    for name in SETTINGS:
        os.environ.pop(name, None)
    argv = [ccs, "serve", "--trace", "--state-dir", str(state_folder), "--listen", listen, *args]
    endpoint = Program("ccs serve", argv, {}, log)
    return endpoint, endpoint.until("listening")
