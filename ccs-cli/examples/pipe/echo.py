#!/usr/bin/env python3
"""An app server in Python: answers each message of a device with the same data, over `ccs pipe`.

    ccs serve        # in one terminal; typed into it, a phone says something:
                     # {"op":"upstream","from":"phone-1","data":{"hello":"server"}}
    ./echo.py        # in another one; options are those of `ccs pipe`, Ctrl-C ends it

A message is acked when its work is done, which here means: when the endpoint has taken the answer over. Whatever
happens before that, the message comes again.
"""

import json
import signal
import subprocess
import sys


def main():
    pipe = subprocess.Popen(
        ["ccs", "pipe", *sys.argv[1:]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    # `ccs pipe` gets Ctrl-C as well. It finishes what is pending, and then its stdout ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: pipe.terminate())

    def say(**op):
        try:
            pipe.stdin.write(json.dumps(op) + "\n")
            pipe.stdin.flush()
        except BrokenPipeError:
            pass  # It has ended. What was not acked comes again.

    for line in pipe.stdout:
        event = json.loads(line)
        kind = event["event"]
        if kind == "upstream":
            # The answer's id is the handle of what it answers, so that its outcome says what to ack.
            say(op="send", id=event["upstream"], to=event["from"], data=event.get("data", {}))
        elif kind == "ack":
            say(op="ack", upstream=event["message_id"])
        elif kind in ("nack", "expired", "dead") and "to" in event:
            reason = event.get("error") or event.get("reason") or kind
            say(op="reject", upstream=event["message_id"], reason=f"no answer: {reason}")
        elif kind == "error":
            print(event["error"], file=sys.stderr)
        # Of the rest one may keep books: `canonical` and `unregistered` say which tokens to replace and to delete.
    return pipe.wait()


if __name__ == "__main__":
    sys.exit(main())
