import { sipUri } from '@sip-stack/parser';
import t from 'tap';
import type { Call } from '../../src/calling/call.js';
import {
  LOOK_AFTER_MS,
  PLACE_LIMIT_MS,
  REMEMBERED_LIMIT_MS,
  TRYING_LIMIT_MS,
} from '../../src/calling/call-machine.js';
import type { Location, Locator } from '../../src/discovery/locator.js';
import type { Telephone } from '../../src/runtime/telephone.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';

const [DESK, MOBILE, STUDIO] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'] as const;

/** A person whose devices are told in turn by each question. */
class Places implements Locator {
  asked = 0;
  readonly unreached: string[] = [];
  readonly answered: string[] = [];
  readonly #answers: readonly (readonly (readonly string[])[])[];
  readonly #remembered: boolean;

  /** @param answers each of devices, each of addresses */
  constructor(answers: readonly (readonly (readonly string[])[])[], remembered = false) {
    this.#answers = answers;
    this.#remembered = remembered;
  }

  async locate({ user }: { readonly user?: string | undefined }): Promise<readonly Location[]> {
    if (user !== 'anna') return [];
    const first = this.asked === 0;
    const devices = this.#answers[Math.min(this.asked++, this.#answers.length - 1)] ?? [];
    return devices.flatMap((addresses, device) =>
      addresses.map(address => ({
        uri: sipUri({ user: 'anna', host: address }),
        endpoint: { address, port: 5060 },
        source: 'test',
        device: `${device}`,
        ...(first && this.#remembered && { remembered: true }),
        unreached: () => this.unreached.push(address),
        answered: () => this.answered.push(address),
      })),
    );
  }
}

/** Bob calls anna, who has a phone at each of three addresses. */
async function town(places: Locator) {
  const world = new Simulation({ seed: 3 });
  const phones = new Map<string, Telephone>(
    await Promise.all(
      [DESK, MOBILE, STUDIO].map(async address => {
        const phone = await world.addPhone('anna', address);
        return [address, phone] as const;
      }),
    ),
  );
  const bob = await world.addPhone('bob', '10.0.0.9', { locator: places });
  const phoneAt = (address: string) => phones.get(address)!;
  /** How calls to each phone went. */
  const heard = new Map<string, string[]>();
  for (const [address, phone] of phones) {
    phone.calls.on('call', call => heard.set(address, follow(call)));
  }
  return { world, bob, phoneAt, heard };
}

function follow(call: Call): string[] {
  const phases: string[] = [];
  call.on('phase', phase => phases.push(phase));
  call.once('ended', end => phases.push(end.code));
  return phases;
}

t.test('all devices of a person ring; who answers first has the call, the others stop', async t => {
  const places = new Places([[[DESK], [MOBILE], [STUDIO]]]);
  const { world, bob, phoneAt, heard } = await town(places);
  const call = bob.calls.dial('anna');
  const phases = follow(call);
  await world.clock.advance(1000);
  t.same(phases, ['trying', 'ringing']);
  t.same([...heard.values()], Array(3).fill(['ringing']));
  phoneAt(MOBILE).person.attend(taken => taken.answer());
  await world.clock.advance(1000);
  t.same(phases, ['trying', 'ringing', 'connected']);
  t.equal(call.location?.endpoint.address, MOBILE);
  t.same(places.answered, [MOBILE], 'and it is told who answered');
  t.same(heard.get(MOBILE), ['ringing', 'connected']);
  for (const other of [DESK, STUDIO]) {
    t.same(heard.get(other), ['ringing', 'REMOTE_HUNG_UP']);
    t.equal(phoneAt(other).calls.current.length, 0);
  }
  const [taken] = phoneAt(MOBILE).calls.current;
  await world.clock.advance(2000);
  const statistics = await call.statistics();
  t.ok((statistics?.packetsReceived ?? 0) > 80, 'voice comes from there');
  const digits: string[] = [];
  taken?.on('digit', digit => digits.push(digit));
  void call.sendDigits('42');
  await world.clock.advance(2000);
  t.same(digits, ['4', '2'], 'digits go there');
  taken?.hangUp();
  await world.clock.advance(1000);
  t.equal(phases.at(-1), 'REMOTE_HUNG_UP');
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('two who answer at the same instant: one has the call, the other is hung up', async t => {
  const { world, bob, phoneAt, heard } = await town(new Places([[[DESK], [MOBILE]]]));
  for (const address of [DESK, MOBILE]) phoneAt(address).person.attend(call => call.answer());
  const phases = follow(bob.calls.dial('anna'));
  await world.clock.advance(5000);
  t.equal(phases.at(-1), 'connected');
  t.equal(bob.calls.current.length, 1);
  const inCall = [DESK, MOBILE].filter(address => phoneAt(address).calls.current.length > 0);
  t.equal(inCall.length, 1);
  const other = inCall[0] === DESK ? MOBILE : DESK;
  t.equal(heard.get(other)?.at(-1), 'REMOTE_HUNG_UP');
  await world.stop();
});

t.test(
  'who is refused at one device with 603 is refused; busy is only who is busy everywhere',
  async t => {
    const table: readonly [
      desk: number,
      mobile: number | 'absent',
      code: string,
      ringsOn: boolean,
    ][] = [
      [603, 180, 'REFUSED', false],
      [486, 180, 'HUNG_UP', true],
      [486, 486, 'BUSY', false],
      [486, 480, 'NO_ANSWER', false],
      [486, 'absent', 'BUSY', false],
    ];
    for (const [desk, mobile, code, ringsOn] of table) {
      const { world, bob, phoneAt } = await town(new Places([[[DESK], [MOBILE]]]));
      phoneAt(DESK).person.attend(call => call.refuse(desk));
      if (mobile === 'absent') world.network.setLink(MOBILE, false);
      else if (mobile > 180) phoneAt(MOBILE).person.attend(call => call.refuse(mobile));
      const call = bob.calls.dial('anna');
      const phases = follow(call);
      await world.clock.advance(TRYING_LIMIT_MS + 2000);
      const what = `${desk} and ${mobile}`;
      t.equal(call.phase === 'ringing', ringsOn, what);
      call.hangUp();
      await world.clock.advance(1000);
      t.equal(phases.at(-1), code, what);
      const left = [DESK, MOBILE].flatMap(address => phoneAt(address).calls.current);
      t.equal(left.length, 0, `${what}: nobody rings on`);
      await world.stop();
    }
  },
);

t.test('each device is tried at its own places in turn, beside the others', async t => {
  const places = new Places([[['10.0.0.77', DESK], [MOBILE]]]);
  const { world, bob, heard } = await town(places);
  const call = bob.calls.dial('anna');
  await world.clock.advance(1000);
  t.same([...heard.keys()], [MOBILE], 'who is there rings at once');
  await world.clock.advance(PLACE_LIMIT_MS);
  t.same([...heard.keys()], [MOBILE, DESK]);
  t.same(places.unreached, ['10.0.0.77']);
  call.hangUp();
  await world.clock.advance(1000);
  t.same(
    [...heard.values()].map(phases => phases.at(-1)),
    ['REMOTE_HUNG_UP', 'REMOTE_HUNG_UP'],
  );
  await world.stop();
});

for (const remembered of [true, false]) {
  t.test('who does not answer is looked for again, and called where they are now', async t => {
    const places = new Places([[['10.0.0.77']], [['10.0.0.77']], [[DESK]]], remembered);
    const { world, bob, heard } = await town(places);
    bob.calls.dial('anna');
    await world.clock.advance(LOOK_AFTER_MS + 100);
    t.same([places.asked, heard.size], [2, 0], 'they are said to be there still');
    await world.clock.advance(2 * LOOK_AFTER_MS);
    t.same([...heard.keys()], [DESK]);
    await world.clock.advance(TRYING_LIMIT_MS);
    t.equal(places.asked, 3, 'who has answered is looked for no more');
    const cancelled = world.network.trace.filter(({ what }) => what.includes(' CANCEL '));
    t.same(cancelled, [], 'where nobody said anything there is nothing to cancel');
    await world.stop();
  });
}

t.test('another device that turns up meanwhile does not end the wait for the first', async t => {
  const places = new Places([[['10.0.0.77']], [['10.0.0.77'], ['10.0.0.78']]]);
  const { world, bob } = await town(places);
  const end = follow(bob.calls.dial('anna'));
  await world.clock.advance(3 * TRYING_LIMIT_MS);
  const asked = world.network.trace.filter(({ what }) => what.includes(' INVITE '));
  t.same([...new Set(asked.map(({ to }) => to))], ['10.0.0.77:5060', '10.0.0.78:5060']);
  t.equal(asked.at(-1)?.to, '10.0.0.77:5060');
  t.equal(end.at(-1), 'UNREACHABLE');
  await world.stop();
});

for (const [what, from, asked] of [
  ['one place', [['10.0.0.77']], 4],
  ['several devices', [['10.0.0.77'], ['10.0.0.78']], 2],
] as const) {
  t.test(`nobody at ${what} that are remembered: the locator is asked again`, async t => {
    const places = new Places([from, [...from, [DESK]]], true);
    const { world, bob, heard } = await town(places);
    const phases = follow(bob.calls.dial('anna'));
    await world.clock.advance(REMEMBERED_LIMIT_MS + 1000);
    t.equal(places.asked, 2);
    t.same([...heard.keys()], [DESK], 'and only where nobody was called yet');
    t.same(phases, ['trying', 'trying', 'ringing']);
    await world.stop();
    const nowhere = new Places([from], true);
    const again = await town(nowhere);
    const end = follow(again.bob.calls.dial('anna'));
    await again.world.clock.advance(2 * TRYING_LIMIT_MS);
    t.same([nowhere.asked, end.at(-1)], [asked, 'UNREACHABLE']);
    await again.world.stop();
  });
}
