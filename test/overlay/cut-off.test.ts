/** A house whose network is cut: the half without a super-node has to have one, and its phones find each other. */
import t from 'tap';
import { type Housed, housed, namesFound } from './housed.js';
import { Village } from './village.js';

const PHONES = 9;
/** On the other side of the cut; then so many of whom all may be super-nodes, and two that are none. */
const FAR = 4;
const NEVER = 2;
const SETTLED_MS = 60_000;
const CUT_MS = 20_000;

/** Seeds that left everybody of the half without a ring, and two with a ring that did not know of one of its three members. */
for (const seed of [3, 19, 26, 32]) {
  t.test(
    `half of a house finds its phones ${CUT_MS / 1000} s after it was cut off (${seed})`,
    async t => {
      const village = new Village(seed);
      const all: Housed[] = [];
      for (let n = 1; n <= PHONES; n++) {
        all.push(
          await housed(village, {
            address: `10.0.0.${n}`,
            seed: 100 * seed + n,
            phones: PHONES,
            setting: n > PHONES - NEVER ? 'never' : 'auto',
          }),
        );
      }
      await village.clock.advance(SETTLED_MS);
      const near = all.slice(FAR);
      const asking = near.at(-1)!;
      const each = near.map(() => 1);
      t.same(await namesFound(village, asking, near), each, 'before');
      t.ok(
        near.every(({ device }) => device.overlay.role === 'node'),
        'no super-node is among them',
      );
      for (const { device } of all.slice(0, FAR)) village.unplug(device);
      await village.clock.advance(CUT_MS);
      t.same(await namesFound(village, asking, near), each);
      for (const { promotion } of all) await village.during(promotion.stop());
      await village.stop();
    },
  );
}
