/** What this room's README and its examples say is what the code does. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import {
  CallId,
  CSeq,
  From,
  parseMessage,
  parseUri,
  serializeMessage,
  Via,
} from '@sip-stack/parser';
import fc from 'fast-check';
import { test } from 'tap';
import type { LinkAnswer, LinkRequest } from '../../../src/overlay/link-messages.js';
import type { Peer } from '../../../src/overlay/peer.js';
import {
  DhtMessage,
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
  readAnswer,
} from '../../../src/overlay/sip/response.js';
import { signMessage } from '../../../src/overlay/sip/signature.js';
import { statusOf, WIRE_REFUSAL_STATUS } from '../../../src/overlay/sip/status.js';
import { grammarOf } from './abnf.js';
import { accepted, anyMessage, OVERLAY, requestIn, responseIn, travelled } from './any-message.js';
import { scenarios } from './capture.js';

const README = readFileSync('src/overlay/sip/README.md', 'utf8');
const EXAMPLES = readFileSync('src/overlay/sip/EXAMPLES.md', 'utf8');
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

test('whatever is written is as the grammar has it', t => {
  const matcher = grammarOf(README);
  const lines = new Map<string, number>();
  const check = (rule: string, text: string) => {
    lines.set(rule, (lines.get(rule) ?? 0) + 1);
    if (!matcher(rule).test(text)) t.fail(`${rule}: ${text.slice(0, 300)}`);
  };
  for (const message of SAMPLE) {
    for (const octets of travelled(message).octets) {
      const sip = parseMessage(octets);
      if (sip.kind === 'request') signMessage(sip, () => 'a-_Z'.repeat(32));
      const head = Buffer.from(serializeMessage(sip)).toString().split('\r\n\r\n')[0]!;
      for (const line of head.split('\r\n')) {
        const [, field] = /^(DHT-\w+):/.exec(line) ?? [];
        if (field) check(field, line);
        const [, name, uri = ''] = /^(From|To|Contact): <([^>]*)>/.exec(line) ?? [];
        if (name === 'From') check('node-uri', uri);
        if (uri.startsWith('sip:P@0.0.0.0')) check('place-uri', uri);
        else if (uri.startsWith('sip:P@')) check('peer-uri', uri);
      }
      if (sip.headers.text('DHT-Part')) continue;
      for (const line of linesOf(sip.body)) check(`${line.split(' ')[0]!.trim()}-line`, line);
    }
  }
  t.equal(lines.size, 14, [...lines].map(([rule, times]) => `${rule} ${times}`).join(', '));
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
  const blocks = [...EXAMPLES.matchAll(/```sip\n(.*?)\n```/gs)].map(([, text = '']) => {
    const [head = '', body] = text.split(/\n\n(.*)/s);
    const lines = (of: string) => of.replaceAll('\n', '\r\n');
    return Buffer.from(`${lines(head)}\r\n\r\n${body === undefined ? '' : `${lines(body)}\r\n`}`);
  });
  t.ok(blocks.length >= 15, `${blocks.length} messages`);
  for (const octets of blocks) {
    const sip = parseMessage(octets);
    const title = sip.headers.text('DHT-Message') ?? 'none';
    if (sip.kind === 'request') {
      const decoded = accepted(decodeRequest(sip, { overlay: OVERLAY }));
      assert(decoded.type === 'part');
      const words = wordsOf(sip.headers.require(DhtMessage).params);
      const again = encodeRequest(accepted(readRequest(decoded.origin, decoded.part.content)), {
        overlay: OVERLAY,
        to: peerOf(String(octets).split(' ')[1]!, words.to ?? ''),
        callId: sip.headers.require(CallId),
        sequence: sip.headers.require(CSeq).sequence,
        tag: sip.headers.require(From).params.get('tag') ?? '',
      })[0]!;
      again.headers.prepend(Via, sip.headers.require(Via));
      t.equal(String(Buffer.from(serializeMessage(again))), String(octets), title);
    } else {
      const response = responseIn(octets);
      const decoded = accepted(decodeResponse(response, 'ping', { overlay: OVERLAY }));
      assert(decoded.type === 'part');
      const again = encodeAnswer(
        accepted(readAnswer(decoded.origin, decoded.part.content)),
        OVERLAY,
      )[0]!;
      // What ties it to its request is the request's.
      const tied = requestIn(Buffer.from(String(octets).replace(/^.*/, 'REGISTER sip:h SIP/2.0')));
      const text = String(Buffer.from(serializeMessage(answering(again, tied, 'none'))));
      t.equal(text, String(octets), title);
    }
  }
  t.end();
});

test('the examples are of what members say today', t => {
  const charts = [...EXAMPLES.matchAll(/^## (.*?)$.*?```\n(.*?)\n```/gms)];
  const all = scenarios();
  t.strictSame(
    charts.map(([, title]) => title),
    all.map(({ title }) => title),
    AGAIN,
  );
  for (const [index, { title, steps }] of all.entries()) {
    const written = new Set(charts[index]?.[2]?.split('\n').map(line => line.split(' ').at(-1)));
    const said = new Set(
      steps.map(({ message }): (LinkRequest | LinkAnswer)['type'] =>
        message.kind === 'request' ? message.request.type : message.answer.type,
      ),
    );
    t.strictSame([...written].sort(), [...said].sort(), `${title}: ${AGAIN}`);
  }
  t.end();
});
