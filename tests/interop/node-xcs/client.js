// An app server on node-xcs. Commands and events are those of ../clients.py.
'use strict';

const readline = require('node:readline');
const { Message, Sender } = require('node-xcs');

const say = (event, members) => console.log(JSON.stringify({ event, ...members }));

let sender;
let connections = 0;

function connect() {
  sender = new Sender(process.env.CCS_SENDER, process.env.CCS_KEY);
  sender.on('connected', () => say('online', { connection: ++connections }));
  sender.on('message', (id, from, data) => {
    say('upstream', { connection: connections, message_id: id, from, data });
  });
  sender.on('receipt', (id, from, data) => {
    say('receipt', { connection: connections, message_id: id, from, data });
  });
  sender.on('message-error', (text) => say('error', { text }));
  sender.on('error', (error) => {
    if (error.condition === 'not-authorized') say('refused');
    console.error(error);
  });
  // The library tells nothing when it is drained, and forgets to say that a connection is lost.
  sender.client.on('disconnect', () => say('offline', { connection: connections }));
  // Not sender.start(): as published it throws on direct TLS (setTimeout is no function of its socket).
  sender.client.start().catch(console.error);
}

function send({ to, message_id, data, delivery_receipt_requested }) {
  const message = new Message(message_id);
  for (const [key, value] of Object.entries(data)) message.addData(key, value);
  if (delivery_receipt_requested) message.deliveryReceiptRequested(true);
  sender.sendNoRetry(message.build(), to, (result) => {
    const error = result.getError();
    say(error ? 'nack' : 'ack', { connection: connections, message_id: result.getMessageId(), error });
  });
}

// An ack that cannot be sent, since the connection is gone, is a rejection that the library does not handle; Node would end
// the process for it.
process.on('unhandledRejection', console.error);

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { op, ...command } = JSON.parse(line);
  if (op === 'connect') connect();
  if (op === 'send') send(command);
  if (op === 'ping') {
    const ping = '<iq type="get"><ping xmlns="urn:xmpp:ping"/></iq>';
    const { xml } = require('@xmpp/client');
    await sender.client.iqCaller.request(xml('iq', { type: 'get' }, xml('ping', 'urn:xmpp:ping')));
    say('pong');
  }
  if (op === 'close') sender.close();
});
