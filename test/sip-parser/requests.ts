/** Requests as texts, for tests to spoil. */
import { parseMessage, type SipRequest } from '@sip-stack/parser';

export const utf8 = (text: string) => new TextEncoder().encode(text);
export const lines = (...all: string[]) => all.map(line => `${line}\r\n`).join('');

/** A request with `extra` lines after a valid head, those of the same name left out. */
export function invite(...extra: string[]): string {
  const usual = {
    Via: 'SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1',
    'Max-Forwards': '70',
    From: '<sip:a@example.com>;tag=1',
    To: '<sip:b@example.com>',
    'Call-ID': 'x@example.com',
    CSeq: '1 INVITE',
  };
  const replaced = extra.map(line => line.slice(0, line.indexOf(':')));
  const kept = Object.entries(usual).filter(([name]) => !replaced.includes(name));
  const head = kept.map(([name, value]) => `${name}: ${value}`);
  return lines('INVITE sip:b@example.com SIP/2.0', ...head, ...extra);
}

export function request(...extra: string[]): SipRequest {
  const message = parseMessage(utf8(`${invite(...extra)}\r\n`));
  if (message.kind !== 'request') throw new Error('expected a request');
  return message;
}
