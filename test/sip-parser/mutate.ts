/** Breaks SIP messages where their grammar has its joints. Works on octets as latin-1 text. */
import type { SeededRandom } from '../../src/simulation/seeded-random.js';
import { FIELDS } from './every-field.js';

type Mutation = (text: string, random: SeededRandom, seeds: readonly string[]) => string;

/** What parsers stumble over when it stands where they do not expect it. */
const TOKENS = [
  ...[
    '\r\n',
    '\r\n\r\n',
    '\r\n ',
    '\r',
    '\n',
    '\0',
    ' ',
    '\t',
    '"',
    '\\',
    '\\"',
    '""',
    '<',
    '>',
    '<>',
  ],
  ...[
    ';',
    ',',
    ':',
    '=',
    '@',
    '?',
    '&',
    '%',
    '/',
    '*',
    '(',
    ')',
    '[',
    ']',
    ';;',
    ',,',
    '==',
    '%00',
    '%4',
  ],
  ...[
    '%3B',
    '%ff',
    '%C3%A9',
    '%E2%82',
    '\xc3\xa9',
    '\xff',
    '\xef\xbb\xbf',
    '[::1]',
    '[fe80::1%25e]',
    '::',
  ],
  ...['0', '-1', '255', '65536', '2147483648', '4294967296', '99999999999999999999', '1e9', '0x1'],
  ...['sip:', 'sips:', 'tel:', 'http:', 'SIP/2.0', ';lr', ';tag=', ';q=', ';x="', '*;', 'Digest '],
];
const NAMES = FIELDS.flatMap(({ name, compact }) => (compact ? [name, compact] : [name]));
/** So many octets a message may grow to: hostile, and still many a second. */
const LONGEST = 20_000;
const MOST_MUTATIONS = 4;

const mutations: readonly Mutation[] = [
  function changeOctet(text, random) {
    const at = below(random, text.length);
    return text.slice(0, at) + String.fromCharCode(below(random, 256)) + text.slice(at + 1);
  },
  function insertToken(text, random) {
    const at = joint(text, random);
    return text.slice(0, at) + one(random, TOKENS) + text.slice(at);
  },
  function replaceWord(text, random) {
    const from = joint(text, random);
    return text.slice(0, from) + one(random, TOKENS) + text.slice(joint(text, random, from));
  },
  function dropStretch(text, random) {
    const from = joint(text, random);
    return text.slice(0, from) + text.slice(joint(text, random, from));
  },
  function doubleStretch(text, random) {
    const from = joint(text, random);
    return text.slice(0, joint(text, random, from)) + text.slice(from);
  },
  function cutOff(text, random) {
    return text.slice(0, below(random, text.length));
  },
  function renameLine(text, random) {
    return changeLine(text, random, line => one(random, NAMES) + line.slice(line.indexOf(':')));
  },
  function borrowLine(text, random, seeds) {
    const borrowed = one(random, one(random, seeds).split('\r\n'));
    return changeLine(text, random, line => `${borrowed}\r\n${line}`);
  },
  function joinLines(text, random, seeds) {
    const other = one(random, one(random, seeds).split('\r\n'));
    return changeLine(text, random, line => `${line}, ${other.slice(other.indexOf(':') + 1)}`);
  },
  function foldLine(text, random) {
    return changeLine(text, random, line => {
      const at = joint(line, random);
      return `${line.slice(0, at)}\r\n ${line.slice(at)}`;
    });
  },
  function swapCase(text, random) {
    return changeLine(text, random, line =>
      random.unit() < 0.5 ? line.toUpperCase() : line.toLowerCase(),
    );
  },
  function escapeOctet(text, random) {
    const at = below(random, text.length);
    const escaped = text.charCodeAt(at).toString(16).padStart(2, '0');
    return `${text.slice(0, at)}%${escaped}${text.slice(at + 1)}`;
  },
  function repeatStretch(text, random) {
    if (random.unit() < 0.95) return text;
    const from = joint(text, random);
    const stretch = text.slice(from, joint(text, random, from)) || one(random, TOKENS);
    const times = Math.ceil((LONGEST * random.unit()) / stretch.length);
    return text.slice(0, from) + stretch.repeat(times) + text.slice(from);
  },
];

/** One broken message, made from the seeds. */
export function mutant(random: SeededRandom, seeds: readonly string[]): Buffer {
  if (random.unit() < 0.03) return Buffer.from(random.bytes(below(random, 300)));
  let text = one(random, seeds);
  for (let count = below(random, MOST_MUTATIONS) + 1; count > 0 && text !== ''; count--) {
    text = one(random, mutations)(text, random, seeds);
  }
  return Buffer.from(text.slice(0, LONGEST), 'latin1');
}

export function below(random: SeededRandom, limit: number): number {
  return Math.floor(random.unit() * limit);
}

function one<T>(random: SeededRandom, choices: readonly T[]): T {
  return choices[below(random, choices.length)]!;
}

/** A place after `from`, not far, mostly where one word ends and another begins. */
function joint(text: string, random: SeededRandom, from?: number): number {
  const start = from === undefined ? below(random, text.length) : from + below(random, 24);
  if (random.unit() < 0.2) return Math.min(start, text.length);
  const words = /[^\w]/g;
  words.lastIndex = start;
  return words.exec(text)?.index ?? Math.min(start, text.length);
}

function changeLine(text: string, random: SeededRandom, change: (line: string) => string): string {
  const at = below(random, text.length);
  const start = text.lastIndexOf('\r\n', at) + 2;
  const end = text.indexOf('\r\n', at);
  if (start < 2 || end < start) return text;
  return text.slice(0, start) + change(text.slice(start, end)) + text.slice(end);
}
