/**
 * Accounts behind two Kamailios, each with its Record-Route: phones register and call by TLS and TCP through
 * the one at the edge, and a call to somebody with two phones is forked.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { atLeast, exactly, type Figure } from '../harness/figures.js';
import { passwordOf, startKamailio } from '../harness/kamailio.js';
import { type Cleanup, PlainFailure, progress } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { readSound } from '../harness/sound.js';
import { freePort } from '../harness/udp.js';
import { selfSigned } from '../sip/certificate.js';
import { IN_TIME_MS, type Site } from './site.js';

type Protocol = 'TCP' | 'TLS';

interface Provider {
  readonly cleanup: Cleanup;
  readonly directory: string;
  /** Of the edge. */
  readonly ports: Readonly<Record<Protocol, number>>;
}

export async function measureProxies({ cleanup, directory, sound }: Site): Promise<Figure[]> {
  progress('interop: two Kamailios in a row, by TCP and TLS');
  const [next, TCP, TLS] = [await freePort(), await freePort(), await freePort()];
  const registrar = await startKamailio({ cleanup, directory, port: next });
  const tls = { port: TLS, identity: selfSigned('edge') };
  const edge = await startKamailio({ cleanup, directory, port: TCP, tls, next });
  const provider: Provider = { cleanup, directory, ports: { TCP, TLS } };

  const atHome = newPhone(provider, 'anna', 'home', 'TLS', ['answer', '--echo']);
  await atHome.heard('registered', IN_TIME_MS);
  const figures: Figure[] = [];
  for (const protocol of ['TCP', 'TLS'] as const) {
    const heard = join(directory, `heard-${protocol}.wav`);
    const files = ['--play', sound, '--record', heard, '--seconds', '2'];
    const call = newPhone(provider, 'ben', `caller-${protocol}`, protocol, [
      ...['call', 'anna@example.test', '--codec', 'pcmu'],
      ...files,
    ]);
    const name = `call by ${protocol} through two proxies`;
    const status = Number(await call.child.ended);
    if (status !== 0) throw new PlainFailure(`${name}:\n${call.child.output()}`);
    figures.push(
      exactly(0, `${name}, exit status`, status, ''),
      atLeast(8000, `${name}, heard back`, readSound(heard).length, 'samples'),
    );
  }

  // A second phone of hers, which rings while the first one answers.
  const away = newPhone(provider, 'anna', 'away', 'TCP', ['run']);
  await away.heard('registered', IN_TIME_MS);
  const forked = newPhone(provider, 'ben', 'forking', 'TLS', [
    ...['call', 'anna@example.test', '--seconds', '2'],
  ]);
  await forked.heard('connected', IN_TIME_MS);
  const lost = await away.heard('ended', IN_TIME_MS);
  const status = Number(await forked.child.ended);
  await Promise.all([atHome.stop(), away.stop()]);
  await Promise.all([edge.stop(), registrar.stop()]);
  return [
    ...figures,
    exactly(0, 'call to two phones of one account, exit status', status, ''),
    exactly(1, 'the other phone, rings that end', lost.code === 'REMOTE_HUNG_UP' ? 1 : 0, 'call'),
  ];
}

/** A phone with an account, reached and reaching by one protocol. */
function newPhone(
  { cleanup, directory, ports }: Provider,
  user: string,
  name: string,
  protocol: Protocol,
  [command = '', ...more]: readonly string[],
): Ringline {
  const data = join(directory, name);
  mkdirSync(data);
  const server = `127.0.0.1:${ports[protocol]};transport=${protocol.toLowerCase()}`;
  const account = { address: `${user}@example.test`, password: passwordOf(user), server };
  const config = join(data, 'account.yaml');
  // JSON is YAML.
  writeFileSync(config, JSON.stringify({ name, accounts: [account] }));
  const args = [command, ...more, '--listen', '127.0.0.1:0', '--config', config];
  return new Ringline(args, { cleanup, data });
}
