/** Lamps between simulated phones: what one does is what the others are shown. */
import t from 'tap';
import type { WatchedLamp } from '../../src/services/watching.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import { Household, KITCHEN } from '../runtime/ordinary-phones.js';

function shown(lamp: WatchedLamp): string[] {
  const told: string[] = [];
  lamp.on('lamp', state => told.push(state));
  lamp.once('ended', reason => told.push(reason?.message ?? 'ended'));
  return told;
}

async function world(t: { teardown(fn: () => Promise<void>): void }, seed = 1) {
  const world = new Simulation({ seed });
  const kitchen = await world.addPhone('kitchen', '10.0.0.1');
  const den = await world.addPhone('den', '10.0.0.2');
  const attic = await world.addPhone('attic', '10.0.0.3');
  t.teardown(() => world.stop());
  return { world, kitchen, den, attic };
}

t.test('a lamp is idle, rings, is busy and idle again, as the phone is', async t => {
  const { world: lab, kitchen, den, attic } = await world(t);
  const kitchens = shown(attic.watching.watch('kitchen'));
  const dens = shown(attic.watching.watch('den'));
  await lab.clock.advance(1000);
  t.same([kitchens, dens], [['idle'], ['idle']]);
  const call = den.calls.dial('kitchen');
  await lab.clock.advance(1000);
  t.same(
    [kitchens, dens],
    [
      ['idle', 'ringing'],
      ['idle', 'busy'],
    ],
  );
  kitchen.calls.current[0]?.answer();
  await lab.clock.advance(2000);
  t.same(kitchens, ['idle', 'ringing', 'busy']);
  call.hangUp();
  await lab.clock.advance(2000);
  t.same(kitchens, ['idle', 'ringing', 'busy', 'idle']);
  t.same(dens, ['idle', 'busy', 'idle']);
});

t.test('a service has a lamp of its own; nobody of that name has none', async t => {
  const { world: lab, den, attic } = await world(t);
  const room = shown(attic.watching.watch('room@kitchen'));
  const kitchen = shown(attic.watching.watch('kitchen'));
  const nobody = attic.watching.watch('nobody@kitchen');
  await lab.clock.advance(1000);
  t.same(room, ['idle']);
  const call = den.calls.dial('room@kitchen');
  await lab.clock.advance(3000);
  t.same(room, ['idle', 'busy']);
  t.same(kitchen, ['idle'], 'the phone itself has no call');
  t.equal(nobody.lamp, 'unknown');
  call.hangUp();
  await lab.clock.advance(2000);
  t.same(room, ['idle', 'busy', 'idle']);
});

t.test('a phone that stops is unknown, and known again as soon as it is back', async t => {
  const { world: lab, attic } = await world(t);
  const garage = await lab.addPhone('garage', '10.0.0.4');
  const told = shown(attic.watching.watch('garage'));
  await lab.clock.advance(1000);
  const stopped = garage.stop();
  await lab.clock.advance(2000);
  await stopped;
  t.same(told, ['idle', 'unknown']);
  await lab.addPhone('garage', '10.0.0.5');
  await lab.clock.advance(1500);
  t.same(told, ['idle', 'unknown', 'idle'], 'at its new address, without a pause');
});

t.test('a phone that loses power is unknown when its subscription cannot be refreshed', async t => {
  const { world: lab, attic } = await world(t);
  const told = shown(attic.watching.watch('kitchen'));
  await lab.clock.advance(1000);
  lab.network.setLink('10.0.0.1', false);
  await lab.clock.advance(3700_000);
  t.same(told, ['idle', 'unknown']);
});

t.test('who ends watching is forgotten by both sides', async t => {
  const { world: lab, kitchen, attic } = await world(t);
  const lamp = attic.watching.watch('kitchen');
  const told = shown(lamp);
  await lab.clock.advance(1000);
  t.match(kitchen.userAgent.notifier.status, [{ package: 'dialog', by: /^sip:attic@/ }]);
  lamp.close();
  await lab.clock.advance(1000);
  t.same(told, ['idle', 'ended']);
  t.equal(kitchen.userAgent.notifier.size + attic.userAgent.subscriber.size, 0);
  t.same(attic.watching.lamps, []);
});

t.test('what a stranger sees names no caller and no call', async t => {
  const { world: lab, den, attic } = await world(t);
  attic.watching.watch('kitchen');
  await lab.clock.advance(1000);
  const before = lab.network.trace.length;
  den.calls.dial('kitchen');
  await lab.clock.advance(1000);
  const seen: string[] = [];
  attic.userAgent.subscriber.current[0]?.on('notified', content =>
    seen.push(new TextDecoder().decode(content?.body)),
  );
  den.calls.hangUpAll();
  await lab.clock.advance(2000);
  t.ok(lab.network.trace.length > before);
  t.match(seen.at(-1), /state="full"/);
  t.notMatch(seen.join(), /den|call-id|tag/);
});

for (const watchers of ['nobody', 'users'] as const) {
  t.test(`watchers: ${watchers} keeps strangers out`, async t => {
    const lab = new Simulation({ seed: 2 });
    t.teardown(() => lab.stop());
    await lab.addPhone('kitchen', '10.0.0.1', { watchers });
    const attic = await lab.addPhone('attic', '10.0.0.3');
    const told = shown(attic.watching.watch('kitchen'));
    await lab.clock.advance(1000);
    t.same(told, ['kitchen cannot be watched: it does not let us']);
  });
}

t.test('watchers: users lets in who proves to be one', async t => {
  const house = new Household();
  t.teardown(() => house.close());
  await house.open({ watchers: 'users' }, 'anna');
  const subscribe = { Event: 'dialog', Expires: '600' };
  const anna = await house.phone('10.0.0.11', 'anna');
  const stranger = await house.phone('10.0.0.66');
  const ask = async (phone: typeof anna) =>
    (
      await house.ask(phone, 'SUBSCRIBE', `kitchen@${KITCHEN}`, {
        from: `anna@${KITCHEN}`,
        headers: subscribe,
      })
    ).status;
  t.equal(await ask(stranger), 401);
  t.equal(await ask(anna), 200);
});
