/** Phones of a house in a village: each becomes a super-node where one is needed, and keeps its name in the ring. */
import { silentLogger } from '../../src/core/logger.js';
import type { Placement, RoleSetting } from '../../src/overlay/nodes/promotion-machine.js';
import { Promotion } from '../../src/overlay/promotion.js';
import type { RingRecord } from '../../src/overlay/ring/records.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import type { Device, Village } from './village.js';

const WELL = { mainsPower: true, freeMemoryMb: 400, uptimeS: 1000, reachable: true };

export interface HousedOptions {
  readonly address: string;
  /** Of the other kind. */
  readonly also?: string;
  readonly seed: number;
  /** Phones of the house. */
  readonly phones: number;
  readonly setting?: RoleSetting;
  readonly lacksKind?: () => boolean;
}

export interface Housed {
  readonly device: Device;
  readonly promotion: Promotion;
  /** Of its name. */
  readonly record: RingRecord;
}

export async function housed(
  village: Village,
  { address, also, seed, phones, setting = 'auto', lacksKind = () => false }: HousedOptions,
): Promise<Housed> {
  const device = await village.add(address, also === undefined ? {} : { also });
  const { overlay } = device;
  const promotion = new Promotion({
    clock: village.clock,
    random: new SeededRandom(seed),
    logger: silentLogger,
    overlay,
    setting,
    placement: (): Placement => ({ ...WELL, lacksKind: lacksKind() }),
    phones: () => phones,
  });
  promotion.start();
  const record = device.record(`phone at ${address}`);
  overlay.keep([record]);
  overlay.on('ring', () => void overlay.put(record).catch(() => undefined));
  return { device, promotion, record };
}

/** How many records `asking` finds of the name of each. */
export async function namesFound(
  village: Village,
  asking: Housed,
  all: readonly Housed[],
): Promise<number[]> {
  const counts: number[] = [];
  for (const { record } of all) {
    const records = await village.during(asking.device.overlay.get(record.key));
    counts.push(records.length);
  }
  return counts;
}
