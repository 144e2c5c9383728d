/** A later version in one ring with this one: what it adds, what it says in a new way, and what it writes. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { type Logger, silentLogger } from '../../src/core/logger.js';
import { decodeCbor, encodeCbor } from '../../src/identity/cbor.js';
import { idOf } from '../../src/overlay/ring/ids.js';
import { isRefusalCode } from '../../src/overlay/sip/status.js';
import { addLater } from './later-message.js';
import { type LaterEvent, LaterOverlay, told } from './later-overlay.js';
import { type AnyMessage, anyMessage, travelled } from './sip/any-message.js';
import { type Device, Village } from './village.js';

const SUPER_NODES = 4;
const NODES = 4;
const REACHED_GOAL_MS = 5000;

t.test('whatever a later version adds to a message is passed over, in its parts too', t => {
  let longest = 0;
  fc.assert(
    fc.property(anyMessage, message => {
      const { message: read, octets } = travelled(message, undefined, addLater);
      assert.deepStrictEqual(plain(read), plain(withLaterContact(message)));
      longest = Math.max(longest, octets.length);
    }),
    { seed: 11, numRuns: 600 },
  );
  t.ok(longest > 1, `up to ${longest} parts`);
  t.end();
});

/** Devices of both versions, and all that they refuse or have refused. */
class MixedVillage extends Village {
  readonly events: LaterEvent[] = [];
  /** Codes by which requests were refused, by devices of this version and by later ones. */
  readonly refused = { present: [] as string[], later: [] as string[] };
  /** Codes for which requests of a device failed, but for those who did not answer. */
  readonly failed: string[] = [];

  addOf(version: 'present' | 'later', address: string): Promise<Device> {
    const debug: Logger['debug'] = ({ code }, message) => {
      if (message === 'a request of the ring was refused') {
        this.refused[version].push(String(code));
      } else if (message === 'no answer' && isRefusalCode(String(code))) {
        this.failed.push(String(code));
      }
    };
    const logger = { ...silentLogger, debug };
    if (version === 'present') return this.add(address, { logger });
    const tell = (event: LaterEvent) => this.events.push(event);
    return this.add(address, { logger, newOverlay: options => new LaterOverlay(options, tell) });
  }

  /** Started at the same time: super-nodes and nodes, in turn of this version and of the later one. */
  async settle(): Promise<void> {
    for (let n = 0; n < SUPER_NODES + NODES; n++) {
      const device = await this.addOf(n % 2 === 0 ? 'present' : 'later', `10.0.0.${n + 1}`);
      if (n < SUPER_NODES) await this.during(device.overlay.promote());
    }
    await this.until(() => this.devices.every(({ overlay }) => overlay.reached), 10_000);
    for (const [n, device] of this.devices.entries()) {
      await this.during(device.overlay.put(device.record(`user${n}`)));
    }
    await this.clock.advance(60_000);
  }

  /** How long until each of `by` has found all users, in ms. */
  async allFound(by: readonly Device[]): Promise<number> {
    const from = this.clock.now();
    const asked = by.flatMap(({ overlay }) =>
      this.devices.map(async ({ address }, n) => {
        const found = await overlay.get(idOf(`user${n}`));
        const texts = found.map(({ value }) => Buffer.from(value ?? []).toString());
        assert.deepStrictEqual(texts, [`user${n} at ${address}`]);
      }),
    );
    await this.during(Promise.all(asked));
    return this.clock.now() - from;
  }

  understood(): string[] {
    return this.events.flatMap(of => (of.event === 'understood' ? [of.name || of.code] : []));
  }
}

for (const [dying, victims] of [
  ['this version', [0, 2]],
  ['the later one', [1, 3]],
] as const) {
  t.test(`one ring of both versions; the super-nodes of ${dying} die`, async t => {
    const village = new MixedVillage(7);
    await village.settle();
    const { devices } = village;
    for (const { overlay } of devices.slice(0, SUPER_NODES)) {
      t.equal(overlay.status.member?.successors.length, SUPER_NODES - 1, 'one ring');
    }
    await village.allFound(devices);
    const codes = new Set(village.refused.present);
    t.strictSame([...codes].sort(), ['UNKNOWN_MESSAGE', 'UNKNOWN_VERSION'], 'and nothing else');
    t.strictSame(village.refused.later, []);
    t.strictSame(village.failed, [], 'what was refused was said in the old way');
    const told = village.events.filter(({ event }) => event === 'refused').length;
    t.equal(told, village.refused.present.length);
    const understood = new Set(village.understood());
    t.ok(understood.has('seek') && understood.size > 2, [...understood].join(' '));

    for (const n of victims) {
      village.board.remove(devices[n]!.overlay.status.id);
      await village.during(devices[n]!.agent.stop());
    }
    const nodes = devices.slice(SUPER_NODES);
    const tookMs = await village.allFound(nodes);
    t.ok(tookMs <= REACHED_GOAL_MS, `found after ${tookMs} ms`);
    await village.clock.advance(120_000);
    const left = devices.filter((_, n) => !victims.some(victim => victim === n));
    t.ok(left.every(({ overlay }) => overlay.reached));
    await village.allFound(left);
    t.strictSame(village.failed, []);
    t.strictSame(new Set(village.refused.present), codes);
    t.strictSame(village.refused.later, []);
    await village.stop();
  });
}

t.test(
  'what a later version wrote comes back as it was signed, kept and handed on by this one',
  async t => {
    const village = new MixedVillage(9);
    const first = await village.addOf('present', '10.0.0.1');
    await village.during(first.overlay.promote());
    const writer = await village.addOf('later', '10.0.0.2');
    await village.until(() => writer.overlay.reached, 10_000);
    const value = encodeCbor([Buffer.from('binding'), Buffer.from('certificate')]);
    await village.during(writer.overlay.put(writer.record('ada', value)));
    const second = await village.addOf('present', '10.0.0.3');
    await village.during(second.overlay.promote());
    await village.clock.advance(10_000);
    for (const gone of [writer, first]) {
      village.board.remove(gone.overlay.status.id);
      await village.during(gone.agent.stop());
    }
    const reader = await village.addOf('later', '10.0.0.4');
    await village.until(() => reader.overlay.reached, 10_000);
    const found = await village.during(reader.overlay.get(idOf('ada')));
    const wrote = village.events.flatMap(of => (of.event === 'wrote' ? of.records : []));
    t.strictSame(found.map(told), wrote);
    const items = decodeCbor(found[0]!.value!, { octets: 999, depth: 9, items: 99 });
    t.match(items, { value: [Uint8Array, Uint8Array, null, 'later', [1, [2, true]]] });
    t.strictSame([...village.refused.later, ...village.failed], []);
    await village.stop();
  },
);

/** Where a node is reached is nobody's to change: it is kept with its parameters. */
function withLaterContact(message: AnyMessage): AnyMessage {
  if (message.kind !== 'request' || message.request.type !== 'attach') return message;
  const { request } = message;
  return { ...message, request: { ...request, contact: `${request.contact};zone=north` } };
}

/** Octets by their digits, whatever class holds them. */
function plain(message: unknown): unknown {
  if (message instanceof Uint8Array) return Buffer.from(message).toString('hex');
  if (Array.isArray(message)) return message.map(plain);
  if (typeof message !== 'object' || message === null) return message;
  return Object.fromEntries(Object.entries(message).map(([name, of]) => [name, plain(of)]));
}
