/**
 * A phone that calls by name, over and over, until it rings: how long does that take? Run on a host by `ring.ts`;
 * a line of standard input is one name to be called, a line of standard output tells of one that rang.
 */
import { createInterface } from 'node:readline';
import { formatEndpoint } from '../../src/core/endpoint.js';
import type { Location } from '../../src/discovery/locator.js';
import { loadSettings } from '../../src/runtime/config.js';
import { createLogger } from '../../src/runtime/logging.js';
import { Phone } from '../../src/runtime/phone.js';

const AGAIN_MS = 100;

const settings = await loadSettings({ name: 'prober', overlayRole: 'never' });
const phone = new Phone(settings, await createLogger('error'));
await phone.start();
tell({ event: 'ready' });

for await (const line of createInterface({ input: process.stdin })) void call(line.trim());
await phone.stop();

async function call(target: string): Promise<void> {
  const from = performance.now();
  const failures: string[] = [];
  for (;;) {
    const place = await rings(target, failures);
    const ms = Math.round(performance.now() - from);
    if (place) {
      const { endpoint, target: to } = place;
      tell({ event: 'rang', target, ms, failures, at: formatEndpoint(endpoint), by: to?.protocol });
      return;
    }
    await new Promise(resolve => setTimeout(resolve, AGAIN_MS));
  }
}

/** Where; undefined where it does not. */
function rings(target: string, failures: string[]): Promise<Location | undefined> {
  return new Promise(resolve => {
    const call = phone.telephone.calls.dial(target);
    call.on('phase', phase => {
      if (phase !== 'ringing' && phase !== 'connected') return;
      resolve(call.location);
      call.hangUp();
    });
    call.once('ended', ({ code }) => {
      failures.push(code);
      tell({ event: 'missed', whom: target, code });
      resolve(undefined);
    });
  });
}

function tell(event: object): void {
  console.log(JSON.stringify(event));
}
