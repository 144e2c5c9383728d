/** Phones that run on loopback, each with a data directory of its own. */
import type { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { Test } from 'tap';
import { type Event, killAll, start } from './command.js';

/** They end with the test. */
export function runningPhones(t: Pick<Test, 'teardown'>) {
  const directory = mkdtempSync(join(tmpdir(), 'ringline-phones-'));
  t.teardown(() => {
    killAll();
    rmSync(directory, { recursive: true, force: true });
  });
  const dataOf = (name: string) => join(directory, name);
  const phone = (name: string, ...more: string[]) => {
    const own = ['--name', name, '--listen', '127.0.0.1:0', '--data', dataOf(name)];
    return start('run', '--json', ...own, ...more);
  };
  return { directory, dataOf, phone };
}

/** Ends phones, all at once. */
export async function endAll(...phones: ReturnType<typeof start>[]): Promise<void> {
  for (const { child } of phones) child.kill('SIGTERM');
  await Promise.all(phones.map(({ ended }) => ended));
}

/** `ADDRESS:PORT` for a protocol, as the phone told it. */
export function placeOf(ready: Event, protocol: string): string {
  const listening = ready.listening as { protocol: string; at: string }[];
  return listening.find(place => place.protocol === protocol)?.at ?? 'nowhere';
}

/** What is shown to whoever connects. */
export function certificateAt(place: string): Promise<X509Certificate> {
  const [host = '', port] = place.split(':');
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      if (certificate) resolve(certificate);
      else reject(new Error('expected a certificate'));
    });
  });
}
