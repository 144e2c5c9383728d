/**
 * Mixed traffic without a pause: calls with sound, many short ones, calls by every protocol, refused and
 * cancelled ones, registrations, questions, broken input. Neither memory nor open descriptors grow.
 * Run by `make soak`: SOAK_SECONDS=600 node dist/test/fuzz/soak.js [--json]
 */
import { randomInt } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { requireProgram, temporaryDirectory } from '../harness/child.js';
import { atLeast, atMost, exactly, type Figure, plain } from '../harness/figures.js';
import { openDescriptors } from '../harness/process-status.js';
import { type Cleanup, PlainFailure, progress, runProgram } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { runSipp } from '../harness/sipp.js';
import { readSound, SAMPLE_RATE, stretch, writeSound } from '../harness/sound.js';
import { witnessed } from '../harness/witness.js';
import { levelDb, sine } from '../media/signal.js';
import { MixedTraffic, placesOf, type Tally } from './mixed-traffic.js';

const SECONDS = Number(process.env.SOAK_SECONDS ?? 600);

/** One round: a call with sound, then many short ones. */
const SOUND_SECONDS = 2;
const CALLS = { calls: 100, callsPerSecond: 50, callMs: 100 } as const;

/** By then as many finished transactions and unanswered strangers are remembered as ever will be: 64·T1 each. */
const WARM_UP_SECONDS = 120;
const MIN_SECONDS = 150;
const FEW_ROUNDS = 3;
/** A round begins so often, if the one before is done. */
const ROUND_MS = 8000;

const SLOPE_GOAL_MB_A_MINUTE = 0.5;
/** The program says what went wrong, up to so many times. */
const TOLD = 10;

const SEED = Number(process.env.SOAK_SEED ?? randomInt(2 ** 32));
const USER = { name: 'anna', password: 'a password for the soak' };
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
  mkdirSync(data, { recursive: true });
  writeFileSync(join(data, 'ringline.yaml'), configuration());
  const options = ['--name', 'soaked', '--listen', '127.0.0.1:0'];
  const phone = new Ringline(['run', ...options], { cleanup, data, probed: true });
  const { listen, listening } = await phone.heard('ready', 30_000);
  const target = String(listen);
  const traffic = await MixedTraffic.start({
    ...{ cleanup, seed: SEED, user: USER.name, password: USER.password },
    places: placesOf(listening as Parameters<typeof placesOf>[0]),
  });

  const rounds: Round[] = [];
  const started = performance.now();
  let seconds = 0;
  while (seconds < SECONDS) {
    const [round] = await Promise.all([callsByUdp(cleanup, directory, target), traffic.round()]);
    // Memory is held for half a minute for whatever came: a busy machine must not make a slope of that.
    await delay(rounds.length * ROUND_MS + ROUND_MS - (performance.now() - started));
    const now = await held(phone);
    seconds = (performance.now() - started) / 1000;
    rounds.push({ ...round, ...now, seconds });
    progress(
      `soak: ${seconds.toFixed(0)} s, ${rounds.length * (CALLS.calls + 1)} calls, ` +
        `${now.usedMegabytes.toFixed(2)} MB used, ${now.descriptors} descriptors, ` +
        `${traffic.tally.failed.length} not as they should`,
    );
  }
  await phone.stop();
  for (const failure of traffic.tally.failed.slice(0, TOLD)) console.error(failure);
  return [plain('seed', SEED, ''), ...figuresOf(rounds, traffic.tally)];
});

function configuration(): string {
  const users = `users:\n  - name: ${USER.name}\n    password: ${USER.password}\n`;
  return `${users}websocket:\n  ws: 0\n`;
}

async function callsByUdp(
  cleanup: Cleanup,
  directory: string,
  target: string,
): Promise<Pick<Round, 'calls' | 'failed' | 'levelChange'>> {
  // What a machine that stands still conceals is measured again; nothing else is forgiven.
  const { result: levelChange } = await witnessed(
    cleanup,
    () => callWithSound(cleanup, directory, target),
    change => change <= LEVEL_GOAL_DB,
  );
  const many = await runSipp({ cleanup, directory, target, user: '*43', ...CALLS });
  return { calls: many.successful + 1, failed: many.failed, levelChange };
}

async function held(phone: Ringline) {
  return { ...(await phone.memory()), descriptors: openDescriptors(phone.pid) };
}

async function callWithSound(cleanup: Cleanup, directory: string, target: string): Promise<number> {
  const sound = join(directory, 'tone.wav');
  const recording = join(directory, 'heard.wav');
  const tone = sine(440, SOUND_SECONDS * SAMPLE_RATE, SAMPLE_RATE);
  writeSound(sound, tone);
  const files = ['--play', sound, '--record', recording, '--seconds', String(SOUND_SECONDS)];
  const data = join(directory, 'caller');
  const call = new Ringline(['call', `sip:*43@${target}`, '--codec', 'pcmu', ...files], {
    cleanup,
    data,
  });
  await call.heard('ended', (SOUND_SECONDS + 10) * 1000);
  await call.child.ended;
  return Math.abs(levelDb(stretch(readSound(recording), 1, 1.5)) - levelDb(tone));
}

function figuresOf(rounds: readonly Round[], tally: Tally): Figure[] {
  const warm = rounds.filter(round => round.seconds > WARM_UP_SECONDS);
  const sum = (of: (round: Round) => number) =>
    rounds.reduce((total, round) => total + of(round), 0);
  const perRound = CALLS.calls + 1;
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
    plain('other things done: calls by every protocol, REGISTER, OPTIONS, noise', tally.done, ''),
    exactly(0, 'of them that did not end as they should', tally.failed.length, ''),
    atMost(
      SLOPE_GOAL_MB_A_MINUTE,
      'growth of memory after warm-up, linear fit',
      growth(warm, round => round.usedMegabytes),
      'MB/min',
    ),
    plain(
      'growth of resident memory, likewise',
      growth(warm, round => round.residentMegabytes),
      'MB/min',
    ),
    plain('memory used at the end', rounds.at(-1)?.usedMegabytes ?? 0, 'MB'),
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

/** Least squares: by how much a value rises in a minute. */
function growth(rounds: readonly Round[], of: (round: Round) => number): number {
  const mean = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const times = rounds.map(({ seconds }) => seconds / 60);
  const values = rounds.map(of);
  const [time, value] = [mean(times), mean(values)];
  let rise = 0;
  let run = 0;
  for (const [index, at] of times.entries()) {
    rise += (at - time) * ((values[index] ?? value) - value);
    run += (at - time) ** 2;
  }
  return rise / run;
}
