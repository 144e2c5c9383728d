/** Calls between phones that run, over TLS and WebSocket. */
import t from 'tap';
import { run, start } from './command.js';
import { endAll, placeOf, runningPhones } from './running-phones.js';

const { dataOf, phone } = runningPhones(t);

t.test('two phones that run talk over TLS and WebSocket, whoever hangs up', async t => {
  const kitchen = phone('kitchen', '--ws', '0', '--wss', '0');
  const ready = await kitchen.until('ready');
  const tls = placeOf(ready, 'TLS');
  const echo = await run('call', `sips:*43@${tls}`, '--seconds', '0.5', '--json');
  t.equal(echo.code, 0, echo.text);
  t.notMatch(echo.text, /"packetsReceived":0/);

  const calls = (['TCP', 'WS', 'WSS'] as const).map(async protocol => {
    const uri = `sip:room@${placeOf(ready, protocol)};transport=${protocol.toLowerCase()}`;
    const call = await run('call', uri, '--seconds', '0.2');
    t.equal(call.code, 0, `${uri}: ${call.text}`);
  });
  await Promise.all(calls);
  const plain = await run('call', `sip:room@${tls};transport=tcp`, '--seconds', '0.2');
  t.equal(plain.code, 4, 'TCP to a port of TLS is no call');

  const caller = start('call', `sip:kitchen@${tls};transport=tls`, '--json');
  await caller.until('ringing');
  const answering = start('answer', '--json', '--echo', '--data', dataOf('kitchen'));
  await caller.until('connected');
  await endAll(kitchen);
  t.match(await caller.until('ended'), { code: 'REMOTE_HUNG_UP' });
  t.equal(await caller.ended, 0);
  await answering.ended;
});

t.test('a phone is called by name over TLS, at the port it announces', async t => {
  const name = `tls${process.pid}`;
  const called = phone(name, '--listen', ':0');
  await called.until('named');
  const seen = await run('who', '--seconds', '2', '--json');
  if (seen.text.includes(name)) {
    const call = await run('call', `sips:room@${name}.local`, '--seconds', '0.2');
    t.equal(call.code, 0, call.text);
  } else {
    t.comment('no multicast here: phones do not see each other');
  }
  await endAll(called);
});
