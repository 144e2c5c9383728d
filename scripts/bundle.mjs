// Joins the compiled modules, and the packages they use, to a few files: dist/bin/ringline/. A phone that loads these in
// place of 600 modules is there in half the time, with half the processor (test/bench/process.bench.ts).
// What is looked for beside a module (package.json, the native addon, the media thread) is as far from there as from
// dist/src/ROOM/.
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const directory = join(root, 'dist/bin/ringline');
const entry = join(directory, 'main.js');

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: { main: 'dist/src/cli/main.js', worker: 'dist/src/media/worker.js' },
  outdir: directory,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // It looks for its WebAssembly beside itself.
  external: ['libopus-wasm'],
  // CommonJS packages ask for the modules of Node by `require`.
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
  },
  logLevel: 'warning',
  write: false,
});

// What has not changed is left alone, and what is imported is there before who imports it: phones may be running.
mkdirSync(directory, { recursive: true });
const present = new Set(readdirSync(directory));
const last = outputFiles.filter(({ path }) => path === entry);
for (const { path, contents } of [...outputFiles.filter(({ path }) => path !== entry), ...last]) {
  if (present.delete(basename(path)) && readFileSync(path).equals(contents)) continue;
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, contents);
  if (path === entry) chmodSync(temporary, 0o755);
  renameSync(temporary, path);
}
for (const gone of present)
  if (!gone.endsWith('.tmp')) rmSync(join(directory, gone), { force: true });
// It is of now, even where it is the same as before.
const now = new Date();
utimesSync(entry, now, now);
