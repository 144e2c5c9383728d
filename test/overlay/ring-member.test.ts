import { SipRequest, type SipResponse } from '@sip-stack/parser';
import t from 'tap';
import type { CodedError } from '../../src/core/errors.js';
import { silentLogger } from '../../src/core/logger.js';
import { idSigned, signAsId } from '../../src/identity/id-signature.js';
import { deviceIdOf } from '../../src/identity/identity.js';
import { Ed25519Signer, Ed25519Verifier } from '../../src/identity/signing.js';
import { Responders } from '../../src/overlay/responders.js';
import { idOf } from '../../src/overlay/ring/ids.js';
import type { RingRecord } from '../../src/overlay/ring/records.js';
import { type Respond, RingLinks } from '../../src/overlay/ring-links.js';
import { isRingRequest, RingMember } from '../../src/overlay/ring-member.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';
import { resolverByLookup } from '../../src/sip/resolver.js';
import { UserAgent } from '../../src/sip/user-agent.js';

const OVERLAY = 'village';

interface Node {
  readonly member: RingMember;
  readonly links: RingLinks;
  readonly agent: UserAgent;
  readonly address: string;
  stop(): Promise<void>;
}

/** Members with real keys, on real SIP over virtual connections. */
class Site {
  readonly clock = new VirtualClock();
  readonly network: VirtualNetwork;
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    this.network = new VirtualNetwork({ clock: this.clock, seed });
  }

  async add(address: string, contacts: readonly string[], overlay = OVERLAY): Promise<Node> {
    const { clock } = this;
    const random = new SeededRandom(this.#random.uint32());
    const network = this.network.host(address);
    const agent = new UserAgent({
      network,
      clock,
      random,
      logger: silentLogger,
      listen: { address, port: 5060 },
      product: 'test',
      resolve: resolverByLookup(async () => []),
    });
    await agent.start();
    const signer = new Ed25519Signer(random.bytes(32));
    const verifier = new Ed25519Verifier();
    const self = { id: deviceIdOf(signer.publicKey), address: `${address}:5060` };
    const keys = {
      sign: (text: string) => signAsId(signer, text),
      verify: (id: string, text: string, signature: string) =>
        idSigned(verifier, id, text, signature),
    };
    const shared = { clock, random, logger: silentLogger, keys };
    const links = new RingLinks({
      ...shared,
      userAgent: agent,
      overlay,
      protocol: 'TCP',
      self: () => self,
      bootCount: 3,
    });
    const member = new RingMember({ ...shared, links, self, verifyRecord: () => true });
    links.onRequest = (from, number, request, respond) => {
      if (isRingRequest(request)) member.take(from, number, request, respond);
    };
    agent.addRouter((...received) => links.take(...received));
    const found = await Promise.all(contacts.map(at => this.greet(links, at)));
    member.start(found.flatMap(peer => peer ?? []));
    return {
      member,
      links,
      agent,
      address,
      stop: async () => {
        member.stop();
        links.stop();
        const stopped = agent.stop();
        await this.clock.advance(2000);
        await stopped;
      },
    };
  }

  /** Who is there? */
  async greet(links: RingLinks, at: string) {
    const answer = new Promise<{ id: string; address: string } | undefined>(resolve => {
      links.ask(
        { id: '', address: `${at}:5060` },
        { type: 'ping' },
        {
          answered: from => resolve(from),
          failed: () => resolve(undefined),
        },
      );
    });
    await this.clock.advance(1000);
    return answer;
  }
}

function record(name: string, size = 100): RingRecord {
  const value = Buffer.alloc(size, name);
  return {
    key: idOf(name),
    publisher: name,
    sequence: 1,
    lifeMs: 3_600_000,
    ageMs: 0,
    value,
    signature: 'signed',
  };
}

t.test('members join, agree, keep and find, all by SIP', async t => {
  const site = new Site(1);
  const nodes = [await site.add('10.0.0.1', [])];
  for (let n = 2; n <= 9; n++) {
    nodes.push(await site.add(`10.0.0.${n}`, ['10.0.0.1']));
    await site.clock.advance(3000);
  }
  t.ok(
    nodes.every(({ member }) => member.joined),
    'all are members',
  );
  await site.clock.advance(60_000);
  const ids = nodes.map(({ member }) => member.self.id).sort();
  for (const { member } of nodes) {
    const next = ids[(ids.indexOf(member.self.id) + 1) % ids.length];
    t.equal(member.status.successors[0]?.id, next, 'the next on the ring is the successor');
  }

  const names = Array.from({ length: 20 }, (_, n) => `sip:user${n}@village`);
  const puts = names.map((name, n) => nodes[n % 9]!.member.put(record(name)));
  await site.clock.advance(5000);
  t.same(
    await Promise.all(puts),
    names.map(() => 5),
    'each is kept five times',
  );

  const gets = names.map((name, n) => nodes[(n + 4) % 9]!.member.get(idOf(name)));
  await site.clock.advance(5000);
  const found = await Promise.all(gets);
  t.same(
    found.map(([first]) => first?.publisher),
    names,
  );
  const nothing = nodes[3]!.member.get(idOf('nobody'));
  await site.clock.advance(5000);
  t.same(await nothing, [], 'nothing is under a key that nobody used');

  const large = record('large', 60_000);
  const put = nodes[2]!.member.put(large);
  await site.clock.advance(5000);
  t.equal(await put, 5, 'a record that takes several messages');
  const got = nodes[7]!.member.get(large.key);
  await site.clock.advance(5000);
  t.ok(Buffer.from((await got)[0]!.value!).equals(Buffer.from(large.value!)), 'comes back whole');

  await Promise.all(nodes.map(node => node.stop()));
  t.ok(nodes.every(({ links }) => links.waiting === 0));
});

t.test('who leaves hands over what its successor has not been offered yet', async t => {
  const site = new Site(8);
  const first = await site.add('10.0.0.1', []);
  const names = Array.from({ length: 20 }, (_, n) => `sip:user${n}@village`);
  await Promise.all(names.map(name => first.member.put(record(name))));
  const second = await site.add('10.0.0.2', ['10.0.0.1']);
  while (!second.member.joined) await site.clock.advance(1);
  const left = first.member.leave();
  await site.clock.advance(1000);
  await left;
  await first.stop();
  const gets = names.map(name => second.member.get(idOf(name)));
  await site.clock.advance(5000);
  const found = await Promise.all(gets);
  t.same(
    found.map(([each]) => each?.publisher),
    names,
  );
  await second.stop();
});

t.test('who is killed is done without within seconds', async t => {
  const site = new Site(2);
  const nodes = [await site.add('10.0.0.1', [])];
  for (let n = 2; n <= 6; n++) {
    nodes.push(await site.add(`10.0.0.${n}`, ['10.0.0.1']));
    await site.clock.advance(3000);
  }
  await site.clock.advance(60_000);
  const names = Array.from({ length: 12 }, (_, n) => `sip:user${n}@village`);
  const puts = names.map(name => nodes[0]!.member.put(record(name)));
  await site.clock.advance(5000);
  await Promise.all(puts);

  await nodes[3]!.stop();
  const before = site.clock.now();
  const took: number[] = [];
  const gets = names.map(async name => {
    const found = await nodes[0]!.member.get(idOf(name));
    took.push(site.clock.now() - before);
    return found[0]?.publisher;
  });
  await site.clock.advance(10_000);
  t.same(await Promise.all(gets), names);
  t.ok(Math.max(...took) < 3000, `found after ${Math.max(...took)} ms at most`);
  await Promise.all(nodes.map(node => node.stop()));
});

t.test(
  'another overlay, a copy of an old message and a forger are refused, each by its code',
  async t => {
    const site = new Site(3);
    const one = await site.add('10.0.0.1', []);
    const other = await site.add('10.0.0.2', [], 'town');
    const failed = new Promise<string>(resolve => {
      const to = { id: '', address: '10.0.0.1:5060' };
      other.links.ask(
        to,
        { type: 'ping' },
        { answered: () => resolve('answered'), failed: ({ code }) => resolve(code) },
      );
    });
    await site.clock.advance(1000);
    t.equal(await failed, 'WRONG_OVERLAY');
    t.equal(one.links.statistics.refused, 1);

    const seen: SipRequest[] = [];
    one.agent.addRouter(request => {
      seen.push(request);
      return false;
    });
    const friend = await site.add('10.0.0.3', ['10.0.0.1']);
    await site.clock.advance(3000);
    const notify = seen.find(request => request.headers.text('DHT-Message')?.startsWith('notify'));
    if (!notify) throw new Error('nobody notified');
    const answerTo = (change: (copy: SipRequest) => void): string => {
      const { method, uri, body, headers } = notify;
      const request = new SipRequest({ method, uri, body, headers: headers.clone() });
      change(request);
      let answer = 'none';
      const source = { protocol: 'TCP', endpoint: { address: '10.0.0.9', port: 5060 } } as const;
      const respond = (response: SipResponse) => {
        const [, code = ''] =
          /code=([A-Z_]+)/.exec(response.headers.text('DHT-Message') ?? '') ?? [];
        answer = `${response.status} ${code}`;
      };
      one.links.take(request, { request, source, respond, abandon: () => undefined }, source);
      return answer;
    };
    const { successors } = one.member.status;
    t.equal(
      answerTo(() => undefined),
      '403 REPLAYED',
    );
    t.equal(
      answerTo(({ headers }) => headers.delete('DHT-Signature')),
      '428 UNSIGNED',
    );
    t.equal(
      answerTo(({ headers }) => headers.setText('DHT-Message', 'leave;number=9')),
      '438 BAD_SIGNATURE',
    );
    const stolen = one.member.self.id;
    t.equal(
      answerTo(({ headers }) => {
        const said = headers.text('DHT-PeerID') ?? '';
        headers.setText('DHT-PeerID', said.replace(friend.member.self.id, stolen));
      }),
      '438 BAD_SIGNATURE',
      'the place of somebody else is not to be had',
    );
    t.equal(
      answerTo(({ headers }) => {
        const said = headers.text('DHT-PeerID') ?? '';
        headers.setText('DHT-PeerID', said.replace(friend.member.self.id, 'c0ffee'));
      }),
      '493 BAD_ID',
    );
    const misled = await new Promise<string>(resolve => {
      const to = { id: other.member.self.id, address: one.member.self.address };
      const handlers = {
        answered: () => resolve('answered'),
        failed: ({ code }: CodedError) => resolve(code),
      };
      friend.links.ask(to, { type: 'ping' }, handlers);
      void site.clock.advance(1000);
    });
    t.equal(misled, 'BAD_ID', 'what is meant for somebody else is not taken');
    t.same(one.member.status.successors, successors, 'nothing of it changed anything');
    await Promise.all([one.stop(), other.stop(), friend.stop()]);
  },
);

t.test('a flood of joins is refused before it costs a signature, and others are heard', async t => {
  const site = new Site(5);
  const one = await site.add('10.0.0.1', []);
  const eve = await site.add('10.0.0.2', ['10.0.0.1']);
  await site.clock.advance(3000);
  const answers = new Map<string, number>();
  const count = (what: string) => answers.set(what, (answers.get(what) ?? 0) + 1);
  const handlers = {
    answered: () => count('answered'),
    failed: ({ code }: CodedError) => count(code),
  };
  for (let n = 0; n < 1000; n++) eve.links.ask(one.member.self, { type: 'join' }, handlers);
  await site.clock.advance(1000);
  const answered = answers.get('answered') ?? 0;
  t.ok(answered >= 300 && answered <= 700, `${answered} of 1000 at once were answered`);
  t.same(
    [...answers],
    [
      ['answered', answered],
      ['OVERLOADED', 1000 - answered],
    ],
  );
  const ben = await site.add('10.0.0.3', ['10.0.0.1']);
  await site.clock.advance(3000);
  t.ok(ben.member.joined, 'somebody else joins');
  await Promise.all([one.stop(), eve.stop(), ben.stop()]);
});

t.test('a record that is too large is refused by its code', async t => {
  const site = new Site(6);
  const one = await site.add('10.0.0.1', []);
  const eve = await site.add('10.0.0.2', ['10.0.0.1']);
  await site.clock.advance(3000);
  for (const member of [one.member, eve.member]) {
    const put = member.put(record('huge', 70_000));
    const code = put.catch((error: CodedError) => `${error.code} ${error.message}`);
    await site.clock.advance(5000);
    t.match(await code, /^NOT_KEPT .*too-large/);
  }
  await Promise.all([one.stop(), eve.stop()]);
});

t.test('what cannot be said fails at once, and what is never answered is forgotten', async t => {
  const site = new Site(7);
  const one = await site.add('10.0.0.1', []);
  const code = await new Promise<string>(resolve => {
    const handlers = {
      answered: () => resolve('answered'),
      failed: (error: CodedError) => resolve(error.code),
    };
    one.links.ask({ id: '', address: 'no address at all' }, { type: 'ping' }, handlers);
  });
  t.equal(code, 'UNWRITABLE');
  t.equal(one.links.waiting, 0);

  const responders = new Responders(site.clock);
  const told: string[] = [];
  const respond: Respond = answer => told.push('ok' in answer ? answer.code : answer.type);
  responders.add(one.member.self, 1, respond);
  await site.clock.advance(20_000);
  responders.add(one.member.self, 2, respond);
  responders.answer(one.member.self, 2, { type: 'trying' });
  await site.clock.advance(12_100);
  t.equal(responders.size, 1, 'the first is forgotten after 32 s');
  responders.answer(one.member.self, 1, { type: 'pong' });
  responders.answer(one.member.self, 2, { type: 'pong' });
  responders.answer(one.member.self, 2, { type: 'pong' });
  t.same(told, ['trying', 'pong']);
  responders.clear();
  await one.stop();
});
