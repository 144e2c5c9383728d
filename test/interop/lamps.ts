/** Subscriptions with real peers: baresip watches our presence, and has no lamp to watch; SIPp has one. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBaresipWatcher } from '../harness/baresip.js';
import { exactly, type Figure } from '../harness/figures.js';
import { progress } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { playScenario } from '../harness/sipp.js';
import { freePort } from '../harness/udp.js';
import { IN_TIME_MS, type Site } from './site.js';

const SCENARIO = fileURLToPath(
  new URL('../../../test/interop/scenarios/watch-notify-first.xml', import.meta.url),
);
/** Exit status of `ringline watch` where it is not let. */
const REFUSED = 5;

export async function measureLamps(site: Site): Promise<Figure[]> {
  progress('interop: lamps and presence, with baresip and SIPp');
  return [...(await withBaresip(site)), ...(await withSipp(site))];
}

async function withBaresip({ cleanup, directory, sound }: Site): Promise<Figure[]> {
  const data = join(directory, 'watched');
  const args = ['run', '--name', 'watched', '--listen', '127.0.0.1:0', '--tls', 'off'];
  const phone = new Ringline(args, { cleanup, data });
  const { listen } = await phone.heard('ready', IN_TIME_MS);
  const port = await freePort();
  const own = join(directory, 'baresip');
  const uri = `sip:watched@${listen}`;
  const peer = await startBaresipWatcher({
    cleanup,
    directory: own,
    port,
    sound,
    codec: 'PCMU',
    uri,
  });
  const watching = watch(`sip:peer@127.0.0.1:${port}`, cleanup, join(directory, 'asking'));
  const refused = await watching.child.ended;
  const watched = await watchersOf(cleanup, data);
  await phone.stop();
  // It tells of changes: that we were online, it says when we go.
  const online = await shows(() => /from \S*Online\S* to/.test(peer.output()));
  await peer.stop();
  return [
    exactly(1, 'baresip watches our presence: watchers in our status', watched, 'watchers'),
    exactly(1, 'baresip showed us online, until we stopped', online ? 1 : 0, 'shown'),
    exactly(REFUSED, 'baresip has no lamp: exit status of watch', Number(refused), ''),
  ];
}

async function withSipp({ cleanup, directory }: Site): Promise<Figure[]> {
  const port = await freePort();
  const played = playScenario({
    cleanup,
    directory,
    file: SCENARIO,
    port,
    address: '127.0.0.1',
    protocol: 'UDP',
  });
  const watching = watch(`sip:peer@127.0.0.1:${port}`, cleanup, join(directory, 'watching'));
  const problem = await played;
  if (problem !== undefined) progress(problem);
  const ended = await watching.child.ended;
  const output = watching.child.output();
  const seen = ['"idle"', '"ringing"'].filter(state => output.includes(state)).length;
  return [
    exactly(
      1,
      'SIPp: a peer that sends NOTIFY before its 200',
      problem === undefined ? 1 : 0,
      'passed',
    ),
    exactly(2, 'SIPp: lamp states shown, idle and ringing', seen, 'states'),
    exactly(REFUSED, 'SIPp: sent away for good, exit status of watch', Number(ended), ''),
  ];
}

function watch(uri: string, cleanup: Site['cleanup'], data: string): Ringline {
  return new Ringline(['watch', uri, '--listen', '127.0.0.1:0'], { cleanup, data });
}

/** As soon as there is one: baresip subscribes when it has been up for a while. */
async function watchersOf(cleanup: Site['cleanup'], data: string): Promise<number> {
  for (const began = performance.now(); ; ) {
    const status = await new Ringline(['status'], { cleanup, data }).heard('status', IN_TIME_MS);
    const { length } = status.watchers as readonly unknown[];
    if (length > 0 || performance.now() - began > IN_TIME_MS) return length;
    await new Promise(resolve => setTimeout(resolve, 200));
  }
}

async function shows(found: () => boolean): Promise<boolean> {
  for (let waited = 0; waited < IN_TIME_MS && !found(); waited += 50) {
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  return found();
}
