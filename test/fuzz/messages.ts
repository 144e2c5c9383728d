/** SIP messages as peers send them: what the noise is made from. */

export interface MessageOptions {
  /** `HOST:PORT` of the phone. */
  readonly phone: string;
  /** Distinguishes transactions and dialogs. */
  readonly id: string;
  /** User part that is called. */
  readonly user: string;
}

const SDP = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=audio 40000 RTP/AVP 0 8 101',
  'a=rtpmap:101 telephone-event/8000',
  'a=fmtp:101 0-15',
  'a=sendrecv',
  '',
].join('\r\n');

/** One message of each kind that a phone over UDP meets. */
export function messages(options: MessageOptions): string[] {
  const { phone, user } = options;
  const uri = `sip:${user}@${phone}`;
  return [
    invite(options),
    request('OPTIONS', uri, options, ['Accept: application/sdp']),
    request('ACK', uri, options),
    request('CANCEL', uri, options),
    request('BYE', `sip:${phone};transport=udp`, options, ['Route: <sip:127.0.0.1;lr>']),
    request('REGISTER', `sip:${phone}`, options, ['Contact: *', 'Expires: 0']),
    request('NOTIFY', uri, options, ['Event: presence', 'Subscription-State: active;expires=60']),
    compactRequest(options),
    response(180, 'Ringing', options),
    response(200, 'OK', options, SDP),
    response(486, 'Busy Here', options),
  ];
}

export function invite(options: MessageOptions): string {
  const uri = `sip:${options.user}@${options.phone}`;
  return request('INVITE', uri, options, ['Content-Type: application/sdp'], SDP);
}

function request(
  method: string,
  uri: string,
  { id }: MessageOptions,
  fields: readonly string[] = [],
  body = '',
): string {
  return lines(
    [
      `${method} ${uri} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:40001;branch=z9hG4bK${id};rport`,
      'Max-Forwards: 70',
      `From: "A \\"quoted\\" caller" <sip:noise@127.0.0.1:40001>;tag=${id}`,
      `To: <${uri}>`,
      `Call-ID: ${id}@127.0.0.1`,
      `CSeq: 1 ${method}`,
      'Contact: <sip:noise@127.0.0.1:40001>',
      'Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, UPDATE',
      ...fields,
    ],
    body,
  );
}

/** The short names of RFC 3261 §7.3.3, folded lines and several values on one line. */
function compactRequest({ phone, id, user }: MessageOptions): string {
  return lines([
    `OPTIONS sip:${user}@${phone} SIP/2.0`,
    `v: SIP/2.0/UDP 127.0.0.1:40001;branch=z9hG4bK${id}, SIP/2.0/UDP [::1]:5060;branch=z9hG4bK2`,
    `f: Noise\r\n  <sip:noise@127.0.0.1>;tag=${id}`,
    `t: sip:${user}@${phone}`,
    `i: ${id}`,
    'CSeq: 4294967295\t OPTIONS',
    'Max-Forwards: 0',
    'k: 100rel , timer,replaces',
    'Warning: 301 127.0.0.1 "odd, \\"very\\" odd"',
  ]);
}

function response(status: number, reason: string, { id, user, phone }: MessageOptions, body = '') {
  return lines(
    [
      `SIP/2.0 ${status} ${reason}`,
      `Via: SIP/2.0/UDP ${phone};branch=z9hG4bK${id};rport=5060;received=127.0.0.1`,
      `From: <sip:${user}@${phone}>;tag=${id}`,
      `To: <sip:noise@127.0.0.1>;tag=${id}b`,
      `Call-ID: ${id}@127.0.0.1`,
      'CSeq: 1 INVITE',
      'Contact: <sip:noise@127.0.0.1:40001>',
    ],
    body,
  );
}

function lines(head: readonly string[], body = ''): string {
  const all = [...head, `Content-Length: ${Buffer.byteLength(body)}`, '', body];
  return all.join('\r\n');
}
