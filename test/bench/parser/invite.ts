/** A re-INVITE as a proxy and a phone see it, of exactly 886 octets: the size other parsers were measured with. */

export const INVITE_OCTETS = 886;

const SDP_LINES = [
  'v=0',
  'o=alice 2890844526 2890844527 IN IP4 192.0.2.33',
  's=-',
  'c=IN IP4 192.0.2.33',
  't=0 0',
  'm=audio 49170 RTP/AVP 0 8 101',
  'a=rtpmap:101 telephone-event/8000',
  'a=fmtp:101 0-15',
  'a=ptime:20',
  'a=sendrecv',
];

const HEAD_LINES = [
  'INVITE sip:bob@192.0.2.4:5060;transport=udp SIP/2.0',
  'Via: SIP/2.0/UDP p1.atlanta.example.com:5060;branch=z9hG4bK2d4790.1',
  'Via: SIP/2.0/UDP pc33.atlanta.example.com:5062;branch=z9hG4bKnashds8;rport',
  'Max-Forwards: 69',
  'Route: <sip:bigbox3.site3.example.com;lr>',
  'Record-Route: <sip:p1.atlanta.example.com;lr>',
  'From: "Alice Liddell" <sip:alice@atlanta.example.com>;tag=1928301774',
  'To: Bob <sip:bob@biloxi.example.com>;tag=a6c85cf',
  'Call-ID: a84b4c76e66710@pc33.atlanta.example.com',
  'CSeq: 314159 INVITE',
  'Contact: <sip:alice@192.0.2.33:5062>;expires=3600',
  'Allow: INVITE, ACK, BYE, CANCEL, OPTIONS',
  'Supported: replaces, timer',
  'User-Agent: Desk/1',
  'Content-Type: application/sdp',
];

export function inviteOctets(): Uint8Array {
  const sdp = SDP_LINES.map(line => `${line}\r\n`).join('');
  const head = [...HEAD_LINES, `Content-Length: ${sdp.length}`].map(line => `${line}\r\n`).join('');
  const octets = Buffer.from(`${head}\r\n${sdp}`, 'latin1');
  if (octets.length !== INVITE_OCTETS) {
    throw new Error(`expected an INVITE of ${INVITE_OCTETS} octets, built ${octets.length}`);
  }
  return octets;
}
