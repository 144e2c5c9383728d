/** A house whose network is cut: the half without a super-node has to have one, and its phones find each other. */
import t from 'tap';
import { silentLogger } from '../../src/core/logger.js';
import { Promotion } from '../../src/overlay/promotion.js';
import type { RingRecord } from '../../src/overlay/ring/records.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { type Device, Village } from './village.js';

const PHONES = 9;
/** On the other side of the cut; then so many of whom all may be super-nodes, and two that are none. */
const FAR = 4;
const NEVER = 2;
const SETTLED_MS = 60_000;
const CUT_MS = 20_000;
const WELL = { mainsPower: true, freeMemoryMb: 400, uptimeS: 1000, reachable: true };

interface Housed {
  readonly device: Device;
  readonly promotion: Promotion;
  readonly record: RingRecord;
}

/** A phone that becomes a super-node where one is needed, and keeps its name in the ring. */
async function phone(village: Village, seed: number, n: number): Promise<Housed> {
  const device = await village.add(`10.0.0.${n}`);
  const { overlay } = device;
  const promotion = new Promotion({
    clock: village.clock,
    random: new SeededRandom(100 * seed + n),
    logger: silentLogger,
    overlay,
    setting: n > PHONES - NEVER ? 'never' : 'auto',
    placement: () => WELL,
    phones: () => PHONES,
  });
  promotion.start();
  const record = device.record(`phone ${n}`);
  overlay.keep([record]);
  overlay.on('ring', () => void overlay.put(record).catch(() => undefined));
  return { device, promotion, record };
}

/** Seeds that left everybody of the half without a ring, and two with a ring that did not know of one of its three members. */
for (const seed of [3, 19, 26, 32]) {
  t.test(
    `half of a house finds its phones ${CUT_MS / 1000} s after it was cut off (${seed})`,
    async t => {
      const village = new Village(seed);
      const all: Housed[] = [];
      for (let n = 1; n <= PHONES; n++) all.push(await phone(village, seed, n));
      await village.clock.advance(SETTLED_MS);
      const near = all.slice(FAR);
      const asking = near.at(-1)!;
      const found = async () => {
        const counts: number[] = [];
        for (const { record } of near) {
          const records = await village.during(asking.device.overlay.get(record.key));
          counts.push(records.length);
        }
        return counts;
      };
      t.same(
        await found(),
        near.map(() => 1),
        'before',
      );
      t.ok(
        near.every(({ device }) => device.overlay.role === 'node'),
        'no super-node is among them',
      );
      for (const { device } of all.slice(0, FAR)) village.unplug(device);
      await village.clock.advance(CUT_MS);
      t.same(
        await found(),
        near.map(() => 1),
      );
      for (const { promotion } of all) await village.during(promotion.stop());
      await village.stop();
    },
  );
}
