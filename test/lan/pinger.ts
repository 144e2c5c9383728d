/**
 * Asks a phone for OPTIONS ten times a second, run on a host by `hostile.ts`: node pinger.js ADDRESS. A line of standard
 * input asks for the longest that an answer took since the last, in ms; what is not answered yet counts.
 */
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';
import { optionsRequest } from '../harness/udp.js';

const EVERY_MS = 100;

const [address = ''] = process.argv.slice(2);
const socket = createSocket('udp4').bind(0);
const asked = new Map<string, number>();
let longest = 0;
socket.on('message', response => {
  const id = /^Call-ID: (.*)\r$/m.exec(response.toString())?.[1] ?? '';
  longest = Math.max(longest, performance.now() - (asked.get(id) ?? performance.now()));
  asked.delete(id);
});
setInterval(() => {
  const request = optionsRequest({ address, port: 5060 }, socket.address().port);
  asked.set(/^Call-ID: (.*)\r$/m.exec(request)?.[1] ?? '', performance.now());
  socket.send(request, 5060, address);
}, EVERY_MS);
createInterface({ input: process.stdin }).on('line', () => {
  const [oldest = performance.now()] = asked.values();
  console.log(Math.round(Math.max(longest, performance.now() - oldest)));
  longest = 0;
  asked.clear();
});
