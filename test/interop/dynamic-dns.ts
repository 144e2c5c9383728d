/** Records of a super-node in a zone of Knot DNS: put there, changed, found, taken back; and refusals in plain words. */
import { lookup } from 'node:dns/promises';
import { type Clock, SystemClock } from '../../src/core/clock.js';
import type { CodedError } from '../../src/core/errors.js';
import { silentLogger as logger } from '../../src/core/logger.js';
import { SystemRandom } from '../../src/core/random.js';
import { SystemNetwork } from '../../src/core/system-network.js';
import { DynamicDns, type DynamicDnsSettings } from '../../src/discovery/dns-update/dynamic-dns.js';
import { readTsigSecret } from '../../src/discovery/dns-update/tsig.js';
import { exactly, explained, type Figure } from '../harness/figures.js';
import { KEY_NAME, KEY_SECRET, POWERLESS_KEY_NAME, startKnot, ZONE } from '../harness/knot.js';
import { PlainFailure, progress } from '../harness/program.js';
import { IN_TIME_MS, type Site } from './site.js';

const NODE = 'a1b2'.repeat(10);
const HOST = `ringline-${NODE.slice(0, 12)}.${ZONE}`;
const SERVICE = `_ringline._tcp.${ZONE}`;

/** A board without a battery: its clock begins in 1970. */
class BootClock extends SystemClock implements Clock {
  override wallTime(): number {
    return performance.now();
  }
}

export async function measureDynamicDns({ cleanup, directory }: Site): Promise<Figure[]> {
  progress('interop: a super-node keeps its records in Knot DNS');
  const knot = await startKnot(cleanup, directory);
  const open = (change: Partial<DynamicDnsSettings> = {}, clock: Clock = new SystemClock()) => {
    const problems: CodedError[] = [];
    const key = { name: KEY_NAME, secret: readTsigSecret(KEY_SECRET) };
    const settings = { server: '127.0.0.1', port: knot.port, zone: ZONE, key, ...change };
    const dns = new DynamicDns({
      settings,
      network: new SystemNetwork(),
      random: new SystemRandom(),
      clock,
      logger,
      lookup: async host => (await lookup(host, { all: true })).map(({ address }) => address),
      onProblem: error => problems.push(error),
    });
    cleanup.add(() => dns.stop());
    return { dns, problems };
  };
  const has = async (name: string, type: string, wanted: readonly string[]) => {
    const until = performance.now() + IN_TIME_MS;
    for (;;) {
      const found = (await knot.records(name, type)).sort();
      if (`${found}` === `${[...wanted].sort()}`) return 1;
      if (performance.now() > until)
        throw new PlainFailure(
          `expected ${type} ${wanted}, found ${found}\n${knot.child.output()}`,
        );
      await new Promise(resolve => setTimeout(resolve, 50));
    }
  };
  const addresses = (...list: string[]) =>
    list.map(address => {
      const family = address.includes(':') ? ('IPv6' as const) : ('IPv4' as const);
      return { name: 'eth0', address, family, prefix: 24, internal: false };
    });

  const superNode = { overlay: 'home', nodeId: NODE, ports: { TLS: 5061 } };
  const { dns, problems } = open();
  dns.publish(superNode, addresses('192.0.2.7', '2001:db8::7', 'fe80::1%eth0'));
  const figures = [
    exactly(1, 'Knot has the addresses of a super-node', await has(HOST, 'A', ['192.0.2.7']), ''),
    exactly(1, 'and IPv6, none of a link', await has(HOST, 'AAAA', ['2001:db8::7']), ''),
    exactly(1, 'and its service', await has(SERVICE, 'SRV', [`0 0 5061 ${HOST}.`]), ''),
  ];
  const another = open({ host: 'other' });
  another.dns.publish({ ...superNode, ports: { TLS: 5071 } }, addresses('192.0.2.9'));
  const both = [`0 0 5061 ${HOST}.`, `0 0 5071 other.${ZONE}.`];
  figures.push(exactly(1, 'beside that of another', await has(SERVICE, 'SRV', both), ''));
  dns.publish({ ...superNode, ports: { TLS: 5081 } }, addresses('192.0.2.8'));
  await has(HOST, 'A', ['192.0.2.8']);
  const moved = [`0 0 5081 ${HOST}.`, `0 0 5071 other.${ZONE}.`];
  figures.push(exactly(1, 'an address and port that change', await has(SERVICE, 'SRV', moved), ''));
  await dns.stop();
  await has(HOST, 'A', []);
  const left = [`0 0 5071 other.${ZONE}.`];
  figures.push(exactly(1, 'who stops is gone', await has(SERVICE, 'SRV', left), ''));
  figures.push(explained(exactly(0, 'problems told', problems.length, ''), String(problems)));

  const early = open({ host: 'early' }, new BootClock());
  early.dns.publish(superNode, addresses('192.0.2.1'));
  const put = await has(`early.${ZONE}`, 'A', ['192.0.2.1']);
  figures.push(exactly(1, 'a clock that is wrong at boot', put, ''));

  const wrongKey = { name: 'nobody.home.test', secret: readTsigSecret(KEY_SECRET) };
  const wrongSecret = { name: KEY_NAME, secret: Buffer.alloc(32, 1) };
  const powerless = { name: POWERLESS_KEY_NAME, secret: readTsigSecret(KEY_SECRET) };
  const refusals: [string, Partial<DynamicDnsSettings>][] = [
    ['BADKEY', { key: wrongKey }],
    ['BADSIG', { key: wrongSecret }],
    // Knot does not tell a key it does not know from one that may change nothing.
    ['BADKEY', { key: powerless }],
    ['NOTAUTH', { zone: 'elsewhere.test' }],
  ];
  for (const [code, change] of refusals) {
    const refused = open({ host: 'refused', ...change });
    refused.dns.publish(superNode, addresses('192.0.2.1'));
    const until = performance.now() + IN_TIME_MS;
    while (refused.problems.length === 0 && performance.now() < until)
      await new Promise(resolve => setTimeout(resolve, 50));
    const told = refused.problems.map(({ message, remedy }) => `${message}. ${remedy}`).join();
    const isTold = Number(told.includes(`the server says ${code}`));
    figures.push(
      explained(
        exactly(1, `${code} is told plainly (${change.zone ?? change.key?.name})`, isTold, ''),
        told,
      ),
    );
    await refused.dns.stop();
  }
  return figures;
}
