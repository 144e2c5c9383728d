/** Who becomes a super-node, and who stops. */
import t from 'tap';
import {
  isWellPlaced,
  newPromotion,
  type Placement,
  type PromotionAction,
  type PromotionEvent,
  type PromotionState,
  type RoleSetting,
  stepPromotion,
} from '../../../src/overlay/nodes/promotion-machine.js';
import { idOf } from '../../../src/overlay/ring/ids.js';
import { EventQueue } from '../../../src/simulation/event-queue.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';
import type { Untimed } from './node-lan.js';

const GOOD: Placement = { mainsPower: true, freeMemoryMb: 400, uptimeS: 30, reachable: true };
const MINUTE = 60_000;

class Candidate {
  now = 0;
  readonly state: PromotionState;
  readonly actions: PromotionAction[] = [];
  readonly actedAt: number[] = [];
  wakes = Number.POSITIVE_INFINITY;

  constructor(
    name = 'phone',
    setting: RoleSetting = 'auto',
    placement: Placement = GOOD,
    seed = 1,
  ) {
    const random = new SeededRandom(seed);
    this.state = newPromotion(idOf(name), setting, () => random.unit());
    this.step({ type: 'placement', placement });
    this.step({ type: 'start' });
  }

  step(event: Untimed<PromotionEvent>): void {
    for (const action of stepPromotion(this.state, { ...event, now: this.now })) {
      if (action.type === 'set-timer') this.wakes = this.now + action.ms;
      else {
        this.actions.push(action);
        this.actedAt.push(this.now);
      }
    }
  }

  sees(...names: readonly string[]): void {
    this.step({ type: 'seen', superNodes: names.map(name => ({ id: idOf(name) })), phones: 10 });
  }

  run(ms: number): string {
    const until = this.now + ms;
    while (this.wakes <= until) {
      this.now = this.wakes;
      this.wakes = Number.POSITIVE_INFINITY;
      this.step({ type: 'timer' });
    }
    this.now = until;
    return this.state.role;
  }

  /** How long until it acts. */
  wait(): number {
    const from = this.now;
    const before = this.actions.length;
    while (this.actions.length === before && this.now < from + 10 * MINUTE) this.run(10);
    return this.now - from;
  }
}

t.test('a phone that finds nobody founds a ring, the better placed the sooner', async t => {
  const waits = (placement: Placement) => {
    const all = Array.from({ length: 50 }, (_, i) => {
      const phone = new Candidate(`p${i}`, 'auto', placement);
      phone.step({ type: 'nobody', reason: 'silent' });
      const ms = phone.wait();
      t.same(phone.actions, [{ type: 'promote', found: true }]);
      return ms;
    });
    return { min: Math.min(...all), max: Math.max(...all) };
  };
  const good = waits(GOOD);
  t.ok(good.min >= 500 && good.max <= 3_100, `${good.min} to ${good.max} ms`);
  t.ok(good.max - good.min > 500, 'each at its own time');
  const unfit = waits({ ...GOOD, mainsPower: false });
  t.ok(unfit.min > good.max, `not fit: ${unfit.min} to ${unfit.max} ms`);
  t.ok(unfit.max < 8_000);
  const first = (placement: Placement) => {
    const phone = new Candidate('same', 'auto', placement);
    phone.step({ type: 'nobody', reason: 'silent' });
    return phone.wait();
  };
  t.ok(first({ ...GOOD, freeMemoryMb: 100 }) > first(GOOD), 'memory counts');
  t.ok(first({ ...GOOD, uptimeS: 80_000 }) < first(GOOD), 'uptime counts');
});

t.test('who lacks a kind of address that others have waits for them', async t => {
  const founds = (placement: Placement) => {
    const phone = new Candidate('same', 'auto', placement);
    phone.step({ type: 'nobody', reason: 'silent' });
    return phone.wait();
  };
  const joins = (placement: Placement) => {
    const phone = new Candidate('same', 'auto', placement);
    phone.sees('s1');
    phone.step({ type: 'attached', nodes: 1 });
    return phone.wait();
  };
  const lacking = { ...GOOD, lacksKind: true };
  t.equal(founds(lacking) - founds(GOOD), 4_000, 'a ring of its own');
  t.equal(joins(lacking) - joins(GOOD), 15_000, 'a place in theirs');
});

t.test('who notices only later that it lacks a kind waits from then on', async t => {
  const phone = new Candidate('same', 'auto', GOOD);
  phone.sees('s1');
  phone.step({ type: 'attached', nodes: 1 });
  const first = phone.state.plan?.at ?? 0;
  phone.step({ type: 'placement', placement: { ...GOOD, lacksKind: true } });
  t.ok((phone.state.plan?.at ?? 0) > first + 5_000);
  const later = phone.state.plan?.at;
  phone.step({ type: 'placement', placement: { ...GOOD, lacksKind: true } });
  t.equal(phone.state.plan?.at, later, 'and not from each time that it is told');
});

t.test(
  'of two super-nodes that cannot reach each other none stays where there is a third',
  async t => {
    const lacking = { ...GOOD, lacksKind: true };
    const node = new Candidate('node', 'auto', lacking);
    node.sees('s1');
    node.step({ type: 'attached', nodes: 1 });
    const cannotReach = (phone: Candidate, ...names: readonly string[]) =>
      phone.step({
        type: 'seen',
        superNodes: names.map(name => ({ id: idOf(name) })),
        apart: true,
        phones: 10,
      });
    cannotReach(node, 's1');
    node.run(MINUTE);
    t.same(node.actions, [], 'a node does not become one');
    cannotReach(node);
    node.step({ type: 'lost' });
    node.step({ type: 'nobody', reason: 'silent' });
    node.run(MINUTE);
    t.same(node.actions, [{ type: 'promote', found: true }], 'but where nobody else is there');
    node.run(MINUTE);
    t.equal(node.state.role, 'super-node', 'and while nobody is, it stays one');
    cannotReach(node, 's2');
    t.ok(node.wait() <= 4_000);
    t.equal(node.state.role, 'node');
    const told = new Candidate('told', 'always', lacking);
    told.step({ type: 'nobody', reason: 'silent' });
    told.run(MINUTE);
    cannotReach(told, 's2');
    told.run(MINUTE);
    t.equal(told.state.role, 'super-node', 'who was told to be one stays one');
    const alike = new Candidate('alike');
    alike.step({ type: 'nobody', reason: 'silent' });
    alike.run(MINUTE);
    cannotReach(alike, 's2');
    alike.run(MINUTE);
    t.equal(alike.state.role, 'super-node', 'nor does who sees no phone of that kind believe it');
  },
);

t.test('who sees a super-node announced while it waits does not found a ring', async t => {
  const phone = new Candidate();
  phone.step({ type: 'nobody', reason: 'silent' });
  phone.run(400);
  phone.sees('s1');
  phone.run(2_000);
  phone.step({ type: 'attached', nodes: 1 });
  phone.run(1_500);
  t.same(phone.actions, []);
  const stale = new Candidate();
  stale.sees('dead');
  stale.step({ type: 'nobody', reason: 'silent' });
  const ms = stale.wait();
  t.ok(ms > 8_000 && ms < 12_000, 'announcements of the dead hold it up, not for ever');
  t.same(stale.actions, [{ type: 'promote', found: true }]);
});

t.test('what is set is done: never is never, always is at once', async t => {
  const never = new Candidate('p', 'never');
  never.step({ type: 'nobody', reason: 'silent' });
  never.sees('s1');
  never.step({ type: 'attached', nodes: 900 });
  t.equal(never.run(60 * MINUTE), 'node');
  const always = new Candidate('p', 'always', { ...GOOD, mainsPower: false });
  always.sees('a', 'b', 'c', 'd');
  t.ok(always.wait() < 1_000);
  t.same(always.actions, [{ type: 'promote', found: false }]);
  always.step({ type: 'load', nodes: 0 });
  t.equal(always.run(300 * MINUTE), 'super-node', 'and it stays one');
});

t.test(
  'three super-nodes are wanted, and more where each has more than a hundred nodes',
  async t => {
    const fate = (seen: readonly string[], nodes: number, placement = GOOD) => {
      const phone = new Candidate('p', 'auto', placement);
      phone.sees(...seen);
      phone.step({ type: 'attached', nodes });
      return phone.run(MINUTE);
    };
    t.equal(fate(['a', 'b'], 3), 'super-node');
    t.equal(fate(['a', 'b', 'c'], 3), 'node');
    t.equal(fate(['a', 'b', 'c'], 100), 'node');
    t.equal(fate(['a', 'b', 'c'], 101), 'super-node');
    t.equal(
      fate(['a', 'b'], 3, { ...GOOD, mainsPower: false }),
      'node',
      'on battery it is not fit',
    );
    t.equal(fate(['a', 'b'], 3, { ...GOOD, reachable: false }), 'node', 'nor behind a NAT');
    t.equal(fate(['a', 'b'], 3, { ...GOOD, freeMemoryMb: 40 }), 'node', 'nor without memory');
    const full = new Candidate();
    full.sees('a', 'b', 'c');
    full.step({ type: 'nobody', reason: 'full' });
    t.equal(full.run(MINUTE), 'super-node', 'where none has room, one more is');
    t.same(full.actions, [{ type: 'promote', found: false }]);
    const misled = new Candidate();
    misled.step({ type: 'nobody', reason: 'full' });
    misled.run(MINUTE);
    t.same(misled.actions, [{ type: 'promote', found: true }], 'where there is none at all too');
  },
);

t.test('when somebody else has acted, it is looked at anew', async t => {
  const phone = new Candidate();
  phone.sees('a');
  phone.step({ type: 'attached', nodes: 3 });
  phone.run(100);
  const at = phone.state.plan!.at;
  phone.now = at - 1;
  phone.sees('a', 'b');
  t.ok(phone.state.plan!.at >= at + 1_900, 'it waits again');
  phone.now = phone.state.plan!.at - 1;
  phone.sees('a', 'b', 'c');
  t.equal(phone.state.plan, undefined);
  t.equal(phone.run(10 * MINUTE), 'node');
});

function superNode(name: string, placement = GOOD): Candidate {
  const phone = new Candidate(name, 'auto', placement);
  phone.step({ type: 'nobody', reason: 'silent' });
  phone.wait();
  if (phone.state.role !== 'super-node') throw new Error('not promoted');
  return phone;
}

/** By id, lowest first. */
const NAMES = ['a', 'b', 'c', 'd', 'e'].sort((one, other) => (idOf(one) < idOf(other) ? -1 : 1));

t.test(
  'one too many steps down after its term: the last by id, when the others have sat together',
  async t => {
    const last = superNode(NAMES[4]!);
    last.sees(...NAMES.slice(0, 4));
    last.step({ type: 'load', nodes: 5 });
    t.equal(last.run(9 * MINUTE), 'super-node', 'not before ten minutes');
    t.equal(last.run(4 * MINUTE), 'node');
    const other = superNode(NAMES[1]!);
    other.sees(NAMES[0]!, ...NAMES.slice(2));
    other.step({ type: 'load', nodes: 5 });
    t.equal(other.run(60 * MINUTE), 'super-node', 'one at a time');
    const needed = superNode(NAMES[4]!);
    needed.sees(...NAMES.slice(0, 2));
    needed.step({ type: 'load', nodes: 5 });
    t.equal(needed.run(60 * MINUTE), 'super-node', 'never so that fewer than three are left');
    needed.sees(...NAMES.slice(0, 4));
    needed.step({ type: 'load', nodes: 90 });
    t.equal(needed.run(60 * MINUTE), 'super-node', 'nor so that the others have too much');
    needed.step({ type: 'load', nodes: 50 });
    needed.run(30_000);
    needed.sees(...NAMES.slice(0, 2));
    needed.run(10_000);
    needed.sees(...NAMES.slice(0, 4));
    t.equal(needed.run(50_000), 'super-node', 'what changed is looked at anew');
    t.equal(needed.run(2 * MINUTE), 'node');
  },
);

t.test('one that lost its power goes before the others, where enough are left', async t => {
  const phone = superNode(NAMES[0]!);
  t.ok(isWellPlaced(phone.state));
  const seen = (...names: readonly string[]) =>
    phone.step({
      type: 'seen',
      superNodes: names.map(name => ({ id: idOf(name), wellPlaced: true })),
      phones: 20,
    });
  seen(NAMES[1]!, NAMES[2]!);
  phone.run(2 * MINUTE);
  phone.step({ type: 'placement', placement: { ...GOOD, mainsPower: false } });
  t.notOk(isWellPlaced(phone.state));
  t.equal(phone.run(60 * MINUTE), 'super-node', 'two others are not enough');
  seen(NAMES[1]!, NAMES[2]!, NAMES[3]!);
  t.equal(phone.run(MINUTE), 'node');
  seen(NAMES[1]!, NAMES[2]!);
  phone.step({ type: 'attached', nodes: 3 });
  phone.step({ type: 'placement', placement: GOOD });
  t.equal(phone.run(4 * MINUTE - 1_000), 'node', 'and stays one for five minutes');
  t.equal(phone.run(2 * MINUTE), 'super-node');
  const badly = superNode(NAMES[0]!);
  badly.run(2 * MINUTE);
  badly.step({ type: 'placement', placement: { ...GOOD, mainsPower: false } });
  badly.step({
    type: 'seen',
    superNodes: NAMES.slice(1).map(name => ({ id: idOf(name), wellPlaced: name !== NAMES[3] })),
    phones: 20,
  });
  t.equal(badly.run(60 * MINUTE), 'super-node', 'of two that are badly placed the last by id goes');
});

t.test('one that cannot join tries again after longer and longer pauses', async t => {
  const phone = new Candidate('p', 'always');
  phone.sees('a');
  const waits: number[] = [];
  for (let i = 0; i < 8; i++) {
    waits.push(phone.wait());
    phone.step({ type: 'failed' });
  }
  t.ok(waits[1]! >= 5_000 && waits[1]! <= 10_600);
  t.ok(waits[7]! >= 150_000 && waits[7]! <= 301_000, `${waits}`);
});

/** Phones on one LAN that see announcements a moment later, and attach where there is a super-node. */
class Office {
  readonly queue = new EventQueue<() => void>();
  readonly random: SeededRandom;
  readonly phones: {
    readonly name: string;
    state: PromotionState;
    timer: number;
    alive: boolean;
  }[];
  promoted = 0;
  demoted = 0;
  founded = 0;
  fewest = Number.POSITIVE_INFINITY;
  /** When announcements are heard: 0.1 to 0.3 s later. */
  readonly #hear = () => 100 + 200 * this.random.unit();

  constructor(count: number, seed: number, placement: (i: number) => Placement = () => GOOD) {
    this.random = new SeededRandom(seed);
    this.phones = Array.from({ length: count }, (_, i) => {
      const name = `${seed} phone ${i}`;
      const state = newPromotion(idOf(name), 'auto', () => this.random.unit());
      return { name, state, timer: 0, alive: true };
    });
    for (const [i, phone] of this.phones.entries()) {
      this.step(phone, { type: 'placement', placement: placement(i) });
      this.step(phone, { type: 'start' });
      this.queue.add(2_000 + 100 * this.random.unit(), () => this.look(phone));
    }
  }

  get superNodes() {
    return this.phones.filter(({ state, alive }) => alive && state.role === 'super-node');
  }

  run(ms: number): void {
    const until = this.queue.now + ms;
    for (let due = this.queue.next(until); due; due = this.queue.next(until)) due();
  }

  die(phone: Office['phones'][number]): void {
    phone.alive = false;
    this.announce();
  }

  step(phone: Office['phones'][number], event: Untimed<PromotionEvent>): void {
    if (!phone.alive) return;
    for (const action of stepPromotion(phone.state, { ...event, now: this.queue.now })) {
      switch (action.type) {
        case 'promote':
          this.promoted++;
          if (action.found) this.founded++;
          this.announce();
          break;
        case 'demote':
          this.demoted++;
          this.fewest = Math.min(this.fewest, this.superNodes.length);
          this.announce();
          this.queue.add(50, () => this.look(phone));
          break;
        case 'set-timer': {
          const timer = ++phone.timer;
          this.queue.add(action.ms, () => {
            if (timer === phone.timer) this.step(phone, { type: 'timer' });
          });
          break;
        }
      }
    }
  }

  announce(): void {
    const superNodes = this.superNodes.map(({ state }) => ({
      id: state.self,
      wellPlaced: isWellPlaced(state),
    }));
    for (const phone of this.phones) {
      this.queue.add(this.#hear(), () => {
        this.step(phone, { type: 'seen', superNodes, phones: this.phones.length });
        this.queue.add(50, () => this.look(phone));
      });
    }
  }

  /** What its attachment says. */
  look(phone: Office['phones'][number]): void {
    const each = Math.ceil(this.phones.length / Math.max(1, this.superNodes.length)) - 1;
    if (phone.state.role === 'super-node') this.step(phone, { type: 'load', nodes: each });
    else if (phone.state.seen.length > 0) this.step(phone, { type: 'attached', nodes: each });
    else {
      this.step(phone, { type: 'lost' });
      this.step(phone, { type: 'nobody', reason: 'silent' });
    }
  }
}

t.test(
  'a hundred phones switched on at once do not all found rings, and three to a few serve',
  async t => {
    let founded = 0;
    let most = 0;
    const RUNS = 20;
    for (let seed = 1; seed <= RUNS; seed++) {
      const office = new Office(100, seed);
      office.run(8_000);
      t.ok(office.founded >= 1, 'somebody did');
      founded += office.founded;
      office.run(5 * MINUTE);
      const { length } = office.superNodes;
      most = Math.max(most, length);
      t.ok(length >= 3, `seed ${seed}: ${length}`);
      office.run(120 * MINUTE);
      t.equal(office.superNodes.length, 3, `seed ${seed}: in the end there are three`);
      t.ok(office.fewest >= 3, 'and never fewer on the way');
      const acts = office.promoted + office.demoted;
      office.run(600 * MINUTE);
      t.equal(office.promoted + office.demoted, acts, 'nothing flaps');
    }
    t.comment(
      `${founded / RUNS} rings founded on average, at most ${most} super-nodes for a while`,
    );
    t.ok(founded / RUNS <= 6, `${founded / RUNS} rings on average`);
    t.ok(most <= 16, `${most} super-nodes at most`);
  },
);

t.test(
  'two phones are both super-nodes, five are three, and a thousand are ten or more',
  async t => {
    for (const [count, least, much] of [
      [1, 1, 1],
      [2, 2, 2],
      [5, 3, 3],
      [1000, 10, 15],
    ] as const) {
      const office = new Office(count, 7);
      office.run(120 * MINUTE);
      const { length } = office.superNodes;
      t.ok(length >= least && length <= much, `${count} phones: ${length} super-nodes`);
    }
  },
);

t.test('phones on battery leave it to those with mains power', async t => {
  const office = new Office(30, 3, i => ({ ...GOOD, mainsPower: i % 6 === 0 }));
  office.run(10 * MINUTE);
  t.ok(office.superNodes.length >= 3);
  t.ok(office.superNodes.every(({ state }) => state.placement?.mainsPower));
  const batteries = new Office(5, 4, () => ({ ...GOOD, mainsPower: false }));
  batteries.run(20_000);
  t.ok(batteries.superNodes.length >= 1, 'where there is nobody else, one of them does it');
});

t.test('super-nodes that die are replaced in half a minute', async t => {
  const office = new Office(40, 5);
  office.run(30 * MINUTE);
  for (let i = 0; i < 10; i++) {
    const [first] = office.superNodes;
    office.die(first!);
    office.run(MINUTE / 2);
    t.ok(office.superNodes.length >= 3);
    office.run(MINUTE);
  }
  for (const each of office.superNodes) office.die(each);
  office.run(6_000);
  t.ok(office.superNodes.length >= 1, 'and where all die at once, others do');
});

t.test('whatever comes in whatever order, it acts no faster than its terms allow', async t => {
  const met = new Set<string>();
  for (let seed = 1; seed <= 200; seed++) {
    const random = new SeededRandom(seed);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random.unit() * of.length)]!;
    const setting = pick(['auto', 'auto', 'always', 'never'] as const);
    const phone = new Candidate('phone', setting, GOOD, seed);
    for (let i = 0; i < 300; i++) {
      const before = phone.state.role;
      const acted = phone.actions.length;
      const names = ['a', 'b', 'c', 'd'].slice(0, random.uint32() % 5);
      const events: readonly Untimed<PromotionEvent>[] = [
        { type: 'start' },
        { type: 'placement', placement: pick([GOOD, { ...GOOD, mainsPower: false }]) },
        {
          type: 'seen',
          superNodes: names.map(name => ({ id: idOf(name), wellPlaced: random.unit() < 0.8 })),
          phones: pick([0, 10, 500]),
        },
        { type: 'attached', nodes: pick([undefined, 3, 300]) },
        { type: 'lost' },
        { type: 'nobody', reason: pick(['silent', 'full']) },
        { type: 'load', nodes: pick([0, 50, 500]) },
        ...(random.unit() < 0.1 ? [{ type: 'failed' } as const] : []),
        { type: 'timer' },
      ];
      const event = pick(events);
      met.add(`${before} ${event.type}`);
      phone.step(event);
      phone.run(random.unit() < 0.3 ? random.unit() * 3 * MINUTE : random.unit() * 1_000);
      const done = phone.actions.slice(acted);
      if (setting !== 'auto' && done.some(({ type }) => type === 'demote')) t.fail('demoted');
      if (setting === 'never' && done.length > 0) t.fail('never is never');
      const demoted = done.some(({ type }) => type === 'demote');
      if (demoted && phone.state.seen.length < 3) t.fail(`seed ${seed}: fewer than three are left`);
    }
    for (const [i, action] of phone.actions.entries()) {
      const before = phone.actions[i - 1];
      const term = phone.actedAt[i]! - (phone.actedAt[i - 1] ?? 0);
      if (action.type === 'demote') {
        if (before?.type !== 'promote') t.fail(`seed ${seed}: no super-node is demoted`);
        if (term < MINUTE) t.fail(`seed ${seed}: a super-node for ${term} ms`);
      } else if (action.type === 'promote' && !action.found && before?.type === 'demote') {
        if (term < 5 * MINUTE) t.fail(`seed ${seed}: a node for ${term} ms`);
      }
    }
  }
  for (const role of ['node', 'super-node']) {
    t.equal(
      [...met].filter(each => each.startsWith(`${role} `)).length,
      9,
      `every event as ${role}`,
    );
  }
});
