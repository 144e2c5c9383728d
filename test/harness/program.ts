/** A test program: measures, prints its figures, and leaves nothing behind however it ends. */
import { type Figure, printFigures } from './figures.js';

/** What must be undone, the last first. */
export class Cleanup {
  #undos: (() => Promise<void> | void)[] = [];

  add(undo: () => Promise<void> | void): void {
    this.#undos.push(undo);
  }

  async run(): Promise<void> {
    const undos = this.#undos.reverse();
    this.#undos = [];
    for (const undo of undos) {
      try {
        await undo();
      } catch (error) {
        console.error(error);
      }
    }
  }
}

export interface ProgramOptions {
  /** The program fails when it takes longer. */
  readonly withinSeconds: number;
}

/** Of an account of what happened, so many lines of its beginning and of its end are told. */
const END_LINES = 12;
const LINE_CHARACTERS = 400;

/** A failure whose message says everything: no stack is printed. */
export class PlainFailure extends Error {}

/**
 * Runs `measure`; the exit code is 0 if every goal is met, 130 on ^C, else 1.
 * Everything given to the cleanup is undone before the process ends.
 */
export async function runProgram(
  options: ProgramOptions,
  measure: (cleanup: Cleanup) => Promise<Figure[]>,
): Promise<void> {
  const cleanup = new Cleanup();
  let leaving = false;
  const leave = async (code: number, reason: string) => {
    leaving = true;
    console.error(reason);
    await cleanup.run();
    process.exit(code);
  };
  process.once('SIGINT', () => void leave(130, 'interrupted'));
  process.once('SIGTERM', () => void leave(143, 'terminated'));
  const { withinSeconds } = options;
  const deadline = setTimeout(
    () => void leave(1, `gave up: not done within ${withinSeconds} s`),
    withinSeconds * 1000,
  );
  // It still strikes where something that was not undone keeps the process.
  deadline.unref();
  try {
    const figures = await measure(cleanup);
    printFigures(figures);
    const missed = figures.filter(({ met }) => met === false);
    // Last, where a long table would hide them.
    for (const { name, account } of missed) {
      if (account !== undefined) progress(`${name}:\n${inShort(account)}`);
    }
    for (const { name, value, unit, goal } of missed) {
      progress(`missed: ${name}: expected ${goal} ${unit}, found ${value}`);
    }
    process.exitCode = missed.length === 0 ? 0 : 1;
  } catch (error) {
    // What fails because everything is being undone is no news.
    if (leaving) return;
    console.error(error instanceof PlainFailure ? error.message : error);
    process.exitCode = 1;
  }
  await cleanup.run();
}

/** As much as fits where many look at the end of a log only. */
function inShort(account: string): string {
  const lines = account.trimEnd().split('\n');
  const told =
    lines.length <= 2 * END_LINES
      ? lines
      : [...lines.slice(0, END_LINES), '…', ...lines.slice(-END_LINES)];
  return told.map(line => `    ${line.slice(0, LINE_CHARACTERS)}`).join('\n');
}

/** One line about what is going on; on the error stream, so that `--json` stays clean. */
export function progress(line: string): void {
  console.error(line);
}
