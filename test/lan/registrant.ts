/**
 * An ordinary phone that registers once, by UDP, run on a host by `wire.ts`:
 * node registrant.js USER PASSWORD ADDRESS REGISTRAR
 */
import { createSocket } from 'node:dgram';
import { authorizationFor, registration } from '../overlay/sip/ordinary-phone.js';

/** RFC 3261 §17.1.2.2, T1; a phone that starts may not listen yet. */
const AGAIN_MS = 500;

const [user = '', password = '', address = '', registrar = ''] = process.argv.slice(2);
const phone = { user, password, address, registrar };
const socket = createSocket('udp4');
socket.bind(5060, address);
let said = registration(phone, 1);
const say = () => socket.send(said, 5060, registrar);
const again = setInterval(say, AGAIN_MS);
socket.on('message', response => {
  const authorization = authorizationFor(response, phone);
  if (authorization !== undefined) {
    said = registration(phone, 2, authorization);
    say();
  } else if (response.toString().startsWith('SIP/2.0 200 ')) {
    clearInterval(again);
    socket.close();
  }
});
say();
