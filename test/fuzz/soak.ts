/**
 * Calls without a pause, some with sound and many without: neither memory nor open descriptors grow.
 * Run by `make soak`: SOAK_SECONDS=600 node dist/test/fuzz/soak.js [--json]
 */
import { join } from 'node:path';
import { requireProgram, temporaryDirectory } from '../harness/child.js';
import { atLeast, atMost, exactly, type Figure, plain } from '../harness/figures.js';
import { openDescriptors } from '../harness/process-status.js';
import { type Cleanup, PlainFailure, progress, runProgram } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { runSipp } from '../harness/sipp.js';
import { readSound, SAMPLE_RATE, stretch, writeSound } from '../harness/sound.js';
import { levelDb, sine } from '../media/signal.js';

const SECONDS = Number(process.env.SOAK_SECONDS ?? 600);

/** One round: a call with sound, then many short ones. */
const SOUND_SECONDS = 2;
const CALLS = { calls: 100, callsPerSecond: 50, callMs: 100 } as const;

/** By then as many finished transactions are remembered as ever will be: 64·T1, RFC 3261 §17. */
const WARM_UP_SECONDS = 45;
const MIN_SECONDS = 60;
const FEW_ROUNDS = 3;

/** A record of a call would be more. */
const SLOPE_GOAL_OCTETS = 200;
const LEVEL_GOAL_DB = 0.5;

interface Round {
  /** When it ended, since the start. */
  readonly seconds: number;
  readonly calls: number;
  readonly failed: number;
  /** Change of level of what was heard, in dB. */
  readonly levelChange: number;
  /** After garbage collection. */
  readonly usedMegabytes: number;
  readonly residentMegabytes: number;
  readonly descriptors: number;
}

await runProgram({ withinSeconds: SECONDS + 120 }, async cleanup => {
  requireProgram('sipp', 'sip-tester');
  if (!(SECONDS >= MIN_SECONDS)) {
    throw new PlainFailure(`expected SOAK_SECONDS to be ${MIN_SECONDS} or more`);
  }
  const directory = temporaryDirectory(cleanup);
  const data = join(directory, 'phone');
  const options = ['--name', 'soaked', '--listen', '127.0.0.1:0'];
  const phone = new Ringline(['run', ...options], { cleanup, data, probed: true });
  const target = String((await phone.heard('ready', 10_000)).listen);

  const rounds: Round[] = [];
  const started = performance.now();
  let seconds = 0;
  while (seconds < SECONDS) {
    const round = await oneRound(cleanup, directory, target, phone);
    seconds = (performance.now() - started) / 1000;
    rounds.push({ ...round, seconds });
    progress(
      `soak: ${seconds.toFixed(0)} s, ${rounds.length * (CALLS.calls + 1)} calls, ` +
        `${round.usedMegabytes.toFixed(2)} MB used, ${round.descriptors} descriptors`,
    );
  }
  await phone.stop();
  return figuresOf(rounds);
});

async function oneRound(
  cleanup: Cleanup,
  directory: string,
  target: string,
  phone: Ringline,
): Promise<Omit<Round, 'seconds'>> {
  const levelChange = await callWithSound(cleanup, directory, target);
  const many = await runSipp({ cleanup, directory, target, user: '*43', ...CALLS });
  const memory = await phone.memory();
  return {
    ...memory,
    calls: many.successful + 1,
    failed: many.failed,
    levelChange,
    descriptors: openDescriptors(phone.pid),
  };
}

async function callWithSound(cleanup: Cleanup, directory: string, target: string): Promise<number> {
  const sound = join(directory, 'tone.wav');
  const recording = join(directory, 'heard.wav');
  const tone = sine(440, SOUND_SECONDS * SAMPLE_RATE, SAMPLE_RATE);
  writeSound(sound, tone);
  const files = ['--play', sound, '--record', recording, '--seconds', String(SOUND_SECONDS)];
  const data = join(directory, 'caller');
  const call = new Ringline(['call', `sip:*43@${target}`, ...files], { cleanup, data });
  await call.heard('ended', (SOUND_SECONDS + 10) * 1000);
  await call.child.ended;
  return Math.abs(levelDb(stretch(readSound(recording), 1, 1.5)) - levelDb(tone));
}

function figuresOf(rounds: readonly Round[]): Figure[] {
  const warm = rounds.filter(round => round.seconds > WARM_UP_SECONDS);
  const sum = (of: (round: Round) => number) =>
    rounds.reduce((total, round) => total + of(round), 0);
  const perRound = CALLS.calls + 1;
  const slope = slopeOf(warm.map(round => round.usedMegabytes)) / perRound;
  return [
    atLeast(
      rounds.length * perRound,
      'calls that succeeded',
      sum(round => round.calls),
      'calls',
    ),
    exactly(
      0,
      'calls that failed',
      sum(round => round.failed),
      'calls',
    ),
    atMost(
      LEVEL_GOAL_DB,
      'change of level, worst call',
      Math.max(...rounds.map(round => round.levelChange)),
      'dB',
    ),
    atMost(SLOPE_GOAL_OCTETS, 'memory kept of each call', slope * 1e6, 'octets'),
    plain('resident memory at the end', rounds.at(-1)!.residentMegabytes, 'MB'),
    atMost(
      fewestDescriptors(warm.slice(0, FEW_ROUNDS)),
      'open descriptors at the end',
      fewestDescriptors(warm.slice(-FEW_ROUNDS)),
      'descriptors',
    ),
  ];
}

/** Of a few rounds the fewest: some are open for a moment only. */
function fewestDescriptors(rounds: readonly Round[]): number {
  return Math.min(...rounds.map(round => round.descriptors));
}

/** Least squares: by how much the values rise from one to the next. */
function slopeOf(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  let rise = 0;
  let run = 0;
  for (const [index, value] of values.entries()) {
    rise += (index - middle) * value;
    run += (index - middle) ** 2;
  }
  return rise / run;
}
