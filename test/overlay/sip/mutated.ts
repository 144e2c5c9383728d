/** Messages of the ring, broken in all the ways that break readers, and read as a member reads them. */
import { parseMessage, SipSyntaxError, serializeMessage } from '@sip-stack/parser';
import fc from 'fast-check';
import { PartAssembler } from '../../../src/overlay/sip/parts.js';
import type { Decoded } from '../../../src/overlay/sip/refusal.js';
import { decodeRequest, readRequest } from '../../../src/overlay/sip/request.js';
import { decodeResponse, encodeRefusal, readAnswer } from '../../../src/overlay/sip/response.js';
import { signMessage } from '../../../src/overlay/sip/signature.js';
import type { AskedName } from '../../../src/overlay/sip/status.js';
import { WIRE_REFUSAL_STATUS } from '../../../src/overlay/sip/status.js';
import type { SeededRandom } from '../../../src/simulation/seeded-random.js';
import { below, mutate, one } from '../../fuzz/mutate.js';
import { anyMessage, OVERLAY, octetsOf, travelled } from './any-message.js';

const ASKED: readonly AskedName[] = [
  ...['ping', 'find', 'neighbours', 'join', 'notify', 'leave', 'store', 'fetch'],
  ...['offer', 'membership', 'compare', 'merge', 'more'],
  ...['attach', 'detach', 'query', 'publish', 'hand-over', 'move'],
] as const;

/** What means something in a message of the ring, and means something else where it does not belong. */
const WORDS: readonly string[] = [
  ...['P1', 'S1', 'S2', 'F6', 'C99999', 'O0', 'X1', 'link=', 'peer-ID=', 'resource-ID=', 'version'],
  ...[
    'sha1',
    'sha256',
    'user=node',
    'x;min-version=9',
    'overlay=',
    'number=',
    'within=',
    'hops=-1',
  ],
  ...['REGISTER', 'INVITE', 'dht', 'dht, x', '+9999999', '-', '.', '%', '%ZZ', '%00', 'present'],
  ...['gone', 'record', 'member', 'digests', 'parts', '1/1', '1/128', '128/128', '0/0', '302'],
  ...['100', '404', '480', '200', '503', 'find', 'store', 'records', 'more', 'refused', 'rejected'],
  ...['continue', 'application/ringline-record', 'a'.repeat(40), '[::1]', '0.0.0.0', '*', 'tel:1'],
  ...['__proto__', 'constructor', 'octets=1114112', 'offset=0', 'links=1024', '9'.repeat(400)],
];
/** Where words end. */
const WORD = /[\w.+%-]+/g;

/** Sound messages, each a message of its own, as octets. */
export function soundMessages(count: number, seed: number): Buffer[] {
  const messages = fc.sample(anyMessage, { numRuns: count, seed }).flatMap((message, n) => {
    const { octets } = travelled(message);
    return octets.map(of => Buffer.from(n % 2 === 0 ? of : signed(of)));
  });
  const refusals = Object.keys(WIRE_REFUSAL_STATUS).map(code => {
    const sip = encodeRefusal({ ok: false, code: code as 'MALFORMED', detail: 'why' });
    return Buffer.from(octetsOf(sip));
  });
  // Long bodies are as any other, and would be most of the octets.
  return [...messages.filter(({ length }) => length < 8_000), ...refusals];
}

function signed(octets: Uint8Array): Uint8Array {
  const sip = parseMessage(octets);
  signMessage(sip, () => 'a'.repeat(128));
  return serializeMessage(sip);
}

/** Octets broken as for any parser, words put in place of others, or both. */
export function broken(random: SeededRandom, octets: Buffer): Buffer {
  const kind = random.unit();
  const worded = kind < 0.7 ? withOtherWords(random, octets) : octets;
  return kind < 0.4 ? worded : mutate(random, worded);
}

export interface Outcome {
  /** Its code, or what was read. */
  readonly said: string;
  readonly taken: boolean;
}

/** A member at the end of a link: reads messages as they come, keeps parts. Throws what it must not throw. */
export class Reader {
  readonly assembler = new PartAssembler();

  read(octets: Buffer, random: SeededRandom): Outcome {
    let sip: ReturnType<typeof parseMessage>;
    try {
      sip = parseMessage(octets);
    } catch (error) {
      if (error instanceof SipSyntaxError) return { said: `SIP ${error.code}`, taken: false };
      throw error;
    }
    const expected = {
      overlay: OVERLAY,
      ...(random.unit() < 0.1 && { verify: (_: string, text: string) => text.length % 2 === 0 }),
    };
    const decoded =
      sip.kind === 'request'
        ? decodeRequest(sip, expected)
        : decodeResponse(sip, one(random, ASKED), expected);
    if (!decoded.ok) return told(decoded);
    if (decoded.value.type !== 'part') return { said: decoded.value.type, taken: true };
    const { origin, part } = decoded.value;
    for (const action of this.assembler.step({ type: 'part', origin, part })) {
      if (action.type === 'refused') return told(action.refusal);
      if (action.type !== 'whole') continue;
      const read =
        origin.kind === 'request'
          ? readRequest(origin, action.content)
          : readAnswer(origin, action.content);
      return read.ok ? { said: part.content.name, taken: true } : told(read);
    }
    return { said: 'part', taken: true };
  }
}

/** A refusal must be one that can be told. */
function told(decoded: Exclude<Decoded<never>, { ok: true }>): Outcome {
  const status = WIRE_REFUSAL_STATUS[decoded.code];
  const sip = encodeRefusal(decoded);
  if (sip.status !== status || decoded.detail === '') throw new Error(`untold: ${decoded.code}`);
  octetsOf(sip);
  return { said: decoded.code, taken: false };
}

function withOtherWords(random: SeededRandom, octets: Buffer): Buffer {
  let text = octets.toString('latin1');
  for (let n = 1 + below(random, 3); n > 0; n--) {
    const words = [...text.matchAll(WORD)];
    if (words.length === 0) break;
    const { index, 0: word } = one(random, words);
    const other = random.unit() < 0.5 ? one(random, WORDS) : one(random, words)[0];
    text = text.slice(0, index) + other + text.slice(index + word.length);
  }
  // Else most would end as "cut off".
  const [head = '', body = ''] = split(text);
  const counted = head.replace(/\r\n(Content-Length|l): *\d+/i, `\r\n$1: ${body.length}`);
  return Buffer.from(`${counted}\r\n\r\n${body}`, 'latin1');
}

function split(text: string): [head: string, body: string] {
  const at = text.indexOf('\r\n\r\n');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 4)];
}
