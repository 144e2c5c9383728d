/** What an ordinary phone says to register, as text: RFC 3261 §10.2, RFC 7616. */
import { computeResponse, formatCount, ha1Of } from '../../../src/sip/digest/computation.js';

export interface OrdinaryPhone {
  readonly user: string;
  readonly password: string;
  /** Its address, and its registrar's; both at port 5060. */
  readonly address: string;
  readonly registrar: string;
}

/** @param authorization of the second, and later */
export function registration(
  { user, address, registrar }: OrdinaryPhone,
  sequence: number,
  authorization?: string,
): Buffer {
  const lines = [
    `REGISTER sip:${registrar} SIP/2.0`,
    `Via: SIP/2.0/UDP ${address}:5060;branch=z9hG4bKnashds${sequence};rport`,
    'Max-Forwards: 70',
    `From: <sip:${user}@${registrar}>;tag=456248`,
    `To: <sip:${user}@${registrar}>`,
    'Call-ID: 843817637684230@998sdasdh09',
    `CSeq: ${sequence} REGISTER`,
    `Contact: <sip:${user}@${address}:5060>`,
    'Expires: 3600',
    ...(authorization === undefined ? [] : [`Authorization: ${authorization}`]),
    'Content-Length: 0',
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

/** Undefined for what is no challenge by SHA-256. */
export function authorizationFor(response: Uint8Array, phone: OrdinaryPhone): string | undefined {
  const challenge = /realm="([^"]*)", nonce="([^"]*)", algorithm=SHA-256/;
  const [, realm, nonce] = challenge.exec(Buffer.from(response).toString()) ?? [];
  if (realm === undefined || nonce === undefined) return undefined;
  const { user: username, password, registrar } = phone;
  const uri = `sip:${registrar}`;
  const protection = { qop: 'auth', cnonce: '0a4f113b', count: 1 } as const;
  const answer = computeResponse(ha1Of('SHA-256', username, realm, password), {
    algorithm: 'SHA-256',
    nonce,
    protection,
    method: 'REGISTER',
    uri,
    body: new Uint8Array(0),
  });
  const { qop, cnonce, count } = protection;
  const quoted = Object.entries({ username, realm, nonce, uri, response: answer, cnonce });
  const fields = quoted.map(([name, value]) => `${name}="${value}"`);
  return `Digest ${fields.join(', ')}, algorithm=SHA-256, qop=${qop}, nc=${formatCount(count)}`;
}
