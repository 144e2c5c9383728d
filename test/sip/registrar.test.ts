import {
  formatUri,
  Params,
  parseMessage,
  parseUri,
  type SipRequest,
  type SipResponse,
  sipUri,
} from '@sip-stack/parser';
import t from 'tap';
import { silentLogger } from '../../src/core/logger.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { addressOfRecord } from '../../src/sip/registrar/binding.js';
import type { RegistrarLimits } from '../../src/sip/registrar/machine.js';
import { lookup, newRegistrar, stepRegistrar } from '../../src/sip/registrar/machine.js';
import { Registrar, SWEEP_INTERVAL_MS } from '../../src/sip/registrar/registrar.js';
import { makeResponse } from '../../src/sip/response.js';
import { hop } from './proxy-lab.js';

const AOR = 'sip:alice@example.com';
const PHONE = hop('10.0.0.1');

/** Lines of a REGISTER beside the usual ones; a line of the same name replaces a usual one. */
function register(...lines: string[]): SipRequest {
  const usual = [
    'Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1',
    'From: <sip:alice@example.com>;tag=a',
    'To: <sip:alice@example.com>',
    'Call-ID: one',
    'CSeq: 1 REGISTER',
  ].filter(line => !lines.some(other => other.split(':')[0] === line.split(':')[0]));
  const text = ['REGISTER sip:example.com SIP/2.0', ...usual, ...lines, '', ''].join('\r\n');
  const message = parseMessage(Buffer.from(text));
  if (message.kind !== 'request') throw new Error('expected a request');
  return message;
}

function bench(limits: Partial<RegistrarLimits> = {}) {
  const state = newRegistrar(limits);
  const step = (now: number, request: SipRequest, aor = AOR) => {
    const actions = stepRegistrar(state, {
      type: 'register',
      request,
      aor,
      flow: PHONE,
      tag: 't',
      serviceRoute: [],
      now,
    });
    const answer = actions.find(action => action.type === 'respond');
    if (answer?.type !== 'respond') throw new Error('expected a response');
    return { response: answer.response, changed: actions.length > 1 };
  };
  const uris = (now: number) => lookup(state, AOR, now).map(({ uri }) => formatUri(uri));
  return { state, step, uris };
}

const contactsOf = ({ headers }: SipResponse) => headers.texts('Contact');

t.test('a binding is listed with what is left of its time, and gone when that is over', async t => {
  const { step, uris } = bench();
  const { response, changed } = step(0, register('Contact: <sip:a@10.0.0.1>;expires=100'));
  t.equal(response.status, 200);
  t.ok(changed);
  t.match(response.headers.text('To'), /tag=t/);
  t.same(contactsOf(response), ['<sip:a@10.0.0.1>;expires=100']);
  const fetched = step(40_000, register('CSeq: 2 REGISTER'));
  t.same(contactsOf(fetched.response), ['<sip:a@10.0.0.1>;expires=60']);
  t.notOk(fetched.changed, 'a question changes nothing');
  t.same(uris(99_999), ['sip:a@10.0.0.1']);
  t.same(uris(100_000), []);
  t.same(contactsOf(step(100_000, register('CSeq: 3 REGISTER')).response), []);
});

const lifetimes: readonly [what: string, lines: string[], status: number, expires?: number][] = [
  ['the default', ['Contact: <sip:a@h>'], 200, 3600],
  ['the header field', ['Contact: <sip:a@h>', 'Expires: 90'], 200, 90],
  [
    'the parameter before the header field',
    ['Contact: <sip:a@h>;expires=80', 'Expires: 90'],
    200,
    80,
  ],
  ['a malformed parameter as the default', ['Contact: <sip:a@h>;expires=soon'], 200, 3600],
  ['no more than the most', ['Contact: <sip:a@h>;expires=100000'], 200, 7200],
  ['too little, refused', ['Contact: <sip:a@h>;expires=59'], 423],
];
for (const [what, lines, status, expires] of lifetimes) {
  t.test(`lifetime: ${what}`, async t => {
    const { response } = bench().step(0, register(...lines));
    t.equal(response.status, status);
    if (expires !== undefined) t.match(contactsOf(response)[0], new RegExp(`;expires=${expires}$`));
    else t.equal(response.headers.text('Min-Expires'), '60');
  });
}

const refusals: readonly [what: string, status: number, lines: string[]][] = [
  ['a required extension', 420, ['Require: teleport', 'Contact: <sip:b@h>']],
  ['* without Expires: 0', 400, ['Contact: *', 'Expires: 60']],
  ['* without Expires', 400, ['Contact: *']],
  ['* beside a contact', 400, ['Contact: *', 'Contact: <sip:b@h>', 'Expires: 0']],
  ['* overtaken', 500, ['Contact: *', 'Expires: 0', 'CSeq: 5 REGISTER']],
  ['an update overtaken', 500, ['Contact: <sip:a@h>', 'CSeq: 5 REGISTER']],
  ['a removal overtaken', 500, ['Contact: <sip:a@h>;expires=0', 'CSeq: 4 REGISTER']],
  [
    'a good contact beside one overtaken',
    500,
    ['Contact: <sip:c@h>, <sip:a@h>', 'CSeq: 5 REGISTER'],
  ],
  ['a good contact beside one too brief', 423, ['Contact: <sip:c@h>, <sip:d@h>;expires=1']],
  ['more contacts than an address may have', 403, ['Contact: <sip:1@h>, <sip:2@h>, <sip:3@h>']],
  ['a contact longer than may be kept', 513, [`Contact: <sip:${'x'.repeat(3000)}@h>`]],
  [
    'two numbered flows at once',
    400,
    ['a', 'b'].map(i => `Contact: <sip:${i}@h>;reg-id=1;+sip.instance="<urn:${i}>"`),
  ],
  [
    'a numbered flow through a proxy that keeps none',
    439,
    ['Via: SIP/2.0/UDP p, SIP/2.0/UDP h', 'Contact: <sip:b@h>;reg-id=1;+sip.instance="<urn:1>"'],
  ],
];
for (const [what, status, lines] of refusals) {
  t.test(`refused with ${status}, and nothing changed: ${what}`, async t => {
    const { step, uris } = bench({ perAddress: 3 });
    step(0, register('Contact: <sip:a@h>', 'CSeq: 5 REGISTER'));
    const sequence = lines.some(line => line.startsWith('CSeq')) ? [] : ['CSeq: 6 REGISTER'];
    const { response, changed } = step(1000, register(...sequence, ...lines));
    t.equal(response.status, status);
    t.notOk(changed);
    t.same(uris(1000), ['sip:a@h']);
    if (status === 420) t.equal(response.headers.text('Unsupported'), 'teleport');
  });
}

t.test('a later request of the same series, or any of another, changes a binding', async t => {
  const { step, uris } = bench();
  step(0, register('Contact: <sip:a@h>', 'CSeq: 5 REGISTER'));
  t.equal(step(0, register('Contact: <sip:a@h>', 'CSeq: 6 REGISTER')).response.status, 200);
  const other = register('Contact: <sip:a@h>;expires=0', 'Call-ID: two', 'CSeq: 1 REGISTER');
  t.equal(step(0, other).response.status, 200);
  t.same(uris(0), []);
});

t.test('* with Expires: 0 removes every binding, whoever made it', async t => {
  const { state, step, uris } = bench();
  step(0, register('Contact: <sip:a@h>, <sip:b@h>', 'CSeq: 5 REGISTER'));
  step(0, register('Contact: <sip:c@h>', 'Call-ID: two'));
  const { response } = step(0, register('Contact: *', 'Expires: 0', 'CSeq: 6 REGISTER'));
  t.equal(response.status, 200);
  t.same(contactsOf(response), []);
  t.same(uris(0), []);
  t.equal(state.size, 0);
  t.equal(state.bindings.size, 0);
});

t.test('the same URI written otherwise is the same contact (§19.1.4)', async t => {
  const { step, uris } = bench();
  step(0, register('Contact: <sip:%61@H.example>'));
  step(0, register('Contact: <sip:a@h.example>', 'CSeq: 2 REGISTER'));
  t.equal(uris(0).length, 1);
});

t.test('a GRUU leads to the registrar, by its port too (RFC 5627 §3.1)', async t => {
  const contact = 'Contact: <sip:a@10.0.0.7>;+sip.instance="<urn:uuid:1>"';
  const gruuAt = (registrar: string, to: string) => {
    const request = register(contact, 'Supported: gruu', `To: <${to}>`);
    request.uri = parseUri(registrar);
    return /pub-gruu="([^"]*)"/.exec(String(contactsOf(bench().step(0, request).response)))?.[1];
  };
  const gr = 'gr=urn:uuid:1';
  t.equal(gruuAt('sip:10.0.0.1', 'sip:a@10.0.0.1'), `sip:a@10.0.0.1;${gr}`);
  t.equal(gruuAt('sip:10.0.0.1:5070', 'sip:a@10.0.0.1'), `sip:a@10.0.0.1:5070;${gr}`);
  t.equal(gruuAt('sip:10.0.0.1', 'sip:a@10.0.0.1:5080'), `sip:a@10.0.0.1:5080;${gr}`);
  t.equal(gruuAt('sip:edge.example:5070', 'sip:a@h.example'), `sip:a@h.example;${gr}`);
});

t.test('a device that comes back with another address replaces its binding', async t => {
  const { step, uris } = bench();
  const instance = '+sip.instance="<urn:uuid:1>"';
  step(0, register(`Contact: <sip:a@10.0.0.1>;${instance}`));
  step(0, register(`Contact: <sip:a@10.0.0.7>;${instance}`, 'Call-ID: after-reboot'));
  step(0, register('Contact: <sip:a@10.0.0.8>;+sip.instance="<urn:uuid:2>"', 'Call-ID: other'));
  t.same(uris(0).sort(), ['sip:a@10.0.0.7', 'sip:a@10.0.0.8']);
});

t.test(
  'several flows of one device are one target, the latest first, the others beside it',
  async t => {
    const { state, step } = bench();
    for (const [regId, now] of [
      [1, 1000],
      [2, 2000],
      [1, 3000],
    ] as const) {
      const contact = `Contact: <sip:a@10.0.0.1>;reg-id=${regId};+sip.instance="<urn:uuid:1>"`;
      const request = register(contact, 'Supported: outbound', `CSeq: ${now} REGISTER`);
      const { response } = step(now, request);
      t.equal(response.headers.text('Require'), 'outbound');
    }
    const [device, ...others] = lookup(state, AOR, 4000);
    t.same(others, []);
    t.equal(device?.params.get('reg-id'), '1');
    t.same(
      device?.alternates.map(({ params }) => params.get('reg-id')),
      ['2'],
    );
  },
);

t.test('contacts are ordered by q, then by which is fresher', async t => {
  const { step, uris } = bench();
  step(0, register('Contact: <sip:a@h>;q=0.3, <sip:b@h>;q=0.7'));
  step(1, register('Contact: <sip:c@h>;q=0.7', 'CSeq: 2 REGISTER'));
  step(2, register('Contact: <sip:d@h>', 'CSeq: 3 REGISTER'));
  t.same(uris(3), ['sip:d@h', 'sip:c@h', 'sip:b@h', 'sip:a@h']);
});

t.test(
  'Path is kept, told and comes with the contact; Service-Route is told (RFC 3327, 3608)',
  async t => {
    const state = newRegistrar();
    const [action] = stepRegistrar(state, {
      type: 'register',
      request: register(
        'Path: <sip:p2;lr>, <sip:p1;lr;ob>',
        'Contact: <sip:a@h>',
        'Supported: path',
      ),
      aor: AOR,
      flow: PHONE,
      tag: 't',
      serviceRoute: [{ uri: sipUri({ host: 's', params: { lr: '' } }), params: new Params() }],
      now: 0,
    });
    if (action?.type !== 'respond') throw new Error('expected a response');
    t.same(action.response.headers.texts('Path'), ['<sip:p2;lr>', '<sip:p1;lr;ob>']);
    t.equal(action.response.headers.text('Service-Route'), '<sip:s;lr>');
    const [contact] = lookup(state, AOR, 0);
    t.same(
      contact?.path.map(({ uri }) => formatUri(uri)),
      ['sip:p2;lr', 'sip:p1;lr;ob'],
    );
    t.equal(contact?.flow, undefined, 'its way back is the path');
  },
);

const flows: readonly [what: string, lines: string[], known: boolean][] = [
  ['a phone for itself', ['Contact: <sip:a@10.0.0.1>'], true],
  ['a browser', ['Contact: <sip:a@x1.invalid;transport=ws>'], true],
  ['one device for another', ['Contact: <sip:a@10.0.0.2>'], false],
  ['one program for another on the same host', ['Contact: <sip:a@10.0.0.1:5070>'], false],
  [
    'by way of a proxy',
    ['Via: SIP/2.0/UDP p, SIP/2.0/UDP 10.0.0.1', 'Contact: <sip:a@10.0.0.1>'],
    false,
  ],
];
for (const [what, lines, known] of flows) {
  t.test(`the flow is ${known ? '' : 'not '}the way back: ${what}`, async t => {
    const { state, step } = bench();
    step(0, register(...lines));
    t.same(lookup(state, AOR, 0)[0]?.flow, known ? PHONE : undefined);
  });
}

t.test(
  'a full registrar refuses new bindings, refreshes old ones, and recovers with time',
  async t => {
    const { state, step } = bench({ inAll: 2 });
    const other = 'sip:bob@example.com';
    step(0, register('Contact: <sip:a@h>;expires=60, <sip:b@h>;expires=600'));
    const refused = step(0, register('Contact: <sip:c@h>'), other).response;
    t.equal(refused.status, 503);
    t.equal(refused.headers.text('Retry-After'), '60');
    const refreshed = step(0, register('Contact: <sip:b@h>', 'CSeq: 2 REGISTER'));
    t.equal(refreshed.response.status, 200);
    t.same(stepRegistrar(state, { type: 'sweep', now: 60_000 }), [{ type: 'changed', aor: AOR }]);
    t.same(stepRegistrar(state, { type: 'sweep', now: 60_000 }), []);
    t.equal(step(60_000, register('Contact: <sip:c@h>'), other).response.status, 200);
    t.equal(state.size, 2);
  },
);

t.test('an address may have the last binding there is room for', async t => {
  const { state, step } = bench({ inAll: 3 });
  step(0, register('Contact: <sip:a@h>, <sip:b@h>'));
  t.equal(step(0, register('Contact: <sip:c@h>', 'CSeq: 2 REGISTER')).response.status, 200);
  t.equal(state.size, 3);
});

t.test('a contact that is gone can be removed', async t => {
  const { state, step, uris } = bench();
  step(0, register('Contact: <sip:a@h>, <sip:b@h>'));
  const remove = { type: 'remove', aor: AOR, contact: parseUri('sip:a@h'), now: 0 } as const;
  t.same(stepRegistrar(state, remove), [{ type: 'changed', aor: AOR }]);
  t.same(stepRegistrar(state, remove), []);
  t.same(uris(0), ['sip:b@h']);
});

const addresses: readonly [uri: string, aor: string | undefined][] = [
  ['sip:alice@Example.COM', AOR],
  ['sips:alice@example.com', AOR],
  ['sip:%61lice@example.com;transport=tcp', AOR],
  ['sip:alice:secret@example.com', AOR],
  ['sip:Alice@example.com', 'sip:Alice@example.com'],
  ['sip:alice@example.com:5070', 'sip:alice@example.com:5070'],
  ['tel:+1234', undefined],
];
for (const [uri, aor] of addresses) {
  t.test(`the address-of-record of ${uri}`, async t =>
    t.equal(addressOfRecord(parseUri(uri)), aor),
  );
}

/** The driver, with hooks that let `alice` register her own address. */
function driver() {
  const clock = new VirtualClock();
  const changed: string[] = [];
  const registrar = new Registrar({
    clock,
    random: new SeededRandom(1),
    logger: silentLogger,
    hooks: {
      authenticate: async request => {
        const user = request.headers.text('Authorization');
        if (user === 'broken') throw new Error('no password store');
        if (user !== undefined) return { type: 'proven', user };
        return { type: 'refused', response: makeResponse(request, 401, 'x') };
      },
      authorize: (user, aor) => {
        if (!('host' in aor) || aor.host !== 'example.com') return 404;
        return 'user' in aor && aor.user === user ? undefined : 403;
      },
      serviceRoute: () => [],
      changed: aor => changed.push(aor),
    },
  });
  const send = async (...lines: string[]) => {
    const request = register(...lines);
    let status = 0;
    const respond = (response: SipResponse) => {
      status = response.status;
    };
    await registrar.request(request, { request, source: PHONE, respond, abandon: () => undefined });
    return status;
  };
  return { clock, registrar, changed, send };
}

t.test('who may register what is asked before anything is looked at', async t => {
  const { registrar, send } = driver();
  t.equal(await send('Contact: <sip:a@h>', 'Require: teleport'), 401);
  t.equal(await send('Contact: <sip:a@h>', 'Authorization: bob'), 403);
  t.equal(
    await send('Contact: <sip:a@h>', 'Authorization: alice', 'To: <sip:alice@else.where>'),
    404,
  );
  t.equal(await send('Contact: <sip:a@h>', 'Authorization: alice', 'To: <tel:+1>'), 404);
  t.equal(await send('Contact: <sip:a@h>', 'Authorization: broken'), 500);
  t.equal(await send('Contact: <sip:a@h>', 'Authorization: alice', 'Path: <<<'), 400);
  t.equal(registrar.size, 0);
  t.equal(await send('Contact: <sip:a@h>', 'Authorization: alice'), 200);
  t.equal(registrar.lookup(parseUri('sip:alice@EXAMPLE.com')).length, 1);
  t.same(registrar.lookup(parseUri('tel:+1')), []);
});

t.test('one timer serves all bindings, and none is left without bindings', async t => {
  const { clock, registrar, changed, send } = driver();
  for (let sequence = 1; sequence <= 5; sequence++) {
    await send(
      `Contact: <sip:${sequence}@h>;expires=60`,
      'Authorization: alice',
      `CSeq: ${sequence} REGISTER`,
    );
  }
  t.equal(clock.pending, 1);
  await clock.advance(60_000);
  t.same(registrar.lookup(parseUri(AOR)), [], 'invisible at once');
  await clock.advance(SWEEP_INTERVAL_MS);
  t.equal(registrar.size, 0);
  t.equal(clock.pending, 0);
  t.equal(changed.length, 6, 'five registrations, one expiry of all');
  await send('Contact: <sip:a@h>', 'Authorization: alice');
  registrar.remove(parseUri(AOR), parseUri('sip:a@h'));
  t.equal(registrar.size, 0);
  registrar.stop();
  t.equal(clock.pending, 0);
});
