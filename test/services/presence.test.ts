/** What users publish of themselves at the phone that is their registrar, and who hears of it. */
import { Params, type SipResponse, sipUri } from '@sip-stack/parser';
import t from 'tap';
import { silentLogger } from '../../src/core/logger.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { COMPOSITOR_LIMITS } from '../../src/sip/events/compositor-machine.js';
import { PRESENCE } from '../../src/sip/events/package.js';
import { readPidf, writePidf } from '../../src/sip/events/pidf.js';
import { Publisher } from '../../src/sip/events/publisher.js';
import { Household, KITCHEN, type OrdinaryPhone, SERVER } from '../runtime/ordinary-phones.js';

const ANNA = `anna@${KITCHEN}`;

async function annaAndWatcher(t: { teardown(fn: () => Promise<void>): void }) {
  const house = new Household();
  await house.open('anna', 'ben');
  t.teardown(() => house.close());
  const anna = await house.phone('10.0.0.11', 'anna');
  const watcher = await house.phone('10.0.0.66');
  const told: string[] = [];
  const subscription = watcher.agent.subscriber.subscribe({
    package: PRESENCE,
    from: { user: 'watcher' },
    locate: async () => ({
      uri: sipUri({ user: 'anna', host: KITCHEN }),
      to: { protocol: 'UDP', endpoint: SERVER },
    }),
  });
  subscription.on('notified', content => {
    const { tuples, activities, note } = readPidf(content?.body ?? new Uint8Array(0));
    const each = tuples.map(({ basic }) => basic);
    told.push([...each, ...activities, ...(note ? [note] : [])].join(' '));
  });
  await house.world.clock.advance(100);
  return { house, anna, told };
}

const document = (note: string) =>
  writePidf({ entity: 'sip:anna@x', tuples: [{ id: 't', basic: 'open' }], activities: [], note })
    .body;

async function publish(
  house: Household,
  phone: OrdinaryPhone,
  headers: Record<string, string> = {},
  body: Uint8Array = document('here'),
): Promise<SipResponse> {
  const fields = { Event: 'presence', 'Content-Type': 'application/pidf+xml', ...headers };
  return house.ask(phone, 'PUBLISH', ANNA, { headers: fields, body });
}

t.test('without a publication, presence is whether a phone is registered', async t => {
  const { house, anna, told } = await annaAndWatcher(t);
  await house.register(anna, ANNA);
  await house.world.clock.advance(6000);
  await house.register(anna, ANNA, 0);
  await house.world.clock.advance(6000);
  t.same(told, ['closed', 'open', 'closed']);
});

t.test(
  'what is published is told, refreshed without being told again, changed and removed',
  async t => {
    const { house, anna, told } = await annaAndWatcher(t);
    const pause = () => house.world.clock.advance(6000);
    const first = await publish(house, anna, { Expires: '600' });
    t.equal(first.status, 200);
    t.equal(first.headers.text('Expires'), '600');
    const etag = first.headers.text('SIP-ETag') ?? '';
    await pause();
    const refreshed = await publish(house, anna, { 'SIP-If-Match': etag }, new Uint8Array(0));
    const second = refreshed.headers.text('SIP-ETag') ?? '';
    t.not(second, etag);
    t.equal(
      (await publish(house, anna, { 'SIP-If-Match': etag })).status,
      412,
      'the old one is gone',
    );
    await pause();
    const changed = await publish(house, anna, { 'SIP-If-Match': second }, document('away'));
    await pause();
    const third = changed.headers.text('SIP-ETag') ?? '';
    await publish(house, anna, { 'SIP-If-Match': third, Expires: '0' }, new Uint8Array(0));
    await pause();
    t.same(told, ['closed', 'open here', 'open away', 'closed']);
  },
);

t.test('what is not refreshed is gone when its time is over', async t => {
  const { house, anna, told } = await annaAndWatcher(t);
  await publish(house, anna, { Expires: '60' });
  await house.world.clock.advance(59_000);
  t.equal(told.at(-1), 'open here');
  await house.world.clock.advance(6000);
  t.equal(told.at(-1), 'closed');
});

t.test('several devices of one user are told together', async t => {
  const { house, anna, told } = await annaAndWatcher(t);
  await publish(house, anna, {}, document('in the office'));
  await publish(house, anna, {}, document('on the road'));
  await house.world.clock.advance(6000);
  t.equal(told.at(-1), 'open open on the road');
});

t.test('what may not be published is refused', async t => {
  const { house, anna } = await annaAndWatcher(t);
  const ben = await house.phone('10.0.0.12', 'ben');
  const stranger = await house.phone('10.0.0.13');
  const ask = async (headers: Record<string, string>, body?: Uint8Array) =>
    (await publish(house, anna, headers, body)).status;
  t.equal((await publish(house, stranger)).status, 401);
  t.equal((await publish(house, ben)).status, 403, 'another user');
  t.equal(await ask({ Event: 'weather' }), 489);
  t.equal(await ask({ 'Content-Type': 'text/plain' }), 415);
  t.equal(await ask({}, Buffer.from('<!DOCTYPE x><presence/>')), 400);
  t.equal(await ask({}, new Uint8Array(0)), 400, 'nothing at all');
  t.equal(await ask({ Expires: '5' }), 423);
  const large = document('x').toString() + ' '.repeat(COMPOSITOR_LIMITS.octets);
  t.equal(await ask({}, Buffer.from(large)), 413);
  for (let nth = 0; nth < COMPOSITOR_LIMITS.perResource; nth++) t.equal(await ask({}), 200);
  t.equal(await ask({}), 503, 'one user has so many');
});

t.test('a publisher keeps its state there, tells changes, and takes it away', async t => {
  const { house, anna, told } = await annaAndWatcher(t);
  const { clock } = house.world;
  let note = 'here';
  let sent = 0;
  const publisher = new Publisher({
    clock,
    random: new SeededRandom(3),
    logger: silentLogger,
    package: PRESENCE,
    content: () => ({ type: 'application/pidf+xml', body: document(note) }),
    send: (headers, body) => {
      sent++;
      return anna.agent.request({
        method: 'PUBLISH',
        uri: sipUri({ user: 'anna', host: KITCHEN }),
        to: SERVER,
        from: { uri: sipUri({ user: 'anna', host: KITCHEN }), params: new Params() },
        headers,
        body,
      });
    },
  });
  publisher.changed();
  await clock.advance(6000);
  await clock.advance(2 * 3600_000);
  t.equal(told.at(-1), 'open here', 'it was refreshed in time');
  t.ok(sent <= 4, `${sent} requests`);
  note = 'away';
  publisher.changed();
  await clock.advance(6000);
  t.equal(told.at(-1), 'open away');
  const stopped = publisher.stop(1000);
  await clock.advance(6000);
  await stopped;
  t.equal(told.at(-1), 'closed');
});

t.test('a phone of ours with an account tells its server when it is on a call', async t => {
  const house = new Household();
  await house.open('anna');
  t.teardown(() => house.close());
  const { world } = house;
  const aor = sipUri({ user: 'anna', host: KITCHEN });
  const den = await world.addPhone('den', '10.0.0.2', {
    accounts: [{ aor, user: 'anna', password: 'password-anna', presence: true }],
  });
  const watcher = await house.phone('10.0.0.66');
  const told: string[] = [];
  const subscription = watcher.agent.subscriber.subscribe({
    package: PRESENCE,
    from: { user: 'watcher' },
    locate: async () => ({ uri: aor, to: { protocol: 'UDP', endpoint: SERVER } }),
  });
  subscription.on('notified', content => {
    const { activities, tuples } = readPidf(content?.body ?? new Uint8Array(0));
    told.push([tuples[0]?.id, ...activities].join(' '));
  });
  await world.clock.advance(10_000);
  t.equal(told.at(-1), 'phone', 'what it published, no longer what is known of its registration');
  const call = den.calls.dial('*43@10.0.0.1');
  await world.clock.advance(10_000);
  t.equal(told.at(-1), 'phone on-the-phone');
  call.hangUp();
  await world.clock.advance(10_000);
  t.equal(told.at(-1), 'phone');
  const stopped = den.stop();
  await world.clock.advance(10_000);
  await stopped;
  t.equal(told.at(-1), 'registered', 'it took that away with it');
});
