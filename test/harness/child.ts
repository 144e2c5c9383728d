/** Child processes that end with the program that started them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type Cleanup, PlainFailure } from './program.js';

/** Of what a child prints, so much of the end is kept. */
const OUTPUT_CHARACTERS = 32_768;

/** A child that does not heed SIGTERM for so long is killed. */
const GRACE_MS = 10_000;

export interface Child {
  readonly process: ChildProcess;
  /** The end of what it printed so far, on both streams. */
  output(): string;
  /** Exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
  /** Ends it, gently first; resolves when it is gone. */
  stop(): Promise<void>;
}

/** @param command the program and its arguments */
export function startChild(
  cleanup: Cleanup,
  command: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  input: 'ignore' | 'pipe' = 'ignore',
): Child {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    stdio: [input, 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', text => {
      output = (output + text).slice(-OUTPUT_CHARACTERS);
    });
  }
  const ended = new Promise<number | string>(resolve => {
    child.on('error', error => resolve(error.message));
    child.on('close', (code, signal) => resolve(signal ?? code ?? -1));
  });
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const kill = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
    await ended;
    clearTimeout(kill);
  };
  cleanup.add(stop);
  return { process: child, output: () => output, ended, stop };
}

/** Runs a short command to its end; fails with its output unless it succeeds. */
export async function run(command: readonly string[]): Promise<string> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      output += text;
    });
  }
  const [code] = await once(child, 'close');
  if (code !== 0) throw new PlainFailure(`${command.join(' ')}: ${output.trim()}`);
  return output;
}

/** Fails with the command that installs it where `program` is not on the path. */
export function requireProgram(program: string, debianPackage: string): void {
  const places = (process.env.PATH ?? '').split(delimiter);
  if (places.some(place => existsSync(join(place, program)))) return;
  throw new PlainFailure(
    `${program} is not installed; install it with: sudo apt install ${debianPackage}`,
  );
}

/** Gone afterwards; with KEEP in the environment it stays, with all that peers recorded and logged. */
export function temporaryDirectory(cleanup: Cleanup): string {
  const directory = mkdtempSync(join(tmpdir(), 'ringline-test-'));
  if (process.env.KEEP) {
    console.error(`kept: ${directory}`);
    return directory;
  }
  cleanup.add(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
