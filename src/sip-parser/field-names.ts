/** Names of header fields, and finding the known ones in a text without copying it. */
import { allIn, TOKEN } from './chars.js';

/** What lines and fields are matched by. */
export interface FieldId {
  /** Unlike for each known name, 0 for all others: numbers compare faster than strings. */
  readonly id: number;
  /** The name in lower case. */
  readonly key: string;
}

export interface FieldName extends FieldId {
  /** As it is written: canonical for known fields, else as it came. */
  readonly name: string;
  readonly compact: string | undefined;
}

/** Fields common enough to be recognised in place, some with a compact form (RFC 3261 §7.3.3 and later). */
const KNOWN: readonly (readonly [name: string, compact?: string])[] = [
  ['Accept'],
  ['Accept-Contact', 'a'],
  ['Accept-Encoding'],
  ['Accept-Language'],
  ['Alert-Info'],
  ['Allow'],
  ['Allow-Events', 'u'],
  ['Authentication-Info'],
  ['Authorization'],
  ['Call-ID', 'i'],
  ['Call-Info'],
  ['Contact', 'm'],
  ['Content-Disposition'],
  ['Content-Encoding', 'e'],
  ['Content-Language'],
  ['Content-Length', 'l'],
  ['Content-Type', 'c'],
  ['CSeq'],
  ['Date'],
  ['Diversion'],
  ['Error-Info'],
  ['Event', 'o'],
  ['Expires'],
  ['Flow-Timer'],
  ['From', 'f'],
  ['Identity', 'y'],
  ['In-Reply-To'],
  ['Join'],
  ['Max-Forwards'],
  ['MIME-Version'],
  ['Min-Expires'],
  ['Min-SE'],
  ['Organization'],
  ['P-Asserted-Identity'],
  ['P-Preferred-Identity'],
  ['Path'],
  ['Priority'],
  ['Privacy'],
  ['Proxy-Authenticate'],
  ['Proxy-Authentication-Info'],
  ['Proxy-Authorization'],
  ['Proxy-Require'],
  ['RAck'],
  ['RSeq'],
  ['Reason'],
  ['Record-Route'],
  ['Refer-Sub'],
  ['Refer-To', 'r'],
  ['Referred-By', 'b'],
  ['Reject-Contact', 'j'],
  ['Replaces'],
  ['Reply-To'],
  ['Request-Disposition', 'd'],
  ['Require'],
  ['Retry-After'],
  ['Route'],
  ['Server'],
  ['Service-Route'],
  ['Session-Expires', 'x'],
  ['SIP-ETag'],
  ['SIP-If-Match'],
  ['Subject', 's'],
  ['Subscription-State'],
  ['Supported', 'k'],
  ['Timestamp'],
  ['To', 't'],
  ['Unsupported'],
  ['User-Agent'],
  ['Via', 'v'],
  ['Warning'],
  ['WWW-Authenticate'],
];

/** Power of two, several times the number of known names. */
const SLOTS = 256;

interface Slot {
  /** The units of a spelling in lower case, full or compact. */
  readonly units: Uint8Array;
  readonly field: FieldName;
}

const slots: Slot[][] = Array.from({ length: SLOTS }, () => []);
const known: string[] = [];
const byKey = new Map<string, FieldName>();
for (const [name, compact] of KNOWN) {
  const field = { name, key: name.toLowerCase(), id: known.push(name), compact };
  for (const spelling of [field.key, ...(compact ? [compact] : [])]) {
    byKey.set(spelling, field);
    slots[slotOf(spelling, 0, spelling.length)]!.push({ units: unitsOf(spelling), field });
  }
}

/** The field called `name`, in any spelling. */
export function fieldName(name: string): FieldName {
  const key = name.toLowerCase();
  return byKey.get(key) ?? { name, key, id: 0, compact: undefined };
}

/** The field whose name fills [start, end); undefined when that is no token. */
export function fieldNameAt(text: string, start: number, end: number): FieldName | undefined {
  if (start === end) return undefined;
  const candidates = slots[slotOf(text, start, end)]!;
  for (let index = 0; index < candidates.length; index++) {
    const { units, field } = candidates[index]!;
    if (units.length === end - start && matches(units, text, start)) return field;
  }
  const name = text.slice(start, end);
  if (!allIn(TOKEN, name)) return undefined;
  return { name, key: name.toLowerCase(), id: 0, compact: undefined };
}

/** These factors give nearly every known spelling a slot of its own. */
function slotOf(text: string, start: number, end: number): number {
  const first = text.charCodeAt(start) | 0x20;
  const last = text.charCodeAt(end - 1) | 0x20;
  const middle = text.charCodeAt((start + end) >> 1) | 0x20;
  return (first * 63 + last * 95 + middle * 119 + (end - start) * 91) & (SLOTS - 1);
}

/** Known names are letters and hyphens, so setting bit 5 compares tokens without regard to case. */
function matches(units: Uint8Array, text: string, start: number): boolean {
  for (let index = 0; index < units.length; index++) {
    if ((text.charCodeAt(start + index) | 0x20) !== units[index]) return false;
  }
  return true;
}

function unitsOf(text: string): Uint8Array {
  return Uint8Array.from(text, character => character.charCodeAt(0));
}
