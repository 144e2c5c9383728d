/**
 * Browsers as phones, on loopback: two pages of Chromium with stock JsSIP register with a Ringline by WebSocket
 * and call each other through it, voice by WebRTC from page to page.
 * Run by `make browser`: node dist/test/browser/main.js [--json]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../harness/child.js';
import { atLeast, atMost, exactly, type Figure, plain } from '../harness/figures.js';
import { type Cleanup, progress, runProgram } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { freePort } from '../harness/udp.js';
import { type BrowserPhone, startBrowser } from './browser.js';

const PASSWORD = 'what-browsers-say';
/** Any address of the phone is its domain. */
const DOMAIN = '127.0.0.1';
const TALK_MS = 2000;
const HOLD_MS = 1000;
/** Of 50 packets a second; the first need a moment. */
const PACKETS_GOAL = 70;
/** The fake microphone beeps once a second: an energy of about 0.3 in this time. */
const ENERGY_GOAL = 0.01;
/** Those under way when the other side heard of it, and comfort noise. */
const HELD_PACKETS_GOAL = 5;

interface Voice {
  readonly sent: number;
  readonly received: number;
  readonly energy: number;
}

await runProgram({ withinSeconds: 300 }, async cleanup => {
  const directory = temporaryDirectory(cleanup);
  const port = await freePort();
  const phone = await startPhone(cleanup, directory, port);
  const browser = await startBrowser(cleanup);
  const [anna, ben, eve] = [await browser.open(), await browser.open(), await browser.open()];
  const login = (name: string, password = PASSWORD) => ({ name, password, port, domain: DOMAIN });
  const figures: Figure[] = [
    exactly(200, 'JsSIP registers, with digest', await anna.number('register', login('anna')), ''),
    exactly(200, 'another one registers', await ben.number('register', login('ben')), ''),
    exactly(401, 'a wrong password', await eve.number('register', login('eve', 'guessed')), ''),
  ];

  progress('browser: one calls the other');
  figures.push(...(await measureCall(anna, ben)));

  progress('browser: messages, options, and what cannot be called yet');
  figures.push(
    exactly(200, 'MESSAGE from one to the other', await anna.number('message', 'ben', 'hello'), ''),
    exactly(200, 'OPTIONS from one to the other', await anna.number('options', 'ben'), ''),
    exactly(200, 'OPTIONS to the phone', await anna.number('options', 'house'), ''),
    exactly(404, 'a call to somebody unknown', await anna.number('call', 'nobody'), ''),
    exactly(488, 'a WebRTC call to the echo test', await anna.number('call', '*43'), ''),
    exactly(488, 'a WebRTC call to the phone', await anna.number('call', 'house'), ''),
  );
  await ben.saw('heard', 'hello');

  progress('browser: a connection is lost');
  const again = await ben.number('reconnect');
  figures.push(
    exactly(200, 'registers again when its connection was lost', again, ''),
    exactly(200, 'MESSAGE to it then', await anna.number('message', 'ben', 'still there?'), ''),
    exactly(1, 'devices of it', await devicesOf(cleanup, directory, 'ben'), 'devices'),
  );
  await ben.saw('heard', 'still there?');

  const left = await browser.close();
  figures.push(exactly(0, 'processes of Chromium left', left ? 1 : 0, ''));
  await phone.stop();
  return figures;
});

async function startPhone(cleanup: Cleanup, data: string, port: number): Promise<Ringline> {
  mkdirSync(data, { recursive: true });
  const users = ['anna', 'ben', 'eve'].map(name => ({ name, password: PASSWORD }));
  // JSON is YAML.
  const config = { users, websocket: { ws: port } };
  writeFileSync(join(data, 'ringline.yaml'), JSON.stringify(config));
  const args = ['run', '--name', 'house', '--listen', '127.0.0.1:0'];
  const phone = new Ringline(args, { cleanup, data });
  await phone.heard('ready', 30_000);
  return phone;
}

async function measureCall(caller: BrowserPhone, called: BrowserPhone): Promise<Figure[]> {
  const began = performance.now();
  const status = await caller.number('call', 'ben');
  const setUpMs = performance.now() - began;
  const talk = await voiceDuring([caller, called], TALK_MS);
  const figures = [
    exactly(200, 'a call from one to the other', status, ''),
    plain('until it was taken, both ends asked for their microphone', setUpMs, 'ms'),
    ...voiceFigures('in the call, the caller', talk[0]),
    ...voiceFigures('in the call, the called', talk[1]),
  ];
  await caller.do('hold', true);
  await called.saw('events', 'hold remote');
  const held = await voiceDuring([caller], HOLD_MS);
  figures.push(
    atMost(HELD_PACKETS_GOAL, 'packets to who holds it', held[0]?.received ?? 0, 'packets'),
  );
  await caller.do('hold', false);
  await called.saw('events', 'unhold remote');
  const resumed = await voiceDuring([caller, called], TALK_MS);
  figures.push(
    ...voiceFigures('resumed, the caller', resumed[0]),
    ...voiceFigures('resumed, the called', resumed[1]),
  );
  await called.do('hangUp');
  await caller.saw('events', 'ended remote');
  return figures;
}

/** What was heard and sent within the next so many ms. */
async function voiceDuring(phones: readonly BrowserPhone[], ms: number): Promise<Voice[]> {
  const before = await Promise.all(phones.map(voiceOf));
  await new Promise(resolve => setTimeout(resolve, ms));
  const after = await Promise.all(phones.map(voiceOf));
  return after.map((voice, index) => ({
    sent: voice.sent - (before[index]?.sent ?? 0),
    received: voice.received - (before[index]?.received ?? 0),
    energy: voice.energy - (before[index]?.energy ?? 0),
  }));
}

async function voiceOf(phone: BrowserPhone): Promise<Voice> {
  return (await phone.do('voice')) as Voice;
}

function voiceFigures(
  name: string,
  { received, energy }: Voice = { sent: 0, received: 0, energy: 0 },
): Figure[] {
  return [
    atLeast(PACKETS_GOAL, `${name} receives in ${TALK_MS} ms`, received, 'packets'),
    atLeast(ENERGY_GOAL, `${name} hears, as energy`, energy, ''),
  ];
}

/** As `ringline status` tells. */
async function devicesOf(cleanup: Cleanup, data: string, name: string): Promise<number> {
  const asked = new Ringline(['status'], { cleanup, data });
  const { users } = await asked.heard('status', 30_000);
  await asked.child.ended;
  const user = Array.isArray(users) ? users.find(entry => entry.name === name) : undefined;
  return Number(user?.devices?.length ?? 0);
}
