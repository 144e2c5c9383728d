// Builds the native addon with a C compiler alone: dist/native/PLATFORM-ARCH/ringline.node.
// CC and CFLAGS are honoured; CC=aarch64-linux-gnu-gcc builds for a board from here.
// Without a compiler the phone works all the same, so that is told in one line and is no failure.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const sourceDirectory = join(root, 'src/native');
const [compiler, ...compilerFlags] = words(process.env.CC ?? 'cc');

/** What the compiler calls an architecture, as Node does. */
const architectures = {
  x86_64: 'x64',
  aarch64: 'arm64',
  arm: 'arm',
  i686: 'ia32',
  riscv64: 'riscv64',
};

const sources = readdirSync(sourceDirectory)
  .filter(name => name.endsWith('.c'))
  .map(name => join(sourceDirectory, name));

const probe = compile(['-fsyntax-only', '-x', 'c', '-'], '#include <sys/socket.h>\n');
if (probe.status !== 0) {
  console.log(
    `native addon not built, so voice packets carry no DSCP mark: ${compiler} ${
      probe.error ? 'is not installed' : 'finds no C library headers'
    }; mend it with: sudo apt install gcc libc6-dev && make native`,
  );
  process.exit(0);
}

const machine = compile(['-dumpmachine']).stdout.trim();
const architecture = architectures[machine.split('-')[0]];
if (!architecture) {
  console.error(
    `native addon: expected a compiler for one of ${Object.keys(architectures)}, found ${machine}`,
  );
  process.exit(1);
}

const target = join(root, `dist/native/linux-${architecture}/ringline.node`);
const newest = Math.max(...[...sources, fileURLToPath(import.meta.url)].map(modified));
if (modified(target) < newest) build();

function build() {
  const { include_dir: headers } = createRequire(import.meta.url)('node-api-headers');
  mkdirSync(join(target, '..'), { recursive: true });
  // Renamed into place: a running phone keeps the file it has mapped.
  const temporary = `${target}.${process.pid}.tmp`;
  const result = compile([
    ...[
      '-std=gnu11',
      '-O2',
      '-Wall',
      '-Wextra',
      '-Werror',
      '-fPIC',
      '-shared',
      '-fvisibility=hidden',
    ],
    ...words(process.env.CFLAGS ?? ''),
    ...['-DNAPI_VERSION=8', '-isystem', headers, '-o', temporary, ...sources],
  ]);
  if (result.status !== 0) {
    console.error(result.stderr);
    process.exit(1);
  }
  renameSync(temporary, target);
}

function compile(args, input = '') {
  return spawnSync(compiler, [...compilerFlags, ...args], { input, encoding: 'utf8' });
}

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function words(text) {
  return text.split(/\s+/).filter(word => word !== '');
}
