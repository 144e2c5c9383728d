/** User, service and directory agents on a virtual network: RFC 2608 §6, §8.3, §12. */
import {
  attributesOf,
  decode,
  encode,
  type ServiceAgent,
  type SlpMessage,
  SlpRequestError,
  type UrlEntry,
} from 'slp-js';
import t from 'tap';
import { SlpLab } from './lab.js';
import { fromWords, SAMPLES } from './messages.js';

const TYPE = 'service:supernode.ringline';
const urlOf = (address: string) => `${TYPE}:sip://${address}:5060`;
const urls = (entries: readonly UrlEntry[]) => entries.map(({ url }) => url).sort();

t.test('everybody is found by multicast, over a network that loses packets (§6.3)', async t => {
  const lab = await SlpLab.open(7, { loss: 0.1, jitterMs: 20 });
  const addresses = Array.from({ length: 20 }, (_, i) => `192.0.2.${i + 1}`);
  for (const address of addresses) {
    const agent = await lab.serviceAgent(address);
    agent.offer({ url: urlOf(address), attributes: attributesOf({ id: address }) });
  }
  await lab.clock.advance(60_000);
  const ua = await lab.userAgent('192.0.2.100');
  const early: string[] = [];
  const onFound = ({ url }: UrlEntry) => early.push(url);
  lab.multicasts.length = 0;
  const { value, tookMs } = await lab.result(ua.findServices(TYPE, { onFound, thorough: true }));
  t.same(urls(value), addresses.map(urlOf).sort());
  t.equal(early.length, 20);
  t.ok(tookMs <= 15_000, `${tookMs} ms`);
  const asked = lab.multicasts.filter(
    ({ message }) => message.kind === 'SrvRqst' && message.serviceType === TYPE,
  );
  const lists = asked.map(
    ({ message }) => 'previousResponders' in message && message.previousResponders.length,
  );
  t.ok(lists.length >= 2 && lists[0] === 0 && Number(lists.at(-1)) > 10, `lists of ${lists}`);
  const xids = new Set(asked.map(({ message }) => message.xid));
  t.equal(xids.size, 1, 'one request, however often it is sent');
});

t.test('on a network that loses nothing each host answers once', async t => {
  const lab = await SlpLab.open();
  for (const n of [1, 2, 3])
    (await lab.serviceAgent(`192.0.2.${n}`)).offer({ url: urlOf(`192.0.2.${n}`) });
  const ua = await lab.userAgent('192.0.2.100');
  const { value, tookMs } = await lab.result(ua.findServices(TYPE));
  t.equal(value.length, 3);
  t.equal(tookMs, 6000, 'asked at 0 and 2 s; nobody new at 6 s');
  t.same(
    [1, 2, 3].map(n => lab.unicasts(`192.0.2.${n}`, '192.0.2.100')),
    [1, 1, 1],
  );
  const first = await lab.result(ua.findServices(TYPE, { first: true }));
  t.ok(first.tookMs < 100 && first.value.length === 1, `the first after ${first.tookMs} ms`);
});

t.test('nobody answers a multicast request with nothing to say', async t => {
  const lab = await SlpLab.open();
  const sa = await lab.serviceAgent('192.0.2.1');
  sa.offer({ url: urlOf('192.0.2.1'), attributes: attributesOf({ mains: true }) });
  await lab.directoryAgent('192.0.2.2', { scopes: ['OTHER'] });
  const ua = await lab.userAgent('192.0.2.100');
  const ask = (...[type, options]: Parameters<typeof ua.findServices>) =>
    lab.result(ua.findServices(type, options));
  t.same((await ask('service:printer')).value, []);
  t.same((await ask(TYPE, { predicate: '(mains=false)' })).value, []);
  t.same((await ask(TYPE, { predicate: '(mains=' })).value, [], 'nor with an error');
  t.same((await ask(TYPE, { scopes: ['ELSEWHERE'] })).value, []);
  t.equal(lab.unicasts('192.0.2.1') + lab.unicasts('192.0.2.2'), 0);
  const { value, tookMs } = await ask(TYPE, { predicate: '(mains=true)' });
  t.equal(value.length, 1);
  t.equal(tookMs, 6000);
});

t.test('attributes and types are found too', async t => {
  const lab = await SlpLab.open();
  const one = await lab.serviceAgent('192.0.2.1');
  one.offer({ url: urlOf('192.0.2.1'), attributes: attributesOf({ id: 'a', tls: 5061 }) });
  const two = await lab.serviceAgent('192.0.2.2');
  two.offer({ url: urlOf('192.0.2.2'), attributes: attributesOf({ id: 'b', tls: 5061 }) });
  two.offer({ url: 'service:printer:lpr://192.0.2.2' });
  const ua = await lab.userAgent('192.0.2.100');
  const both = (await lab.result(ua.findAttributes(TYPE, { tags: ['id', 'T*'] }))).value;
  t.same([...(both.get('id')?.values ?? [])].sort(), ['a', 'b']);
  t.same(both.get('tls')?.values, [5061]);
  const single = await lab.result(ua.findAttributes(urlOf('192.0.2.2')));
  t.same(single.value.get('id')?.values, ['b']);
  t.ok(single.tookMs < 100, 'of one service, the first answer is all');
  t.same((await lab.result(ua.findServiceTypes())).value.sort(), [
    'service:printer:lpr',
    `${TYPE}:sip`,
  ]);
  t.same((await lab.result(ua.findServiceTypes({ namingAuthority: '' }))).value, [
    'service:printer:lpr',
  ]);
  t.same((await lab.result(ua.findServiceTypes({ namingAuthority: 'Ringline' }))).value, [
    `${TYPE}:sip`,
  ]);
});

t.test('with a directory agent, nobody is asked by multicast (§11.1, §12)', async t => {
  const lab = await SlpLab.open();
  const da = await lab.directoryAgent('192.0.2.2');
  const sas: ServiceAgent[] = [];
  for (const n of [11, 12, 13]) {
    const sa = await lab.serviceAgent(`192.0.2.${n}`);
    sa.offer({ url: urlOf(`192.0.2.${n}`), lifetime: 100 });
    sas.push(sa);
  }
  const ua = await lab.userAgent('192.0.2.100');
  await lab.clock.advance(10_000);
  t.equal(da.size, 3, 'all have found it, and registered');
  t.same(
    ua.directoryAgents.map(({ url }) => url),
    ['service:directory-agent://192.0.2.2'],
  );
  lab.multicasts.length = 0;
  const { value, tookMs } = await lab.result(ua.findServices(TYPE));
  t.equal(value.length, 3);
  t.ok(
    tookMs < 100 && value.every(({ lifetime }) => lifetime > 80 && lifetime <= 100),
    `${tookMs} ms`,
  );
  t.same(lab.multicasts, []);

  await lab.clock.advance(600_000);
  t.equal(
    (await lab.result(ua.findServices(TYPE))).value.length,
    3,
    'refreshed before they run out',
  );

  lab.network.setLink('192.0.2.11', false);
  await lab.clock.advance(100_000);
  t.same(urls((await lab.result(ua.findServices(TYPE))).value), [
    urlOf('192.0.2.12'),
    urlOf('192.0.2.13'),
  ]);

  sas[1]?.withdraw(urlOf('192.0.2.12'));
  await lab.clock.advance(100);
  t.same(urls((await lab.result(ua.findServices(TYPE))).value), [urlOf('192.0.2.13')]);

  await lab.result(sas[2]?.stop() ?? Promise.resolve());
  t.same((await lab.result(ua.findServices(TYPE))).value, [], 'who stops takes its services back');
  await lab.clock.advance(100_000);
  t.equal(da.size, 0, 'nothing stays behind');
});

t.test('a directory agent that has forgotten everything is told again (§12.2.2)', async t => {
  const lab = await SlpLab.open();
  const sa = await lab.serviceAgent('192.0.2.1');
  sa.offer({ url: urlOf('192.0.2.1') });
  await lab.clock.advance(30_000);
  const first = await lab.directoryAgent('192.0.2.2');
  await lab.clock.advance(1);
  t.equal(first.size, 0);
  await lab.clock.advance(3_100);
  t.equal(first.size, 1, 'heard passively, registered 1-3 s later');
  await first.stop();
  await lab.clock.advance(10);
  t.same(sa.directoryAgents, [], 'it has said that it goes down');
  const second = await lab.directoryAgent('192.0.2.2');
  await lab.clock.advance(3_200);
  t.equal(second.size, 1);
  // A crash, without a word.
  lab.network.setLink('192.0.2.2', false);
  await second.stop();
  await lab.clock.advance(5_000);
  lab.network.setLink('192.0.2.2', true);
  const third = await lab.directoryAgent('192.0.2.2');
  await lab.clock.advance(3_200);
  t.equal(third.size, 1, 'another boot timestamp');
  t.same(lab.notices, [
    '192.0.2.1 daUp 192.0.2.2',
    `192.0.2.1 registered ${urlOf('192.0.2.1')}`,
    '192.0.2.1 daDown 192.0.2.2',
    '192.0.2.1 daUp 192.0.2.2',
    `192.0.2.1 registered ${urlOf('192.0.2.1')}`,
    '192.0.2.1 daUp 192.0.2.2',
    `192.0.2.1 registered ${urlOf('192.0.2.1')}`,
  ]);
  lab.multicasts.length = 0;
  await lab.clock.advance(3 * 3600 * 1000);
  const beats = lab.multicasts.filter(({ message }) => message.kind === 'DAAdvert');
  t.ok(beats.length === 1 && beats[0]?.message.xid === 0, 'the heartbeat, every three hours');
});

t.test(
  'a directory agent that does not answer is forgotten, and everybody is asked instead (§12.3)',
  async t => {
    const lab = await SlpLab.open();
    await lab.directoryAgent('192.0.2.2');
    (await lab.serviceAgent('192.0.2.1')).offer({ url: urlOf('192.0.2.1') });
    const ua = await lab.userAgent('192.0.2.100');
    await lab.clock.advance(10_000);
    lab.network.setLink('192.0.2.2', false);
    const before = lab.unicasts('192.0.2.100', '192.0.2.2');
    const { value, tookMs } = await lab.result(ua.findServices(TYPE));
    t.same(urls(value), [urlOf('192.0.2.1')]);
    t.equal(tookMs, 21_000, '15 s for the directory agent, 6 s for all the others');
    t.equal(lab.unicasts('192.0.2.100', '192.0.2.2') - before, 4, 'asked at 0, 2, 6 and 14 s');
    t.same(ua.directoryAgents, []);
    t.equal((await lab.result(ua.findServices(TYPE))).tookMs, 6000);
  },
);

t.test('scopes: directory agents are asked for theirs, everybody for the rest', async t => {
  const lab = await SlpLab.open();
  const da = await lab.directoryAgent('192.0.2.2', { scopes: ['A'] });
  (await lab.serviceAgent('192.0.2.1', { scopes: ['a', 'B'] })).offer({ url: urlOf('192.0.2.1') });
  (await lab.serviceAgent('192.0.2.3', { scopes: ['b'] })).offer({ url: urlOf('192.0.2.3') });
  const ua = await lab.userAgent('192.0.2.100', { scopes: ['A', 'B'] });
  await lab.clock.advance(10_000);
  t.equal(da.size, 1, 'only who shares a scope registers');
  const only = await lab.result(ua.findServices(TYPE, { scopes: ['A'] }));
  t.same(urls(only.value), [urlOf('192.0.2.1')]);
  t.ok(only.tookMs < 100);
  t.same(
    urls((await lab.result(ua.findServices(TYPE))).value),
    ['192.0.2.1', '192.0.2.3'].map(urlOf),
  );
});

t.test('what does not fit into a datagram goes by TCP (§6.1, §6.2)', async t => {
  for (const withDirectory of [false, true]) {
    const lab = await SlpLab.open();
    const da = withDirectory ? await lab.directoryAgent('192.0.2.2') : undefined;
    const sa = await lab.serviceAgent('192.0.2.1');
    const many = Array.from({ length: 90 }, (_, i) => `${TYPE}:sip://192.0.2.1:${6000 + i}`);
    for (const url of many) sa.offer({ url });
    const large = attributesOf({ note: 'x'.repeat(3000) });
    sa.offer({ url: 'service:large://192.0.2.1', attributes: large });
    const ua = await lab.userAgent('192.0.2.100');
    await lab.clock.advance(10_000);
    const where = withDirectory ? 'of a directory agent' : 'of a service agent';
    if (da) t.equal(da.size, 91, 'a registration of 3000 octets too');
    t.same(urls((await lab.result(ua.findServices(TYPE))).value), many, where);
    const note = (await lab.result(ua.findAttributes('service:large'))).value.get('note');
    t.equal(String(note?.values[0]).length, 3000, where);
    const single = await lab.result(ua.findAttributes('service:large://192.0.2.1'));
    t.equal(single.value.size, 1, `${where}, by its URL`);
    await lab.clock.advance(1000);
    t.equal(lab.network.streams.size, 0, 'connections are closed again');
  }
});

t.test(
  'what is too long for SLP itself is an error, and whoever does not read is left',
  async t => {
    const lab = await SlpLab.open();
    await lab.directoryAgent('192.0.2.2');
    const sa = await lab.serviceAgent('192.0.2.1');
    for (const n of [1, 2, 3]) {
      const attributes = attributesOf({ [`note${n}`]: 'x'.repeat(30_000) });
      sa.offer({ url: `service:x://192.0.2.1:${n}`, attributes });
    }
    const ua = await lab.userAgent('192.0.2.100');
    await lab.clock.advance(10_000);
    t.match((await lab.result(ua.findAttributes('service:x://192.0.2.1:1'))).value.size, 1);
    const all = lab.result(ua.findAttributes('service:x'));
    await t.rejects(
      all,
      { code: 'ERROR_REPLY', status: 10 },
      'an attribute list has up to 65535 octets',
    );

    const asker = lab.network.host('192.0.2.99');
    const request = encode({
      ...{ kind: 'AttrRqst', xid: 1, language: 'en', previousResponders: [] },
      ...{ url: 'service:x://192.0.2.1:1', scopes: ['DEFAULT'], tags: [], spi: '' },
    } as SlpMessage);
    const to = { address: '192.0.2.2', port: 427 };
    const { value: connection } = await lab.result(asker.connectStream({ to }));
    let closed = false;
    let octets = 0;
    connection.onClose = () => {
      closed = true;
    };
    connection.onData = data => {
      octets += data.length;
    };
    for (let i = 0; i < 50; i++) connection.write(request);
    await lab.clock.advance(1000);
    t.ok(closed && octets < 200_000, `closed after ${octets} octets`);
  },
);

t.test('whatever octets come, the agents stay', async t => {
  const lab = await SlpLab.open(5);
  const da = await lab.directoryAgent('192.0.2.2');
  const sa = await lab.serviceAgent('192.0.2.1');
  sa.offer({ url: urlOf('192.0.2.1'), attributes: attributesOf({ id: 'a' }) });
  const ua = await lab.userAgent('192.0.2.100');
  await lab.clock.advance(10_000);
  const noise = await lab.network.host('192.0.2.66').bindDatagram({
    ...{ address: '192.0.2.66', port: 427, trafficClass: 'default' },
  });
  const samples = Object.values(SAMPLES).map(({ octets }) => fromWords(octets));
  const targets = ['192.0.2.1', '192.0.2.2', '239.255.255.253'];
  for (let i = 0; i < 3000; i++) {
    const bytes = Uint8Array.from(samples[i % samples.length]!);
    const [changes = 0] = lab.random.bytes(1);
    for (let n = changes % 4; n > 0; n--) {
      const [at = 0, octet = 0] = lab.random.bytes(2);
      if (at < bytes.length) bytes[at] = octet;
    }
    noise.send(bytes, { address: targets[i % 3]!, port: 427 });
    if (i % 100 === 0) await lab.clock.advance(10);
  }
  await lab.clock.advance(30_000);
  t.ok(da.size >= 1 && da.size < 100, `${da.size} registrations`);
  t.same(urls((await lab.result(ua.findServices(TYPE, { predicate: '(id=a)' }))).value), [
    urlOf('192.0.2.1'),
  ]);
});

t.test('who asks what cannot be read is told so, by UDP and alone (§7)', async t => {
  const lab = await SlpLab.open();
  await lab.directoryAgent('192.0.2.2');
  const asker = await lab.network.host('192.0.2.66').bindDatagram({
    ...{ address: '192.0.2.66', port: 0, trafficClass: 'default' },
  });
  const answers: SlpMessage[] = [];
  asker.onMessage = data => answers.push(decode(data));
  const broken = fromWords(SAMPLES.AttrRqst.octets);
  broken.fill(0xff, 20, 24); // no UTF-8
  asker.send(broken, { address: '192.0.2.2', port: 427 });
  const multicast = Uint8Array.from(broken);
  multicast[5] = 0x20;
  asker.send(multicast, { address: '192.0.2.2', port: 427 });
  asker.send(fromWords(SAMPLES.SrvAck.octets).fill(9, 0, 1), { address: '192.0.2.2', port: 427 });
  await lab.clock.advance(100);
  t.match(answers, [{ kind: 'AttrRply', xid: 0x1234, error: 2 }]);
  t.equal(answers.length, 1);
});

t.test('an answer counts only from whom was asked', async t => {
  const lab = await SlpLab.open();
  await lab.directoryAgent('192.0.2.2');
  const ua = await lab.userAgent('192.0.2.100');
  await lab.clock.advance(20_000);
  lab.network.link = { ...lab.network.link, delayMs: 100 };
  const stranger = await lab.network.host('192.0.2.66').bindDatagram({
    ...{ address: '192.0.2.66', port: 427, trafficClass: 'default' },
  });
  const asked = lab.result(ua.findServices(TYPE));
  const request = lab.network.trace.at(-1)!;
  const [address = '', port] = request.from.split(':');
  const forged = { url: urlOf('192.0.2.66'), lifetime: 60 };
  lab.network.link = { ...lab.network.link, delayMs: 1 };
  // Every XID there is: one of them is right.
  for (let xid = 1; xid <= 0xffff; xid++) {
    const reply = encode({ kind: 'SrvRply', xid, language: 'en', error: 0, urls: [forged] });
    stranger.send(reply, { address, port: Number(port) });
  }
  t.same((await asked).value, []);
});

t.test('connections of others are bounded, and closed when idle (§6.2)', async t => {
  const lab = await SlpLab.open();
  await lab.directoryAgent('192.0.2.2');
  const asker = lab.network.host('192.0.2.66');
  const to = { address: '192.0.2.2', port: 427 };
  let closed = 0;
  for (let i = 0; i < 70; i++) {
    const { value } = await lab.result(asker.connectStream({ to }));
    value.onClose = () => {
      closed++;
    };
  }
  await lab.clock.advance(1000);
  t.equal(closed, 6, '64 stay');
  await lab.clock.advance(250_000);
  t.equal(closed, 6);
  await lab.clock.advance(60_000);
  t.equal(closed, 70, 'after five minutes without a word');
});

t.test('without port 427 a service agent registers, and is not heard otherwise', async t => {
  const lab = await SlpLab.open();
  const sa = await lab.serviceAgent('192.0.2.1', { forbidden: true });
  sa.offer({ url: urlOf('192.0.2.1') });
  t.same(lab.problems, ['192.0.2.1 PORT_FORBIDDEN']);
  const ua = await lab.userAgent('192.0.2.100');
  t.same((await lab.result(ua.findServices(TYPE))).value, []);
  const da = await lab.directoryAgent('192.0.2.2');
  await lab.clock.advance(10_000);
  t.equal(da.size, 0, 'nor does it hear the directory agent announce itself');
  await lab.clock.advance(910_000);
  t.equal(da.size, 1, 'but it asks every 900 s');
  t.same(urls((await lab.result(ua.findServices(TYPE))).value), [urlOf('192.0.2.1')]);
});

t.test(
  'a directory agent holds no more than it may, and is asked again while it is busy (§7)',
  async t => {
    const lab = await SlpLab.open();
    const da = await lab.directoryAgent('192.0.2.2', {
      limits: { registrations: 2, octets: 10_000 },
    });
    const sa = await lab.serviceAgent('192.0.2.1');
    for (const port of [1, 2, 3])
      sa.offer({ url: `service:x://192.0.2.1:${port}`, lifetime: 3600 });
    await lab.clock.advance(10_000);
    t.equal(da.size, 2);
    await lab.clock.advance(600_000);
    t.equal(sa.directoryAgents.length, 1, 'who is busy is not taken for down');
    t.ok(lab.notices.includes('192.0.2.1 refused service:x://192.0.2.1:3 11'));
    sa.withdraw('service:x://192.0.2.1:1');
    await lab.clock.advance(130_000);
    t.equal(da.size, 2, 'the third has its place soon after there is one');
    const ua = await lab.userAgent('192.0.2.100');
    await lab.clock.advance(5_000);
    const found = (await lab.result(ua.findServices('service:x'))).value;
    t.same(urls(found), ['service:x://192.0.2.1:2', 'service:x://192.0.2.1:3']);
  },
);

t.test('a service that was withdrawn is not registered by a packet that comes late', async t => {
  const lab = await SlpLab.open();
  const da = await lab.directoryAgent('192.0.2.2');
  const sa = await lab.serviceAgent('192.0.2.1');
  await lab.clock.advance(20_000);
  lab.network.setLink('192.0.2.2', false);
  sa.offer({ url: urlOf('192.0.2.1') });
  await lab.clock.advance(1_000);
  lab.network.setLink('192.0.2.2', true);
  sa.withdraw(urlOf('192.0.2.1'));
  await lab.clock.advance(15_000);
  t.equal(da.size, 0);
  sa.offer({ url: urlOf('192.0.2.1') });
  await lab.clock.advance(100);
  t.equal(da.size, 1, 'it registers still');
});

t.test('services are refreshed no sooner than a directory agent wants (§8.5)', async t => {
  const lab = await SlpLab.open();
  await lab.directoryAgent('192.0.2.2', { minRefreshInterval: 600 });
  (await lab.serviceAgent('192.0.2.1')).offer({ url: urlOf('192.0.2.1'), lifetime: 60 });
  await lab.clock.advance(3_600_000);
  const registered = lab.notices.filter(notice => notice.includes('registered')).length;
  t.ok(registered >= 4 && registered <= 7, `${registered} times in an hour`);
  const ua = await lab.userAgent('192.0.2.100');
  await lab.clock.advance(5_000);
  t.equal((await lab.result(ua.findServices(TYPE))).value.length, 1);
});

t.test('a host that gets its address later is there then', async t => {
  const lab = await SlpLab.open();
  lab.network.setLink('192.0.2.1', false);
  const sa = await lab.serviceAgent('192.0.2.1');
  sa.offer({ url: urlOf('192.0.2.1') });
  const ua = await lab.userAgent('192.0.2.100');
  t.same((await lab.result(ua.findServices(TYPE))).value, []);
  lab.network.setLink('192.0.2.1', true);
  await lab.clock.advance(6_000);
  t.equal((await lab.result(ua.findServices(TYPE))).value.length, 1);
});

t.test('errors and ends are told', async t => {
  const lab = await SlpLab.open();
  await lab.directoryAgent('192.0.2.2');
  const ua = await lab.userAgent('192.0.2.100');
  await lab.clock.advance(20_000);
  const wrong = lab.result(ua.findServices(TYPE, { predicate: '(a=' }));
  await t.rejects(wrong, { name: 'SlpRequestError', code: 'ERROR_REPLY', status: 2 });
  const given = new AbortController();
  const asked = lab.result(ua.findServices(TYPE, { scopes: ['NONE'], signal: given.signal }));
  given.abort(new Error('enough'));
  await t.rejects(asked, { message: 'enough' });
  const more = lab.result(ua.findServices(TYPE, { scopes: ['NONE'] }));
  await ua.stop();
  await t.rejects(more, { name: 'AbortError' });
  const sa = await lab.serviceAgent('192.0.2.1');
  t.throws(() => sa.offer({ url: 'nonsense' }), { code: 'BAD_VALUE' });
  t.throws(() => sa.offer({ url: urlOf('192.0.2.1'), lifetime: 0 }), { code: 'BAD_VALUE' });
  await lab.result(sa.stop());
  t.equal(new SlpRequestError('BUSY', 'x').status, 0);
});

t.test('the same seed gives the same run', async t => {
  const run = async () => {
    const lab = await SlpLab.open(11, { loss: 0.2, jitterMs: 30, duplication: 0.1 });
    await lab.directoryAgent('192.0.2.2');
    (await lab.serviceAgent('192.0.2.1')).offer({ url: urlOf('192.0.2.1'), lifetime: 30 });
    const ua = await lab.userAgent('192.0.2.100');
    await lab.clock.advance(60_000);
    await lab.result(ua.findServices(TYPE));
    return lab.network.traceText();
  };
  t.equal(await run(), await run());
});
