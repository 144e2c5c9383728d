/** Calls at the echo test by the thousand: SIPp makes them. */
import { join } from 'node:path';
import { exactly, explained, type Figure, plain } from '../harness/figures.js';
import { progress } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { runSipp } from '../harness/sipp.js';
import { IN_TIME_MS, type Site } from './site.js';

const CALLS = { calls: 1000, callsPerSecond: 50, callMs: 200 } as const;

export async function measureCalls({ cleanup, directory }: Site): Promise<Figure[]> {
  const data = join(directory, 'phone');
  const phone = new Ringline(['run', '--name', 'interop', '--listen', '127.0.0.1:0'], {
    cleanup,
    data,
  });
  const target = String((await phone.heard('ready', IN_TIME_MS)).listen);
  progress(`interop: SIPp calls the echo test ${CALLS.calls} times`);
  const calls = await runSipp({ cleanup, directory, target, user: '*43', ...CALLS });
  await phone.stop();
  return [
    exactly(CALLS.calls, 'calls of SIPp to the echo test, successful', calls.successful, 'calls'),
    explained(exactly(0, 'calls of SIPp, failed', calls.failed, 'calls'), calls.complaints),
    plain('messages SIPp sent again', calls.retransmissions, 'messages'),
  ];
}
