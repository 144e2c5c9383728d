import t from 'tap';
import { idOf } from '../../src/overlay/ring/ids.js';
import type { RingRecord } from '../../src/overlay/ring/records.js';
import { type Device, Village } from './village.js';

function textOf([record]: readonly RingRecord[]): string {
  return Buffer.from(record?.value ?? []).toString();
}

t.test('a network of one founds a ring; others attach to it, publish and ask', async t => {
  const village = new Village(1);
  const first = await village.add('10.0.0.1');
  t.equal(first.overlay.role, 'node');
  t.equal(first.overlay.reached, false);
  await village.during(first.overlay.promote());
  t.equal(first.overlay.role, 'super-node');
  t.equal(await village.during(first.overlay.put(first.record('ada'))), 1, 'kept by itself');

  const ben = await village.add('10.0.0.2');
  const cleo = await village.add('10.0.0.3');
  const took = await village.until(() => ben.overlay.reached && cleo.overlay.reached, 5000);
  t.ok(took < 1500, `attached after ${took} ms`);
  t.equal(first.overlay.status.nodes, 2);
  t.equal(await village.during(ben.overlay.put(ben.record('ben'))), 1);
  const found = await village.during(cleo.overlay.get(idOf('ben')));
  t.equal(textOf(found), 'ben at 10.0.0.2');
  t.same(await village.during(cleo.overlay.get(idOf('nobody'))), []);
  await village.stop();
  t.equal(village.clock.pending, 0, 'nothing is left behind');
});

t.test('links go by TCP to who takes them by that alone, though TLS is usual', async t => {
  const village = new Village(11, 'TLS');
  const [first, second, third] = [
    await village.add('10.0.0.1'),
    await village.add('10.0.0.2'),
    await village.add('10.0.0.3'),
  ];
  await village.during(first.overlay.promote());
  await village.until(() => second.overlay.reached && third.overlay.reached, 5000);
  t.equal(second.overlay.status.superNode, '10.0.0.1:5060;transport=tcp');
  await village.during(second.overlay.promote());
  await village.clock.advance(10_000);
  t.same(
    first.overlay.others.map(({ address }) => address),
    ['10.0.0.2:5060;transport=tcp'],
    'so it is told among members',
  );
  const record = third.record('alice');
  await village.during(third.overlay.put(record));
  t.match(await village.during(second.overlay.get(record.key)), [{ signature: record.signature }]);
  const attached = await village.askAsStranger('10.0.0.4', first, {
    type: 'attach',
    contact: 'sip:x@10.0.0.4',
    expiresS: 60,
    records: [],
  });
  const named = attached.type === 'attached' ? attached.others.map(({ address }) => address) : [];
  t.same(named, ['10.0.0.2:5060;transport=tcp'], 'and to nodes');
  await village.stop();
});

t.test('hosts of IPv4, of IPv6, and of both are one ring', async t => {
  const village = new Village(12);
  const both: Device[] = [];
  for (const n of [1, 2, 3]) {
    both.push(await village.add(`10.0.0.${n}`, { also: `fe80::${n}` }));
  }
  const ofIPv6 = [await village.add('fe80::4'), await village.add('fe80::5')];
  const ofIPv4 = await village.add('10.0.0.6');
  const all = [...both, ...ofIPv6, ofIPv4];
  const [first, second, third] = both as [Device, Device, Device];
  await village.during(first.overlay.promote());
  const reached = () => all.every(({ overlay }) => overlay.reached);
  const took = await village.until(reached, 10_000);
  t.ok(took < 1500, `attached after ${took} ms`);
  await village.during(second.overlay.promote());
  await village.during(third.overlay.promote());
  await village.clock.advance(30_000);
  const findAll = async (when: string) => {
    for (const device of all) {
      for (const { address } of all) {
        const found = await village.during(device.overlay.get(idOf(address)));
        t.equal(textOf(found), `${address} at ${address}`, `${device.address}, ${when}`);
      }
    }
  };
  for (const device of all) await village.during(device.overlay.put(device.record(device.address)));
  await findAll('super-nodes have both');

  const [member, node] = ofIPv6 as [Device, Device];
  await village.during(member.overlay.promote());
  await village.clock.advance(30_000);
  for (const { overlay } of [...both, member]) {
    t.equal(overlay.status.member?.successors.length, 3, 'four are one ring');
    t.notOk(overlay.apart, 'each reaches each');
  }
  await findAll('one of IPv6 is a member');

  // The address that only it is reached at by IPv6 is told by members, and by who hands its nodes over.
  for (const { overlay } of both) await village.during(overlay.demote());
  await village.until(() => [...both, node].every(({ overlay }) => overlay.reached), 30_000);
  t.equal(second.overlay.status.superNode, '[fe80::4]:5060');
  t.equal(member.overlay.status.nodes, 5, 'all were handed over');
  t.notOk(ofIPv4.overlay.reached, 'but who has IPv4 alone cannot come');
  await village.during(first.overlay.promote());
  await village.until(reached, 60_000);
  await village.clock.advance(30_000);
  t.ok(ofIPv4.overlay.apart, 'one of IPv4 alone is to be no super-node beside that of IPv6');
  await findAll('one of both is a super-node for who cannot speak to the other');

  const links = village.network.trace.filter(({ what }) => what === 'SYN');
  const kinds = links.filter(({ from, to }) => from.startsWith('[') !== to.startsWith('['));
  t.same(kinds, [], 'no link was tried that cannot be');
  const needless = links.filter(
    ({ from, to }) => /^\[fe80::[123]\]/.test(from) && /^\[fe80::[123]\]/.test(to),
  );
  t.same(needless, [], 'nor one by IPv6 where both have IPv4');
  await village.stop();
});

t.test('a member that comes to have another further address is reached there', async t => {
  const village = new Village(13);
  const first = await village.add('10.0.0.1');
  await village.during(first.overlay.promote());
  const second = await village.add('10.0.0.2', { also: 'fe80::2' });
  await village.during(second.overlay.promote());
  await village.clock.advance(30_000);
  t.match(first.overlay.others, [{ also: '[fe80::2]:5060' }]);
  second.readdress('10.0.0.2', 'fe80::22');
  await village.clock.advance(10_000);
  t.match(
    first.overlay.others,
    [{ address: '10.0.0.2:5060', also: '[fe80::22]:5060' }],
    'in the table',
  );
  t.match(first.overlay.status.member?.successors, [{ also: '[fe80::22]:5060' }], 'as a neighbour');
  t.equal(second.overlay.role, 'super-node', 'where it is');
  await village.stop();
});

t.test('who is no super-node says so, and where one is', async t => {
  const village = new Village(4);
  const superNode = await village.add('10.0.0.1');
  await village.during(superNode.overlay.promote());
  const node = await village.add('10.0.0.2');
  await village.until(() => node.overlay.reached, 5000);
  // All that the next one knows of is the node.
  village.board.remove(superNode.overlay.id);
  village.board.post({ id: node.overlay.id, address: '10.0.0.2:5060' });
  const next = await village.add('10.0.0.3');
  await village.until(() => next.overlay.reached, 5000);
  t.equal(next.overlay.status.superNode, '10.0.0.1:5060');
  t.match(next.failed, [{ host: '10.0.0.2' }], 'it is no candidate any more');
  await village.stop();
});

t.test('of phones that remember each other none takes another for a super-node', async t => {
  const village = new Village(14);
  const [one, other] = [await village.add('10.0.0.1'), await village.add('10.0.0.2')];
  const told: string[] = [];
  for (const { overlay } of [one, other]) overlay.on('nobody', reason => told.push(reason));
  for (const { overlay, address } of [one, other]) {
    village.board.post({ id: overlay.id, address: `${address}:5060` });
  }
  await village.until(() => told.length === 2, 5000);
  t.same(told, ['silent', 'silent'], 'there is no ring that they could wait for');
  await village.during(one.overlay.promote());
  await village.until(() => other.overlay.reached, 5000);
  await village.stop();
});

t.test('who founds a ring though another is there has it met at once', async t => {
  const village = new Village(16);
  const [first, second] = [await village.add('10.0.0.1'), await village.add('10.0.0.2')];
  await village.during(first.overlay.promote());
  await village.until(() => second.overlay.reached, 5000);
  await village.during(second.overlay.promote({ founds: true }));
  const areOne = () => [first, second].every(({ overlay }) => overlay.others.length === 1);
  t.ok((await village.until(areOne, 10_000)) < 5000);
  await village.stop();
});

t.test('a node becomes a super-node, and a node again', async t => {
  const village = new Village(2);
  const devices: Device[] = [];
  for (let n = 1; n <= 6; n++) devices.push(await village.add(`10.0.0.${n}`));
  const [first, second, third] = devices as [Device, Device, Device];
  await village.during(first.overlay.promote());
  await village.until(() => devices.every(({ overlay }) => overlay.reached), 10_000);
  await village.during(second.overlay.promote());
  await village.during(third.overlay.promote());
  await village.clock.advance(60_000);
  for (const { overlay } of [first, second, third]) {
    t.equal(overlay.status.member?.successors.length, 2, 'three are one ring');
    t.equal(overlay.others.length, 2);
  }
  for (const [n, device] of devices.entries()) {
    await village.during(device.overlay.put(device.record(`user${n}`)));
  }
  await village.during(second.overlay.demote());
  t.equal(second.overlay.role, 'node');
  await village.until(() => devices.every(({ overlay }) => overlay.reached), 10_000);
  for (const device of devices) {
    for (const n of devices.keys()) {
      const found = await village.during(device.overlay.get(idOf(`user${n}`)));
      t.equal(textOf(found), `user${n} at 10.0.0.${n + 1}`);
    }
  }
  await village.stop();
});

t.test('who is no member of the ring hands no nodes over', async t => {
  const village = new Village(4);
  const first = await village.add('10.0.0.1');
  await village.during(first.overlay.promote());
  const peer = { id: idOf('nobody'), address: '10.0.0.99:5060' };
  const nodes = [{ peer, contact: 'sip:nobody@10.0.0.99', expiresS: 600, records: [] }];
  const answer = await village.askAsStranger('10.0.0.66', first, { type: 'hand-over', nodes });
  t.same(answer, { type: 'busy' });
  t.equal(first.overlay.status.nodes, 0);
  const attach = {
    type: 'attach',
    contact: 'sip:b@10.0.0.66',
    expiresS: 600,
    records: [],
  } as const;
  const own = await village.askAsStranger('10.0.0.66', first, attach);
  t.equal(own.type, 'attached', 'for itself it may come');
  await village.stop();
});

t.test('of two super-nodes one dies: whatever is asked next is answered at once', async t => {
  const village = new Village(5);
  const first = await village.add('10.0.0.1');
  await village.during(first.overlay.promote());
  const second = await village.add('10.0.0.2');
  await village.during(second.overlay.promote());
  const names = Array.from({ length: 12 }, (_, n) => `user${n}`);
  for (const name of names) await village.during(first.overlay.put(first.record(name)));
  await village.clock.advance(60_000);
  village.board.remove(second.overlay.status.id);
  await village.during(second.agent.stop());
  for (const name of names) {
    const from = village.clock.now();
    const found = await village.during(first.overlay.get(idOf(name)));
    const tookMs = village.clock.now() - from;
    t.equal(textOf(found), `${name} at 10.0.0.1`);
    t.ok(tookMs <= 1000, `${name} after ${tookMs} ms`);
  }
  await village.stop();
});

for (const how of ['killed', 'unplugged'] as const) {
  t.test(`the super-node is ${how}: its nodes are found and find within seconds`, async t => {
    const village = new Village(3);
    const devices: Device[] = [];
    for (let n = 1; n <= 8; n++) devices.push(await village.add(`10.0.0.${n}`));
    const supers = devices.slice(0, 3);
    for (const { overlay } of supers) {
      await village.during(overlay.promote());
      await village.clock.advance(2000);
    }
    const nodes = devices.slice(3);
    await village.until(() => nodes.every(({ overlay }) => overlay.reached), 10_000);
    for (const [n, device] of nodes.entries()) {
      await village.during(device.overlay.put(device.record(`user${n}`)));
    }
    await village.clock.advance(60_000);
    const served = nodes[0]!.overlay.status.superNode;
    const victim = supers.find(({ address }) => served === `${address}:5060`)!;
    village.board.remove(victim.overlay.status.id);
    if (how === 'killed') await village.during(victim.agent.stop());
    else village.unplug(victim);
    const from = village.clock.now();
    let longest = 0;
    const asked = nodes.flatMap(node =>
      nodes.map(async (_, n) => {
        const found = await node.overlay.get(idOf(`user${n}`));
        longest = Math.max(longest, village.clock.now() - from);
        return textOf(found);
      }),
    );
    const answers = await village.during(Promise.all(asked));
    t.same(
      answers,
      nodes.flatMap(() => nodes.map((_, n) => `user${n} at 10.0.0.${n + 4}`)),
    );
    t.ok(longest <= 5000, `everybody found everybody after ${Math.round(longest)} ms at most`);
    const took = await village.until(
      () => nodes.every(({ overlay }) => overlay.status.superNode !== `${victim.address}:5060`),
      10_000,
    );
    t.ok(village.clock.now() - from < 6000, `attached elsewhere after ${took} ms`);
    await village.stop();
  });
}

for (const others of [0, 2]) {
  t.test(
    `a super-node among ${others} others is elsewhere: its nodes follow within 2 s`,
    async t => {
      const village = new Village(5 + others);
      const mover = await village.add('10.0.0.1');
      await village.during(mover.overlay.promote());
      const nodes: Device[] = [];
      for (const address of ['10.0.0.4', '10.0.0.5']) nodes.push(await village.add(address));
      const isAttached = (node: Device) =>
        node.overlay.status.superNode === `${mover.address}:5060` &&
        mover.overlay.status.nodes === nodes.length;
      await village.until(() => nodes.every(isAttached), 5000);
      for (let n = 2; n <= others + 1; n++) {
        const other = await village.add(`10.0.0.${n}`);
        await village.until(() => other.overlay.reached, 5000);
        await village.during(other.overlay.promote());
      }
      const [first, second] = nodes as [Device, Device];
      const record = first.record('alice');
      first.overlay.keep([record]);
      await village.during(first.overlay.put(record));
      let unseated = 0;
      mover.overlay.on('unseated', () => unseated++);
      mover.readdress(undefined);
      t.equal(mover.overlay.role, 'super-node', 'a cable that is out for a moment changes nothing');
      mover.readdress('10.0.0.1');
      await village.clock.advance(5000);
      village.move(mover, '10.0.0.9');
      const tookMs = await village.until(() => nodes.every(isAttached), 2000);
      t.comment(`${tookMs} ms`);
      t.match(mover.overlay.status.member, { phase: 'member', address: '10.0.0.9:5060' });
      t.equal(unseated, 0);
      const found = await village.during(second.overlay.get(record.key));
      t.equal(found[0]?.signature, record.signature, 'what they keep in the ring is there');
      await village.clock.advance(10_000);
      const members = [
        mover,
        ...village.devices.filter(each => each.overlay.role === 'super-node'),
      ];
      for (const { overlay } of members) {
        t.equal(overlay.others.length, others, 'all are in one ring again');
        const at = overlay.others.find(({ id }) => id === mover.overlay.id)?.address;
        t.ok(overlay === mover.overlay || at === '10.0.0.9:5060', 'and know where it is');
      }
      await village.stop();
    },
  );
}

t.test(
  'a super-node that is where nobody of its ring is gives its place up, and says so',
  async t => {
    const village = new Village(5);
    const [mover, other] = [await village.add('10.0.0.1'), await village.add('10.0.0.2')];
    await village.during(mover.overlay.promote());
    await village.until(() => other.overlay.reached, 5000);
    await village.during(other.overlay.promote());
    await village.until(() => mover.overlay.others.length === 1, 5000);
    let unseated = 0;
    mover.overlay.on('unseated', () => unseated++);
    village.unplug(other);
    village.move(mover, '10.0.0.9');
    await village.until(() => unseated === 1, 10_000);
    t.equal(mover.overlay.role, 'node');
    t.same(mover.prepared, ['10.0.0.1:5060', '10.0.0.9:5060'], 'it may become one there');
    await village.stop();
  },
);

/** Three super-nodes of one ring, and whether each knows where the others are. */
async function threeSuperNodes(village: Village) {
  const members: Device[] = [];
  for (const address of ['10.0.0.1', '10.0.0.2', '10.0.0.3']) {
    const device = await village.add(address);
    if (members.length > 0) await village.until(() => device.overlay.reached, 5000);
    await village.during(device.overlay.promote());
    members.push(device);
  }
  await village.clock.advance(20_000);
  const areOne = () =>
    members.every(({ overlay }) =>
      members.every(({ overlay: other, address }) => {
        if (other === overlay) return overlay.status.member?.phase === 'member';
        const known = overlay.others.find(({ id }) => id === other.id);
        return known?.address === `${address}:5060`;
      }),
    );
  return { members, areOne };
}

t.test('who joins between two super-nodes leaves each of them its nodes', async t => {
  const village = new Village(15);
  const [first, second] = [await village.add('10.0.0.1'), await village.add('10.0.0.2')];
  await village.during(first.overlay.promote());
  const nodes = [await village.add('10.0.0.3'), await village.add('10.0.0.4')];
  await village.until(() => nodes.every(({ overlay }) => overlay.reached), 5000);
  await village.during(second.overlay.promote());
  // Those that come now hear of the second alone.
  village.board.remove(first.overlay.id);
  nodes.push(await village.add('10.0.0.5'), await village.add('10.0.0.6'));
  await village.until(() => nodes.every(({ overlay }) => overlay.reached), 5000);
  t.same(
    [first, second].map(({ overlay }) => overlay.status.nodes),
    [2, 2],
  );
  await village.clock.advance(20_000);
  const [joiner] = nodes as [Device];
  const before = village.network.trace.length;
  await village.during(joiner.overlay.promote());
  await village.clock.advance(20_000);
  const said = village.network.trace.slice(before).map(({ what }) => what);
  t.ok(said.some(what => what.includes(' REGISTER ')));
  t.same(
    said.filter(what => what.includes(' REFER ')),
    [],
    'nobody is told to move',
  );
  await village.stop();
});

t.test('super-nodes that are elsewhere one after the other are one ring each time', async t => {
  const village = new Village(3);
  const { members, areOne } = await threeSuperNodes(village);
  for (let turn = 0; turn < 6; turn++) {
    village.move(members[turn % members.length]!, `10.0.${turn + 1}.9`);
    const tookMs = await village.until(areOne, 10_000);
    t.ok(tookMs <= 6000, `turn ${turn}: all know where it is after ${tookMs} ms`);
    await village.clock.advance(10_000);
  }
  await village.stop();
});

t.test('a super-node that comes back to where it was is there for all soon', async t => {
  const village = new Village(4);
  const { members, areOne } = await threeSuperNodes(village);
  const [mover] = members as [Device];
  for (const awayMs of [1000, 3000, 8000, 15_000, 25_000]) {
    village.move(mover, '10.0.9.9');
    await village.clock.advance(awayMs);
    village.move(mover, '10.0.0.1');
    const tookMs = await village.until(areOne, 60_000);
    t.ok(tookMs <= 6000, `away for ${awayMs} ms: all know where it is after ${tookMs} ms`);
    await village.clock.advance(20_000);
  }
  await village.stop();
});

t.test('super-nodes whose cable was out are one ring soon after it is back', async t => {
  const village = new Village(4);
  const { members, areOne } = await threeSuperNodes(village);
  const [lost] = members as [Device];
  for (const awayMs of [3000, 10_000, 20_000, 40_000]) {
    village.unplug(lost);
    await village.clock.advance(awayMs);
    village.plug(lost);
    const tookMs = await village.until(areOne, 60_000);
    t.ok(tookMs <= 10_000, `out for ${awayMs} ms: one ring after ${tookMs} ms`);
    await village.clock.advance(20_000);
  }
  await village.stop();
});

t.test('who stops amid joining the ring stops at once', async t => {
  const village = new Village(6);
  const first = await village.add('10.0.0.1');
  await village.during(first.overlay.promote());
  const second = await village.add('10.0.0.2');
  await village.until(() => second.overlay.reached, 5000);
  village.unplug(first);
  const promoted = second.overlay.promote().then(
    () => 'joined',
    ({ code }) => code,
  );
  const from = village.clock.now();
  await second.stop();
  t.equal(await promoted, 'NOT_JOINED');
  t.ok(village.clock.now() - from < 8000, 'not after the 30 s that joining may take');
  await village.stop();
});

// In ms after the cable is back.
for (const atMs of [-1700, 2200, 8700]) {
  t.test(`a name given anew as rings meet, at ${atMs} ms, is the one that counts`, async t => {
    const village = new Village(1);
    const devices: Device[] = [];
    for (let n = 1; n <= 4; n++) devices.push(await village.add(`10.0.0.${n}`));
    for (const { overlay } of devices) {
      await village.during(overlay.promote());
      await village.clock.advance(2000);
    }
    await village.clock.advance(60_000);
    const [away, ...others] = devices as [Device, ...Device[]];
    // A name whose owner is another, once they are one ring.
    const ids = devices.map(({ overlay }) => overlay.id).sort();
    const ownerOf = (name: string) => ids.find(id => id >= idOf(name)) ?? ids[0];
    const names = Array.from({ length: 100 }, (_, n) => `name${n}`);
    const name = names.find(each => ownerOf(each) !== away.overlay.id) ?? '';
    const publish = () => {
      const record = away.record(name);
      away.overlay.keep([record]);
      away.overlay.put(record).catch(() => undefined);
      return record;
    };
    publish();
    await village.clock.advance(2000);

    village.unplug(away);
    village.clock.after(30_000, () => village.plug(away));
    await village.clock.advance(30_000 + atMs);
    const anew = publish();
    await village.clock.advance(120_000);
    for (const { overlay } of others) {
      const [found] = await village.during(overlay.get(anew.key));
      t.equal(found?.sequence, anew.sequence);
    }
    await village.stop();
  });
}
