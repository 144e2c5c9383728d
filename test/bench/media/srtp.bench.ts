/** What SRTP costs for a packet, by suite: `node dist/test/bench/media/srtp.bench.js [--json]`. */
import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import { writeRtpHeader } from '../../../src/media/rtp.js';
import { SrtpReceiver } from '../../../src/media/srtp/receiver.js';
import { MAX_OVERHEAD_OCTETS, SrtpSender } from '../../../src/media/srtp/sender.js';
import { SRTP_SUITES, type SrtpSuite } from '../../../src/media/srtp/suites.js';
import { atMost, type Figure, plain } from '../../harness/figures.js';
import { runProgram } from '../../harness/program.js';

/** G.711, 20 ms. */
const PACKET_OCTETS = 172;
const PACKETS = 2000;
/** The least of some rounds: what else the machine does shows in the others. */
const ROUNDS = 60;
const GOAL_US = 4;

function measure(suite: SrtpSuite): Figure[] {
  const key = { suite, master: randomBytes(suite.keyOctets + suite.saltOctets) };
  const sender = new SrtpSender(key);
  const receiver = new SrtpReceiver(key);
  const packets = Array.from({ length: PACKETS }, () => {
    return new Uint8Array(PACKET_OCTETS + MAX_OVERHEAD_OCTETS);
  });
  const lengths = new Uint16Array(PACKETS);
  let sequence = 0;
  let [protectUs, openUs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < ROUNDS; round++) {
    for (const packet of packets) writeRtpHeader(packet, 0, false, sequence++ & 0xffff, 0, 7);
    protectUs = Math.min(
      protectUs,
      usEach(i => {
        lengths[i] = sender.protectRtp(packets[i]!, PACKET_OCTETS);
      }),
    );
    openUs = Math.min(
      openUs,
      usEach(i => {
        if (receiver.unprotectRtp(packets[i]!, lengths[i]!) === 0) throw new Error('refused');
      }),
    );
  }
  return [
    atMost(GOAL_US, `${suite.name}, protect`, protectUs, 'µs'),
    atMost(GOAL_US, `${suite.name}, open`, openUs, 'µs'),
  ];
}

/** The way not taken: the same work by node:crypto. */
function measureNodeCrypto(): Figure[] {
  const [key, macKey] = [randomBytes(16), randomBytes(20)];
  const packet = randomBytes(PACKET_OCTETS);
  const ecb = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  const counters = Buffer.alloc(160);
  const counterMode = least(() => {
    ecb.update(counters);
    createHmac('sha1', macKey).update(packet).digest();
  });
  const iv = Buffer.alloc(12);
  const galois = least(() => {
    const gcm = createCipheriv('aes-128-gcm', key, iv);
    gcm.setAAD(packet.subarray(0, 12));
    gcm.update(packet.subarray(12));
    gcm.final();
    gcm.getAuthTag();
  });
  return [
    plain('node:crypto, ECB key stream and HMAC-SHA1', counterMode, 'µs'),
    plain('node:crypto, AES-128-GCM', galois, 'µs'),
  ];
}

function least(run: (index: number) => void): number {
  return Math.min(...Array.from({ length: ROUNDS }, () => usEach(run)));
}

function usEach(run: (index: number) => void): number {
  const began = performance.now();
  for (let i = 0; i < PACKETS; i++) run(i);
  return ((performance.now() - began) * 1000) / PACKETS;
}

await runProgram({ withinSeconds: 300 }, async () => [
  ...SRTP_SUITES.flatMap(measure),
  ...measureNodeCrypto(),
]);
