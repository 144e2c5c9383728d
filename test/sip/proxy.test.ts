/** The proxy's machine and its rules, one by one; and what strangers send to a proxy. */
import {
  Contact,
  formatUri,
  MaxForwards,
  type Params,
  Route,
  type SipRequest,
  SipResponse,
  sipUri,
} from '@sip-stack/parser';
import t from 'tap';
import { bestResponse } from '../../src/sip/proxy/best-response.js';
import {
  type ProxyAction,
  type ProxyContext,
  type ProxyEvent,
  type ProxySettings,
  proxyContext,
} from '../../src/sip/proxy/context.js';
import { stepProxy } from '../../src/sip/proxy/machine.js';
import { preferencesOf, scoreOf } from '../../src/sip/proxy/preferences.js';
import { groupTargets, plainTarget } from '../../src/sip/proxy/target.js';
import { makeResponse } from '../../src/sip/response.js';
import { proxied, proxySettings, SELF } from './proxied.js';
import { hop, Lab, target } from './proxy-lab.js';

const CALLER = hop('10.0.0.1');
function contextOf(received: SipRequest, changes: Partial<ProxySettings> = {}): ProxyContext {
  return proxyContext(received, {
    source: CALLER,
    settings: { ...proxySettings, ...changes },
    tag: 'p',
  });
}

/** Admits, locates `count` phones of equal q, and tells how to reach them. */
function forked(received: SipRequest, count: number): ProxyContext {
  const context = contextOf(received);
  stepProxy(context, { type: 'admitted' });
  const found = Array.from({ length: count }, (_, index) => target(phone(index), { hop: CALLER }));
  stepProxy(context, { type: 'located', found });
  return context;
}

const phone = (index: number) => sipUri({ user: String(index), host: `10.0.2.${index}` });

const answered = (context: ProxyContext, branch: number, status: number): ProxyEvent => ({
  type: 'response',
  branch,
  response: answer(context.request, status),
});

/** As it comes from a branch: with our Via on top. */
function answer(to: SipRequest, status: number): SipResponse {
  const response = makeResponse(to, status, `b${status}`);
  response.headers.setText('Via', 'SIP/2.0/UDP self', ...to.headers.texts('Via'));
  return response;
}

/** Actions as short text; cancelled timers left out. */
function brief(actions: readonly ProxyAction[]): string[] {
  return actions.filter(({ type }) => type !== 'cancel-timer').map(inShort);
}

function inShort(action: ProxyAction): string {
  switch (action.type) {
    case 'respond':
      return `respond ${action.response.status}`;
    case 'send':
    case 'cancel':
    case 'resolve':
    case 'forget':
      return `${action.type} ${action.branch}`;
    case 'set-timer':
      return `set ${action.timer.name} ${action.ms}`;
    case 'cancel-timer':
    case 'abandon':
    case 'locate':
    case 'release':
      return action.type;
  }
}

const validations: readonly [what: string, received: SipRequest, actions: string[]][] = [
  [
    'no hops left',
    proxied('INVITE', 'sip:b@one.example', 'Max-Forwards: 0'),
    ['respond 483', 'set linger 32000'],
  ],
  [
    'hops counted by OPTIONS',
    proxied('OPTIONS', 'sip:b@x', 'Max-Forwards: 0'),
    ['respond 200', 'release'],
  ],
  ['OPTIONS to the proxy', proxied('OPTIONS', `sip:${SELF}`), ['respond 200', 'release']],
  [
    'an unknown extension',
    proxied('BYE', 'sip:b@x', 'Proxy-Require: known, x'),
    ['respond 420', 'release'],
  ],
  [
    'a known extension',
    proxied('BYE', 'sip:b@x', 'Proxy-Require: known'),
    ['set late 32000', 'resolve 0'],
  ],
  [
    'no breadth left',
    proxied('BYE', 'sip:b@x', 'Max-Breadth: 0'),
    ['set late 32000', 'respond 440', 'release'],
  ],
  [
    'a tel: address of nobody',
    proxied('BYE', 'tel:+1'),
    ['set late 32000', 'respond 416', 'release'],
  ],
  ['an address of ours', proxied('INVITE', 'sip:b@one.example'), ['locate']],
  ['an address of others', proxied('INVITE', 'sip:b@two.example'), ['resolve 0']],
];
for (const [what, received, actions] of validations) {
  t.test(`validation (§16.3): ${what}`, async t => {
    t.same(brief(stepProxy(contextOf(received), { type: 'admitted' })), actions);
  });
}

/** What goes out for a request that came in, and where to. */
function forwarded(received: SipRequest, changes: Partial<ProxySettings> = {}) {
  const context = contextOf(received, changes);
  const [resolve] = stepProxy(context, { type: 'admitted' }).slice(-1);
  const [send] = stepProxy(context, { type: 'resolved', branch: 0, hops: [CALLER] });
  if (resolve?.type !== 'resolve' || send?.type !== 'send') throw new Error('expected a way on');
  const { headers, uri } = send.request;
  return {
    to: 'host' in resolve.uri ? resolve.uri.host : '',
    uri: 'host' in uri ? uri.host : '',
    route: headers.texts('Route'),
    recordRoute: headers.texts('Record-Route'),
    headers,
  };
}

t.test('loose routing: our entries go, the next is followed (§16.4, §16.6)', async t => {
  const lines = [`Route: <sip:${SELF};lr>, <sip:${SELF};lr>`, 'Route: <sip:p2;lr>'];
  const result = forwarded(proxied('INVITE', 'sip:b@10.0.0.2', ...lines));
  t.equal(result.to, 'p2');
  t.equal(result.uri, '10.0.0.2');
  t.same(result.route, ['<sip:p2;lr>']);
  t.same(result.recordRoute, [`<sip:${SELF}:5060;lr>`]);
  t.equal(result.headers.first(MaxForwards), 69);
});

t.test('a strict router before us: the last Route is the target (§16.4)', async t => {
  const lines = ['Route: <sip:p2;lr>', 'Route: <sip:b@10.0.0.2>'];
  const result = forwarded(proxied('BYE', `sip:${SELF};lr`, ...lines));
  t.equal(result.to, 'p2');
  t.equal(result.uri, '10.0.0.2');
  t.same(result.route, ['<sip:p2;lr>']);
});

t.test('a strict router after us gets its own address as Request-URI (§16.6 step 6)', async t => {
  const lines = [`Route: <sip:${SELF};lr>`, 'Route: <sip:strict>, <sip:p3;lr>'];
  const result = forwarded(proxied('BYE', 'sip:b@10.0.0.2', ...lines));
  t.equal(result.to, 'strict');
  t.equal(result.uri, 'strict');
  t.same(result.route, ['<sip:p3;lr>', '<sip:b@10.0.0.2>']);
});

t.test('a request to a contact takes its Path as Route (RFC 3327 §5.4)', async t => {
  const context = contextOf(proxied('INVITE', 'sip:b@one.example'));
  stepProxy(context, { type: 'admitted' });
  const route = [Route.parse('<sip:p3;lr>'), Route.parse('<sip:p2;lr>')];
  const found = [target(phone(1), { route, hop: CALLER })];
  const [resolve] = stepProxy(context, { type: 'located', found });
  t.same(resolve?.type === 'resolve' && resolve.uri, route[0]?.uri, 'not the flow');
  const [send] = stepProxy(context, { type: 'resolved', branch: 0, hops: [CALLER] });
  t.same(send?.type === 'send' && send.request.headers.texts('Route'), [
    '<sip:p3;lr>',
    '<sip:p2;lr>',
  ]);
});

t.test('between two transports the route is recorded for both sides (RFC 5658)', async t => {
  const addressFor: ProxySettings['addressFor'] = side =>
    side === CALLER
      ? { transport: 'UDP', host: SELF, port: 5060 }
      : { transport: 'TCP', host: SELF, port: 5061 };
  const context = contextOf(proxied('INVITE', 'sip:b@two.example'), { addressFor });
  stepProxy(context, { type: 'admitted' });
  const [send] = stepProxy(context, {
    type: 'resolved',
    branch: 0,
    hops: [hop('10.9.9.9')],
  });
  t.same(send?.type === 'send' && send.request.headers.texts('Record-Route'), [
    `<sip:${SELF}:5061;lr;transport=tcp>`,
    `<sip:${SELF}:5060;lr>`,
  ]);
});

t.test('a request without Max-Forwards gets one', async t => {
  const received = proxied('BYE', 'sip:b@10.0.0.2');
  received.headers.delete('Max-Forwards');
  t.equal(forwarded(received).headers.first(MaxForwards), 70);
});

const bests: readonly [statuses: number[], best: number][] = [
  [[486, 480, 603], 603],
  [[500, 486], 486],
  [[404, 401, 302], 302],
  [[404, 407], 407],
  [[486, 484], 484],
  [[503, 502], 502],
  [[503], 500],
  [[503, 408], 408],
];
for (const [statuses, best] of bests) {
  t.test(`of ${statuses.join(', ')} the best answer is ${best} (§16.7 step 6)`, async t => {
    const finals = statuses.map(status => new SipResponse({ status }));
    t.equal(bestResponse(finals)?.status, best);
    t.equal(bestResponse(finals.reverse())?.status, best);
  });
}

t.test('a challenge carries those of all branches (§16.7 step 7)', async t => {
  const challenged = (status: number, name: string, value: string) => {
    const response = new SipResponse({ status });
    response.headers.setText(name, value);
    return response;
  };
  const best = bestResponse([
    challenged(407, 'Proxy-Authenticate', 'Digest realm="a"'),
    challenged(401, 'WWW-Authenticate', 'Digest realm="b"'),
    challenged(407, 'Proxy-Authenticate', 'Digest realm="c"'),
  ]);
  t.equal(best?.status, 407);
  t.same(best?.headers.texts('Proxy-Authenticate'), ['Digest realm="a"', 'Digest realm="c"']);
  t.same(best?.headers.texts('WWW-Authenticate'), ['Digest realm="b"']);
});

t.test('a CANCEL waits for the first provisional response of each branch (§9.1)', async t => {
  const context = forked(proxied('INVITE', 'sip:b@one.example'), 2);
  t.same(brief(stepProxy(context, answered(context, 0, 180))), ['set C 181000', 'respond 180']);
  t.same(brief(stepProxy(context, { type: 'cancelled' })), ['cancel 0', 'set cancel 32000']);
  t.same(brief(stepProxy(context, answered(context, 1, 100))), ['cancel 1', 'set cancel 32000']);
  t.same(brief(stepProxy(context, answered(context, 0, 487))), []);
  t.same(brief(stepProxy(context, answered(context, 1, 487))), ['respond 487', 'set linger 32000']);
});

t.test('cancelled before anything was sent, it is answered at once', async t => {
  const context = contextOf(proxied('INVITE', 'sip:b@one.example'));
  stepProxy(context, { type: 'admitted' });
  t.same(brief(stepProxy(context, { type: 'cancelled' })), ['respond 487', 'set linger 32000']);
  t.same(brief(stepProxy(context, { type: 'located', found: [target(phone(1))] })), []);
});

t.test('a branch that does not end after its CANCEL is given up after 64 T1', async t => {
  const context = forked(proxied('INVITE', 'sip:b@one.example'), 1);
  stepProxy(context, answered(context, 0, 180));
  stepProxy(context, { type: 'cancelled' });
  const timer = { name: 'cancel', branch: 0 } as const;
  t.same(brief(stepProxy(context, { type: 'timer', timer })), [
    'forget 0',
    'respond 487',
    'set linger 32000',
  ]);
  t.same(brief(stepProxy(context, { type: 'timer', timer: { name: 'linger' } })), ['release']);
  t.same(brief(stepProxy(context, answered(context, 0, 200))), []);
});

t.test('a 2xx that is sent again passes again, and keeps nothing longer', async t => {
  const context = forked(proxied('INVITE', 'sip:b@one.example'), 1);
  t.same(brief(stepProxy(context, answered(context, 0, 200))), ['respond 200', 'set linger 32000']);
  t.same(brief(stepProxy(context, answered(context, 0, 200))), ['respond 200']);
});

t.test('a 2xx that crosses the CANCEL goes back', async t => {
  const context = forked(proxied('INVITE', 'sip:b@one.example'), 1);
  stepProxy(context, answered(context, 0, 180));
  stepProxy(context, { type: 'cancelled' });
  t.same(brief(stepProxy(context, answered(context, 0, 200))), ['respond 200', 'set linger 32000']);
});

t.test(
  'whose call was taken elsewhere is told so (RFC 3326); no-cancel lets others ring on',
  async t => {
    const both = (line: string) => {
      const context = forked(proxied('INVITE', 'sip:b@one.example', line), 2);
      stepProxy(context, answered(context, 1, 180));
      return stepProxy(context, answered(context, 0, 200));
    };
    const cancel = both('Subject: x').find(action => action.type === 'cancel');
    t.match(cancel?.type === 'cancel' && cancel.reason, /Call completed elsewhere/);
    t.same(brief(both('Request-Disposition: no-cancel')), ['respond 200']);
  },
);

t.test('other requests: the first 2xx only, no 408, nothing late (RFC 4320)', async t => {
  const several = forked(proxied('MESSAGE', 'sip:b@one.example'), 2);
  t.same(brief(stepProxy(several, answered(several, 0, 100))), [], 'no provisional response');
  t.same(brief(stepProxy(several, answered(several, 0, 200))), ['respond 200', 'release']);
  t.same(brief(stepProxy(several, answered(several, 1, 200))), []);
  const silent = forked(proxied('MESSAGE', 'sip:b@one.example'), 1);
  const failed = { type: 'failed', branch: 0, reason: 'timeout' } as const;
  t.same(brief(stepProxy(silent, failed)), ['abandon', 'release']);
  const late = forked(proxied('MESSAGE', 'sip:b@one.example'), 1);
  t.same(brief(stepProxy(late, { type: 'timer', timer: { name: 'late' } })), [
    'abandon',
    'release',
  ]);
  t.same(brief(stepProxy(late, answered(late, 0, 200))), []);
});

t.test(
  'a target that cannot be reached one way is tried the next (RFC 3263 §4.3, RFC 5626)',
  async t => {
    const context = contextOf(proxied('INVITE', 'sip:b@one.example'));
    stepProxy(context, { type: 'admitted' });
    const alternate = target(phone(2), { hop: CALLER });
    stepProxy(context, { type: 'located', found: [target(phone(1), { alternates: [alternate] })] });
    const hops = [CALLER, hop('10.0.0.9')];
    t.same(brief(stepProxy(context, { type: 'resolved', branch: 0, hops })), [
      'send 0',
      'set C 181000',
    ]);
    const lost = { type: 'failed', branch: 0, reason: 'transport' } as const;
    const [second] = stepProxy(context, lost);
    t.same(second?.type === 'send' && second.hop, hop('10.0.0.9'));
    const [third] = stepProxy(context, answered(context, 0, 503));
    t.same(third?.type === 'send' && third.request.uri, phone(2));
    t.same(brief(stepProxy(context, lost)), ['respond 500', 'set linger 32000']);
  },
);

t.test(
  'forks share the breadth they were given, and wait where there is none (RFC 5393 §5)',
  async t => {
    const context = contextOf(proxied('INVITE', 'sip:b@one.example', 'Max-Breadth: 2'));
    stepProxy(context, { type: 'admitted' });
    const found = [1, 2, 3].map(index => target(phone(index), { hop: CALLER }));
    const first = stepProxy(context, { type: 'located', found });
    t.same(brief(first), ['send 0', 'set C 181000', 'send 1', 'set C 181000']);
    const breadths = first.flatMap(action =>
      action.type === 'send' ? action.request.headers.texts('Max-Breadth') : [],
    );
    t.same(breadths, ['1', '1']);
    t.same(brief(stepProxy(context, answered(context, 0, 486))), ['send 2', 'set C 181000']);
  },
);

t.test('redirect: the caller gets the targets instead (RFC 3841 §9.1)', async t => {
  const context = contextOf(
    proxied('INVITE', 'sip:b@one.example', 'Request-Disposition: redirect'),
  );
  stepProxy(context, { type: 'admitted' });
  const found = [target(phone(1), { q: 0.1 }), target(phone(2))];
  const [action] = stepProxy(context, { type: 'located', found });
  if (action?.type !== 'respond') throw new Error('expected a response');
  t.equal(action.response.status, 302);
  t.same(action.response.headers.texts('Contact'), ['<sip:2@10.0.2.2>', '<sip:1@10.0.2.1>']);
});

const orders: readonly [directive: string | undefined, groups: number[][]][] = [
  [undefined, [[2, 3], [1]]],
  ['parallel', [[2, 3, 1]]],
  ['sequential', [[2], [3], [1]]],
  ['no-fork', [[2]]],
];
for (const [directive, expected] of orders) {
  t.test(`targets are tried by q: ${directive ?? 'no directive'}`, async t => {
    const targets = [target(phone(1), { q: 0.5 }), target(phone(2)), target(phone(3))];
    const groups = groupTargets(
      targets,
      { method: 'INVITE', accept: [], reject: [] },
      directive as Parameters<typeof groupTargets>[2],
    );
    const users = groups.map(group => group.map(({ uri }) => 'user' in uri && Number(uri.user)));
    t.same(users, expected);
  });
}

const preferences: readonly [contact: string, lines: string[], score: number | undefined][] = [
  ['', ['Accept-Contact: *;video;require;explicit'], 1],
  [';audio;video', ['Accept-Contact: *;audio;video'], 1],
  [';audio', ['Accept-Contact: *;audio;video'], 0.5],
  [';audio', ['Accept-Contact: *;audio;video;explicit'], 0],
  [';audio', ['Accept-Contact: *;audio;video;explicit;require'], undefined],
  [';audio;video="FALSE"', ['Accept-Contact: *;video'], 0],
  [';audio;video="FALSE"', ['Accept-Contact: *;video;require'], undefined],
  [';audio', ['Accept-Contact: *;audio', 'Accept-Contact: *;video'], 0.5],
  [';language="en,de"', ['Accept-Contact: *;language="de,fr";require'], 1],
  [';language="en"', ['Accept-Contact: *;language="!en";require'], undefined],
  [';priority="#<=5"', ['Accept-Contact: *;priority="#>=5";require'], 1],
  [';priority="#1:4"', ['Accept-Contact: *;priority="#=5";require'], undefined],
  [';+sip.x="<Ab,c>"', ['Accept-Contact: *;+sip.x="<Ab,c>";require;explicit'], 1],
  [';+sip.x="<Ab,c>"', ['Accept-Contact: *;+sip.x="<ab,c>";require'], undefined],
  [';automata', ['Reject-Contact: *;automata'], undefined],
  [';automata', ['Reject-Contact: *;automata;video'], 1],
  [';audio', ['Reject-Contact: *;automata'], 1],
  [';methods="INVITE,BYE"', [], 1],
  [';methods="MESSAGE"', [], undefined],
];
for (const [params, lines, score] of preferences) {
  t.test(
    `a device${params} for ${lines.join(' and ') || 'INVITE'}: ${score ?? 'not tried'}`,
    async t => {
      const contact = Contact.parse(`<sip:a@h>${params}`);
      const features: Params | undefined = contact === '*' ? undefined : contact.params;
      t.equal(scoreOf(features, preferencesOf(proxied('INVITE', 'sip:x', ...lines))), score);
    },
  );
}

// ---- strangers

const STRANGER = '10.0.0.9';

async function stranger(changes = {}) {
  const lab = new Lab();
  const host = await lab.proxy(SELF, 'one.example', changes);
  const device = await lab.device(STRANGER, 5060);
  const send = async (message: SipRequest, ms = 100) => {
    const lines = [...message.headers.entries()].map(([name, value]) => `${name}: ${value}`);
    device.send(
      SELF,
      `${message.method} ${formatUri(message.uri)} SIP/2.0\r\n${lines.join('\r\n')}\r\n\r\n`,
    );
    await lab.clock.advance(ms);
    return device.heard.at(-1);
  };
  return { lab, host, send, heard: device.heard };
}

const VIA = `Via: SIP/2.0/UDP ${STRANGER};branch=z9hG4bKs`;

t.test('policy comes first, and its refusal goes back', async t => {
  const admit = async (received: SipRequest) => makeResponse(received, 407, 'x');
  const { lab, send } = await stranger({ admit });
  const response = await send(proxied('INVITE', 'sip:b@one.example', VIA));
  t.equal(response?.kind === 'response' && response.status, 407);
  await send(proxied('ACK', 'sip:b@one.example', VIA));
  await lab.isIdle(t);
});

t.test('a location service that fails is answered 500, a malformed preference 400', async t => {
  const targets = async () => {
    throw new Error('no store');
  };
  const { lab, send } = await stranger({ targets });
  const failed = await send(proxied('MESSAGE', 'sip:b@one.example', VIA));
  t.equal(failed?.kind === 'response' && failed.status, 500);
  const odd = proxied('MESSAGE', 'sip:b@two.example', `${VIA}2`, 'Accept-Contact: <<<');
  const refused = await send(odd);
  t.equal(refused?.kind === 'response' && refused.status, 400);
  await lab.isIdle(t);
});

t.test('a CANCEL of nothing is answered 481', async t => {
  const { lab, send } = await stranger();
  const response = await send(proxied('CANCEL', 'sip:b@one.example', VIA));
  t.equal(response?.kind === 'response' && response.status, 481);
  await lab.isIdle(t);
});

const acks: readonly [what: string, uri: string, lines: string[], passes: boolean][] = [
  ['to a contact', 'sip:b@10.0.0.2', [`Route: <sip:${SELF};lr>`], true],
  ['by a further route', 'sip:b@one.example', ['Route: <sip:10.0.0.2;lr>'], true],
  ['to an address only the proxy knows', 'sip:b@one.example', [], false],
  ['to the proxy itself', `sip:x@${SELF}`, [], false],
  ['without hops left', 'sip:b@10.0.0.2', ['Max-Forwards: 0'], false],
];
for (const [what, uri, lines, passes] of acks) {
  t.test(`an ACK ${passes ? 'passes without state' : 'is dropped'}: ${what}`, async t => {
    const { lab, send, host } = await stranger();
    const phone = await lab.device('10.0.0.2', 5060);
    await send(proxied('ACK', uri, VIA, ...lines));
    await send(proxied('ACK', uri, VIA, ...lines));
    t.equal(phone.heard.length, passes ? 2 : 0);
    const [first, second] = phone.heard.map(({ headers }) => headers.text('Via'));
    t.equal(first, second, 'sent again with the branch it had (§16.11)');
    t.equal(phone.heard[0]?.headers.first(Route)?.uri !== undefined, what.startsWith('by'));
    t.same(lab.sent(SELF, SELF), [], 'never to ourselves');
    t.equal(host.proxy.size, 0);
    await lab.isIdle(t);
  });
}

t.test('an ACK to a GRUU goes to the device it names (RFC 5627 §4.4)', async t => {
  const asked: string[] = [];
  const { lab, send, host } = await stranger({
    targets: async ({ uri }: SipRequest) => {
      asked.push(formatUri(uri));
      return [plainTarget(sipUri({ user: 'b', host: '10.0.0.2', port: 5060 }))];
    },
  });
  const phone = await lab.device('10.0.0.2', 5060);
  const gruu = 'sip:b@one.example;gr=urn:uuid:1';
  await send(proxied('ACK', gruu, VIA, `Route: <sip:${SELF};lr>`));
  t.same(asked, [gruu]);
  const [ack] = phone.heard;
  t.equal(ack?.kind === 'request' && formatUri(ack.uri), 'sip:b@10.0.0.2:5060');
  t.equal(ack?.headers.has(Route), false);
  t.equal(host.proxy.size, 0);
  await lab.isIdle(t);
});

t.test('a request to a phone that is gone leaves nothing, and is not answered', async t => {
  const { lab, send, heard } = await stranger();
  await send(proxied('MESSAGE', 'sip:b@10.0.0.77', VIA), 40_000);
  t.same(heard, []);
  await lab.isIdle(t);
});

t.test('a proxy that stops leaves no timer', async t => {
  const { lab, host, send } = await stranger();
  await send(proxied('INVITE', 'sip:b@10.0.0.77', VIA));
  t.equal(host.proxy.size, 1);
  host.proxy.stop();
  host.layer.close();
  t.equal(host.proxy.size, 0);
  t.equal(lab.clock.pending, 0);
});
