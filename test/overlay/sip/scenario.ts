/** Conversations written down: EXAMPLES.md, made of what was said and read again. */

/** Of the overlay that the examples are of. */
export const OVERLAY = 'home';

export interface Scenario {
  readonly title: string;
  readonly about: string;
  readonly steps: readonly Step[];
  /** Names of what is not shown whole: it is long, and says nothing new. */
  readonly hidden?: readonly string[];
  /** Names of what is shown whole though it was before. */
  readonly shown?: readonly string[];
  /** What is to be said beside a message that is shown whole. */
  readonly notes?: (octets: Buffer) => string[];
}

export interface Step {
  readonly ms: number;
  /** `ADDRESS:PORT` */
  readonly from: string;
  readonly to: string;
  readonly name: string;
  readonly answers: boolean;
  readonly octets: () => Buffer;
}

/** As in a chart. */
export interface Said {
  readonly ms: number;
  readonly from: string;
  readonly to: string;
  readonly name: string;
  readonly answers: boolean;
}

const LINE_CHARACTERS = 120;

/** The whole of EXAMPLES.md. */
export function written(all: readonly Scenario[]): string {
  const told = new Set<string>();
  const sections = all.map(({ title, about, steps, hidden = [], shown = [], notes }) => {
    const again = new Set(shown);
    const messages = steps.flatMap(step => {
      const label = step.answers ? `${step.name}, the answer` : step.name;
      if (hidden.includes(step.name)) return [];
      if (told.has(label) && !again.delete(step.name)) return [];
      told.add(label);
      const octets = step.octets();
      return [`**${label}**`, fenced('sip', readable(octets)), ...(notes?.(octets) ?? [])];
    });
    const chart = fenced('', steps.map(chartLine).join('\n'));
    return [`## ${title}`, about, chart, ...messages].join('\n\n');
  });
  return `${HEAD}\n\n${sections.join('\n\n')}\n`;
}

const HEAD = [
  '# Messages of the ring, as they are',
  '',
  'The first five conversations are of members of `src/overlay` in the simulator, with real keys; what they said, written by',
  'this room. Phones sign each of them (`DHT-Signature`, left out there). The others are of whole phones on a virtual network,',
  'octet for octet as they left, with their signatures, inside of TLS.',
  '',
  'The charts have milliseconds, the last number of each address (192.0.2.x), and what was said; messages that say nothing',
  'new are not shown whole. Lines end in CRLF. Octets that are no printable ASCII are written `\\xNN`, a backslash `\\\\`; a',
  'backslash at the end of a line joins it with the next. Made by `node dist/test/overlay/sip/write-examples.js`; a test',
  'reads every message here, verifies what is signed, and writes it again.',
].join('\n');

export function fenced(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

function chartLine({ ms, from, to, name, answers }: Step): string {
  const last = (address: string) => /\.(\d+):/.exec(address)?.[1]?.padStart(2) ?? address;
  const arrow = answers ? `${last(to)} ← ${last(from)}` : `${last(from)} → ${last(to)}`;
  return `${Math.round(ms).toString().padStart(6)}  ${arrow}  ${name}`;
}

/** The lines of each chart, by the title above it. */
export function chartsIn(examples: string): Map<string, Said[]> {
  const charts = examples.matchAll(/^## (.*?)$.*?```\n(.*?)\n```/gms);
  return new Map(
    [...charts].map(([, title = '', lines = '']) => [title, lines.split('\n').map(saidIn)]),
  );
}

function saidIn(line: string): Said {
  const [, ms, left = '', arrow, right = '', name = ''] =
    /^ *(\d+) +(\d+) ([→←]) +(\d+) {2}(.*)$/.exec(line) ?? [];
  const answers = arrow === '←';
  const [from, to] = answers ? [right, left] : [left, right];
  return { ms: Number(ms), from, to, name, answers };
}

/** Every message that is shown whole. */
export function messagesIn(examples: string): Buffer[] {
  return [...examples.matchAll(/```sip\n(.*?)\n```/gs)].map(([, text = '']) => octetsOf(text));
}

/** Without the last line end of a body, or the two of a head. */
function readable(octets: Buffer): string {
  const lines = octets.toString('latin1').split('\r\n').map(printable);
  return lines.slice(0, lines.indexOf('') === lines.length - 2 ? -2 : -1).join('\n');
}

function printable(line: string): string {
  const text = line.replaceAll('\\', '\\\\').replace(/[^\x20-\x7e]/g, character => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return text === line ? line : broken(text);
}

function broken(line: string): string {
  const pieces = line.match(/\\x..|\\\\|./g) ?? [];
  const lines: string[] = [];
  for (const piece of pieces) {
    const last = lines.at(-1);
    if (last === undefined || last.length + piece.length > LINE_CHARACTERS) lines.push(piece);
    else lines[lines.length - 1] = last + piece;
  }
  return lines.join('\\\n');
}

function octetsOf(text: string): Buffer {
  const joined = text.replace(/((?:^|[^\\])(?:\\\\)*)\\\n/g, '$1');
  const [head = '', body] = joined.split(/\n\n(.*)/s);
  const whole = body === undefined ? `${head}\n\n` : `${head}\n\n${body}\n`;
  const octets = whole
    .replaceAll('\n', '\r\n')
    .replace(/\\(?:x(..)|\\)/g, (_, hex?: string) =>
      hex === undefined ? '\\' : String.fromCharCode(Number.parseInt(hex, 16)),
    );
  return Buffer.from(octets, 'latin1');
}
