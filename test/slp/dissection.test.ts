/** What Wireshark makes of our messages: an outside judge of the layout. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from 'slp-js';
import t from 'tap';
import { SAMPLES } from './messages.js';

const FIELDS = [
  'srvloc.function',
  'srvloc.pktlen',
  'srvloc.xid',
  'srvloc.langtag',
  'srvloc.flags_v2.overflow',
  'srvloc.flags_v2.fresh',
  'srvloc.flags_v2.reqmulti',
  'srvloc.nextextoff',
  'srvloc.url.url',
  'srvloc.url.lifetime',
  'srvloc.authblkv2.slpspi',
  '_ws.malformed',
  '_ws.expert',
] as const;

/** By kind: fields of its own, and what they have to be. */
const OWN: Partial<Record<keyof typeof SAMPLES, Record<string, string>>> = {
  SrvRqst: {
    'srvloc.srvreq.prlist': '192.0.2.1,192.0.2.2',
    'srvloc.srvreq.srvtypelist': 'service:printer',
    'srvloc.srvreq.scopelist': 'DEFAULT,a\\2cb',
    'srvloc.srvreq.predicate': '(ppm>=12)',
    'srvloc.srvreq.slpspi': 'k1',
  },
  SrvRply: { 'srvloc.srvreq.urlcount': '2', 'srvloc.errv2': '0' },
  SrvReg: {
    'srvloc.srvreq.srvtype': 'service:printer:lpr',
    'srvloc.srvreq.scopelist': 'DEFAULT',
    'srvloc.srvreq.attrlist': '(ppm=12),duplex',
    'srvloc.srvreq.attrauthcount': '1',
  },
  SrvDeReg: { 'srvloc.srvdereq.scopelist': 'DEFAULT', 'srvloc.srvdereq.taglist': 'ppm,x-*' },
  SrvAck: { 'srvloc.errv2': '0' },
  AttrRqst: {
    'srvloc.attrreq.url': 'service:printer:lpr://pr1:515',
    'srvloc.attrreq.scopelist': 'DEFAULT',
  },
  AttrRply: { 'srvloc.attrrply.attrlist': '(ppm=12)' },
  DAAdvert: {
    'srvloc.daadvert.url': 'service:directory-agent://192.0.2.3',
    'srvloc.daadvert.scopelist': 'DEFAULT',
    'srvloc.daadvert.attrlist': '(min-refresh-interval=60)',
    'srvloc.daadvert.slpspi': 'k1',
    'srvloc.daadvert.authcount': '0',
  },
  SrvTypeRqst: {
    'srvloc.srvtypereq.prlist': '192.0.2.9',
    'srvloc.srvtypereq.scopelist': 'DEFAULT',
  },
  SrvTypeRply: {
    'srvloc.srvtyperply.srvtypelist': 'service:printer:lpr,service:supernode.ringline:sip',
  },
  SAAdvert: {
    'srvloc.saadvert.url': 'service:service-agent://192.0.2.4',
    'srvloc.saadvert.scopelist': 'DEFAULT',
    // tshark 4.0 reads srvloc.saadvert.authcount from within the attr-list.
    'srvloc.saadvert.attrlist': '(service-type=service:printer:lpr)',
  },
};

const LINKTYPE_RAW = 101;

/** A capture of one UDP datagram to port 427 for each. */
function capture(payloads: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65_535, 16);
  head.writeUInt32LE(LINKTYPE_RAW, 20);
  const packets = payloads.map(payload => {
    const packet = Buffer.alloc(16 + 28);
    const length = 28 + payload.length;
    packet.writeUInt32LE(length, 8);
    packet.writeUInt32LE(length, 12);
    packet.writeUInt8(0x45, 16);
    packet.writeUInt16BE(length, 18);
    packet.writeUInt8(255, 24);
    packet.writeUInt8(17, 25);
    packet.set([192, 0, 2, 7, 239, 255, 255, 253], 28);
    packet.writeUInt16BE(40_000, 36);
    packet.writeUInt16BE(427, 38);
    packet.writeUInt16BE(8 + payload.length, 40);
    return Buffer.concat([packet, payload]);
  });
  return Buffer.concat([head, ...packets]);
}

const found = spawnSync('tshark', ['--version']).status === 0;
const skip = found ? false : 'tshark is not installed: apt install tshark';

t.test('tshark reads every message as we meant it', { skip }, async t => {
  const directory = mkdtempSync(join(tmpdir(), 'slp-dissection-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'slp.pcap');
  const kinds = Object.keys(SAMPLES) as (keyof typeof SAMPLES)[];
  writeFileSync(file, capture(kinds.map(kind => encode(SAMPLES[kind].message))));
  const own = [...new Set(Object.values(OWN).flatMap(fields => Object.keys(fields)))];
  const fields = [...FIELDS, ...own];
  const options = ['-n', '-r', file, '-T', 'fields', '-E', 'separator=/t', '-E', 'occurrence=a'];
  options.push('-E', 'aggregator=;', ...fields.flatMap(field => ['-e', field]));
  const { stdout, stderr, status } = spawnSync('tshark', options, { encoding: 'utf8' });
  t.equal(status, 0, stderr);
  const lines = stdout.trimEnd().split('\n');
  t.equal(lines.length, kinds.length);
  kinds.forEach((kind, index) => {
    const values = lines[index]!.split('\t');
    const seen = Object.fromEntries(fields.map((field, at) => [field, values[at] ?? '']));
    const { message } = SAMPLES[kind];
    t.match(
      seen,
      {
        '_ws.malformed': '',
        '_ws.expert': '',
        'srvloc.function': String(index + 1),
        'srvloc.pktlen': String(encode(message).length),
        'srvloc.xid': String(message.xid),
        'srvloc.langtag': message.language,
        'srvloc.flags_v2.overflow': '0',
        'srvloc.flags_v2.fresh': message.fresh ? '1' : '0',
        'srvloc.flags_v2.reqmulti': message.multicast ? '1' : '0',
        ...OWN[kind],
      },
      kind,
    );
    if (kind === 'SrvRply') {
      t.equal(seen['srvloc.url.url'], 'service:printer:lpr://pr1:515;http://pr1/');
      t.equal(seen['srvloc.url.lifetime'], '10800;65535');
      t.equal(seen['srvloc.authblkv2.slpspi'], 'k1');
    }
  });
});
