/**
 * Digits in the bodies of INFO (RFC 2976, as phones have used it since): `application/dtmf-relay` with lines
 * `Signal=5` and `Duration=160`, and `application/dtmf` with the digit alone. Read as tolerantly as phones write:
 * spaces around everything, any case, events by their number.
 */
import { ContentType, type SipRequest } from '@sip-stack/parser';
import { DIGITS } from '../media/dtmf/digits.js';
import type { DialogMessage } from '../sip/session/state.js';

const RELAY_TYPE = 'application/dtmf-relay';
const DIGIT_TYPE = 'application/dtmf';
/** A flash of the hook, as phones write it. */
const FLASHES = ['FLASH', 'HF', '!'];
/** What is told of a digit that was sent at once. */
const DURATION_MS = 160;

export type ReadInfo =
  | { readonly type: 'digit'; readonly digit: string }
  /** No digit: a flash of the hook, an INFO that only asks whether we are there. */
  | { readonly type: 'nothing' }
  | {
      readonly type: 'refused';
      readonly status: 400 | 415;
      /** What would be taken (RFC 3261 §21.4.13). */
      readonly headers: Readonly<Record<string, string>>;
    };

export function readInfo({ headers, body }: SipRequest): ReadInfo {
  const text = new TextDecoder().decode(body);
  if (text.trim() === '') return { type: 'nothing' };
  const type = headers.first(ContentType)?.type.toLowerCase();
  if (type === RELAY_TYPE) return signalIn(/^\s*signal\s*=(.*)$/im.exec(text)?.[1]);
  if (type === DIGIT_TYPE) return signalIn(text);
  return { type: 'refused', status: 415, headers: { Accept: `${RELAY_TYPE}, ${DIGIT_TYPE}` } };
}

export function writeInfo(digit: string): DialogMessage {
  return {
    method: 'INFO',
    headers: { 'Content-Type': RELAY_TYPE },
    body: new TextEncoder().encode(`Signal=${digit}\r\nDuration=${DURATION_MS}\r\n`),
  };
}

function signalIn(text: string | undefined): ReadInfo {
  const signal = text?.trim().toUpperCase() ?? '';
  if (signal.length === 1 && DIGITS.includes(signal)) return { type: 'digit', digit: signal };
  // 10 to 15 are *, # and A to D as events (RFC 4733 §3.2), 16 is a flash of the hook.
  const event = /^\d\d$/.test(signal) ? Number(signal) : undefined;
  const digit = event === undefined ? undefined : DIGITS[event];
  if (digit !== undefined) return { type: 'digit', digit };
  if (event === 16 || FLASHES.includes(signal)) return { type: 'nothing' };
  return { type: 'refused', status: 400, headers: {} };
}
