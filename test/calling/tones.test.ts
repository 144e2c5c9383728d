/** Tones of the line: as text, by country, and which one is heard when. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { CallEndCode } from '../../src/calling/call-end.js';
import { CallTones } from '../../src/calling/call-tones.js';
import {
  newTones,
  stepTones,
  type ToneAction,
  type ToneEvent,
  type ToneState,
} from '../../src/calling/call-tones-machine.js';
import { COUNTRIES, parseCountry, tonesOf } from '../../src/calling/country-tones.js';
import { LocalMediaEngine } from '../../src/media/local-engine.js';
import { Tone } from '../../src/media/tone.js';
import { parseTones } from '../../src/media/tone-notation.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import { explore, sameTable } from '../harness/explore.js';
import { frequencyHz, levelAtDb, levelDb } from '../media/signal.js';
import { readWav } from '../media/wav-file.js';
import { peerAt } from '../sip/peer.js';

const RATE = 8000;
const directory = mkdtempSync(join(tmpdir(), 'ringline-tones-'));
t.teardown(() => rmSync(directory, { recursive: true, force: true }));

t.test('tones are read as they are written', async t => {
  t.same(parseTones('440+480/2000,0/4000'), [
    { frequencies: [440, 480], ms: 2000 },
    { frequencies: [], ms: 4000 },
  ]);
  t.same(parseTones(' !950/330 , !1400/330,0'), [
    { frequencies: [950], ms: 330, once: true },
    { frequencies: [1400], ms: 330, once: true },
    { frequencies: [] },
  ]);
  t.same(parseTones('200+300+400+7000'), [{ frequencies: [200, 300, 400, 7000] }]);
});

const mistakes: readonly [text: string, message: RegExp][] = [
  ['', /busy: expected 1 to 8 elements, found none/],
  ['1000/1,'.repeat(8).concat('1000/1'), /expected 1 to 8 elements, found 9/],
  ['440/500,,0/500', /element 2: expected a frequency of 200 to 7000 Hz, or 0, found ""/],
  ['199/500', /element 1: expected a frequency of 200 to 7000 Hz, or 0, found "199"/],
  ['440+7001/500', /found "7001"/],
  ['440+0/500', /found "0"/],
  ['300+400+500+600+700/5', /at most 4 frequencies, found 5/],
  ['440/', /expected a length of 1 to 60000 ms, found ""/],
  ['440/0', /found "0"/],
  ['440/60001', /found "60001"/],
  ['440,480/500', /element 1: expected a length, since another follows, found "440"/],
  ['440Hz/500', /expected frequencies and ms such as 440\+480\/2000, found "440Hz\/500"/],
  ['440*20/500', /found "440\*20\/500"/],
];
for (const [text, message] of mistakes) {
  t.test(`"${text}" is refused, and the error says where`, async t => {
    t.throws(() => parseTones(text, 'busy'), { code: 'BAD_TONE', message, remedy: /!/ });
  });
}

/** Each 10 ms of what a tone plays: its frequency, or 0. */
function played(text: string, ms: number): number[] {
  const tone = new Tone({
    tones: parseTones(text),
    loop: true,
    sampleRate: RATE,
    onEnded: () => undefined,
  });
  const all = new Int16Array((ms * RATE) / 1000);
  for (let at = 0; at < all.length; at += 160) tone.produce(all.subarray(at, at + 160), 0, true);
  const told: number[] = [];
  for (let at = 0; at + 800 <= all.length; at += 800) {
    const part = all.subarray(at, at + 800);
    told.push(levelDb(part) < -60 ? 0 : Math.round(frequencyHz(part, RATE) / 10) * 10);
  }
  return told;
}

t.test('what is marked plays once, the rest again and again', async t => {
  t.same(
    played('!950/100,!1400/100,600/100,0/100', 1000),
    [950, 1400, 600, 0, 600, 0, 600, 0, 600, 0],
  );
  t.same(
    played('600/100,!950/100,0/100', 800),
    [600, 950, 0, 600, 0, 600, 0, 600],
    'also amid others',
  );
  t.same(played('!950/100,!1400/100', 400), [950, 1400, 0, 0], 'all of it once: it ends');
  t.same(played('!950/100,0', 400), [950, 0, 0, 0]);
  t.same(played('600', 300), [600, 600, 600]);
});

t.test('twenty countries have every tone, all of which can be played', async t => {
  t.ok(COUNTRIES.length >= 20);
  for (const country of COUNTRIES) {
    const { ring, country: name, ...tones } = tonesOf(country);
    t.equal(Object.keys(tones).length, 6, name);
    for (const [what, text] of Object.entries(tones)) {
      new Tone({
        tones: parseTones(text, what),
        loop: true,
        sampleRate: RATE,
        onEnded: () => undefined,
      });
    }
    t.ok(ring.length % 2 === 0 && ring.every(ms => ms >= 100), 'on and off in turn');
  }
  t.equal(parseCountry('DE'), 'de');
  t.throws(() => parseCountry('xx'), { code: 'UNKNOWN_COUNTRY', message: /found "xx"/ });
});

const TABLE = `
calling: ringing: -> calling, ringback ringback
calling: voice: -> early listen
calling: connected: -> talking listen
calling: busy, hung up there: -> ended, busy busy set-timer
calling: hung up here: -> over over
calling: no such name: -> ended, information information set-timer
calling: unreachable: -> ended, congestion congestion set-timer
calling: - trying, another waits, none waits, enough
calling, ringback: trying: -> calling stop
calling, ringback: voice: -> early stop listen
calling, ringback: connected: -> talking stop listen
calling, ringback: busy, hung up there: -> ended, busy busy set-timer
calling, ringback: hung up here: -> over stop over
calling, ringback: no such name: -> ended, information information set-timer
calling, ringback: unreachable: -> ended, congestion congestion set-timer
calling, ringback: - ringing, another waits, none waits, enough
early: trying: -> calling
early: connected: -> talking listen
early: busy, hung up there: -> ended, busy busy set-timer
early: hung up here: -> over over
early: no such name: -> ended, information information set-timer
early: unreachable: -> ended, congestion congestion set-timer
early: - ringing, voice, another waits, none waits, enough
talking: another waits: -> talking, waiting waiting
talking: busy, hung up there: -> ended, busy busy set-timer
talking: hung up here: -> over over
talking: no such name: -> ended, information information set-timer
talking: unreachable: -> ended, congestion congestion set-timer
talking: - trying, ringing, voice, connected, none waits, enough
ended, busy: enough: -> over stop over
ended, busy: - trying, ringing, voice, connected, another waits, none waits, busy, hung up there, hung up here, no such name, unreachable
over: - trying, ringing, voice, connected, another waits, none waits, busy, hung up there, hung up here, no such name, unreachable, enough
ended, information: enough: -> over stop over
ended, information: - trying, ringing, voice, connected, another waits, none waits, busy, hung up there, hung up here, no such name, unreachable
ended, congestion: enough: -> over stop over
ended, congestion: - trying, ringing, voice, connected, another waits, none waits, busy, hung up there, hung up here, no such name, unreachable
talking, waiting: none waits: -> talking stop
talking, waiting: busy, hung up there: -> ended, busy busy set-timer
talking, waiting: hung up here: -> over stop over
talking, waiting: no such name: -> ended, information information set-timer
talking, waiting: unreachable: -> ended, congestion congestion set-timer
talking, waiting: - trying, ringing, voice, connected, another waits, enough
`;

t.test('the tones of a call, in every state', async t => {
  const end = (code: CallEndCode) => (): ToneEvent => ({ type: 'ended', code });
  const walk = explore<ToneState, ToneEvent, ToneAction>({
    types: {
      ringing: true,
      trying: true,
      voice: true,
      connected: true,
      waiting: true,
      ended: true,
      enough: true,
    },
    starts: [newTones()],
    events: {
      trying: () => ({ type: 'trying' }),
      ringing: () => ({ type: 'ringing' }),
      voice: () => ({ type: 'voice' }),
      connected: () => ({ type: 'connected' }),
      'another waits': () => ({ type: 'waiting', waits: true }),
      'none waits': () => ({ type: 'waiting', waits: false }),
      busy: end('BUSY'),
      'hung up there': end('REMOTE_HUNG_UP'),
      'hung up here': end('HUNG_UP'),
      'no such name': end('NO_SUCH_NAME'),
      unreachable: end('UNREACHABLE'),
      enough: () => ({ type: 'enough' }),
    },
    copy: state => ({ ...state }),
    step: stepTones,
    key: state => JSON.stringify(state),
    mode: ({ phase, playing }) => (playing ? `${phase}, ${playing}` : phase),
    brief: action => (action.type === 'play' ? action.tone : action.type),
    check: ({ before, actions, after }) => {
      const played = actions.filter(({ type }) => type === 'play' || type === 'stop');
      if (played.length > 1) throw new Error('two tones at once');
      const restarts = actions.some(
        action => action.type === 'play' && action.tone === before.playing,
      );
      if (restarts) throw new Error('a tone is begun again');
      if (after.phase === 'over' && after.playing) throw new Error('a tone is left playing');
      if (after.phase === 'talking' && (after.playing ?? 'waiting') !== 'waiting')
        throw new Error('a tone over the talk');
    },
  });
  sameTable(t, walk, TABLE);
});

// ---- phones

let files = 0;

interface Heard {
  readonly samples: Int16Array;
  readonly sampleRate: number;
}

/** The disk has its own time, and a recorder little patience: resolves when the file has grown, or will not. */
async function written(file: string, octets: number): Promise<void> {
  for (let turn = 0; turn < 500 && statSync(file).size <= octets; turn++) {
    await new Promise(setImmediate);
  }
}

async function town() {
  const world = new Simulation({ seed: 1 });
  const alice = await world.addPhone('alice', '10.0.0.1');
  const bob = await world.addPhone('bob', '10.0.0.2');
  const file = join(directory, `${++files}.wav`);
  const ear = await bob.media.openRecorder({ file });
  const call = (target: string) => {
    const { media, calls } = bob;
    const outgoing = calls.dial(target);
    const onError = (error: Error) => t.fail(error.message);
    const { clock } = world;
    const tones = new CallTones({
      media,
      clock,
      calls,
      call: outgoing,
      ear,
      onError,
      tones: tonesOf('uk'),
    });
    return { outgoing, tones };
  };
  const advance = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1000) {
      const before = statSync(file).size;
      await world.clock.advance(Math.min(left, 1000));
      await written(file, before);
    }
  };
  const heard = async (): Promise<Heard> => {
    await ear.close();
    return readWav(file);
  };
  return { world, alice, bob, call, advance, heard };
}

/** Which tone of the United Kingdom sounds in each tenth of a second: r, b (busy and congestion), i, `.` for silence, `?` for a change. */
function score({ samples, sampleRate }: Heard): string {
  const window = sampleRate / 10;
  let told = '';
  for (let at = 0; at + window <= samples.length; at += window) {
    const part = samples.subarray(at, at + window);
    const has = (hz: number) => levelAtDb(part, hz, sampleRate) > -30;
    if (levelDb(part) < -50) told += '.';
    else if (has(450)) told += 'r';
    else if (has(400)) told += 'b';
    else if (has(950) || has(1400) || has(1800)) told += 'i';
    else told += '?';
  }
  return told;
}

t.test(
  'while it rings there, the ringback tone of the country is heard, until they answer',
  async t => {
    const { world, alice, call, advance, heard } = await town();
    const { outgoing } = call('alice');
    await advance(3000);
    const [there] = alice.calls.current;
    // A second 180 does not restart the ringback tone.
    there?.ring();
    await advance(3000);
    there?.answer();
    await advance(2000);
    t.equal(outgoing.phase, 'connected');
    const told = score(await heard());
    t.match(told, /^\.{0,2}r{3,4}\.{2,3}r{3,4}\.{19,21}r{3,4}\.{2,3}r{3,4}\.{19,21}/, told);
    t.ok(told.slice(-25, -12).match(/^\.+$/), 'silence when they talk');
    await world.stop();
  },
);

for (const [what, target, answer, tone] of [
  ['busy', 'alice', 486, /b{3,4}[?.]{3,5}b{3,4}[?.]{3,5}b/],
  ['a name nobody has', 'zoe', 0, /i{9,10}[?.]\.{8,10}i/],
  ['nobody there', '10.0.0.99', 0, /b{3,4}[?.]{2,5}b{2,3}[?.]{4,7}b/],
] as const) {
  t.test(`${what}: the tone is heard for a moment, and then it is over`, async t => {
    const { world, alice, call, advance, heard } = await town();
    if (answer) alice.person.attend(other => other.refuse(answer));
    const { outgoing, tones } = call(target);
    let over = false;
    void tones.over.then(() => {
      over = true;
    });
    await advance(12_000);
    t.equal(outgoing.phase, 'ended');
    t.ok(over);
    const told = score(await heard());
    t.match(told, tone);
    t.equal(told.replace(/^\.+|\.+$/g, '').length <= 31, true, told);
    await world.stop();
  });
}

for (const rings of [true, false]) {
  const how = rings ? 'after ringing' : 'at once';
  t.test(
    `what the other side says before it answers, ${how}, is heard in place of our tones`,
    async t => {
      const { world, call, advance, heard } = await town();
      const address = '10.0.0.9';
      const { clock, network } = world;
      const media = new LocalMediaEngine({
        ...{ clock, network: network.host(address), random: new SeededRandom(5) },
      });
      await media.start();
      const leg = await media.openLeg({ address });
      const tone = await media.openTone({ tones: [{ frequencies: [950] }] });
      media.connect(tone, leg);
      await peerAt(network, { address, port: 5060 }, request => {
        if (request.method !== 'INVITE') return request.method === 'ACK' ? [] : [{ status: 200 }];
        const port = Number(/m=audio (\d+)/.exec(Buffer.from(request.body).toString())?.[1]);
        const remote = { address: '10.0.0.2', port };
        const format = { name: 'PCMU', payloadType: 0 };
        clock.after(2000, () => leg.configure({ remote, format, send: true, receive: true }));
        const lines = ['v=0', `o=- 1 1 IN IP4 ${address}`, 's=-', `c=IN IP4 ${address}`, 't=0 0'];
        const body = [...lines, `m=audio ${leg.port} RTP/AVP 0`, ''].join('\r\n');
        return [...(rings ? [{ status: 180 }] : []), { status: 183, body }];
      });
      const { outgoing } = call(address);
      await advance(5000);
      const told = score(await heard());
      const ringback = rings ? 'r{3,4}[?.]{2,3}r{3,4}[?.]+' : '[?.]+';
      t.match(told, new RegExp(`^[?.]{0,3}${ringback}i{20,}`), told);
      outgoing.hangUp();
      const stopped = media.stop();
      await world.stop();
      await stopped;
    },
  );
}

t.test('who hangs up hears nothing more', async t => {
  const { world, alice, call, advance, heard } = await town();
  alice.person.attend(() => undefined);
  const { outgoing, tones } = call('alice');
  await advance(1000);
  outgoing.hangUp();
  await tones.over;
  await advance(1000);
  const told = score(await heard());
  t.notMatch(told, /b/);
  t.match(told, /r/);
  await world.stop();
});

t.test('a call that waits is heard amid another, until it is gone', async t => {
  const { world, alice, bob, call, advance, heard } = await town();
  const cecil = await world.addPhone('cecil', '10.0.0.3');
  alice.person.attend(other => other.answer());
  call('alice');
  await advance(1000);
  const second = cecil.calls.dial('bob');
  await advance(6000);
  second.hangUp();
  await advance(6000);
  const told = score(await heard());
  t.equal(told.match(/b/g)?.length, 2, `a tenth of a second each 4.1 s: ${told}`);
  t.equal(bob.calls.current.length, 1);
  await world.stop();
});
