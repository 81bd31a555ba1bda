#!/bin/sh
# An app server in shell, with jq: answers each message of a device with the same data, over `ccs pipe`.
#
#     ccs serve        # in one terminal; typed into it, a phone says something:
#                      # {"op":"upstream","from":"phone-1","data":{"hello":"server"}}
#     ./echo.sh        # in another one; options are those of `ccs pipe`, Ctrl-C ends it
#
# A message is acked when its work is done, which here means: when the endpoint has taken the answer over. Whatever
# happens before that, the message comes again.
set -eu

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
mkfifo "$folder/ops"
# `ccs pipe` takes Ctrl-C all the same. It finishes what is pending, and then its stdout ends.
trap '' INT

answer() {
  printf '%s\n' "$event" | jq --compact-output "$1"
}

# `event` is the first member of each line, so no line is read twice to see what it is.
ccs pipe "$@" < "$folder/ops" | while IFS= read -r event; do
  case $event in
    '{"event":"upstream",'*)
      # The answer's id is the handle of what it answers, so that its outcome says what to ack.
      answer '{op: "send", id: .upstream, to: .from, data: (.data // {})}'
      ;;
    '{"event":"ack",'*)
      answer '{op: "ack", upstream: .message_id}'
      ;;
    '{"event":"nack",'* | '{"event":"expired",'* | '{"event":"dead",'*)
      answer 'select(.to) | {op: "reject", upstream: .message_id,
        reason: "no answer: \(.error // .reason // .event)"}'
      ;;
    '{"event":"error",'*)
      printf '%s\n' "$event" >&2
      ;;
  esac
done > "$folder/ops"
