/** A package for Node, unchanged, as one script for a browser. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** What a file needs, by the name it uses. */
type Needs = Record<string, string>;

const REQUIRE = /\brequire\((['"])([^'"]+)\1\)/g;

/**
 * A script that loads CommonJS package `name` with all it needs into the global `globalName`. Packages
 * are taken as their `browser` field has it.
 */
export function bundleForBrowser(name: string, globalName: string): string {
  const files = new Map<string, string>();
  const entry = fileOf(name, import.meta.url);
  collect(entry, files);
  return `(() => {
    const modules = { ${[...files.values()].join(',\n')} };
    const loaded = {};
    const load = file => {
      if (loaded[file]) return loaded[file].exports;
      const module = (loaded[file] = { exports: {} });
      const [needs, run] = modules[file];
      run(module, module.exports, name => load(needs[name]));
      return module.exports;
    };
    globalThis.${globalName} = load(${JSON.stringify(entry)});
  })();`;
}

function collect(file: string, files: Map<string, string>): void {
  if (files.has(file)) return;
  const source = readFileSync(file, 'utf8');
  const code = file.endsWith('.json') ? `module.exports = ${source}` : source;
  const names = file.endsWith('.json')
    ? []
    : [...source.matchAll(REQUIRE)].map(([, , name = '']) => name);
  const needs: Needs = Object.fromEntries(names.map(name => [name, fileOf(name, file)]));
  files.set(
    file,
    `${JSON.stringify(file)}: [${JSON.stringify(needs)}, (module, exports, require) => { ${code}\n }]`,
  );
  for (const needed of Object.values(needs)) collect(needed, files);
}

function fileOf(name: string, from: string): string {
  const { resolve } = createRequire(from);
  if (name.startsWith('.')) return resolve(name);
  const description = resolve(`${name}/package.json`);
  const { browser, main = 'index.js' }: { browser?: unknown; main?: string } = JSON.parse(
    readFileSync(description, 'utf8'),
  );
  return resolve(join(dirname(description), typeof browser === 'string' ? browser : main));
}
