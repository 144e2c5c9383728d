/** SRTP under a leg, and whom a path believes: on the virtual network. */
import t from 'tap';
import type { DatagramSocket } from '../../src/core/network.js';
import { PlainPath } from '../../src/media/plain-path.js';
import { RtpPacket, readRtp, writeRtpHeader } from '../../src/media/rtp.js';
import { type PathKeys, SecurePath } from '../../src/media/secure-path.js';
import { MAX_OVERHEAD_OCTETS, SrtpSender } from '../../src/media/srtp/sender.js';
import { SRTP_SUITES, type SrtpKey } from '../../src/media/srtp/suites.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';

const [HERE, THERE, ELSEWHERE] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
const [RTP_PORT, RTCP_PORT] = [4000, 4001];
const SUITE = SRTP_SUITES[0]!;
const random = new SeededRandom(3);

const newKey = (): SrtpKey => ({
  suite: SUITE,
  master: random.bytes(SUITE.keyOctets + SUITE.saltOctets),
});

interface Arrival {
  readonly port: number;
  readonly data: Uint8Array;
}

/** A secure path here, two bare ports there; what each heard. */
async function place({ mux = false } = {}) {
  const clock = new VirtualClock();
  const network = new VirtualNetwork({ clock, seed: 1 });
  const bind = (address: string, port: number) =>
    network.host(address).bindDatagram({ address, port, trafficClass: 'voice' });
  const deps = { clock, network: network.host(HERE), random: new SeededRandom(1) };
  const path = new SecurePath(clock, await PlainPath.open(deps, HERE));
  const heard: string[] = [];
  const reports: Uint8Array[] = [];
  path.onRtp = ({ data, payloadOffset, payloadLength }) =>
    heard.push(Buffer.from(data).toString('latin1', payloadOffset, payloadOffset + payloadLength));
  path.onRtcp = data => reports.push(data.slice());
  path.onSourceChange = () => undefined;

  const arrivals: Arrival[] = [];
  const listen = async (address: string, port: number): Promise<DatagramSocket> => {
    const socket = await bind(address, port);
    socket.onMessage = data => arrivals.push({ port, data: data.slice() });
    return socket;
  };
  const rtp = await listen(THERE, RTP_PORT);
  const rtcp = await listen(THERE, RTCP_PORT);
  const other = await listen(THERE, 4321);
  const stranger = await listen(ELSEWHERE, RTP_PORT);
  const remote = { address: THERE, port: RTP_PORT };
  path.setRemote(remote, mux ? remote : { address: THERE, port: RTCP_PORT });
  const here = { address: HERE, port: path.port };
  const hereRtcp = { address: HERE, port: path.port + 1 };
  t.teardown(() => path.close());
  return { clock, path, heard, reports, arrivals, rtp, rtcp, other, stranger, here, hereRtcp };
}

function rtpPacket(sequence: number, text = `packet ${sequence}`): Uint8Array {
  const data = new Uint8Array(12 + text.length);
  writeRtpHeader(data, 0, false, sequence, sequence * 160, 77);
  data.set(Buffer.from(text), 12);
  return data;
}

const REPORT = Uint8Array.from([0x80, 201, 0, 1, 0, 0, 0, 77]);

function protect(sender: SrtpSender, packet: Uint8Array, type: 'rtp' | 'rtcp' = 'rtp'): Uint8Array {
  const data = new Uint8Array(packet.length + MAX_OVERHEAD_OCTETS);
  data.set(packet);
  const octets =
    type === 'rtp'
      ? sender.protectRtp(data, packet.length)
      : sender.protectRtcp(data, packet.length);
  return data.slice(0, octets);
}

const isText = (data: Uint8Array, text: string) => Buffer.from(data).includes(text);

t.test('what leaves is protected, and only what proves itself comes in', async t => {
  const { clock, path, heard, reports, arrivals, rtp, rtcp, here, hereRtcp } = await place();
  const keys: PathKeys = { send: newKey(), receive: newKey() };
  path.secure(keys);
  const sender = new SrtpSender(keys.receive);
  path.sendRtp(rtpPacket(1));
  path.sendRtcp(REPORT);
  const good = protect(sender, rtpPacket(1));
  rtp.send(good, here);
  rtp.send(good, here);
  rtp.send(rtpPacket(2), here);
  rtcp.send(REPORT, hereRtcp);
  rtcp.send(protect(sender, REPORT, 'rtcp'), hereRtcp);
  await clock.advance(100);
  t.same(heard, ['packet 1']);
  t.same(reports, [REPORT]);
  t.equal(path.refused, 3);
  t.match(arrivals, [
    { port: RTP_PORT, data: { length: 12 + 8 + 10 } },
    { port: RTCP_PORT, data: { length: 8 + 14 } },
  ]);
  t.notOk(arrivals.some(({ data }) => isText(data, 'packet')));

  path.secure(undefined);
  rtp.send(rtpPacket(3), here);
  path.sendRtp(rtpPacket(3));
  await clock.advance(100);
  t.same(heard, ['packet 1', 'packet 3'], 'plain again, once that is agreed on');
  t.ok(isText(arrivals.at(-1)!.data, 'packet 3'));
});

t.test('padding is read once it is readable', async t => {
  const { clock, path, heard, rtp, here } = await place();
  const keys: PathKeys = { send: newKey(), receive: newKey() };
  path.secure(keys);
  const padded = Uint8Array.from([...rtpPacket(1), 0, 0, 3]);
  padded[0] = padded[0]! | 0x20;
  rtp.send(protect(new SrtpSender(keys.receive), padded), here);
  await clock.advance(100);
  t.same(heard, ['packet 1']);
});

t.test('new keys without a gap: the old one is good for a moment longer', async t => {
  const { clock, path, heard, rtp, here } = await place();
  const first: PathKeys = { send: newKey(), receive: newKey() };
  path.secure(first);
  const before = new SrtpSender(first.receive);
  const late = protect(before, rtpPacket(2));
  rtp.send(protect(before, rtpPacket(1)), here);
  await clock.advance(100);
  const second: PathKeys = { send: first.send, receive: newKey() };
  path.secure(second);
  path.secure(second);
  const after = new SrtpSender(second.receive, before);
  rtp.send(late, here);
  rtp.send(protect(before, rtpPacket(3)), here);
  rtp.send(protect(after, rtpPacket(4)), here);
  await clock.advance(100);
  t.same(heard, ['packet 1', 'packet 2', 'packet 3', 'packet 4']);
  await clock.advance(5000);
  rtp.send(protect(before, rtpPacket(5)), here);
  rtp.send(protect(after, rtpPacket(6)), here);
  await clock.advance(100);
  t.same(heard.slice(4), ['packet 6']);
});

t.test('a key that is used up stops the path, tells once, and another sets it going', async t => {
  const { clock, path, arrivals } = await place();
  let told = 0;
  path.onExhausted = () => told++;
  const keys: PathKeys = { send: { ...newKey(), lifetime: 2 }, receive: newKey() };
  path.secure(keys);
  for (let i = 1; i <= 4; i++) path.sendRtp(rtpPacket(i));
  await clock.advance(100);
  t.equal(arrivals.length, 2);
  t.equal(told, 1);
  path.secure({ ...keys, send: newKey() });
  path.sendRtp(rtpPacket(5));
  await clock.advance(100);
  t.equal(arrivals.length, 3);
});

t.test('forged streams from elsewhere never lead a secure path away', async t => {
  const { clock, path, arrivals, stranger, here } = await place();
  path.secure({ send: newKey(), receive: newKey() });
  const forger = new SrtpSender(newKey());
  for (let i = 1; i <= 10; i++) {
    stranger.send(protect(forger, rtpPacket(i)), here);
    await clock.advance(200);
  }
  path.sendRtp(rtpPacket(1));
  await clock.advance(100);
  t.equal(path.refused, 10);
  t.match(arrivals, [{ port: RTP_PORT }]);
});

t.test('RTCP from another port of the far end is heard, but leads our reports nowhere', async t => {
  const { clock, path, reports, arrivals, rtp, other, here, hereRtcp } = await place();
  rtp.send(rtpPacket(1), here);
  other.send(REPORT, hereRtcp);
  await clock.advance(100);
  path.sendRtcp(REPORT);
  await clock.advance(100);
  t.equal(reports.length, 1);
  t.match(arrivals, [{ port: RTCP_PORT }]);
});

t.test('behind NAT, our reports go to where the far end sends its own from', async t => {
  const { clock, path, arrivals, other, rtcp, here, hereRtcp } = await place();
  // Signalled was an address that nobody hears.
  path.setRemote({ address: '192.168.1.5', port: 9 }, { address: '192.168.1.5', port: 10 });
  for (let i = 1; i <= 4; i++) other.send(rtpPacket(i), here);
  await clock.advance(100);
  rtcp.send(REPORT, hereRtcp);
  await clock.advance(100);
  path.sendRtcp(REPORT);
  path.sendRtp(rtpPacket(1));
  await clock.advance(100);
  t.same(
    arrivals.map(({ port }) => port),
    [RTCP_PORT, 4321],
  );
});

t.test('RTCP shares the port of RTP where both agreed, and is told apart', async t => {
  const { clock, path, heard, reports, arrivals, rtp, here } = await place({ mux: true });
  rtp.send(REPORT, here);
  rtp.send(rtpPacket(1), here);
  path.sendRtcp(REPORT);
  path.sendRtp(rtpPacket(1));
  await clock.advance(100);
  t.same(reports, [REPORT]);
  t.same(heard, ['packet 1']);
  t.same(
    arrivals.map(({ port }) => port),
    [RTP_PORT, RTP_PORT],
  );
  const packet = new RtpPacket();
  t.ok(readRtp(arrivals[1]!.data, packet));
});
