/**
 * Somebody on the LAN who keeps no rule, run on a host by `hostile.ts`. A line of standard input is an attack and whom it
 * is for: `{"attack": …, "at": "192.0.2.1:5061", "id": …, "seconds": 10}`; when it is over a line tells what was answered.
 */
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { SystemClock } from '../../src/core/clock.js';
import { silentLogger } from '../../src/core/logger.js';
import { SystemRandom } from '../../src/core/random.js';
import { SystemNetwork } from '../../src/core/system-network.js';
import { idOf } from '../../src/overlay/ring/ids.js';
import type { Peer } from '../../src/overlay/ring/peer.js';
import { resolverByLookup } from '../../src/sip/resolver.js';
import { UserAgent } from '../../src/sip/user-agent.js';
import { StrangersKey } from '../overlay/stranger.js';

export type AttackName = keyof typeof ATTACKS;

export interface Attack {
  readonly attack: AttackName;
  readonly at: string;
  readonly id: string;
  readonly seconds: number;
}

interface Attacker {
  readonly to: Peer;
  /** One more key. */
  key(): StrangersKey;
  /** Until then. */
  readonly until: number;
  count(what: string): void;
}

const [address = ''] = process.argv.slice(2);
const random = new SystemRandom();
const network = new SystemNetwork();
/** Requests under way at once. */
const AT_ONCE = 64;
/** Signed items that go into one message, and members that a table has no room for. */
const ITEMS = 900;

const ATTACKS = {
  /** One after the other whatever a key may ask: as much as goes. */
  flood: attacker => atOnce(attacker, key => key.ask(attacker.to, { type: 'neighbours' })),
  /** Members that are not there, each of a key of its own. */
  table: async attacker => {
    const teller = attacker.key();
    while (performance.now() < attacker.until) {
      const entries = Array.from({ length: ITEMS }, () => attacker.key().entry(1));
      const told = await teller.ask(attacker.to, { type: 'membership', hops: 3, entries });
      attacker.count(told.said);
    }
  },
  /** Tombstones of publishers that nobody knows, under keys of their own. */
  records: async attacker => {
    const teller = attacker.key();
    while (performance.now() < attacker.until) {
      const records = Array.from({ length: ITEMS }, (_, n) => {
        return attacker.key().record(idOf(`${n} ${performance.now()}`), undefined);
      });
      const told = await teller.ask(attacker.to, { type: 'store', records, copy: true });
      attacker.count(told.said);
    }
  },
  /** The largest that are kept, of a publisher each. */
  values: attacker =>
    atOnce(attacker, async key => {
      const record = key.record(
        idOf(`${performance.now()}`),
        Buffer.alloc(65_536),
        30 * 86_400_000,
      );
      return key.ask(attacker.to, { type: 'store', records: [record], copy: true });
    }),
  /** The name of everybody has somebody else's records under it. */
  crowd: attacker =>
    atOnce(attacker, async () => {
      const key = attacker.key();
      const record = key.record(idOf('sip:fay@ringline'), Buffer.alloc(60_000));
      return key.ask(attacker.to, { type: 'store', records: [record], copy: true });
    }),
  /** Nodes that are not there. */
  nodes: attacker =>
    atOnce(attacker, () =>
      attacker.key().ask(attacker.to, {
        type: 'attach',
        contact: 'sip:x@192.0.2.250',
        expiresS: 600,
        records: [],
      }),
    ),
  /** What cannot be written again. */
  unsayable: attacker =>
    atOnce(attacker, key => {
      const versions = [{ key: idOf('x'), publisher: 'x', sequence: 1 }];
      return key.ask(attacker.to, { type: 'offer', versions }, sip => {
        sip.body = Buffer.from(`version ${idOf('x')} ${'"'.repeat(3000)} 1\r\n`);
      });
    }),
} as const satisfies Record<string, (attacker: Attacker) => Promise<void>>;

for await (const line of createInterface({ input: process.stdin })) {
  const { attack, at, id, seconds } = JSON.parse(line) as Attack;
  const agent = new UserAgent({
    network,
    clock: new SystemClock(),
    random,
    logger: silentLogger,
    listen: { address, port: 0 },
    // It listens nowhere by TLS, and calls by it.
    tls: { trust: { type: 'anybody' } },
    product: 'attacker',
    resolve: resolverByLookup(async () => []),
  });
  await agent.start();
  const told = new Map<string, number>();
  const options = {
    random,
    agent,
    overlay: 'ringline',
    protocol: 'TLS',
    address: `${address}:5061`,
  } as const;
  const until = performance.now() + seconds * 1000;
  await ATTACKS[attack]({
    to: { id, address: at },
    key: () => new StrangersKey(options),
    until,
    count: what => told.set(what, (told.get(what) ?? 0) + 1),
  });
  console.log(JSON.stringify(Object.fromEntries(told)));
  await agent.stop();
}

/** Many, one after the other each. */
async function atOnce(
  { key, until, count }: Attacker,
  ask: (key: StrangersKey) => Promise<{ readonly said: string }>,
): Promise<void> {
  const one = async () => {
    const own = key();
    while (performance.now() < until) {
      count((await ask(own)).said);
      await delay(0);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}
