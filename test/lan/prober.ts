/**
 * A phone that calls by name, over and over, until it rings: how long does that take? Run on a host by `ring.ts`;
 * a line of standard input is one name to be called, a line of standard output tells of one that rang.
 */
import { createInterface } from 'node:readline';
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
  while (!(await rings(target, failures))) {
    await new Promise(resolve => setTimeout(resolve, AGAIN_MS));
  }
  const ms = Math.round(performance.now() - from);
  tell({ event: 'rang', target, ms, failures });
}

function rings(target: string, failures: string[]): Promise<boolean> {
  return new Promise(resolve => {
    const call = phone.telephone.calls.dial(target);
    call.on('phase', phase => {
      if (phase !== 'ringing' && phase !== 'connected') return;
      resolve(true);
      call.hangUp();
    });
    call.once('ended', ({ code }) => {
      failures.push(code);
      resolve(false);
    });
  });
}

function tell(event: object): void {
  console.log(JSON.stringify(event));
}
