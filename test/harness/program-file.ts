/** `ringline` as users run it: of one piece, as `make build` leaves it. */
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const PROGRAM = at('../../bin/ringline/main.js');
/** Written whenever something was compiled. */
const COMPILED = ['', '../src/sip-parser/dist/', '../src/slp/dist/'].map(of =>
  at(`../../${of}.tsbuildinfo`),
);
const BUNDLE = at('../../../scripts/bundle.mjs');

let isFresh = false;

/** Its file; made anew where something was compiled since, by `npx tsc -b` say. */
export function programFile(): string {
  isFresh ||= COMPILED.every(file => changedMs(file) <= changedMs(PROGRAM));
  if (!isFresh) execFileSync(process.execPath, [BUNDLE]);
  isFresh = true;
  return PROGRAM;
}

/** Module by module: for who puts another in the place of one. */
export function programInModules(): string {
  return at('../../src/cli/main.js');
}

function changedMs(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function at(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
