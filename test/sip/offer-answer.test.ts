import t from 'tap';
import { type AudioFormat, reofferedFormats } from '../../src/sip/audio-formats.js';
import { answerOffer, type LocalAudio, makeOffer, readAnswer } from '../../src/sip/offer-answer.js';

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
    // Both of us let RTCP share RTP's port.
    rtcp: { address: '10.0.0.1', port: 20_000 },
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

const OPUS: AudioFormat = {
  name: 'opus',
  payloadType: 96,
  clockRate: 48_000,
  channels: 2,
  fmtp: 'maxplaybackrate=16000;useinbandfec=1',
  packetLengthsMs: [10, 20, 40, 60],
};
const G722: AudioFormat = { name: 'G722', payloadType: 9, clockRate: 8000 };
const L16: AudioFormat = {
  name: 'L16',
  payloadType: 99,
  clockRate: 48_000,
  packetLengthsMs: [10],
};
const events = (payloadType: number, clockRate: number): AudioFormat => ({
  name: 'telephone-event',
  payloadType,
  clockRate,
  fmtp: '0-15',
});
const CN: AudioFormat = { name: 'CN', payloadType: 13, clockRate: 8000 };
const ALL = [OPUS, G722, PCMU, PCMA, CN, events(101, 8000), events(102, 48_000)];

t.test('an offer says each codec with its clock, channels and parameters', async t => {
  const offer = makeOffer(local(ALL));
  t.match(offer, 'm=audio 20000 RTP/AVP 96 9 0 8 13 101 102\r\n');
  t.match(offer, 'a=rtpmap:96 opus/48000/2\r\n');
  t.match(offer, 'a=fmtp:96 maxplaybackrate=16000;useinbandfec=1\r\n');
  t.match(offer, 'a=rtpmap:9 G722/8000\r\n', 'the clock that RFC 3551 §4.5.2 keeps');
  t.match(offer, 'a=rtpmap:102 telephone-event/48000\r\na=fmtp');
  t.match(offer, 'a=ptime:20\r\n');
  t.notMatch(offer, 'maxptime');
  t.match(
    makeOffer(local([L16])),
    /a=ptime:10\r\n.*a=maxptime:10\r\n|a=maxptime:10\r\n.*a=ptime:10\r\n/s,
  );
});

/** What an offer with these lines is answered, and what is agreed on. */
const answers: readonly [
  what: string,
  lines: readonly string[],
  formats: readonly AudioFormat[],
  answer: RegExp,
  agreed: object,
][] = [
  [
    'Opus under another number, with parameters each way',
    [
      'm=audio 4000 RTP/AVP 111 0',
      'a=rtpmap:111 OPUS/48000/2',
      'a=fmtp:111 maxaveragebitrate=20000; useinbandfec=1',
    ],
    ALL,
    /RTP\/AVP 111\r\n.*a=rtpmap:111 opus\/48000\/2\r\na=fmtp:111 maxplaybackrate=16000;useinbandfec=1\r\n/s,
    {
      format: {
        name: 'opus',
        payloadType: 111,
        fmtp: 'maxaveragebitrate=20000; useinbandfec=1',
      },
    },
  ],
  [
    'Opus from who asks for nothing',
    ['m=audio 4000 RTP/AVP 96', 'a=rtpmap:96 opus/48000/2'],
    ALL,
    /RTP\/AVP 96\r\n/,
    { format: { name: 'opus', fmtp: undefined } },
  ],
  [
    'Opus whose channels are left out',
    ['m=audio 4000 RTP/AVP 96', 'a=rtpmap:96 opus/48000'],
    ALL,
    /a=rtpmap:96 opus\/48000\/2\r\n/,
    { format: { name: 'opus' } },
  ],
  [
    'G.722 by its static number alone, and the keys of its clock',
    [
      'm=audio 4000 RTP/AVP 9 0 100 105',
      'a=rtpmap:100 telephone-event/48000',
      'a=rtpmap:105 Telephone-Event/8000',
      'a=fmtp:105 0-16',
    ],
    ALL,
    /RTP\/AVP 9 105\r\n.*a=fmtp:105 0-15\r\n/s,
    {
      format: { name: 'G722', payloadType: 9 },
      events: { payloadType: 105, clockRate: 8000, fmtp: '0-16' },
      comfortNoise: undefined,
    },
  ],
  [
    'keys of another clock where there are no others',
    [
      'm=audio 4000 RTP/AVP 96 101',
      'a=rtpmap:96 opus/48000/2',
      'a=rtpmap:101 telephone-event/8000',
    ],
    ALL,
    /RTP\/AVP 96 101\r\n/,
    { format: { name: 'opus' }, events: { payloadType: 101, clockRate: 8000 } },
  ],
  [
    'comfort noise by its static number',
    ['m=audio 4000 RTP/AVP 13 8'],
    ALL,
    /RTP\/AVP 8 13\r\n.*a=rtpmap:13 CN\/8000\r\n/s,
    { format: { name: 'PCMA' }, comfortNoise: { payloadType: 13 }, events: undefined },
  ],
  [
    'no comfort noise of another clock than the speech',
    ['m=audio 4000 RTP/AVP 96 13', 'a=rtpmap:96 opus/48000/2'],
    ALL,
    /RTP\/AVP 96\r\n/,
    { comfortNoise: undefined },
  ],
  [
    'L16 of one channel, not of two',
    ['m=audio 4000 RTP/AVP 96 97', 'a=rtpmap:96 L16/48000/2', 'a=rtpmap:97 L16/48000/1'],
    [L16],
    /RTP\/AVP 97\r\n.*a=(ptime|maxptime):10\r\n/s,
    { format: { payloadType: 97 }, ptimeMs: 10 },
  ],
];
for (const [what, lines, formats, answer, agreed] of answers) {
  t.test(`an offer of ${what} is taken`, async t => {
    const answered = answerOffer(sdp(...lines), local(formats));
    t.match(answered.sdp, answer);
    t.match(answered.agreed, agreed);
  });
}

const packetTimes: readonly [lines: string[], opus: number, pcmu: number][] = [
  [[], 20, 20],
  [['a=ptime:30'], 20, 30],
  [['a=ptime:10'], 10, 10],
  [['a=ptime:60'], 60, 60],
  [['a=ptime:200'], 60, 60],
  [['a=ptime:5'], 10, 10],
  [['a=ptime:33.3'], 20, 30],
  [['a=maxptime:10'], 10, 10],
  [['a=ptime:40', 'a=maxptime:30'], 20, 30],
  [['a=maxptime:100'], 20, 20],
  [['a=ptime:0'], 20, 20],
  [['a=ptime:soon'], 20, 20],
];
for (const [lines, opus, pcmu] of packetTimes) {
  t.test(`packets for who says "${lines.join(' ')}"`, async t => {
    const offered = (format: string) =>
      sdp(`m=audio 4000 RTP/AVP ${format}`, 'a=rtpmap:96 opus/48000/2', ...lines);
    t.equal(answerOffer(offered('96'), local(ALL)).agreed.ptimeMs, opus, 'Opus');
    t.equal(answerOffer(offered('0'), local(ALL)).agreed.ptimeMs, pcmu, 'PCMU');
  });
}

t.test('keys alone, or noise, are no call', async t => {
  const offer = sdp('m=audio 4000 RTP/AVP 13 101', 'a=rtpmap:101 telephone-event/8000');
  t.throws(() => answerOffer(offer, local(ALL)), {
    code: 'NO_COMMON_CODEC',
    message: /in one of opus, G722, PCMU, PCMA;/,
  });
});

t.test('another offer goes on with what is agreed, and no number changes its meaning', async t => {
  const offer = sdp(
    'm=audio 4000 RTP/AVP 102 8 96',
    'a=rtpmap:102 opus/48000/2',
    'a=rtpmap:96 telephone-event/48000',
  );
  const { agreed } = answerOffer(offer, local(ALL));
  const again = reofferedFormats(agreed, ALL);
  t.same(
    again.map(({ name, payloadType }) => [name, payloadType]),
    [
      ['opus', 102],
      ['G722', 9],
      ['PCMU', 0],
      ['PCMA', 8],
      ['telephone-event', 96],
      ['CN', 13],
      ['telephone-event', 101],
    ],
  );
  t.equal(again[0]?.fmtp, OPUS.fmtp, 'with what we ask for');
});
