import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { run, start } from './command.js';
import { endAll, runningPhones } from './running-phones.js';

t.test('lamps are watched by a command, and by the phone that runs here', async t => {
  const { directory, dataOf, phone } = runningPhones(t);
  const strict = join(directory, 'strict.yaml');
  writeFileSync(strict, 'watchers: nobody\n');
  const [kitchen, den] = [phone('kitchen'), phone('den', '--config', strict)];
  const [at, other] = await Promise.all([kitchen.until('ready'), den.until('ready')]);
  const watched = `sip:kitchen@${at.listen}`;
  const byCommand = start(
    'watch',
    watched,
    '--json',
    '--listen',
    '127.0.0.1:0',
    '--data',
    dataOf('no'),
  );
  const byPhone = start('watch', watched, '--json', '--data', dataOf('den'));
  t.match(await byCommand.until('lamp'), { name: watched, state: 'idle' });
  t.match(await byPhone.until('lamp'), { name: watched, state: 'idle' });
  const kitchens = JSON.parse((await run('status', '--json', '--data', dataOf('kitchen'))).text);
  t.equal(kitchens.watchers.length, 2);
  const { text } = await run('status', '--data', dataOf('den'));
  t.match(text, new RegExp(`watches ${watched} +idle`));

  const caller = start('call', watched, '--json', '--listen', '127.0.0.1:0');
  await caller.until('ringing');
  // A lamp that rings for a moment only may be left out (RFC 6665 §5.8): it is seen before the caller gives up.
  for (const watcher of [byCommand, byPhone]) {
    await watcher.until('lamp', ({ state }) => state === 'ringing');
  }
  caller.child.kill('SIGINT');
  await caller.ended;
  for (const { child } of [byCommand, byPhone]) child.kill('SIGINT');
  for (const { ended } of [byCommand, byPhone]) t.equal(await ended, 0);
  for (const { events } of [byCommand, byPhone]) {
    const states = events.filter(({ event }) => event === 'lamp').map(({ state }) => state);
    t.same(states.slice(0, 2), ['idle', 'ringing']);
  }
  const refused = await run(
    'watch',
    `sip:den@${other.listen}`,
    '--listen',
    '127.0.0.1:0',
    '--data',
    dataOf('no'),
  );
  t.equal(refused.code, 5);
  t.match(refused.text, /cannot be watched: it does not let us/);
  await endAll(kitchen, den);
});
