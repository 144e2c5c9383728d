/** A hundred phones and five super-nodes on one LAN. */
import t from 'tap';
import {
  newPromotion,
  type PromotionEvent,
  type PromotionState,
  stepPromotion,
} from '../../../src/overlay/nodes/promotion-machine.js';
import { idOf } from '../../../src/overlay/ring/ids.js';
import { NodeLan, Phone, record, type Untimed } from './node-lan.js';
import { SmallRing, SuperNodeHost } from './super-node-host.js';

const PHONES = 100;

function lanOf(seed: number, maxNodes = 500) {
  const lan = new NodeLan(seed);
  const ring = new SmallRing(lan);
  const supers = ['s1', 's2', 's3', 's4', 's5'].map(
    name => new SuperNodeHost(lan, ring, name, maxNodes),
  );
  const phones = Array.from(
    { length: PHONES },
    (_, i) => new Phone(lan, `p${i}`, [record(idOf(`p${i}`), `user${i}`)]),
  );
  /** All at once, and each finds three of the super-nodes in its own order. */
  const start = () => {
    for (const phone of phones) {
      phone.step({ type: 'start' });
      for (let i = 0; i < 3; i++) {
        const found = supers[Math.floor(lan.random.unit() * supers.length)]!;
        lan.after(1_000 * lan.random.unit(), () =>
          phone.step({ type: 'candidate', peer: found.peer }),
        );
      }
    }
  };
  /** Super-nodes know of each other how many nodes they have. */
  const gossip = () => {
    ring.tell();
    lan.after(5_000, gossip);
  };
  gossip();
  return { lan, ring, supers, phones, start };
}

/** Both sides agree, and what is to be in the ring is there. */
function wrong({ ring, phones, supers }: ReturnType<typeof lanOf>): string[] {
  const here = supers.filter(({ here, left }) => here && !left);
  return phones.flatMap((phone, i) => {
    const at = here.find(({ peer }) => peer.address === phone.at);
    if (!at) return [`p${i} is attached to nobody: ${phone.at}`];
    const lists = here.filter(({ state }) => state.nodes.has(phone.peer.id));
    const problems = lists.includes(at) ? [] : [`p${i} is not on the list of ${phone.at}`];
    if (lists.length > 1) problems.push(`p${i} is on ${lists.length} lists`);
    if (ring.get(idOf(`user${i}`)).length !== 1) problems.push(`user${i} is not in the ring`);
    return problems;
  });
}

function settled(seed: number, maxNodes?: number) {
  const all = lanOf(seed, maxNodes);
  all.start();
  all.lan.run(20_000);
  for (const phone of all.phones) phone.log.length = 0;
  return all;
}

/** How long the slowest was without a super-node, in ms. */
function slowest(phones: readonly Phone[], since: number): number {
  return Math.max(
    ...phones.map(({ log }) => {
      const last = log.filter(line => line.includes('attached')).at(-1);
      return last ? Number.parseInt(last, 10) - since : 0;
    }),
  );
}

t.test(
  'all are switched on at once: all are attached in seconds, evenly, and a super-node may be full',
  async t => {
    const all = lanOf(1);
    all.start();
    all.lan.run(1_500);
    t.same(wrong(all), []);
    const most = Math.max(...all.supers.map(({ state }) => state.nodes.size));
    t.ok(most <= 50, `${most} at one of five`);
    const attaches = all.supers.reduce((sum, { requests }) => sum + requests.get('attach')!, 0);
    t.ok(attaches <= 120, `${attaches} requests of 100 phones`);
    const puts = all.ring.puts;
    all.lan.run(30_000);
    t.equal(all.ring.puts - puts <= 80, true, 'the lists, and no record twice');

    const tight = lanOf(2, 22);
    tight.start();
    tight.lan.run(40_000);
    t.same(wrong(tight), []);
    for (const { state } of tight.supers) t.ok(state.nodes.size <= 22);
  },
);

t.test('a super-node crashes: its nodes are with the others within a second', async t => {
  const all = settled(3);
  const [first] = all.supers;
  const orphans = [...first!.state.nodes.keys()];
  const at = all.lan.now;
  first!.crash();
  all.lan.run(1_000);
  t.same(wrong(all), []);
  t.ok(slowest(all.phones, at) < 500, `the slowest took ${slowest(all.phones, at)} ms`);
  const takers = all.supers.filter(
    ({ here, state }) => here && orphans.some(id => state.nodes.has(id)),
  );
  t.ok(takers.length >= 3, `${takers.length} take them in`);
  t.ok(all.phones.every(({ busiestSecond }) => busiestSecond <= 12));
  all.lan.run(60_000);
  t.same(wrong(all), []);
  const moved = all.phones.filter(({ log }) => log.some(line => line.includes('answer accepted')));
  t.equal(moved.length, 0, 'who has found another is not moved by the successor');
});

t.test(
  'the link of a super-node is down: its nodes notice within 3 s, and come back when all is well',
  async t => {
    for (let seed = 4; seed < 8; seed++) {
      const all = settled(seed);
      const [first] = all.supers;
      all.lan.silent.add(first!.peer.address);
      all.ring.dies(first!);
      const at = all.lan.now;
      all.lan.run(3_300);
      const problems = wrong(all).filter(line => line.includes('nobody'));
      t.same(problems, []);
      t.ok(slowest(all.phones, at) <= 3_300);
      const noticed = all.phones.flatMap(({ log }) => log.filter(line => line.includes('silent')));
      const latest = Math.max(...noticed.map(line => Number.parseInt(line, 10)));
      t.ok(latest - at <= 3_000, `noticed after ${latest - at} ms`);
    }
  },
);

t.test('nodes that did not notice are taken in by the successor', async t => {
  const all = settled(8);
  const [first] = all.supers;
  const orphans = all.phones.filter(({ at }) => at === first!.peer.address);
  // They hear nothing of its end, and know nobody else.
  for (const phone of orphans) {
    all.lan.silent.add(phone.peer.address);
    all.lan.run(0);
    phone.state.known.clear();
  }
  first!.crash();
  all.lan.run(2_900);
  for (const phone of orphans) {
    all.lan.silent.delete(phone.peer.address);
    phone.state.known.clear();
  }
  all.lan.run(6_000);
  t.same(wrong(all), []);
  t.ok(orphans.every(({ log }) => log.some(line => line.includes('answer accepted'))));
});

t.test('a super-node leaves: nobody is without one, and it is gone in five seconds', async t => {
  for (const seed of [9, 10]) {
    const all = settled(seed);
    const [first] = all.supers;
    const count = first!.state.nodes.size;
    t.ok(count > 5);
    const before = all.ring.puts;
    first!.step({ type: 'leave' });
    let ms = 0;
    for (; !first!.left && ms < 6_000; ms += 10) all.lan.run(10);
    t.ok(ms < 5_100, `it took ${ms} ms for ${count} nodes`);
    first!.crash();
    all.lan.run(100);
    t.same(wrong(all), []);
    const lost = all.phones.flatMap(({ log }) => log.filter(line => line.includes('lost')));
    t.same(lost, []);
    t.equal(all.ring.puts, before, 'no record is put again');
  }
});

t.test('all super-nodes are restarted at once: all phones are back, without a storm', async t => {
  const all = settled(11);
  for (const member of [...all.supers]) member.crash();
  all.lan.run(60_000);
  for (const phone of all.phones) t.ok(phone.state.phase === 'searching');
  const busiest = Math.max(...all.phones.map(({ busiestSecond }) => busiestSecond));
  t.ok(busiest <= 12, `${busiest} requests of one phone in a second`);
  const again = all.supers.map(
    ({ peer }) => new SuperNodeHost(all.lan, all.ring, peer.address.slice(0, -5)),
  );
  all.lan.run(31_000);
  all.supers.splice(0, all.supers.length, ...again);
  t.same(wrong(all), []);
});

t.test(
  'whatever happens to the network, who can reach a super-node is attached, and nothing grows',
  async t => {
    for (let seed = 20; seed < 26; seed++) {
      const all = settled(seed);
      const { lan, phones, supers, ring } = all;
      const { random } = lan;
      for (let i = 0; i < 40; i++) {
        const pick = <T>(of: readonly T[]): T => of[Math.floor(random.unit() * of.length)]!;
        const phone = pick(phones);
        const superNode = pick(supers);
        const { address } = superNode.peer;
        switch (random.uint32() % 6) {
          case 0:
            lan.silent.add(address);
            break;
          case 1:
            lan.silent.clear();
            break;
          case 2:
            phone.step({ type: 'network-changed', contact: `sip:new${i}@x` });
            break;
          case 3:
            lan.silent.add(phone.peer.address);
            break;
          case 4:
            if (superNode.here && ring.members.length > 2) superNode.crash();
            break;
          case 5:
            if (!superNode.here) {
              const name = address.slice(0, -5);
              supers[supers.indexOf(superNode)] = new SuperNodeHost(lan, ring, name);
            }
            break;
        }
        lan.run(random.unit() * 4_000);
      }
      lan.silent.clear();
      lan.run(31_000);
      const problems = wrong(all).filter(line => !line.includes('lists'));
      t.same(problems, [], `seed ${seed}`);
      lan.run(601_000);
      t.same(wrong(all), [], `seed ${seed}: stale entries end with their time`);
      for (const { state } of phones) {
        if (state.pending.size > 8 || state.known.size > 64) t.fail(`seed ${seed}: a phone grows`);
      }
      for (const { state } of supers) {
        const { tasks, open, sent, moves, queue } = state;
        const sizes = [tasks.size, open.size, sent.size, moves.length, queue.size];
        if (sizes.some(size => size > 20)) t.fail(`seed ${seed}: a super-node grows: ${sizes}`);
      }
      const busiest = Math.max(...phones.map(({ busiestSecond }) => busiestSecond));
      t.ok(busiest <= 16, `${busiest} requests of one phone in a second`);
    }
  },
);

/** A phone that may become a super-node: both machines, and an announcement that others hear a moment later. */
class Device {
  readonly phone: Phone;
  superNode: SuperNodeHost | undefined;
  readonly #state: PromotionState;
  #timer = 0;

  constructor(
    readonly lan: NodeLan,
    readonly ring: SmallRing,
    readonly all: Device[],
    readonly name: string,
  ) {
    this.phone = new Phone(lan, name, [record(idOf(name), `user of ${name}`)]);
    this.#state = newPromotion(this.phone.peer.id, 'auto', () => lan.random.unit());
    this.phone.onAction = action => {
      if (action.type === 'attached' || action.type === 'nobody') this.#promotion(action);
      else if (action.type === 'lost') this.#promotion({ type: 'lost' });
    };
    all.push(this);
  }

  start(): void {
    const placement = { mainsPower: true, freeMemoryMb: 200, uptimeS: 20, reachable: true };
    this.#promotion({ type: 'placement', placement });
    this.#promotion({ type: 'start' });
    this.phone.step({ type: 'start' });
  }

  hears(superNodes: readonly Device[]): void {
    const peers = superNodes.flatMap(({ superNode }) => (superNode ? [superNode.peer] : []));
    this.#promotion({ type: 'seen', superNodes: peers, phones: this.all.length });
    if (this.superNode) return;
    for (const peer of peers) this.phone.step({ type: 'candidate', peer });
  }

  #promotion(event: Untimed<PromotionEvent>): void {
    const { lan } = this;
    for (const action of stepPromotion(this.#state, { ...event, now: lan.now })) {
      if (action.type === 'set-timer') {
        const timer = ++this.#timer;
        lan.after(action.ms, () => {
          if (timer === this.#timer) this.#promotion({ type: 'timer' });
        });
      } else if (action.type === 'promote') this.#serve();
    }
  }

  #serve(): void {
    const { lan, all } = this;
    this.phone.step({ type: 'stop', tombstones: [] });
    this.superNode = new SuperNodeHost(lan, this.ring, this.name);
    for (const device of all) {
      lan.after(100 + 200 * lan.random.unit(), () =>
        device.hears(all.filter(({ superNode }) => superNode)),
      );
    }
  }
}

t.test(
  'phones alone are a network: some become super-nodes, the others are attached to them',
  async t => {
    for (const count of [1, 2, 3, 30, 100]) {
      const lan = new NodeLan(count);
      const ring = new SmallRing(lan);
      const devices: Device[] = [];
      for (let i = 0; i < count; i++) new Device(lan, ring, devices, `d${i}`);
      for (const device of devices) device.start();
      const missing = () =>
        devices.filter(({ superNode, phone }) => !superNode && phone.state.phase !== 'attached');
      let ms = 0;
      for (; missing().length > 0 && ms < 10_000; ms += 100) lan.run(100);
      t.ok(ms < 7_000, `${count} phones: all have a place in ${ms} ms`);
      lan.run(60_000);
      t.equal(missing().length, 0);
      const serving = devices.filter(({ superNode }) => superNode).length;
      t.ok(
        serving >= Math.min(3, count) && serving <= 10,
        `${serving} of ${count} are super-nodes`,
      );
      const absent = devices.filter(
        ({ superNode, name }) => !superNode && ring.get(idOf(`user of ${name}`)).length === 0,
      );
      t.equal(absent.length, 0, 'and the ring knows those that are attached');
    }
  },
);
