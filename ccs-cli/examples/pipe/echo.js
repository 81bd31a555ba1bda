#!/usr/bin/env node
// An app server in Node, without packages: answers each message of a device with the same data, over `ccs pipe`.
//
//     ccs serve        # in one terminal; typed into it, a phone says something:
//                      # {"op":"upstream","from":"phone-1","data":{"hello":"server"}}
//     ./echo.js        # in another one; options are those of `ccs pipe`, Ctrl-C ends it
//
// A message is acked when its work is done, which here means: when the endpoint has taken the answer over. Whatever
// happens before that, the message comes again.
'use strict';

const { spawn } = require('node:child_process');
const { createInterface } = require('node:readline');

const pipe = spawn('ccs', ['pipe', ...process.argv.slice(2)], { stdio: ['pipe', 'pipe', 'inherit'] });

// `ccs pipe` gets Ctrl-C as well. It finishes what is pending, and then it ends.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => pipe.kill('SIGTERM'));
pipe.on('error', (error) => {
  console.error(`ccs pipe: ${error.message}`);
  process.exitCode = 1;
});
pipe.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
// It has ended. What was not acked comes again.
pipe.stdin.on('error', () => {});

// What cannot be written yet waits in memory. That is bounded here, since a device's message that is not acked has one
// answer, and the endpoint sends no more than a window of those.
const say = (op) => pipe.stdin.write(`${JSON.stringify(op)}\n`);

createInterface({ input: pipe.stdout }).on('line', (line) => {
  const event = JSON.parse(line);
  switch (event.event) {
    case 'upstream':
      // The answer's id is the handle of what it answers, so that its outcome says what to ack.
      say({ op: 'send', id: event.upstream, to: event.from, data: event.data ?? {} });
      break;
    case 'ack':
      say({ op: 'ack', upstream: event.message_id });
      break;
    case 'nack':
    case 'expired':
    case 'dead':
      if (event.to !== undefined) {
        const reason = event.error ?? event.reason ?? event.event;
        say({ op: 'reject', upstream: event.message_id, reason: `no answer: ${reason}` });
      }
      break;
    case 'error':
      console.error(event.error);
      break;
    default:
      // One may keep books: `canonical` and `unregistered` say which tokens to replace and to delete.
  }
});
