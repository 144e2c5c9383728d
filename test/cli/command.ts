/** `ringline` commands as a test starts them, on real sockets and with data directories of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { programFile } from '../harness/program-file.js';

const children = new Set<ChildProcess>();

export type Event = { event: string } & Record<string, unknown>;

/** For the test's teardown. */
export function killAll(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** A command under way; `until` waits for one of its `--json` events. */
export function start(...args: string[]) {
  const child = spawn(process.execPath, [programFile(), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  let text = '';
  const events: Event[] = [];
  const watchers = new Set<() => void>();
  createInterface({ input: child.stdout }).on('line', line => {
    text += `${line}\n`;
    if (line.startsWith('{')) events.push(JSON.parse(line));
    for (const watch of watchers) watch();
  });
  child.stderr.setEncoding('utf8').on('data', data => {
    text += data;
  });
  const ended = new Promise<number | null>(resolve => {
    child.on('close', code => {
      children.delete(child);
      resolve(code);
    });
  });
  const until = (name: string, fits: (event: Event) => boolean = () => true) =>
    new Promise<Event>((resolve, reject) => {
      const watch = () => {
        const found = events.find(each => each.event === name && fits(each));
        if (!found) return;
        watchers.delete(watch);
        resolve(found);
      };
      watchers.add(watch);
      watch();
      void ended.then(code => reject(new Error(`ended with ${code} before "${name}": ${text}`)));
    });
  return { child, until, ended, events, text: () => text };
}

export async function run(...args: string[]): Promise<{ code: number | null; text: string }> {
  const command = start(...args);
  const code = await command.ended;
  return { code, text: command.text() };
}
