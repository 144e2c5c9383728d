/** Ordinary phones at ours: baresip registers with a phone that has users, calls, is called, and is refused. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ANSWERS_WITHIN_MS } from '../../src/sip/server/challenges.js';
import {
  type BaresipOptions,
  callByBaresip,
  recordingOf,
  startBaresipCallee,
} from '../harness/baresip.js';
import type { Child } from '../harness/child.js';
import { atLeast, atMost, exactly, explained, type Figure } from '../harness/figures.js';
import { type Cleanup, PlainFailure, progress } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { readSound, SAMPLE_RATE } from '../harness/sound.js';
import { accountOf, pitchHz, steadyPart } from '../harness/tones.js';
import { freePort } from '../harness/udp.js';
import { HEARD_SECONDS, LOOKED_AT_SECONDS } from './codecs.js';
import { IN_TIME_MS, type Site } from './site.js';

const PASSWORD = 'what-baresip-says';
const TOLD_WITHIN_MS = IN_TIME_MS;
/** As baresip tells it. */
const REGISTERED = /200 OK/;
const FREQUENCY_GOAL_HZ = 1;
const ONE_SECOND = ['--seconds', '1'];

interface House {
  readonly cleanup: Cleanup;
  /** Of the phone, its configuration in it. */
  readonly data: string;
  readonly sound: string;
  /** `HOST:PORT` of the phone. */
  readonly target: string;
}

export async function measureUsers(given: Site): Promise<Figure[]> {
  const { cleanup, directory, sound, toneHz } = given;
  progress('interop: baresip phones registered at ours');
  const data = join(directory, 'house');
  const phone = startPhone(cleanup, data);
  const target = String((await phone.heard('ready', IN_TIME_MS)).listen);
  const site: House = { cleanup, data, sound, target };
  const figures: Figure[] = [];
  const tone = (name: string, recording: string) => {
    const sound = readSound(recording);
    const heard = steadyPart(sound, SAMPLE_RATE);
    const change = Math.abs(pitchHz(heard) - toneHz);
    const found = [
      atLeast(LOOKED_AT_SECONDS, `${name}: looked at`, heard.length / SAMPLE_RATE, 's'),
      atMost(FREQUENCY_GOAL_HZ, `${name}: change of frequency`, change, 'Hz'),
    ];
    const account = `heard ${accountOf(sound, [toneHz])}`;
    figures.push(...found.map(figure => explained(figure, account)));
  };

  const ben = await peer(site, 'ben');
  const called = await startRegistered(ben);
  const anna = await peer(site, 'anna');
  await (await startRegistered(anna)).stop();
  figures.push(
    exactly(1, 'baresip registered, with digest', await registered(site, 'ben'), 'phone'),
  );
  const heardByAnna = await callByBaresip({
    ...anna,
    uri: `sip:ben@${target}`,
    seconds: HEARD_SECONDS,
  });
  tone('a user calls another, the caller hears', heardByAnna);
  tone('a user calls another, the called hears', await recordingOf(ben.directory));

  const again = await peer(site, 'anna', PASSWORD, 'anna-again');
  const echoed = await callByBaresip({
    ...again,
    uri: `sip:*43@${target}`,
    seconds: HEARD_SECONDS,
  });
  tone('a user calls the echo test of the phone', echoed);

  const heard = join(directory, 'heard-from-ben.wav');
  const files = ['--play', sound, '--record', heard, '--seconds', '4'];
  figures.push(
    exactly(
      0,
      'a user is called from another phone, exit status',
      await call(site, 'ben', files),
      '',
    ),
  );
  tone('a user is called from another phone, which hears', heard);
  figures.push(
    exactly(3, 'somebody unknown there is called, exit status', await call(site, 'nobody'), ''),
  );

  const eve = await peer(site, 'eve', 'what-eve-guesses');
  const guessing = await startBaresipCallee(eve);
  await toldBy(guessing);
  await guessing.stop();
  await new Promise(resolve => setTimeout(resolve, ANSWERS_WITHIN_MS));
  const refused = /401 Unauthorized/.test(await toldBy(await startBaresipCallee(eve)));
  figures.push(
    exactly(1, 'a wrong password is refused', refused ? 1 : 0, 'phone'),
    exactly(0, 'phones registered with it', await registered(site, 'eve'), 'phones'),
  );
  figures.push(
    exactly(0, 'a user whose phone knows SHA-256 is called, exit status', await callOurs(site), ''),
  );

  await phone.stop();
  const restarted = startPhone(cleanup, data, target);
  await restarted.heard('ready', IN_TIME_MS);
  figures.push(
    exactly(1, 'registered still after a restart', await registered(site, 'ben'), 'phone'),
    exactly(0, 'a user is called then, exit status', await call(site, 'ben', ONE_SECOND), ''),
  );
  await called.stop();
  await restarted.stop();
  return figures;
}

function startPhone(cleanup: Cleanup, data: string, listen = '127.0.0.1:0'): Ringline {
  mkdirSync(data, { recursive: true });
  const users = ['anna', 'ben', 'carl', 'eve'].map(name => ({ name, password: PASSWORD }));
  // JSON is YAML.
  writeFileSync(join(data, 'ringline.yaml'), JSON.stringify({ users }));
  return new Ringline(['run', '--name', 'house', '--listen', listen], { cleanup, data });
}

async function peer(
  { cleanup, data, sound, target }: House,
  user: string,
  password = PASSWORD,
  folder = user,
): Promise<BaresipOptions> {
  return {
    cleanup,
    directory: join(data, `baresip-${folder}`),
    port: await freePort(),
    codec: 'PCMU',
    sound,
    account: { address: `${user}@${target}`, password },
  };
}

/** Calls somebody there from a phone of our own that the other knows nothing of; answers the exit status. */
async function call(
  { cleanup, data, target }: House,
  user: string,
  more: string[] = [],
): Promise<number> {
  const args = [
    'call',
    `sip:${user}@${target}`,
    '--listen',
    '127.0.0.1:0',
    '--codec',
    'pcmu',
    ...more,
  ];
  const caller = new Ringline(args, { cleanup, data: join(data, 'caller') });
  return Number(await caller.child.ended);
}

/** Carl's phone is one of ours, with an account at the house. */
async function callOurs(site: House): Promise<number> {
  const { cleanup, data, target } = site;
  const own = join(data, 'carl');
  mkdirSync(own);
  const account = { address: 'carl@127.0.0.1', server: target, password: PASSWORD };
  writeFileSync(join(own, 'ringline.yaml'), JSON.stringify({ accounts: [account] }));
  const args = ['answer', '--echo', '--name', 'carls', '--listen', '127.0.0.1:0'];
  const phone = new Ringline(args, { cleanup, data: own });
  await phone.heard('registered', IN_TIME_MS);
  const status = await call(site, 'carl', ONE_SECOND);
  await phone.stop();
  return status;
}

/** How many phones a user has, as `ringline status` tells. */
async function registered({ cleanup, data }: House, name: string): Promise<number> {
  const asked = new Ringline(['status'], { cleanup, data });
  const { users } = await asked.heard('status', IN_TIME_MS);
  await asked.child.ended;
  const user = Array.isArray(users) ? users.find(entry => entry.name === name) : undefined;
  return Number(user?.devices?.length ?? 0);
}

/** Old ones know no SHA-256, give up beside it, and are offered MD5 alone when they come again. */
async function startRegistered(options: BaresipOptions): Promise<Child> {
  const first = await startBaresipCallee(options);
  if (REGISTERED.test(await toldBy(first))) return first;
  await first.stop();
  await new Promise(resolve => setTimeout(resolve, ANSWERS_WITHIN_MS));
  const second = await startBaresipCallee(options);
  const told = await toldBy(second);
  if (REGISTERED.test(told)) return second;
  throw new PlainFailure(`baresip did not register:\n${told}`);
}

/** What baresip printed when it knows what became of its registration. */
async function toldBy(child: Child): Promise<string> {
  const until = performance.now() + TOLD_WITHIN_MS;
  while (performance.now() < until) {
    if (REGISTERED.test(child.output()) || /reg: |40[13] /.test(child.output())) {
      return child.output();
    }
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  throw new PlainFailure(`baresip did not tell of its registration:\n${child.output()}`);
}
