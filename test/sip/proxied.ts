/** A request that a proxy at 10.0.1.1 gets, responsible for one.example. */
import { parseMessage, type SipRequest } from '@sip-stack/parser';
import { type ProxySettings, TIMER_C_MS } from '../../src/sip/proxy/context.js';
import { RFC3261_TIMERS } from '../../src/sip/transaction/machine.js';

export const SELF = '10.0.1.1';

/** A request; lines replace usual ones of the same name. */
export function proxied(method: string, uri: string, ...lines: string[]): SipRequest {
  const usual = [
    'Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1',
    'Max-Forwards: 70',
    'From: <sip:alice@10.0.0.1>;tag=a',
    'To: <sip:bob@one.example>',
    'Call-ID: 1',
    `CSeq: 1 ${method}`,
  ].filter(line => !lines.some(other => other.split(':')[0] === line.split(':')[0]));
  const text = [`${method} ${uri} SIP/2.0`, ...usual, ...lines, '', ''].join('\r\n');
  const message = parseMessage(Buffer.from(text));
  if (message.kind !== 'request') throw new Error('expected a request');
  return message;
}

export const proxySettings: ProxySettings = {
  timers: RFC3261_TIMERS,
  timerC: TIMER_C_MS,
  secret: 'secret',
  extensions: ['known'],
  isSelf: uri => uri.host === SELF,
  isResponsible: uri => 'host' in uri && uri.host === 'one.example',
  addressFor: () => ({ transport: 'UDP', host: SELF, port: 5060 }),
  recordRoute: () => true,
};
