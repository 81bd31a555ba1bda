// Stands for the line in /etc/hosts that leads node-xcs to the endpoint, since its host is compiled in. To be loaded
// before the app server: node --require ./hosts.js client.js
'use strict';

const dns = require('node:dns');

const { lookup } = dns;
dns.lookup = (name, options, callback) => {
  const host = name === 'fcm-xmpp.googleapis.com' ? process.env.CCS_HOST : name;
  return lookup(host, options, callback);
};
