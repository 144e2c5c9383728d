/**
 * A call goes on while strangers send noise to every port of the phone: nothing of it may be missing
 * or repeated, and the phone's memory stays flat.
 * Run by `make fuzz`: FUZZ_SECONDS=60 FUZZ_SEED=… node dist/test/fuzz/noise.js [--json]
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { LegStatistics } from '../../src/media/engine.js';
import { temporaryDirectory } from '../harness/child.js';
import { atLeast, atMost, type Figure, plain } from '../harness/figures.js';
import { MARGIN_SECONDS, passageOf, writeNumberedSound } from '../harness/numbered-sound.js';
import { residentMegabytes, udpPorts } from '../harness/process-status.js';
import { PlainFailure, progress, runProgram } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { SAMPLE_RATE } from '../harness/sound.js';
import { untilAnswered } from '../harness/udp.js';
import { spoiltSamples, witnessed } from '../harness/witness.js';
import { NoiseMaker } from './noise-maker.js';

const SECONDS = Number(process.env.FUZZ_SECONDS ?? 60);
const SEED = Number(process.env.FUZZ_SEED ?? randomInt(2 ** 32));

/** When the phone's code is compiled and its caches are filled; memory is compared with what it is then. */
const WARM_UP_MS = 5000;
/** Transactions and unanswered calls that noise has begun are over: 64·T1, RFC 3261 §17, and some. */
const SETTLED_MS = 36_000;
const GROWTH_GOAL_MB = 2;
const ANSWER_GOAL_MS = 1000;

/** Multicast DNS is shared with the rest of this machine: it is left alone. */
const MDNS_PORT = 5353;

await runProgram({ withinSeconds: 3 * SECONDS + 600 }, async cleanup => {
  if (!(SECONDS >= 5)) throw new PlainFailure('expected FUZZ_SECONDS to be 5 or more');
  progress(`fuzz: repeat with FUZZ_SEED=${SEED}`);
  const figures: Figure[] = [];

  const directory = temporaryDirectory(cleanup);
  const phone = new Ringline(['run', '--name', 'fuzzed', '--listen', '127.0.0.1:0'], {
    cleanup,
    data: join(directory, 'phone'),
    probed: true,
  });
  const listen = String((await phone.heard('ready', 30_000)).listen);
  const sipPort = Number(listen.split(':')[1]);

  const sound = join(directory, 'sound.wav');
  const recording = join(directory, 'heard.wav');
  const expected = writeNumberedSound(sound, SECONDS);
  const callSeconds = String(SECONDS + 2 * MARGIN_SECONDS);
  const files = ['--play', sound, '--record', recording, '--seconds', callSeconds];
  let early: Awaited<ReturnType<Ringline['memory']>> | undefined;
  let sent = 0;

  const callUnderNoise = async (attempt: number) => {
    const data = join(directory, `caller-${attempt}`);
    // Calls that noise made in an attempt before have ports, too.
    const others = [sipPort, MDNS_PORT, ...udpPorts(phone.pid)];
    const call = new Ringline(['call', `sip:*43@${listen}`, '--codec', 'pcmu', ...files], {
      cleanup,
      data,
    });
    await call.heard('connected', 30_000);
    const mediaPorts = udpPorts(phone.pid).filter(port => !others.includes(port));
    const noise = await NoiseMaker.start(cleanup, SEED, { sipPort, mediaPorts });
    progress(`fuzz: ${SECONDS} s of noise at ports ${[sipPort, ...mediaPorts].join(', ')}`);
    await delay(WARM_UP_MS);
    early = await phone.memory();
    await call.heard('ended', (SECONDS + 20) * 1000);
    noise.stop();
    sent = noise.sent;
    return passageOf(recording, expected);
  };
  const witness = await witnessed(
    cleanup,
    callUnderNoise,
    ({ missing, extra }) => missing + extra === 0,
  );
  const loaded = residentMegabytes(phone.pid);
  const sipEndpoint = { address: '127.0.0.1', port: sipPort };
  const answered = await untilAnswered(sipEndpoint, 10_000);
  progress(`fuzz: ${SETTLED_MS / 1000} s until what it began is over`);
  await delay(SETTLED_MS);
  const late = await phone.memory();

  const { missing, extra } = witness.result;
  const spoilt = spoiltSamples(witness, SAMPLE_RATE);
  const kept = late.usedMegabytes - (early?.usedMegabytes ?? 0);
  figures.push(
    plain('datagrams of noise', sent, 'datagrams'),
    atLeast(sent / 10, 'of them refused by the call', refusedBy(phone), 'datagrams'),
    atMost(spoilt, `samples missing from a call of ${SECONDS} s meanwhile`, missing, 'samples'),
    atMost(spoilt, 'samples repeated or made up in it', extra, 'samples'),
    plain('longest stall of this machine meanwhile', witness.stallMs, 'ms'),
    atMost(ANSWER_GOAL_MS, 'OPTIONS answered at the end of it', answered ?? Infinity, 'ms'),
    atMost(GROWTH_GOAL_MB, 'memory kept', kept, 'MB'),
    plain('resident memory at the end of the noise', loaded, 'MB'),
    plain('resident memory afterwards', late.residentMegabytes, 'MB'),
  );
  await phone.stop();
  return figures;
});

/** By the call that refused most; what was not refused in time never reached it. */
function refusedBy(phone: Ringline): number {
  const statistics = phone.events.map(event => event.statistics as Partial<LegStatistics>);
  return Math.max(0, ...statistics.map(of => of?.packetsRefused ?? 0));
}
