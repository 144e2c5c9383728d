/** The mixer under load: the phone's media engine with one leg for each member, told what to do by its parent. */
import { codecByName } from '../../../../src/media/codecs/registry.js';
import type { MediaLeg } from '../../../../src/media/engine.js';
import { WorkerMediaEngine } from '../../../../src/media/worker-engine.js';
import { AUDIO_LEVEL_ID, type FromMixer, type Plan, SRTP_KEY, type ToMixer } from './plan.js';

const ADDRESS = '127.0.0.1';

const engine = new WorkerMediaEngine();
await engine.start();
let plan: Plan | undefined;
let legs: MediaLeg[] = [];
let began = { cpu: process.cpuUsage(), at: performance.now() };

const tell = (message: FromMixer) => process.send?.(message);

async function open(wanted: Plan): Promise<void> {
  plan = wanted;
  await codecByName(wanted.codec)?.load?.();
  const { speakers } = wanted;
  const mix = await engine.openMix({ ...(speakers !== undefined && { speakers }) });
  legs = [];
  for (let i = 0; i < wanted.members; i++) {
    const leg = await engine.openLeg({ address: ADDRESS });
    engine.connect(leg, mix);
    engine.connect(mix, leg);
    legs.push(leg);
  }
  tell({ type: 'opened', ports: legs.map(({ port }) => port) });
}

async function talkTo(ports: readonly number[]): Promise<void> {
  const { codec: name, payloadType, sampleRate, srtp } = plan!;
  const security = srtp ? { security: { send: SRTP_KEY, receive: SRTP_KEY } } : {};
  for (const [i, leg] of legs.entries()) {
    const remote = { address: ADDRESS, port: ports[i]! };
    leg.configure({
      remote,
      format: { name, payloadType, sampleRate },
      send: true,
      receive: true,
      audioLevel: AUDIO_LEVEL_ID,
      rtcpExtended: true,
      ...security,
    });
  }
  tell({ type: 'ready' });
}

async function statistics(): Promise<void> {
  const { user, system } = process.cpuUsage(began.cpu);
  const wallMs = performance.now() - began.at;
  const clock = await engine.clockStatistics();
  const each = await Promise.all(legs.map(leg => leg.statistics()));
  tell({
    type: 'statistics',
    statistics: {
      cpuMs: (user + system) / 1000,
      wallMs,
      ticks: clock.ticks,
      latenessP99Ms: clock.p99Ms,
      latenessMaxMs: clock.maxMs,
      stagesMs: { ...clock.stagesMs },
      concealedMs: each.reduce((sum, { concealedMs }) => sum + concealedMs, 0),
      residentMegabytes: Math.round(process.memoryUsage.rss() / 2 ** 20),
    },
  });
}

process.on('message', async (message: ToMixer) => {
  switch (message.type) {
    case 'open':
      await open(message.plan);
      return;
    case 'talk-to':
      await talkTo(message.ports);
      return;
    case 'restart':
      await engine.clockStatistics({ restart: true });
      began = { cpu: process.cpuUsage(), at: performance.now() };
      return;
    case 'statistics':
      await statistics();
      return;
    case 'stop':
      await engine.stop();
      process.disconnect();
      return;
  }
});
