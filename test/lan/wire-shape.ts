/** Whether what was captured has the shape of what EXAMPLES.md shows. */
import { parseMessage, type SipMessage } from '@sip-stack/parser';
import { idSigned } from '../../src/identity/id-signature.js';
import { Ed25519Verifier } from '../../src/identity/signing.js';
import { type Part, PartAssembler, type PartOrigin } from '../../src/overlay/sip/parts.js';
import type { Decoded } from '../../src/overlay/sip/refusal.js';
import { decodeRequest, readRequest } from '../../src/overlay/sip/request.js';
import { decodeResponse, readAnswer } from '../../src/overlay/sip/response.js';
import type { Captured } from '../harness/link-capture.js';
import { chartsIn, messagesIn, type Said } from '../overlay/sip/scenario.js';

/** By the numbers of the chart, the addresses of phones that take these parts. */
export type Roles = Readonly<Record<string, string>>;

/** A conversation that was had. */
export interface Talk {
  /** Of the example. */
  readonly title: string;
  /** Who may have had it: one of these is enough. */
  readonly takes: readonly Roles[];
  /** When, by `Date.now`. */
  readonly between: readonly [number, number];
  /** Of the example, only what is said so soon. */
  readonly firstMs?: number;
  /** Requests that need not be there. */
  readonly without?: readonly string[];
}

interface Asked {
  readonly asker: string;
  readonly asked: string;
  readonly name: string;
  readonly ms: number;
  answer?: string;
}

/**
 * Between any two phones the requests of the example come in its order, each told by when it is first said, and one of
 * each is answered as there.
 *
 * @returns what is not so
 */
export function shapeMissing(
  examples: string,
  readme: string,
  { title, between: [from, to], firstMs = Number.POSITIVE_INFINITY, without = [] }: Talk,
  roles: Roles,
  messages: readonly Captured[],
): string[] {
  const chart = chartsIn(examples).get(title);
  if (!chart) return ['it is not there'];
  const answers = answersIn(readme);
  const window = messages.filter(({ at }) => at >= from && at <= to);
  const real = paired(window.map(asSaid), answers);
  const missing: string[] = [];
  const latest = new Map<string, number>();
  const looked = new Set<string>();
  for (const { asker, asked, name, answer, ms } of paired(chart, answers)) {
    const [one, other] = [roles[asker], roles[asked]];
    if (one === undefined || other === undefined || ms > firstMs || without.includes(name))
      continue;
    const told = `${asker} → ${asked} ${name}`;
    if (looked.has(told)) continue;
    looked.add(told);
    const is = (each: Asked) => each.asker === one && each.asked === other && each.name === name;
    const first = real.findIndex(is);
    const before = latest.get(`${one} ${other}`) ?? -1;
    latest.set(`${one} ${other}`, Math.max(before, first));
    if (first < 0) missing.push(`${told} was not said`);
    else if (first < before) missing.push(`${told} came too early`);
    else if (answer !== undefined && !real.some(each => is(each) && each.answer === answer)) {
      missing.push(`${told} was not answered by ${answer}`);
    }
  }
  return missing;
}

function asSaid({ at, from, to, octets }: Captured): Said {
  const sip = parseMessage(octets);
  return { ms: at, from, to, name: nameOf(sip), answers: sip.kind === 'response' };
}

/** Requests with their answers: the first that was not answered yet, and may be so answered. */
function paired(said: readonly Said[], answers: ReadonlyMap<string, readonly string[]>): Asked[] {
  const all: Asked[] = [];
  for (const { ms, from, to, name, answers: isAnswer } of said) {
    if (!isAnswer) {
      all.push({ asker: from, asked: to, name, ms });
      continue;
    }
    const request = all.find(
      each =>
        each.answer === undefined &&
        each.asker === to &&
        each.asked === from &&
        (answers.get(each.name)?.includes(name) ?? /^\d+$/.test(name)),
    );
    if (request) request.answer = name;
  }
  return all;
}

/** Of each request the answers that the table of README.md allows, and its refusal. */
function answersIn(readme: string): Map<string, string[]> {
  const rows = /\| request \|.*\n.*\n((?:\|.*\n)+)/.exec(readme)?.[1] ?? '';
  const cells = rows.split('\n').map(row => row.split('|').map(cell => cell.trim()));
  const names = (cell = '') => [...cell.matchAll(/`([\w-]+)`/g)].map(([, name = '']) => name);
  return new Map(
    cells.flatMap(row => {
      const [name] = names(row[1]);
      return name === undefined ? [] : [[name, [...names(row.at(-2)), 'rejected']] as const];
    }),
  );
}

/** Those messages of the ring that our readers do not take as they are, signatures verified. */
export function refusals(overlay: string, messages: readonly Captured[]): string[] {
  const verifier = new Ed25519Verifier();
  const verify = (signer: string, text: string, signature: string) =>
    idSigned(verifier, signer, text, signature);
  const assembler = new PartAssembler();
  return messages.flatMap(({ octets }) => {
    const sip = parseMessage(octets);
    if (!sip.headers.has('DHT-Message')) return [];
    const refused =
      sip.kind === 'request'
        ? readWhole(decodeRequest(sip, { overlay, verify }), assembler, readRequest)
        : readWhole(decodeResponse(sip, 'ping', { overlay, verify }), assembler, readAnswer);
    return refused === undefined ? [] : [`${nameOf(sip)}: ${refused}`];
  });
}

type Taken =
  | { readonly type: string }
  | { readonly type: 'part'; readonly origin: PartOrigin; readonly part: Part };

function readWhole(
  decoded: Decoded<Taken>,
  assembler: PartAssembler,
  read: (...whole: Parameters<typeof readRequest>) => Decoded<unknown>,
): string | undefined {
  if (!decoded.ok) return `${decoded.code} ${decoded.detail}`;
  if (!('part' in decoded.value)) return undefined;
  const { origin, part } = decoded.value;
  for (const action of assembler.step({ type: 'part', origin, part })) {
    if (action.type === 'refused') return action.refusal.detail;
    if (action.type !== 'whole') continue;
    const whole = read(action.origin, action.content);
    if (!whole.ok) return `${whole.code} ${whole.detail}`;
  }
  return undefined;
}

/** There where there is something to say. */
const SOMETIMES = ['dht-link', 'content-type'];
/** Not in all examples. */
const SIGNATURE = 'dht-signature';

/**
 * Of each kind of message that is shown whole, whether one was captured with the same fields, and the same parameters of
 * DHT-Message.
 *
 * @param unseen kinds that need not have been
 */
export function fieldsMissing(
  examples: string,
  messages: readonly Captured[],
  unseen: readonly string[],
): { readonly kinds: number; readonly missing: string[] } {
  const seen = new Map<string, Set<string>>();
  for (const { octets } of messages) {
    const sip = parseMessage(octets);
    const kind = kindOf(sip);
    seen.set(kind, (seen.get(kind) ?? new Set()).add(fieldsOf(sip)));
  }
  const shown = messagesIn(examples)
    .map(octets => parseMessage(octets))
    .filter(sip => !unseen.includes(nameOf(sip)));
  const missing = shown.flatMap(sip => {
    const [kind, fields] = [kindOf(sip), fieldsOf(sip)];
    if (seen.get(kind)?.has(fields)) return [];
    const found = [...(seen.get(kind) ?? ['none'])].join('; ');
    return [`${kind}: expected ${fields}, found ${found}`];
  });
  return { kinds: shown.length, missing };
}

function nameOf(sip: SipMessage): string {
  const word = sip.headers.text('DHT-Message')?.split(';')[0];
  return word ?? (sip.kind === 'response' ? String(sip.status) : sip.method);
}

function kindOf(sip: SipMessage): string {
  return sip.kind === 'response' ? `${nameOf(sip)}, the answer` : nameOf(sip);
}

function fieldsOf({ headers }: SipMessage): string {
  const names = new Set([...headers.entries()].map(([name]) => name.toLowerCase()));
  for (const name of [...SOMETIMES, SIGNATURE]) names.delete(name);
  const [, ...words] = headers.text('DHT-Message')?.split(';') ?? [];
  const params = words.map(word => word.split('=')[0]).sort();
  return [...[...names].sort(), ...params.map(name => `;${name}`)].join(' ');
}
