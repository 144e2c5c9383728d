/** Voice that is encrypted, between phones on the virtual network: what they agree on, what is on the wire. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import type { EncryptionPolicy } from '../../src/calling/encryption.js';
import { SRTP_SUITES } from '../../src/media/srtp/suites.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import type { AudioFormat } from '../../src/sip/audio-formats.js';
import { answerOffer, type LocalAudio, makeOffer, readAnswer } from '../../src/sip/offer-answer.js';
import { type LocalCrypto, readCrypto } from '../../src/sip/sdes.js';
import { selfSigned } from '../sip/certificate.js';

const tlsOf = (name: string) => ({
  identity: selfSigned(name),
  trust: { type: 'anybody' } as const,
});
const [alices, bobs] = [tlsOf('alice'), tlsOf('bob')];
const OPTIONS = { tls: { alice: alices, bob: bobs } };

async function town(alicePolicy: EncryptionPolicy, bobPolicy: EncryptionPolicy, seed = 1) {
  const world = new Simulation({ seed });
  const alice = await world.addPhone('alice', '10.0.0.1', {
    tls: OPTIONS.tls.alice,
    srtp: alicePolicy,
  });
  const bob = await world.addPhone('bob', '10.0.0.2', { tls: OPTIONS.tls.bob, srtp: bobPolicy });
  return { world, alice, bob };
}

/** Bob calls Alice's echo; what both say of the call. */
async function call(bobPolicy: EncryptionPolicy, alicePolicy: EncryptionPolicy, target: string) {
  const { world, alice, bob } = await town(alicePolicy, bobPolicy);
  const calls = bob.calls.dial(target);
  await world.clock.advance(3000);
  const told = {
    phase: calls.phase,
    bob: calls.encryption,
    alice: alice.calls.current[0]?.encryption,
    statistics: await calls.statistics().catch(() => undefined),
  };
  await world.stop();
  return told;
}

const [PLAIN, SECURE] = ['sip:*43@alice.local', 'sip:*43@alice.local;transport=tls'];
const KEPT = { suite: 'AES_CM_128_HMAC_SHA1_80', keysProtected: true };
const READABLE = { ...KEPT, keysProtected: false };

t.test('by itself voice is encrypted where SIP is, and plain elsewhere', async t => {
  const secure = await call('auto', 'auto', SECURE);
  t.match(secure, { phase: 'connected', bob: KEPT, alice: KEPT });
  t.ok((secure.statistics?.packetsReceived ?? 0) > 100, 'and it is heard');
  t.equal(secure.statistics?.packetsRefused, 0);
  const plain = await call('auto', 'auto', PLAIN);
  t.match(plain, { phase: 'connected', bob: undefined, alice: undefined });
});

t.test('what is offered and what is required, against all that the other side may do', async t => {
  t.match(await call('offer', 'auto', PLAIN), { bob: READABLE, alice: READABLE });
  t.match(await call('offer', 'off', PLAIN), { phase: 'connected', bob: undefined });
  t.match(await call('auto', 'off', SECURE), { phase: 'connected', bob: undefined });
  t.match(await call('require', 'auto', PLAIN), { bob: READABLE, alice: READABLE });
  t.match(await call('require', 'off', PLAIN), { phase: 'ended' });
  t.match(await call('auto', 'require', PLAIN), { phase: 'ended' });
  t.match(await call('off', 'require', SECURE), { phase: 'ended' });
  t.match(await call('auto', 'require', SECURE), { phase: 'connected', alice: KEPT });
});

t.test('hold and resume keep the keys, and voice goes on', async t => {
  const { world, bob } = await town('auto', 'auto');
  const talk = bob.calls.dial(SECURE);
  await world.clock.advance(2000);
  talk.hold(true);
  await world.clock.advance(1000);
  talk.hold(false);
  await world.clock.advance(1000);
  const before = await talk.statistics();
  await world.clock.advance(2000);
  const after = await talk.statistics();
  t.match(talk.encryption, KEPT);
  t.ok((after?.packetsReceived ?? 0) - (before?.packetsReceived ?? 0) > 90);
  t.equal(after?.packetsRefused, 0);
  await world.stop();
});

const PCMU: AudioFormat = { name: 'PCMU', payloadType: 0, clockRate: 8000 };

function side(mode: LocalCrypto['mode'], suites = SRTP_SUITES): LocalAudio {
  const keys = new Map<string, Uint8Array>();
  const crypto: LocalCrypto = {
    mode,
    suites,
    offered: suites,
    key: ({ name, keyOctets, saltOctets }) => {
      const key = keys.get(name) ?? Uint8Array.from(randomBytes(keyOctets + saltOctets));
      keys.set(name, key);
      return key;
    },
  };
  const endpoint = { address: '10.0.0.1', port: 20_000 };
  return { endpoint, formats: [PCMU], sessionId: 1, version: 1, crypto };
}

t.test(
  'each side sends under the key it chose, in any suite, and the answer repeats the tag',
  async t => {
    for (const suite of SRTP_SUITES) {
      const [ours, theirs] = [side('require'), side('answer', [suite])];
      const offer = makeOffer(ours);
      t.match(offer, /m=audio 20000 RTP\/SAVP 0\r\n/);
      const { sdp, agreed } = answerOffer(offer, theirs);
      const back = readAnswer(sdp, ours);
      const tag = 1 + SRTP_SUITES.indexOf(suite);
      t.match(sdp, new RegExp(`a=crypto:${tag} ${suite.name} inline:`));
      t.same(agreed.crypto?.send, back.crypto?.receive);
      t.same(agreed.crypto?.receive, back.crypto?.send);
      t.equal(agreed.crypto?.suite, suite.name);
      t.notSame(agreed.crypto?.send.master, agreed.crypto?.receive.master);
    }
  },
);

t.test('an answer whose key is none of those we asked for ends the call', async t => {
  const ours = side('offer');
  const { sdp } = answerOffer(makeOffer(ours), side('answer'));
  t.match(readAnswer(sdp, ours).crypto, { tag: 1 });
  for (const [from, to] of [
    ['a=crypto:1', 'a=crypto:2'],
    ['a=crypto:1', 'a=crypto:77'],
    ['AES_CM_128_HMAC_SHA1_80', 'AES_CM_128_HMAC_SHA1_32'],
    ['inline:', 'inline:x'],
    ['a=crypto', 'a=crypto:1 A inline:B\r\na=crypto'],
  ] as const) {
    t.throws(() => readAnswer(sdp.replace(from, to), ours), { code: 'NO_COMMON_CODEC' }, to);
  }
  t.throws(() => readAnswer(sdp.replace(/a=crypto.*\r\n/, ''), side('require')), {
    code: 'NOT_ENCRYPTED',
  });
});

t.test('lines of RFC 4568: lifetimes, and what cannot be done is passed over', async t => {
  const key = 'WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz';
  const read = (text: string) => readCrypto(text, SRTP_SUITES);
  const line = `1 AES_CM_128_HMAC_SHA1_80 inline:${key}`;
  t.match(read(line), { tag: 1, suite: 'AES_CM_128_HMAC_SHA1_80', lifetime: undefined });
  t.equal(read(`${line}|2^20`)?.lifetime, 2 ** 20);
  t.equal(read(`${line}|1000 WSH=128`)?.lifetime, 1000);
  t.ok(read(`${line} -extension=1`));
  for (const not of [
    `${line}|2^20|1:32`,
    `${line}|1:4`,
    `${line}|2^49`,
    `${line}|0`,
    `${line}|soon`,
    `${line};inline:${key}|1:4`,
    `${line} KDR=1`,
    `${line} UNENCRYPTED_SRTP`,
    `${line} WSH=64 UNENCRYPTED_SRTCP`,
    `${line} UNAUTHENTICATED_SRTP`,
    '1 AES_CM_128_HMAC_SHA1_80 inline:c2hvcnQ=',
    `x AES_CM_128_HMAC_SHA1_80 inline:${key}`,
    `1 F8_128_HMAC_SHA1_80 inline:${key}`,
    '1 AES_CM_128_HMAC_SHA1_80',
    '',
  ]) {
    t.equal(read(not), undefined, not);
  }
  // The first that we can is taken.
  const offer = makeOffer(side('require', SRTP_SUITES.slice(0, 1))).replace(
    'a=crypto:1',
    `a=crypto:3 F8_128_HMAC_SHA1_80 inline:${key}\r\na=crypto:9`,
  );
  t.match(answerOffer(offer, side('answer')).agreed.crypto, { tag: 9 });
});

t.test(
  'RTCP shares the port where both say so; audio levels have the number of the offer',
  async t => {
    const ours = side('answer');
    const offer = makeOffer(ours);
    const muxed = answerOffer(offer, side('answer'));
    t.match(muxed.agreed, { rtcpMux: true, rtcp: { port: 20_000 }, audioLevel: 1 });
    t.match(readAnswer(muxed.sdp, ours), { rtcpMux: true, rtcp: { port: 20_000 } });
    const plain = answerOffer(
      offer.replace('a=rtcp-mux\r\n', '').replace('extmap:1 ', 'extmap:5 '),
      side('answer'),
    );
    t.match(plain.agreed, { rtcpMux: false, rtcp: { port: 20_001 }, audioLevel: 5 });
    t.match(readAnswer(plain.sdp, ours), { rtcpMux: false, audioLevel: 5 });
    t.notMatch(plain.sdp, 'rtcp-mux');
  },
);
