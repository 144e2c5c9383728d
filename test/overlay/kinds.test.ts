/** Hosts of IPv4 alone and of IPv6 alone are there first, then hosts that have both: these are to make one ring of it. */
import t from 'tap';
import { type Housed, housed, namesFound } from './housed.js';
import { Village } from './village.js';

const SETTLED_MS = 15_000;
const WITHIN_MS = 20_000;

for (const seed of [1, 2, 3]) {
  t.test(`rings of IPv4 and of IPv6 are one when hosts with both come (${seed})`, async t => {
    const village = new Village(seed);
    const all: Housed[] = [];
    let hasCome = false;
    const add = async (address: string, also?: string) =>
      all.push(
        await housed(village, {
          address,
          ...(also === undefined ? {} : { also }),
          seed: 100 * seed + all.length,
          phones: 7,
          lacksKind: () => hasCome && also === undefined,
        }),
      );
    await add('10.0.0.1');
    // Three that those with both can all reach: as many as there are to be.
    await add('fe80::2');
    await add('fe80::3');
    await village.clock.advance(SETTLED_MS);
    const superNodes = () => all.filter(({ device }) => device.overlay.role === 'super-node');
    t.equal(superNodes().length, 3);
    hasCome = true;
    for (const n of [4, 5, 6]) await add(`10.0.0.${n}`, `fe80::${n}`);
    const apart = () => {
      const addresses = superNodes().flatMap(({ device }) =>
        device.overlay.status.member?.address.startsWith('[') ? 'IPv6' : 'IPv4',
      );
      const ofIPv4Alone = superNodes().includes(all[0]!);
      return ofIPv4Alone && addresses.includes('IPv6');
    };
    t.ok(apart());
    const took = await village.until(() => !apart(), WITHIN_MS);
    t.ok(took < WITHIN_MS, `after ${took} ms`);
    await village.clock.advance(10_000);
    for (const asking of all) {
      const found = await namesFound(village, asking, all);
      t.same(found, [1, 1, 1, 1, 1, 1], asking.device.address);
    }
    for (const { promotion } of all) await village.during(promotion.stop());
    await village.stop();
  });
}
