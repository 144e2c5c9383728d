/** What this room's README and its examples say is what the code does. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  CallId,
  CSeq,
  From,
  formatUri,
  parseMessage,
  parseUri,
  type SipMessage,
  SipRequest,
  serializeMessage,
  Via,
} from '@sip-stack/parser';
import fc from 'fast-check';
import { test } from 'tap';
import { idSigned } from '../../../src/identity/id-signature.js';
import { Ed25519Verifier } from '../../../src/identity/signing.js';
import type { LinkAnswer } from '../../../src/overlay/link-messages.js';
import { LOOK_AGAIN_MS } from '../../../src/overlay/names/look-again.js';
import { MAX_NAME_VALUE_OCTETS } from '../../../src/overlay/names/name-record.js';
import { LIFE_S } from '../../../src/overlay/names/publishing-machine.js';
import { PING_MS } from '../../../src/overlay/nodes/attachment-search.js';
import { EXPIRES_S, MOVE_RATE } from '../../../src/overlay/nodes/attachment-state.js';
import { PAGES } from '../../../src/overlay/nodes/node-list.js';
import { MAX_RECORDS as MAX_NODE_RECORDS } from '../../../src/overlay/nodes/node-records.js';
import { SUPER_NODE_OPTIONS } from '../../../src/overlay/nodes/super-node-state.js';
import { LOOKUP_MS, RELAY_MARGIN_MS } from '../../../src/overlay/ring/lookup.js';
import { MEMBER_OPTIONS } from '../../../src/overlay/ring/member-state.js';
import type { Peer } from '../../../src/overlay/ring/peer.js';
import { LASTING_MS, MAX_LIFE_MS } from '../../../src/overlay/ring/records.js';
import { PART_BYTES } from '../../../src/overlay/ring/values.js';
import { readBody } from '../../../src/overlay/sip/body.js';
import {
  DhtMessage,
  DhtSignature,
  MAX_BODY_OCTETS,
  MAX_LINKS,
  MAX_PARTS,
} from '../../../src/overlay/sip/fields.js';
import { ASSEMBLY_BOUNDS, BODY_IN_PART, LINKS_IN_PART } from '../../../src/overlay/sip/parts.js';
import {
  decodeRequest,
  encodeRequest,
  readRequest,
  wordsOf,
} from '../../../src/overlay/sip/request.js';
import {
  answering,
  decodeResponse,
  encodeAnswer,
  encodeRefusal,
  readAnswer,
} from '../../../src/overlay/sip/response.js';
import { signMessage } from '../../../src/overlay/sip/signature.js';
import { statusOf, WIRE_REFUSAL_STATUS } from '../../../src/overlay/sip/status.js';
import { addLater } from '../later-message.js';
import { grammarOf } from './abnf.js';
import { accepted, anyMessage, travelled } from './any-message.js';
import { ringScenarios } from './capture.js';
import { chartsIn, OVERLAY as EXAMPLE_OVERLAY, messagesIn, written } from './scenario.js';
import { streetScenarios } from './street-scenarios.js';

const README = readFileSync('src/overlay/sip/README.md', 'utf8');
const EXAMPLES = readFileSync('src/overlay/sip/EXAMPLES.md', 'utf8');
const VERIFIER = new Ed25519Verifier();
const verify = (signer: string, text: string, signature: string) =>
  idSigned(VERIFIER, signer, text, signature);
const AGAIN = 'node dist/test/overlay/sip/write-examples.js writes them anew';

/** Rows of the table whose first column is called so: its cells, the first without quotes. */
function table(first: string): string[][] {
  const [, rows = ''] =
    new RegExp(`^\\| ${first} \\|.*\\n\\|[ |-]+\\n((?:\\|.*\\n)+)`, 'm').exec(README) ?? [];
  return rows
    .trim()
    .split('\n')
    .map(row =>
      row
        .split('|')
        .slice(1, -1)
        .map(cell => cell.trim()),
    )
    .map(([name = '', ...cells]) => [/`([^`]+)`/.exec(name)?.[1] ?? '', ...cells]);
}

const SAMPLE = fc.sample(anyMessage, { numRuns: 400, seed: 3 });

test('the tables of messages and refusals are complete', t => {
  const statuses = Object.fromEntries(table('code').map(([code = '', of]) => [code, Number(of)]));
  t.strictSame(statuses, { ...WIRE_REFUSAL_STATUS });
  for (const [reason, status] of table('reason')) {
    const answer = { type: 'refused', reason } as LinkAnswer;
    t.equal(statusOf(answer), Number(status), reason);
  }
  const named = (kind: 'request' | 'answer') =>
    new Set(
      SAMPLE.flatMap(of => {
        if (of.kind !== kind) return [];
        return of.kind === 'request' ? [of.request.type] : [of.answer.type];
      }),
    );
  const rows = (first: string) => table(first).map(([name]) => name);
  t.strictSame(new Set(rows('request')), new Set([...named('request'), 'more']));
  t.strictSame(new Set(rows('answer')), new Set([...named('answer'), 'continue']));
  const answers = new Map(table('answer').map(([name, status = '']) => [name, status]));
  for (const of of SAMPLE) {
    if (of.kind !== 'answer' || of.answer.type === 'refused') continue;
    if (!answers.get(of.answer.type)?.includes(`${statusOf(of.answer)}`)) t.fail(of.answer.type);
  }
  for (const bound of [MAX_LINKS, MAX_BODY_OCTETS, MAX_PARTS, LINKS_IN_PART, BODY_IN_PART]) {
    t.match(README, ` ${bound} `);
  }
  const { octets, octetsPerSender, messages, timeoutMs } = ASSEMBLY_BOUNDS;
  const MIB = 2 ** 20;
  t.match(
    README,
    `${octetsPerSender / MIB} MiB for a sender,\n  ${octets / MIB} MiB and ${messages}`,
  );
  t.match(README, `after ${timeoutMs / 1_000} s`);
  t.end();
});

test('the times and bounds of RULES.md are those of the code', t => {
  const rules = readFileSync('src/overlay/RULES.md', 'utf8').replace(/\s+/g, ' ');
  const s = (ms: number) => `${ms / 1_000} s`;
  const minutes = (ms: number) => `${ms / 60_000} minutes`;
  const { stabiliseMs, fingerMs, offerMs, mergeMs, gatherMs } = MEMBER_OPTIONS;
  const told = [
    `**Stabilise**, about every ${s(stabiliseMs)}:`,
    `looked after about every ${s(fingerMs)}`,
    `About every ${minutes(offerMs)}, and`,
    `About every ${s(mergeMs)}, and when discovery`,
    `gathered for about ${s(gatherMs)}`,
    `to 4 s, in all for ${s(LOOKUP_MS)}`,
    `with ${s(RELAY_MARGIN_MS)} less each time`,
    `\`Expires\` (${EXPIRES_S} is usual)`,
    `60 to ${SUPER_NODE_OPTIONS.expiresS} s.`,
    `carried nothing for ${s(PING_MS)} is pinged`,
    `up to ${MAX_NODE_RECORDS}, each with its age`,
    `${PAGES} records of an hour`,
    `then one each ${s(MOVE_RATE.everyMs)}`,
    `A binding lives for ${LIFE_S.user} s`,
    `vouched for ${LIFE_S.voucher} s`,
    `up to ${MAX_NAME_VALUE_OCTETS} octets`,
    `A value above ${PART_BYTES} octets`,
    `life ${MAX_LIFE_MS}, signed by the overlay's key`,
    `then about every ${minutes(LOOK_AGAIN_MS)}, or 0.1 s for each octet`,
    `a life of more than ${LASTING_MS === 86_400_000 ? 'a day' : s(LASTING_MS)} so that`,
  ];
  for (const text of told) t.ok(rules.includes(text), text);
  t.end();
});

/** Of a body, without the values. */
function linesOf(body: Uint8Array): string[] {
  const text = Buffer.from(body).toString('latin1');
  const lines: string[] = [];
  for (let at = 0; at < text.length; ) {
    const line = text.slice(at, text.indexOf('\n', at) + 1);
    lines.push(line);
    const [, length] = / \+(\d+)\r\n$/.exec(line) ?? [];
    at += line.length + (length === undefined ? 0 : Number(length) + 2);
  }
  return lines;
}

/** Whatever of a message the grammar has a rule for: the rule, and the text. */
function* ruled(octets: Uint8Array): Generator<[rule: string, text: string]> {
  const sip = parseMessage(octets);
  if (sip.kind === 'request') signMessage(sip, () => 'a-_Z'.repeat(32));
  const head = Buffer.from(serializeMessage(sip)).toString().split('\r\n\r\n')[0]!;
  for (const line of head.split('\r\n')) {
    const [, field] = /^(DHT-\w+):/.exec(line) ?? [];
    if (field && field !== 'DHT-Power') yield [field, line];
    const [, name, uri = ''] = /^(From|To|Contact): <([^>]*)>/.exec(line) ?? [];
    if (name === 'From') yield ['node-uri', uri];
    if (uri.startsWith('sip:P@0.0.0.0')) yield ['place-uri', uri];
    else if (uri.startsWith('sip:P@')) yield ['peer-uri', uri];
  }
  if (sip.headers.text('DHT-Part')) return;
  for (const line of linesOf(sip.body)) {
    const kind = line.split(' ')[0]!.trim();
    yield [LATER_KINDS.includes(kind) ? 'other-line' : `${kind}-line`, line];
  }
}

/** Of lines of `later-message.ts`. */
const LATER_KINDS: readonly string[] = ['power', 'mood', 'empty'];

test('whatever is written is as the grammar has it, and so is what a later version adds', t => {
  const matcher = grammarOf(README);
  for (const [add, rules] of [
    [undefined, 14],
    [addLater, 15],
  ] as const) {
    const lines = new Map<string, number>();
    for (const message of SAMPLE) {
      for (const octets of travelled(message, undefined, add).octets) {
        for (const [rule, text] of ruled(octets)) {
          lines.set(rule, (lines.get(rule) ?? 0) + 1);
          if (!matcher(rule).test(text)) t.fail(`${rule}: ${text.slice(0, 300)}`);
        }
      }
    }
    t.equal(lines.size, rules, [...lines].map(([rule, times]) => `${rule} ${times}`).join(', '));
  }
  t.notMatch('DHT-Link: <sip:P@h;peer-ID=12>;link=P;expires=600', matcher('DHT-Link'));
  t.notMatch('DHT-Message: ', matcher('DHT-Message'));
  t.notMatch('version abc def 1\r\n', matcher('version-line'));
  t.end();
});

function peerOf(uri: string, id: string): Peer {
  const { host, port } = parseUri(uri) as { host: string; port?: number };
  return { id, address: port === undefined ? host : `${host}:${port}` };
}

test('the examples are read, and written again as they stand there', t => {
  const messages = messagesIn(EXAMPLES);
  t.ok(messages.length >= 28, `${messages.length} messages`);
  let signed = 0;
  for (const octets of messages) {
    const sip = parseMessage(octets);
    const title = sip.headers.text('DHT-Message') ?? 'none';
    const signature = sip.headers.first(DhtSignature);
    if (signature !== undefined) signed++;
    const again = signature === undefined ? rewritten(sip) : rewritten(sip, signature);
    t.equal(
      Buffer.from(serializeMessage(again)).toString('latin1'),
      octets.toString('latin1'),
      title,
    );
  }
  t.ok(signed >= 10, `${signed} signed messages`);
  t.end();
});

/** What the reader made of a message, as the writer writes it; a message of no ring is left to the parser. */
function rewritten(sip: SipMessage, signature?: string): SipMessage {
  const expected = { overlay: EXAMPLE_OVERLAY, ...(signature !== undefined && { verify }) };
  if (!sip.headers.has('DHT-Message')) return sip;
  if (sip.kind === 'response') {
    const decoded = accepted(decodeResponse(sip, 'ping', expected));
    // What ties it to its request is the request's.
    const { method } = sip.headers.require(CSeq);
    const tied = new SipRequest({ method, uri: parseUri('sip:h') });
    tied.headers = sip.headers;
    if (decoded.type === 'rejected') {
      assert(decoded.code);
      return answering(
        encodeRefusal({ ok: false, code: decoded.code, detail: decoded.detail }),
        tied,
        '',
      );
    }
    assert(decoded.type === 'part');
    const message = accepted(readAnswer(decoded.origin, decoded.part.content));
    const again = answering(encodeAnswer(message, EXAMPLE_OVERLAY)[0]!, tied, '');
    if (signature !== undefined) signMessage(again, () => signature);
    return again;
  }
  const decoded = accepted(decodeRequest(sip, expected));
  assert(decoded.type === 'part');
  const words = wordsOf(sip.headers.require(DhtMessage).params);
  const again = encodeRequest(accepted(readRequest(decoded.origin, decoded.part.content)), {
    overlay: EXAMPLE_OVERLAY,
    to: peerOf(formatUri(sip.uri), words.to ?? ''),
    callId: sip.headers.require(CallId),
    sequence: sip.headers.require(CSeq).sequence,
    tag: sip.headers.require(From).params.get('tag') ?? '',
  })[0]!;
  if (signature === undefined) again.headers.prepend(Via, sip.headers.require(Via));
  else {
    again.headers.set(Via, sip.headers.require(Via));
    signMessage(again, () => signature);
  }
  return again;
}

test('records and entries of the table in the examples are signed as README.md has it', t => {
  const kinds = new Map<string, number>();
  const count = (kind: string) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  for (const octets of messagesIn(EXAMPLES)) {
    const sip = parseMessage(octets);
    const { records, nodes, entries } = readBody(sip.body);
    for (const record of [...records, ...nodes.flatMap(node => node.records)]) {
      const { key, publisher, sequence, lifeMs, value } = record;
      const content = value ? Buffer.from(value).toString('base64') : 'gone';
      const hash = createHash('sha256');
      hash.update(`record ${key} ${publisher} ${sequence} ${lifeMs} ${content}`);
      const said = `ring record 1 ${hash.digest('hex')}`;
      t.ok(verify(publisher, said, record.signature), `record ${publisher} ${sequence}`);
      const text = Buffer.from(value ?? []).toString('latin1');
      count(value ? (/(?:vouched-)?binding/.exec(text)?.[0] ?? 'text') : 'gone');
    }
    for (const { peer, version, state, signer, signature } of entries) {
      const said = `member ${peer.id} ${peer.address} ${version} ${state}`;
      t.ok(verify(signer, said, signature), said);
      count('member');
    }
  }
  const all = ['binding', 'gone', 'member', 'text', 'vouched-binding'];
  t.strictSame([...kinds.keys()].sort(), all);
  t.end();
});

test('the examples are of what members and phones say today', async t => {
  const charts = chartsIn(EXAMPLES);
  const ring = ringScenarios();
  const street = await streetScenarios();
  t.strictSame(
    [...charts.keys()],
    [...ring, ...street].map(({ title }) => title),
    AGAIN,
  );
  for (const { title, steps } of ring) {
    const told = new Set(charts.get(title)?.map(({ name }) => name));
    const said = new Set(steps.map(({ name }) => name));
    t.strictSame([...told].sort(), [...said].sort(), `${title}: ${AGAIN}`);
  }
  const order = (text: string, title: string) =>
    chartsIn(text)
      .get(title)
      ?.map(({ ms, ...said }) => said);
  for (const each of street) {
    const { title } = each;
    t.strictSame(order(EXAMPLES, title), order(written([each]), title), `${title}: ${AGAIN}`);
  }
  t.equal(written(await streetScenarios()), written(street), 'the same run, the same octets');
});
