/** Encrypted voice with baresip, whose SRTP is libsrtp's: it calls and is called, must and may. */
import { join } from 'node:path';
import {
  type BaresipOptions,
  callByBaresip,
  recordingOf,
  startBaresipCallee,
} from '../harness/baresip.js';
import { exactly, type Figure } from '../harness/figures.js';
import { PlainFailure, progress } from '../harness/program.js';
import { Ringline, type RinglineEvent } from '../harness/ringline.js';
import { freePort } from '../harness/udp.js';
import { witnessed } from '../harness/witness.js';
import { HEARD_SECONDS, toneFigures } from './codecs.js';
import { IN_TIME_MS, type Site } from './site.js';

const CALL_SECONDS = 4;
const SUITE = 'AES_CM_128_HMAC_SHA1_80';

export async function measureEncryption(site: Site): Promise<Figure[]> {
  const measures = [
    (attempt: Attempt) => callsUs(site, attempt),
    (attempt: Attempt) => isCalled(site, 'srtp-mand', 'require', attempt),
    (attempt: Attempt) => isCalled(site, 'srtp', 'offer', attempt),
  ];
  const figures: Figure[] = [];
  for (const measure of measures) {
    figures.push(...(await witnessed(site.cleanup, measure, isGood)).result);
  }
  return [...figures, ...(await cannot(site))];
}

/** Another where the machine stood still in the one before. */
type Attempt = number;

function isGood(figures: readonly Figure[]): boolean {
  return figures.every(({ met }) => met !== false);
}

/** baresip calls the echo test by RTP/SAVP. */
async function callsUs(site: Site, attempt: Attempt): Promise<Figure[]> {
  progress('interop: baresip calls the echo test, encrypted');
  const { cleanup, directory } = site;
  const data = join(directory, `phone-${attempt}`);
  const phone = new Ringline(['run', '--name', 'secret', '--listen', '127.0.0.1:0'], {
    cleanup,
    data,
  });
  const target = String((await phone.heard('ready', IN_TIME_MS)).listen);
  const caller = await peer(site, `caller-${attempt}`, 'srtp-mand');
  const uri = `sip:*43@${target}`;
  const [echoed, connected] = await Promise.all([
    callByBaresip({ ...caller, uri, seconds: HEARD_SECONDS }),
    phone.heard('connected', IN_TIME_MS),
  ]);
  await phone.stop();
  const name = 'baresip must encrypt and calls';
  return [encrypted(name, connected), ...(await toneFigures(site, `${name}: echo`, echoed))];
}

async function isCalled(
  site: Site,
  theirs: 'srtp' | 'srtp-mand',
  ours: 'offer' | 'require',
  attempt: Attempt,
): Promise<Figure[]> {
  const name = `${ours} at baresip with ${theirs}`;
  progress(`interop: ${name}`);
  const callee = await peer(site, `callee-${theirs}-${attempt}`, theirs);
  const child = await startBaresipCallee(callee);
  const recording = join(callee.directory, 'heard.wav');
  const files = ['--play', site.sound, '--record', recording, '--seconds', String(CALL_SECONDS)];
  const call = ring(site, callee, ['--srtp', ours, ...files]);
  const connected = await call.heard('connected', IN_TIME_MS);
  await call.heard('ended', (CALL_SECONDS + 10) * 1000);
  await call.child.ended;
  await child.stop();
  return [
    encrypted(name, connected),
    ...(await toneFigures(site, `${name}: it hears us`, await recordingOf(callee.directory))),
    ...(await toneFigures(site, `${name}: we hear it`, recording)),
  ];
}

/** A peer without SRTP is not called by one who requires it. */
async function cannot(site: Site): Promise<Figure[]> {
  progress('interop: baresip without SRTP');
  const callee = await peer(site, 'callee-plain', undefined);
  const child = await startBaresipCallee(callee);
  const call = ring(site, callee, ['--srtp', 'require', '--seconds', '1']);
  await call.child.ended;
  await child.stop();
  const talked = call.events.filter(({ event }) => event === 'connected').length;
  return [exactly(0, 'require at baresip without SRTP: calls', talked, 'calls')];
}

function ring(site: Site, { port, directory }: BaresipOptions, flags: readonly string[]): Ringline {
  const data = join(directory, 'phone');
  return new Ringline(['call', `sip:peer@127.0.0.1:${port}`, ...flags], {
    cleanup: site.cleanup,
    data,
  });
}

function encrypted(name: string, { encryption }: RinglineEvent): Figure {
  const { suite } = (encryption ?? {}) as { suite?: string };
  if (suite !== SUITE)
    throw new PlainFailure(`${name}: expected ${SUITE}, found ${suite ?? 'none'}`);
  return exactly(1, `${name}: encrypted`, 1, 'calls');
}

async function peer(
  { cleanup, directory, sound }: Site,
  name: string,
  encryption: BaresipOptions['encryption'],
): Promise<BaresipOptions> {
  const port = await freePort();
  const base = { cleanup, directory: join(directory, name), codec: 'PCMU', sound, port } as const;
  return { ...base, ...(encryption && { encryption }) };
}
