/** Accounts at an ordinary server: Kamailio registers two phones, and one calls the other through it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { atLeast, exactly, type Figure } from '../harness/figures.js';
import { passwordOf, startKamailio } from '../harness/kamailio.js';
import { type Cleanup, progress } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { readSound } from '../harness/sound.js';
import { freePort } from '../harness/udp.js';
import { IN_TIME_MS, type Site } from './site.js';

interface Provider {
  readonly cleanup: Cleanup;
  readonly directory: string;
  readonly port: number;
}

export async function measureAccounts({ cleanup, directory, sound }: Site): Promise<Figure[]> {
  progress('interop: accounts at Kamailio');
  const site = { cleanup, directory, port: await freePort() };
  const server = await startKamailio(site);
  const callee = phone(site, 'anna', passwordOf('anna'));
  const running = new Ringline(
    ['answer', '--echo', '--listen', '127.0.0.1:0', ...callee.args],
    callee.options,
  );
  await running.heard('ready', IN_TIME_MS);
  await running.heard('registered', IN_TIME_MS);

  const heard = join(directory, 'through-kamailio.wav');
  const called = await callAnna(site, 'ben', passwordOf('ben'), [
    '--play',
    sound,
    '--record',
    heard,
    '--seconds',
    '3',
  ]);
  // The BYE found its way to her phone too, by whatever Contact it has.
  const ended = await running.heard('ended', IN_TIME_MS).then(
    () => 1,
    () => 0,
  );
  const wrote = await toAnna(site, 'fred', 'message', ['How are you?']);
  const message = await running.heard('message', IN_TIME_MS);
  const stranger = await callAnna(site, 'eve', 'wrong', []);
  await running.stop();
  await server.stop();
  return [
    exactly(0, 'call through Kamailio, exit status', called, ''),
    exactly(1, 'the called phone hears that it is over', ended, 'call'),
    exactly(0, 'message through Kamailio, exit status', wrote, ''),
    exactly(
      1,
      'message that arrived as it was written',
      message.text === 'How are you?' && message.from === 'sip:fred@example.test' ? 1 : 0,
      'message',
    ),
    atLeast(2 * 8000, 'samples heard back through it', readSound(heard).length, 'samples'),
    exactly(5, 'call with a wrong password, exit status', stranger, ''),
  ];
}

async function callAnna(
  site: Provider,
  user: string,
  password: string,
  more: string[],
): Promise<number> {
  return toAnna(site, user, 'call', ['--codec', 'pcmu', ...more], password);
}

async function toAnna(
  site: Provider,
  user: string,
  command: 'call' | 'message',
  more: string[],
  password = passwordOf(user),
): Promise<number> {
  const { args, options } = phone(site, user, password);
  const asked = new Ringline(
    [command, 'anna@example.test', ...more, '--listen', '127.0.0.1:0', ...args],
    options,
  );
  return Number(await asked.child.ended);
}

function phone({ cleanup, directory, port }: Provider, user: string, password: string) {
  const data = join(directory, user);
  mkdirSync(data);
  const config = join(data, 'account.yaml');
  const lines = [
    `name: ${user}`,
    'accounts:',
    `  - address: ${user}@example.test`,
    `    password: ${password}`,
    `    server: 127.0.0.1:${port}`,
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  return { args: ['--config', config], options: { cleanup, data } };
}
