/** Digits: with baresip both ways, by the codecs whose clocks differ, and from SIPp as a recording of a real phone. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startBaresipCallee } from '../harness/baresip.js';
import { BaresipControl } from '../harness/baresip-control.js';
import { exactly, type Figure } from '../harness/figures.js';
import { PlainFailure, progress } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { playScenario } from '../harness/sipp.js';
import { freePort } from '../harness/udp.js';
import { IN_TIME_MS, type Site } from './site.js';

/** Every key that baresip's and our events have. */
const KEYS = '0123456789*#ABCD';
/** Of timestamps; baresip's telephone-event has 8 kHz always. */
const CODECS = ['PCMU', 'G722', 'opus'] as const;
/** In Debian's sip-tester: streams of single digits over PCMA. */
const RECORDED = '/usr/share/sip-tester/dtmf_2833_5.pcap';
/** More than all of them take; we hang up before. */
const CALL_SECONDS = 60;
/** When all have been told, one that is told again would be, too. */
const TOLD_AGAIN_MS = 500;

export async function measureDigits(site: Site): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const codec of CODECS) figures.push(...(await withBaresip(site, codec)));
  figures.push(...(await fromSipp(site)));
  return figures;
}

async function withBaresip(
  { cleanup, directory, sound }: Site,
  codec: (typeof CODECS)[number],
): Promise<Figure[]> {
  progress(`interop: digits with baresip, ${codec}`);
  const [port, controlPort] = [await freePort(), await freePort()];
  const own = join(directory, codec);
  const peer = await startBaresipCallee({
    ...{ cleanup, directory: own, port, codec, sound, controlPort },
  });
  const control = await BaresipControl.open(cleanup, controlPort);
  const call = new Ringline(
    ['call', `sip:peer@127.0.0.1:${port}`, '--digits', KEYS, '--seconds', `${CALL_SECONDS}`],
    { cleanup, data: join(own, 'phone') },
  );
  const { codec: agreed } = await call.heard('connected', IN_TIME_MS);
  if (agreed !== codec) throw new PlainFailure(`expected a call in ${codec}, found ${agreed}`);
  await control.command('sndcode', KEYS);
  const there = () =>
    control.events
      .filter(({ type }) => type === 'CALL_DTMF_START')
      .map(({ param }) => param)
      .join('');
  for (const until = performance.now() + IN_TIME_MS; performance.now() < until; ) {
    if (Math.min(there().length, digitsIn(call).length) >= KEYS.length) break;
    await delay(50);
  }
  await delay(TOLD_AGAIN_MS);
  await call.stop();
  await peer.stop();
  return [
    told(`baresip, ${codec}: hears ${KEYS} from us`, KEYS, there()),
    told(`baresip, ${codec}: sends ${KEYS}, and we hear`, KEYS, digitsIn(call)),
  ];
}

/** SIPp calls and plays what a phone sent once. */
async function fromSipp({ cleanup, directory }: Site): Promise<Figure[]> {
  if (!existsSync(RECORDED)) throw new PlainFailure(`expected ${RECORDED}, of sip-tester`);
  progress('interop: digits from SIPp');
  const phone = new Ringline(['run', '--name', 'keys', '--listen', '127.0.0.1:0'], {
    cleanup,
    data: join(directory, 'sipp-phone'),
  });
  const { listen } = await phone.heard('ready', IN_TIME_MS);
  const file = join(directory, 'digit.xml');
  writeFileSync(file, scenario());
  const failure = await playScenario({
    ...{ cleanup, directory, file, address: '127.0.0.1', port: await freePort(), protocol: 'UDP' },
    call: { target: String(listen), user: '*43' },
  });
  if (failure !== undefined) throw new PlainFailure(failure);
  await phone.heard('ended', IN_TIME_MS);
  const heard = digitsIn(phone);
  await phone.stop();
  return [told('SIPp plays a 5 that a phone sent, and we hear', '5', heard)];
}

function digitsIn(phone: Ringline): string {
  return phone.events.flatMap(({ event, digit }) => (event === 'digit' ? [digit] : [])).join('');
}

function told(name: string, expected: string, heard: string): Figure {
  const whole = heard === expected;
  return exactly(1, whole ? name : `${name}: "${heard}"`, whole ? 1 : 0, '');
}

function scenario(): string {
  const head = (method: string, sequence: string) => `
      Via: SIP/2.0/UDP [local_ip]:[local_port];branch=z9hG4bK[pid]-${sequence}
      From: <sip:peer@[local_ip]:[local_port]>;tag=peer
      To: <sip:[service]@[remote_ip]:[remote_port]>${sequence === '1' ? '' : '[peer_tag_param]'}
      Call-ID: [call_id]
      CSeq: ${sequence.charAt(0)} ${method}
      Max-Forwards: 70
      Contact: <sip:peer@[local_ip]:[local_port]>`;
  return `<?xml version="1.0" encoding="UTF-8" ?>
<scenario name="a digit by telephone-event">
  <send>
    <![CDATA[
      INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0${head('INVITE', '1')}
      Content-Type: application/sdp
      Content-Length: [len]

      v=0
      o=- 1 1 IN IP[media_ip_type] [media_ip]
      s=-
      c=IN IP[media_ip_type] [media_ip]
      t=0 0
      m=audio [auto_media_port] RTP/AVP 8 101
      a=rtpmap:101 telephone-event/8000

    ]]>
  </send>
  <recv response="100" optional="true" />
  <recv response="200" rtd="true" />
  <send>
    <![CDATA[
      ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0${head('ACK', '1-ack')}
      Content-Length: 0

    ]]>
  </send>
  <nop>
    <action>
      <exec play_pcap_audio="${RECORDED}"/>
    </action>
  </nop>
  <pause milliseconds="3000" />
  <send>
    <![CDATA[
      BYE sip:[service]@[remote_ip]:[remote_port] SIP/2.0${head('BYE', '2')}
      Content-Length: 0

    ]]>
  </send>
  <recv response="200" />
</scenario>
`;
}
