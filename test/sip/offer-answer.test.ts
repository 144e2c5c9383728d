import t from 'tap';
import {
  type AudioFormat,
  answerOffer,
  type LocalAudio,
  makeOffer,
  readAnswer,
} from '../../src/sip/offer-answer.js';

const PCMU: AudioFormat = { name: 'PCMU', payloadType: 0, clockRate: 8000 };
const PCMA: AudioFormat = { name: 'PCMA', payloadType: 8, clockRate: 8000 };

const local = (
  formats: readonly AudioFormat[] = [PCMU, PCMA],
  address = '10.0.0.1',
): LocalAudio => ({
  endpoint: { address, port: 20_000 },
  formats,
  sessionId: 42,
  version: 1,
});

const sdp = (...lines: string[]) =>
  ['v=0', 'o=- 1 1 IN IP4 10.0.0.2', 's=-', 'c=IN IP4 10.0.0.2', 't=0 0', ...lines, ''].join(
    '\r\n',
  );

t.test('an offer of ours is answered by ourselves, and both agree', async t => {
  const offer = makeOffer(local());
  const answered = answerOffer(offer, local([PCMA], '10.0.0.2'));
  t.match(answered.agreed, {
    remote: { address: '10.0.0.1', port: 20_000 },
    rtcp: { address: '10.0.0.1', port: 20_001 },
    format: PCMA,
    send: true,
    receive: true,
  });
  t.match(readAnswer(answered.sdp, local()), { format: PCMA, remote: { address: '10.0.0.2' } });
});

t.test('the order of the offer decides between codecs', async t => {
  const offer = sdp('m=audio 4000 RTP/AVP 8 0');
  t.equal(answerOffer(offer, local()).agreed.format.name, 'PCMA');
});

t.test('static payload types need no rtpmap, dynamic ones are read by theirs', async t => {
  const offer = sdp(
    'm=audio 4000 RTP/AVP 101 96',
    'a=rtpmap:96 pcmu/8000',
    'a=rtpmap:101 opus/48000/2',
  );
  const { agreed, sdp: answer } = answerOffer(offer, local());
  t.match(agreed.format, { name: 'PCMU', payloadType: 96 });
  t.match(answer, /m=audio 20000 RTP\/AVP 96\r\n/);
});

t.test('a payload type mapped to something else is not taken for its static meaning', async t => {
  const offer = sdp('m=audio 4000 RTP/AVP 0', 'a=rtpmap:0 L16/44100');
  t.throws(() => answerOffer(offer, local()), { code: 'NO_COMMON_CODEC' });
});

t.test('streams beside the audio are refused in their place', async t => {
  const offer = sdp('m=video 5000 RTP/AVP 31', 'm=audio 4000 RTP/AVP 0', 'm=audio 4002 RTP/AVP 0');
  const { sdp: answer, agreed } = answerOffer(offer, local());
  t.match(answer, /m=video 0 RTP\/AVP 31\r\n.*m=audio 20000 .*m=audio 0 /s);
  t.equal(agreed.remote.port, 4000);
});

const directions: readonly [offered: string, send: boolean, receive: boolean, answered: string][] =
  [
    ['sendrecv', true, true, 'sendrecv'],
    ['sendonly', false, true, 'recvonly'],
    ['recvonly', true, false, 'sendonly'],
    ['inactive', false, false, 'inactive'],
  ];
for (const [offered, send, receive, answered] of directions) {
  t.test(`an offer of ${offered} is answered ${answered}`, async t => {
    const { sdp: answer, agreed } = answerOffer(
      sdp('m=audio 4000 RTP/AVP 0', `a=${offered}`),
      local(),
    );
    t.match(agreed, { send, receive });
    t.match(answer, new RegExp(`a=${answered}\r\n`));
  });
}

t.test('hold as RFC 2543 has it: nothing is sent to 0.0.0.0', async t => {
  const offer = sdp('m=audio 4000 RTP/AVP 0', 'c=IN IP4 0.0.0.0');
  t.equal(answerOffer(offer, local()).agreed.send, false);
});

t.test('RTCP goes where a=rtcp says', async t => {
  const offer = sdp('m=audio 4000 RTP/AVP 0', 'a=rtcp:5001 IN IP4 10.0.0.3');
  t.same(answerOffer(offer, local()).agreed.rtcp, { address: '10.0.0.3', port: 5001 });
});

t.test('an IPv6 side says so', async t => {
  t.match(makeOffer(local([PCMU], '2001:db8::1')), /c=IN IP6 2001:db8::1\r\n/);
});

const refused: readonly [what: string, text: string, code: string][] = [
  ['nothing at all', '', 'BAD_SDP'],
  ['no session description', 'hello', 'BAD_SDP'],
  ['no codec of ours', sdp('m=audio 4000 RTP/AVP 18'), 'NO_COMMON_CODEC'],
  ['encrypted media', sdp('m=audio 4000 RTP/SAVP 0'), 'NO_COMMON_CODEC'],
  ['a refused stream', sdp('m=audio 0 RTP/AVP 0'), 'NO_COMMON_CODEC'],
  ['an address that is none', sdp('m=audio 4000 RTP/AVP 0', 'c=IN IP4 nowhere'), 'NO_COMMON_CODEC'],
  ['a group', sdp('m=audio 4000 RTP/AVP 0', 'c=IN IP4 224.0.0.1/127'), 'NO_COMMON_CODEC'],
  ['a port that is none', sdp('m=audio 99999 RTP/AVP 0'), 'NO_COMMON_CODEC'],
];
for (const [what, text, code] of refused) {
  t.test(`${what} is refused as ${code}`, async t => {
    t.throws(() => answerOffer(text, local()), { code });
    t.throws(() => readAnswer(text, local()), { code });
  });
}
