/**
 * How many members the mixer carries on one core: `node dist/test/bench/media/mixing/mixing.bench.js [--json] [NAME…]`.
 * The mixer has one processor for itself, the members have another. A control of two members shows what the machine
 * itself does to the figures.
 */
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from '../../../harness/child.js';
import { atLeast, atMost, type Figure, median, plain } from '../../../harness/figures.js';
import { type Cleanup, progress, runProgram } from '../../../harness/program.js';
import { LinphoneConference } from './linphone-conference.js';
import {
  type FromGenerator,
  type FromMixer,
  type Heard,
  type MixerStatistics,
  type Plan,
  type ToGenerator,
  type ToMixer,
  WARM_UP_MS,
} from './plan.js';

const MIXER_CORE = '0';
const GENERATOR_CORE = '1';
const SECONDS = Number(process.env.MIXING_SECONDS ?? 10);

interface Load extends Plan {
  readonly name: string;
}

const G711 = { codec: 'PCMU', sampleRate: 8000, payloadType: 0 };
const G722 = { codec: 'G722', sampleRate: 16_000, payloadType: 9 };
const OPUS = { codec: 'opus', sampleRate: 16_000, payloadType: 96 };

const everybody = (members: number) => ({ members, talkers: members });
const threeOf = (members: number) => ({ members, talkers: 3, speakers: 3 });

const plans: readonly Omit<Load, 'seconds'>[] = [
  { name: 'control', ...G711, ...everybody(2), srtp: false },
  { name: 'g711', ...G711, ...everybody(600), srtp: false },
  { name: 'g711-srtp', ...G711, ...everybody(600), srtp: true },
  { name: 'g722', ...G722, ...everybody(250), srtp: false },
  { name: 'g722-more', ...G722, ...everybody(400), srtp: false },
  { name: 'g722-srtp', ...G722, ...everybody(250), srtp: true },
  { name: 'opus', ...OPUS, ...everybody(80), srtp: false },
  { name: 'opus-srtp', ...OPUS, ...everybody(80), srtp: true },
  { name: 'opus-three', ...OPUS, ...threeOf(400), srtp: false },
  { name: 'opus-three-srtp', ...OPUS, ...threeOf(400), srtp: true },
];
const loads: readonly Load[] = plans.map(plan => ({ ...plan, seconds: SECONDS }));

/** Members of somebody else's mixer: more and more, until it does not carry them. */
const PEER_STEPS: readonly number[] = [5, 10, 20, 40, 50, 60, 80, 120, 160];
/** RFC 3550 receivers with a usual buffer hear gaps beyond this. */
const GAP_MS = 60;
const LEAST_RECEIVED = 0.95;

/** From dist/test/bench/media/mixing/ back to the source. */
const TIGHT_LOOP = fileURLToPath(
  new URL('../../../../../test/bench/media/mixing/tight-loop.c', import.meta.url),
);

/**
 * Microseconds that a loop in C takes to decode, add up and encode so many members of G.711 once; undefined without
 * a compiler.
 */
function tightLoopUs(cleanup: Cleanup, members: number): number | undefined {
  const program = join(temporaryDirectory(cleanup), 'tight-loop');
  const built = spawnSync('cc', ['-O2', '-o', program, TIGHT_LOOP]);
  if (built.status !== 0) return undefined;
  const runs = [1, 2, 3].map(() => {
    const { stdout } = spawnSync('taskset', ['-c', MIXER_CORE, program, String(members)], {
      encoding: 'utf8',
    });
    return Number(stdout);
  });
  return median(runs);
}

/** A child with a channel, on one processor. */
function child(cleanup: Cleanup, core: string, module: string) {
  const path = fileURLToPath(new URL(module, import.meta.url));
  const started = spawn('taskset', ['-c', core, process.execPath, path], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  cleanup.add(() => void started.kill('SIGKILL'));
  const answer = <T extends { type: string }>(type: T['type']) =>
    new Promise<T>((resolve, reject) => {
      const listen = (message: unknown) => {
        if ((message as T).type !== type) return;
        started.off('message', listen);
        resolve(message as T);
      };
      started.on('message', listen);
      started.once('exit', code =>
        reject(new Error(`${module} ended with ${code} before "${type}"`)),
      );
    });
  return { started, answer };
}

async function carry(
  cleanup: Cleanup,
  plan: Plan,
): Promise<{ heard: Heard; mixer: MixerStatistics }> {
  const mixer = child(cleanup, MIXER_CORE, './mixer.js');
  const generator = child(cleanup, GENERATOR_CORE, './generator.js');
  const toMixer = (message: ToMixer) => void mixer.started.send(message);
  const toGenerator = (message: ToGenerator) => void generator.started.send(message);

  const opened = mixer.answer<Extract<FromMixer, { type: 'opened' }>>('opened');
  const members = generator.answer<Extract<FromGenerator, { type: 'opened' }>>('opened');
  toMixer({ type: 'open', plan });
  toGenerator({ type: 'open', plan });
  const [{ ports }, { ports: memberPorts }] = await Promise.all([opened, members]);

  const ready = mixer.answer<Extract<FromMixer, { type: 'ready' }>>('ready');
  toMixer({ type: 'talk-to', ports: memberPorts });
  await ready;
  const heard = generator.answer<Extract<FromGenerator, { type: 'heard' }>>('heard');
  toGenerator({ type: 'run', ports });
  await new Promise(resolve => setTimeout(resolve, WARM_UP_MS));
  toMixer({ type: 'restart' });
  const { heard: found } = await heard;
  const statistics = mixer.answer<Extract<FromMixer, { type: 'statistics' }>>('statistics');
  toMixer({ type: 'statistics' });
  const { statistics: mixerFigures } = await statistics;
  const gone = new Promise(resolve => mixer.started.once('exit', resolve));
  toMixer({ type: 'stop' });
  await gone;
  return { heard: found, mixer: mixerFigures };
}

function figuresOf(
  { name, codec, members, talkers }: Load,
  heard: Heard,
  mixer: MixerStatistics,
): Figure[] {
  const what = `${name}, ${members} members, ${talkers} talk`;
  const stages = Object.entries(mixer.stagesMs);
  const inTicks = stages.reduce((sum, [, ms]) => sum + ms, 0);
  const goals = name !== 'control';
  const informative = (_goal: number, label: string, value: number, unit: string) =>
    plain(`${what}: ${label}`, value, unit);
  const most = (goal: number, label: string, value: number, unit: string) =>
    goals
      ? atMost(goal, `${what}: ${label}`, value, unit)
      : plain(`${what}: ${label}`, value, unit);
  // Opus keeps a sum of dozens of voices, but not each tone of it.
  const each = codec === 'opus' && talkers > 3 ? informative : most;
  // Among hundreds of tones, what the codec adds lies on one's own; that it is taken away exactly is unit tested.
  const own = talkers > 10 ? informative : most;
  return [
    most(5, 'tick lateness p99', mixer.latenessP99Ms, 'ms'),
    most(20, 'packets late, the most', heard.lateMaxMs, 'ms'),
    most(30, 'arrival gap p99', heard.gapP99Ms, 'ms'),
    most(60, 'longest gap', heard.gapMaxMs, 'ms'),
    most(1, 'all talkers together, off what the codec alone makes of them', heard.togetherDb, 'dB'),
    plain(`${what}: level that the codec alone adds to all of them`, heard.codecDb, 'dB'),
    each(1, 'talkers’ level off, median', heard.medianDb, 'dB'),
    plain(`${what}: talkers’ level off, the most`, heard.worstDb, 'dB'),
    ...(heard.ownDb === undefined ? [] : [own(-60, 'own voice', heard.ownDb, 'dB')]),
    atLeast(
      heard.received,
      `${what}: packets heard, of those due`,
      heard.received - heard.missing,
      'packets',
    ),
    plain(`${what}: share of the core`, (100 * mixer.cpuMs) / mixer.wallMs, '%'),
    ...stages.map(([stage, ms]) =>
      plain(`${what}: share of the tick, ${stage}`, (100 * ms) / inTicks, '%'),
    ),
    plain(`${what}: generator behind, the most`, heard.generatorLateMs, 'ms'),
    plain(`${what}: resident`, mixer.residentMegabytes, 'MB'),
  ];
}

/** How far linphone's conference goes under the same load, and ours with as many. */
async function besideLinphone(cleanup: Cleanup): Promise<Figure[]> {
  const carried: { members: number; share: number; heard: Heard }[] = [];
  let stopped = 'it carried all that were tried';
  for (const members of PEER_STEPS) {
    progress(`mixing: linphone's conference of ${members}`);
    const plan: Plan = { ...G711, ...everybody(members), srtp: false, seconds: SECONDS };
    const found = await carryByLinphone(cleanup, plan);
    if (typeof found === 'string') {
      stopped = found;
      break;
    }
    const { heard, share } = found;
    // One packet in a hundred may be later: this machine has stalls of its own. What never comes is a gap too.
    const arrived = heard.received / dueOf(plan);
    if (heard.gapP99Ms > GAP_MS || arrived < LEAST_RECEIVED) {
      stopped = `of ${members}, arrival gap p99 ${heard.gapP99Ms} ms, ${(100 * arrived).toFixed(0)}% of the packets; ${share.toFixed(0)}% of the core`;
      break;
    }
    carried.push({ members, share, heard });
  }
  progress(`mixing: linphone: ${stopped}`);
  const most = carried.at(-1);
  const figures = [plain('linphone: members without a gap', most?.members ?? 0, 'members')];
  if (!most) return figures;
  const ours = await carry(cleanup, {
    ...{ ...G711, ...everybody(most.members), srtp: false, seconds: SECONDS },
  });
  const what = `${most.members} members of G.711, all talk`;
  const share = (100 * ours.mixer.cpuMs) / ours.mixer.wallMs;
  return [
    ...figures,
    plain(`linphone, ${what}: share of the core`, most.share, '%'),
    atMost(most.share, `ours, ${what}: share of the core, linphone's`, share, '%'),
    plain(`linphone, ${what}: arrival gap p99`, most.heard.gapP99Ms, 'ms'),
    atMost(GAP_MS, `ours, ${what}: arrival gap p99`, ours.heard.gapP99Ms, 'ms'),
    plain(`linphone, ${what}: longest gap`, most.heard.gapMaxMs, 'ms'),
    plain(`ours, ${what}: longest gap`, ours.heard.gapMaxMs, 'ms'),
    plain(`linphone, ${what}: level of all talkers together`, most.heard.togetherDb, 'dB off'),
  ];
}

/** Packets for all members, after the warm-up. */
function dueOf({ members, seconds }: Plan): number {
  return members * seconds * 50;
}

/** Why it could not be made to, where it could not. */
async function carryByLinphone(
  cleanup: Cleanup,
  plan: Plan,
): Promise<{ heard: Heard; share: number } | string> {
  const generator = child(cleanup, GENERATOR_CORE, './generator.js');
  const opened = generator.answer<Extract<FromGenerator, { type: 'opened' }>>('opened');
  generator.started.send({ type: 'open', plan } satisfies ToGenerator);
  const { ports } = await opened;
  const home = temporaryDirectory(cleanup);
  const conference = await LinphoneConference.start(cleanup, home, MIXER_CORE);
  try {
    for (const [i, port] of ports.entries()) {
      const refused = await conference.admit(port);
      if (refused) return `the ${i + 1}th member was not admitted: ${refused}`;
    }
    const heard = generator.answer<Extract<FromGenerator, { type: 'heard' }>>('heard');
    const run: ToGenerator = { type: 'run', ports: conference.callers.remotePorts };
    generator.started.send(run);
    await new Promise(resolve => setTimeout(resolve, WARM_UP_MS));
    const [cpuMs, at] = [conference.cpuMs, performance.now()];
    const { heard: found } = await heard;
    const share = (100 * (conference.cpuMs - cpuMs)) / (performance.now() - at);
    return { heard: found, share };
  } finally {
    await conference.stop();
    generator.started.kill('SIGKILL');
  }
}

/** What of other programs was looked for. */
function hasProgram(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}

const names = process.argv.slice(2).filter(argument => !argument.startsWith('--'));
await runProgram(
  { withinSeconds: 60 + (loads.length + PEER_STEPS.length) * (SECONDS + 60) },
  async cleanup => {
    const figures: Figure[] = [];
    for (const load of loads) {
      if (names.length > 0 && !names.includes(load.name)) continue;
      progress(`mixing: ${load.name}, ${load.members} members for ${SECONDS} s`);
      const { heard, mixer } = await carry(cleanup, load);
      figures.push(...figuresOf(load, heard, mixer));
      if (load.name !== 'g711') continue;
      const tight = tightLoopUs(cleanup, load.members);
      const { decode = 0, mix = 0, encode = 0 } = mixer.stagesMs;
      const ours = ((decode + mix + encode) * 1000) / mixer.ticks;
      figures.push(plain(`${load.name}: decode, mix and encode, a tick`, ours, 'µs'));
      if (tight === undefined) continue;
      figures.push(plain(`${load.name}: the same as a tight loop in C, a tick`, tight, 'µs'));
      figures.push(
        plain(`${load.name}: buffers, packets and mixing against that loop`, ours / tight, 'times'),
      );
    }
    if (names.length === 0 || names.includes('linphone')) {
      progress(
        "mixing: Debian's baresip has no module that mixes calls (its mixminus came later): left out",
      );
      if (hasProgram('linphonec')) figures.push(...(await besideLinphone(cleanup)));
      else progress('mixing: linphonec is not installed (apt install linphone-cli): left out');
    }
    return figures;
  },
);
