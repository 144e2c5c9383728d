import {
  AuthenticationInfo,
  type AuthenticationValue,
  Authorization,
  formatUri,
  Params,
  ProxyAuthenticate,
  ProxyAuthorization,
  parseUri,
  SipRequest,
  SipResponse,
  SipSyntaxError,
  WwwAuthenticate,
} from '@sip-stack/parser';
import t from 'tap';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import {
  DigestClient,
  type DigestExchange,
  type ExchangeVerdict,
  passwordAccount,
} from '../../src/sip/digest/client.js';
import {
  computeResponse,
  type DigestAlgorithm,
  digestHex,
  ha1Of,
  hashOf,
  readAlgorithm,
  secretOf,
} from '../../src/sip/digest/computation.js';
import { COUNT_WINDOW, NONCE_LIFETIME_MS, Nonces } from '../../src/sip/digest/nonces.js';
import {
  type Acceptance,
  DigestServer,
  type DigestServerOptions,
  isChallengeable,
  type Refusal,
} from '../../src/sip/digest/server.js';

const EMPTY = new Uint8Array();
const PASSWORDS: Readonly<Record<string, string>> = { alice: 'wonder"land\\', bob: 'builder' };

function request(method = 'REGISTER', body = '', uri = 'sip:example.com'): SipRequest {
  return new SipRequest({ method, uri: parseUri(uri), body: Buffer.from(body) });
}

function server(options: Partial<DigestServerOptions> = {}): DigestServer {
  return new DigestServer({
    realm: 'example.com',
    random: new SeededRandom(1),
    store: {
      ha1(username, realm, hash) {
        const password = PASSWORDS[username];
        return password === undefined ? undefined : ha1Of(hash, username, realm, password);
      },
    },
    ...options,
  });
}

function client(username = 'alice', password = PASSWORDS[username] ?? '', seed = 7): DigestClient {
  const account = passwordAccount(username, password);
  return new DigestClient({ account: () => account, random: new SeededRandom(seed) });
}

/** The response of a server that guards everything; `now` in ms. */
function answer(guard: DigestServer, asked: SipRequest, now = 0): SipResponse {
  const verdict = guard.check(overTheWire(asked), now);
  if (verdict.type !== 'accepted') return wired(guard.refuse(asked, verdict, 'tag'));
  const response = new SipResponse({ status: 200, body: Buffer.from('welcome') });
  verdict.prove(response);
  return wired(response);
}

/** Header fields as the other side reads them. */
function overTheWire(message: SipRequest): SipRequest {
  return new SipRequest({ ...message, headers: message.headers.clone() });
}
function wired(response: SipResponse): SipResponse {
  return new SipResponse({ ...response, headers: response.headers.clone() });
}

/** Sends until the exchange is over; the statuses met. */
function send(
  exchange: DigestExchange,
  guard: DigestServer,
  asked = request(),
  now = 0,
): { statuses: number[]; verdict: ExchangeVerdict } {
  const statuses: number[] = [];
  for (;;) {
    exchange.authorize(asked);
    const response = answer(guard, asked, now);
    statuses.push(response.status);
    const verdict = exchange.receive(response);
    if (verdict.type !== 'retry' || statuses.length > 10) return { statuses, verdict };
  }
}

function challenge(
  params: Readonly<Record<string, string>>,
  field = WwwAuthenticate,
  status = 401,
): SipResponse {
  const response = new SipResponse({ status });
  response.headers.set(field, { scheme: 'Digest', params: Params.from(params) });
  return response;
}

const code = (verdict: ExchangeVerdict) =>
  verdict.type === 'failed' ? verdict.error.code : verdict.type;

const authorization = (asked: SipRequest): Params => asked.headers.require(Authorization).params;

t.test('the examples of the RFCs', async t => {
  const example = (
    algorithm: DigestAlgorithm,
    [username, realm, password]: [string, string, string],
    nonce: string,
    cnonce: string,
    uri: string,
  ) => {
    const ha1 = ha1Of(hashOf(algorithm), username, realm, password);
    const protection = { qop: 'auth', cnonce, count: 1 } as const;
    const input = { algorithm, nonce, protection, method: 'GET', uri, body: EMPTY };
    return computeResponse(secretOf(algorithm, ha1, nonce, cnonce), input);
  };
  t.equal(
    example(
      'MD5',
      ['Mufasa', 'testrealm@host.com', 'Circle Of Life'],
      'dcd98b7102dd2f0e8b11d0f600bfb0c093',
      '0a4f113b',
      '/dir/index.html',
    ),
    '6629fae49393a05397450978507c4ef1',
    'RFC 2617 §3.5',
  );
  const simba: Parameters<typeof example> = [
    'MD5',
    ['Mufasa', 'http-auth@example.org', 'Circle of Life'],
    '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
    'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
    '/dir/index.html',
  ];
  t.equal(example(...simba), '8ca523f5e9506fed4657c9700eebdbec', 'RFC 7616 §3.9.1, MD5');
  simba[0] = 'SHA-256';
  t.equal(
    example(...simba),
    '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1',
    'RFC 7616 §3.9.1, SHA-256',
  );
  t.equal(
    example(
      'SHA-512-256',
      ['Jäsøn Doe', 'api@example.org', 'Secret, or not?'],
      '5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK',
      'NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v',
      '/doe.json',
    ),
    '3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5',
    'RFC 7616 §3.9.2 as corrected by erratum 4897',
  );
  t.equal(readAlgorithm('sha-256-SESS'), 'SHA-256-sess');
  t.equal(readAlgorithm(undefined), 'MD5');
  t.equal(readAlgorithm('SHA-1'), undefined);
});

t.test('the sums of auth-int, of sessions and of RFC 2069 are those of the text', async t => {
  const md5 = (text: string) => digestHex('MD5', text);
  const input = {
    algorithm: 'MD5',
    nonce: 'n',
    protection: { qop: 'auth-int', cnonce: 'c', count: 0xabc },
    method: 'M',
    uri: 'u',
    body: Buffer.from('b'),
  } as const;
  t.equal(computeResponse('s', input), md5(`s:n:00000abc:c:auth-int:${md5(`M:u:${md5('b')}`)}`));
  const bare = { ...input, protection: undefined };
  t.equal(computeResponse('s', bare), md5(`s:n:${md5('M:u')}`));
  t.equal(secretOf('MD5-sess', 'h', 'n', 'c'), md5('h:n:c'));
});

t.test('client and server agree', async t => {
  for (const algorithm of ['MD5', 'SHA-256', 'SHA-512-256', 'MD5-sess', 'SHA-256-sess'] as const) {
    const guard = server({ algorithms: [algorithm] });
    const alice = client();
    t.strictSame(send(alice.begin(), guard).statuses, [401, 200], algorithm);
    t.strictSame(send(alice.begin(), guard).statuses, [200], `${algorithm}, unasked`);
  }
  const asked = request('INVITE', 'v=0', 'sip:bob@example.com;transport=tcp');
  const proxy = server({ role: 'proxy' });
  t.strictSame(send(client().begin(), proxy, asked).statuses, [407, 200]);
  t.notOk(asked.headers.has(Authorization));
  t.equal(asked.headers.all(ProxyAuthorization).length, 1);
  t.equal(proxy.check(request(), 0).type, 'challenge');
});

t.test('the strongest algorithm with a known secret is chosen, whatever its place', async t => {
  const guard = server({ algorithms: ['MD5', 'SHA-512-256', 'SHA-256'] });
  const asked = request();
  t.strictSame(send(client().begin(), guard, asked).statuses, [401, 200]);
  t.equal(authorization(asked).get('algorithm'), 'SHA-512-256');
  t.equal(asked.headers.all(Authorization).length, 1, 'one per realm');

  const onlyMd5 = new DigestClient({
    random: new SeededRandom(3),
    account: realm => ({
      username: 'alice',
      ha1: (_, hash) =>
        hash === 'MD5' ? ha1Of(hash, 'alice', realm, PASSWORDS.alice!) : undefined,
    }),
  });
  t.strictSame(send(onlyMd5.begin(), guard, asked).statuses, [401, 200]);
  t.equal(authorization(asked).get('algorithm'), 'MD5');

  const offered = server().check(request(), 0) as Refusal & { type: 'challenge' };
  t.strictSame(
    offered.challenges.map(({ params }) => params.get('algorithm')),
    ['SHA-256', 'MD5'],
    'a server offers the strongest first',
  );
  t.equal(isChallengeable('INVITE') && !isChallengeable('ACK') && !isChallengeable('CANCEL'), true);
});

t.test('uses of a nonce are counted; each request has its own digest', async t => {
  const guard = server();
  const alice = client();
  const first = request();
  send(alice.begin(), guard, first);
  const second = request('INVITE', '', 'sip:bob@example.com');
  alice.begin().authorize(second);
  t.equal(authorization(first).get('nc'), '00000001');
  t.equal(authorization(second).get('nc'), '00000002');
  t.equal(authorization(second).get('nonce'), authorization(first).get('nonce'));
  t.equal(authorization(second).get('cnonce'), authorization(first).get('cnonce'));
  t.not(authorization(second).get('response'), authorization(first).get('response'));
  t.equal(authorization(second).get('uri'), 'sip:bob@example.com');

  // The same challenge again does not start the count anew.
  const params = { realm: 'r', nonce: 'same', qop: 'auth' };
  const shared = client();
  const [one, other] = [shared.begin(), shared.begin()];
  t.equal(one.receive(challenge(params)).type, 'retry');
  one.authorize(first);
  t.equal(other.receive(challenge(params)).type, 'retry');
  other.authorize(second);
  t.equal(authorization(second).get('nc'), '00000002');
});

t.test('auth-int covers the body, and is used only where auth is not offered', async t => {
  const alice = client();
  const exchange = alice.begin();
  const asked = request('MESSAGE', 'hello');
  exchange.receive(challenge({ realm: 'example.com', nonce: 'n', qop: 'auth-int' }));
  exchange.authorize(asked);
  const params = authorization(asked);
  t.equal(params.get('qop'), 'auth-int');
  const ha1 = ha1Of('MD5', 'alice', 'example.com', PASSWORDS.alice!);
  const protection = { qop: 'auth-int', cnonce: params.get('cnonce')!, count: 1 } as const;
  const input = { algorithm: 'MD5', nonce: 'n', protection, method: 'MESSAGE' } as const;
  const expected = { ...input, uri: 'sip:example.com', body: Buffer.from('hello') };
  t.equal(params.get('response'), computeResponse(ha1, expected));

  const guard = server();
  const nonce = nonceOf(guard);
  t.equal(guard.check(signed(asked, { nonce, qop: 'auth-int' }), 0).type, 'accepted');
  const changed = signed(asked, { nonce, qop: 'auth-int', nc: 2 });
  changed.body = Buffer.from('goodbye');
  t.equal(guard.check(changed, 0).type, 'challenge');

  const both = client().begin();
  both.receive(challenge({ realm: 'r', nonce: 'n', qop: 'auth-int, auth' }));
  both.authorize(asked);
  t.equal(authorization(asked).get('qop'), 'auth');
});

t.test('a server of RFC 2069 gets no qop, nc or cnonce, and its opaque back', async t => {
  const exchange = client().begin();
  const asked = request();
  t.equal(exchange.receive(challenge({ realm: 'old', nonce: 'n', opaque: 'o"p' })).type, 'retry');
  exchange.authorize(asked);
  const params = authorization(overTheWire(asked));
  t.notOk(params.has('qop') || params.has('nc') || params.has('cnonce'));
  t.equal(params.get('opaque'), 'o"p');
  const md5 = (text: string) => digestHex('MD5', text);
  const ha1 = md5(`alice:old:${PASSWORDS.alice}`);
  t.equal(params.get('response'), md5(`${ha1}:n:${md5('REGISTER:sip:example.com')}`));
});

t.test('wrong credentials end the exchange at the second refusal', async t => {
  const guard = server();
  const mallory = client('alice', 'guess');
  const { statuses, verdict } = send(mallory.begin(), guard);
  t.strictSame(statuses, [401, 401]);
  t.equal(code(verdict), 'WRONG_CREDENTIALS');
  const later = request();
  mallory.begin().authorize(later);
  t.notOk(later.headers.has(Authorization), 'what was refused is not sent unasked');

  const same = client().begin();
  const params = { realm: 'r', nonce: 'fixed', qop: 'auth' };
  t.equal(code(same.receive(challenge(params))), 'retry');
  same.authorize(request());
  t.equal(code(same.receive(challenge(params))), 'WRONG_CREDENTIALS', 'the same nonce again');

  // A nonce remembered from earlier, refused again as it is.
  const alice = client();
  alice.begin().receive(challenge(params));
  const unasked = alice.begin();
  unasked.authorize(request());
  t.equal(code(unasked.receive(challenge(params))), 'WRONG_CREDENTIALS');
});

t.test('a stale nonce is replaced without asking anyone, but not for ever', async t => {
  const guard = server();
  const alice = client();
  send(alice.begin(), guard);
  const late = send(alice.begin(), guard, request(), NONCE_LIFETIME_MS + 1);
  t.strictSame(late.statuses, [401, 200]);

  const restarted = server({ random: new SeededRandom(99) });
  t.strictSame(send(alice.begin(), restarted, request(), 5).statuses, [401, 200]);

  const exchange = client().begin();
  const verdicts = Array.from({ length: 5 }, (_, n) => {
    exchange.authorize(request());
    const params = { realm: 'r', nonce: `n${n}`, qop: 'auth', stale: 'TRUE' };
    return code(exchange.receive(challenge(params)));
  });
  t.strictSame(verdicts.slice(0, 4), ['retry', 'retry', 'retry', 'WRONG_CREDENTIALS']);

  // Servers that forget nonces without saying stale.
  const forgetful = client();
  forgetful.begin().receive(challenge({ realm: 'r', nonce: 'old', qop: 'auth' }));
  const unasked = forgetful.begin();
  unasked.authorize(request());
  t.equal(unasked.receive(challenge({ realm: 'r', nonce: 'new', qop: 'auth' })).type, 'retry');
  unasked.authorize(request());
  const refused = unasked.receive(challenge({ realm: 'r', nonce: 'newer', qop: 'auth' }));
  t.equal(code(refused), 'WRONG_CREDENTIALS');
});

t.test('several realms, on both sides, are answered side by side', async t => {
  const alice = new DigestClient({
    random: new SeededRandom(5),
    account: realm => (realm === 'stranger' ? undefined : passwordAccount(`of-${realm}`, 'p')),
  });
  const response = challenge({ realm: 'a', nonce: 'na', qop: 'auth' });
  for (const realm of ['b', 'stranger']) {
    const params = Params.from({ realm, nonce: `n${realm}`, qop: 'auth' });
    response.headers.append(WwwAuthenticate, { scheme: 'Digest', params });
  }
  const proxied = Params.from({ realm: 'a', nonce: 'np', qop: 'auth' });
  response.headers.append(ProxyAuthenticate, { scheme: 'Digest', params: proxied });
  const exchange = alice.begin();
  t.equal(exchange.receive(response).type, 'retry');
  const asked = request();
  exchange.authorize(asked);
  const told = (value: AuthenticationValue) =>
    `${value.params.get('username')} ${value.params.get('nonce')}`;
  t.strictSame(asked.headers.all(Authorization).map(told), ['of-a na', 'of-b nb']);
  t.strictSame(asked.headers.all(ProxyAuthorization).map(told), ['of-a np']);

  const stranger = challenge({ realm: 'stranger', nonce: 'n', qop: 'auth' });
  t.equal(code(alice.begin().receive(stranger)), 'NO_CREDENTIALS');
  t.equal(code(alice.begin().receive(new SipResponse({ status: 401 }))), 'NO_CREDENTIALS');
  const unanswerable: Record<string, string>[] = [
    { realm: 'a', nonce: 'n', qop: 'auth', algorithm: 'SHA-3' },
    { realm: 'a', nonce: 'n', qop: 'auth-conf' },
    { realm: 'a', nonce: 'n', algorithm: 'MD5-sess' },
    { realm: 'a', qop: 'auth' },
  ];
  for (const params of unanswerable) {
    t.equal(code(alice.begin().receive(challenge(params))), 'UNKNOWN_CHALLENGE');
  }
  const broken = challenge({ realm: 'a', nonce: 'n' });
  broken.headers.setText('WWW-Authenticate', 'Digest realm=', 'Basic realm="a"');
  t.equal(code(alice.begin().receive(broken)), 'UNKNOWN_CHALLENGE');
  broken.headers.setText('WWW-Authenticate', 'Digest realm=', 'Digest realm="a", nonce="n"');
  t.equal(alice.begin().receive(broken).type, 'retry', 'a bad line hides no good one');

  const greedy = alice.begin();
  for (let n = 0; n < 100; n++) greedy.receive(challenge({ realm: `r${n}`, nonce: 'n' }));
  greedy.authorize(asked);
  t.equal(asked.headers.all(Authorization).length, 16, 'realms are bounded');
});

t.test('the server proves itself, and may name the next nonce', async t => {
  const guard = server();
  const alice = client();
  const exchange = alice.begin();
  const asked = request();
  t.equal(send(exchange, guard, asked).verdict.type, 'proceed');
  const response = answerOnce(guard, alice);
  const proof = response.headers.require(AuthenticationInfo);
  t.match(proof.get('rspauth'), /^[0-9a-f]{64}$/);
  t.equal(exchangeOf(alice, guard, reply => reply).type, 'proceed');
  const forged = exchangeOf(alice, guard, reply => {
    reply.headers.require(AuthenticationInfo).set('rspauth', '0'.repeat(64));
    return reply;
  });
  t.equal(code(forged), 'SERVER_NOT_PROVEN');

  for (const algorithm of ['SHA-256', 'SHA-256-sess']) {
    const user = client();
    const first = user.begin();
    first.receive(challenge({ realm: 'example.com', nonce: 'n1', qop: 'auth', algorithm }));
    first.authorize(asked);
    const cnonce = authorization(asked).get('cnonce')!;
    const ok = new SipResponse({ status: 200 });
    ok.headers.set(AuthenticationInfo, Params.from({ nextnonce: 'n2' }));
    t.equal(first.receive(ok).type, 'proceed');
    user.begin().authorize(asked);
    const params = authorization(asked);
    t.equal(`${params.get('nonce')} ${params.get('nc')}`, 'n2 00000001');
    const ha1 = ha1Of('SHA-256', 'alice', 'example.com', PASSWORDS.alice!);
    const secret = secretOf(readAlgorithm(algorithm)!, ha1, 'n1', cnonce);
    const protection = { qop: 'auth', cnonce, count: 1 } as const;
    const { method, body } = asked;
    const uri = formatUri(asked.uri);
    const input = { algorithm: 'SHA-256', nonce: 'n2', protection, method, uri, body } as const;
    t.equal(params.get('response'), computeResponse(secret, input), algorithm);
  }
});

t.test('of several realms a proof is judged by the one it names', async t => {
  const user = client();
  const exchange = user.begin();
  for (const realm of ['a', 'b']) exchange.receive(challenge({ realm, nonce: realm, qop: 'auth' }));
  const asked = request();
  exchange.authorize(asked);
  const second = asked.headers.all(Authorization)[1]!.params.get('cnonce')!;
  const reply = (params: Record<string, string>) => {
    const response = new SipResponse({ status: 200 });
    response.headers.set(AuthenticationInfo, Params.from({ rspauth: 'ff', ...params }));
    return code(exchange.receive(response));
  };
  t.equal(reply({}), 'proceed', 'it may be of either');
  t.equal(reply({ cnonce: second }), 'SERVER_NOT_PROVEN');
});

t.test('with auth-int the proof covers the body of the response', async t => {
  const guard = server();
  const nonce = nonceOf(guard);
  const verdict = guard.check(signed(request(), { nonce, qop: 'auth-int' }), 0) as Acceptance;
  const proofOf = (text: string) => {
    const response = new SipResponse({ status: 200, body: Buffer.from(text) });
    verdict.prove(response);
    return response.headers.require(AuthenticationInfo).get('rspauth');
  };
  t.not(proofOf('a'), proofOf('b'));
});

t.test('a server accepts a count once, out of order within its window', async t => {
  const guard = server();
  const nonce = nonceOf(guard);
  const check = (nc: number, now = 0) =>
    outcome(guard.check(signed(request(), { nonce, nc }), now));
  t.equal(check(1), 'accepted');
  t.equal(check(1), 'stale', 'a replay');
  t.equal(check(5), 'accepted');
  t.equal(check(3), 'accepted', 'overtaken');
  t.equal(check(3), 'stale');
  t.equal(check(0), 'stale');
  t.equal(check(5 + COUNT_WINDOW), 'accepted');
  t.equal(check(5), 'stale', 'just out of the window, and used');
  t.equal(check(4), 'stale', 'out of the window');
  t.equal(check(6), 'accepted', 'the last in the window');
  t.equal(check(3 + COUNT_WINDOW), 'accepted', 'nothing is left of an older window');
  t.equal(check(0xffffffff), 'accepted');
  t.equal(check(0xfffffffe, NONCE_LIFETIME_MS), 'accepted');
  t.equal(check(0xfffffffd, NONCE_LIFETIME_MS + 1), 'stale');

  const bare = nonceOf(guard);
  const plain = (): SipRequest => signed(request(), { nonce: bare, qop: undefined });
  t.equal(outcome(guard.check(plain(), 0)), 'accepted');
  t.equal(outcome(guard.check(plain(), 0)), 'stale', 'without qop a nonce serves once');
});

t.test('unknown user, wrong password and foreign nonce', async t => {
  const guard = server();
  const nonce = nonceOf(guard);
  const check = (change: Partial<Signing>) =>
    outcome(guard.check(signed(request(), { nonce, ...change }), 0));
  t.equal(check({ username: 'mallory', password: 'x' }), 'challenge');
  t.equal(check({ password: 'x' }), 'challenge');
  t.equal(check({ algorithm: 'SHA-512-256' }), 'challenge', 'an algorithm not offered');
  t.equal(check({ realm: 'elsewhere' }), 'challenge');
  t.equal(check({ nonce: 'forged' }), 'stale');
  const tampered = `${nonce.startsWith('A') ? 'B' : 'A'}${nonce.slice(1)}`;
  t.equal(check({ nonce: tampered }), 'stale');
  t.equal(check({ nonce: `${nonce}=` }), 'stale', 'another writing of the same octets');
  t.equal(check({ nonce: nonceOf(server({ random: new SeededRandom(2) })) }), 'stale');
  t.equal(check({ nonce: tampered, password: 'x' }), 'challenge', 'stale is for right passwords');
  const method = signed(request('INVITE'), { nonce });
  method.method = 'MESSAGE';
  t.equal(outcome(guard.check(method, 0)), 'challenge');
  t.equal(check({}), 'accepted', 'none of these used the nonce up');

  const asked: string[] = [];
  const spied = server({
    store: {
      ha1(username, _, hash) {
        asked.push(`${username} ${hash}`);
        return undefined;
      },
    },
  });
  const refusals = ['alice', 'nobody'].map(username => {
    const refused = spied.check(signed(request(), { nonce: nonceOf(spied), username }), 0);
    return outcome(refused);
  });
  t.strictSame(refusals, ['challenge', 'challenge']);
  t.strictSame(asked, ['alice SHA-256', 'nobody SHA-256']);
});

t.test('credentials for another URI or in bad form deserve 400', async t => {
  const guard = server();
  const nonce = nonceOf(guard);
  const check = (uri: string, nc: number) =>
    outcome(guard.check(signed(request(), { nonce, uri, nc }), 0));
  t.equal(check('sip:EXAMPLE.com', 1), 'accepted', 'equivalent is enough');
  t.equal(check('sip:%65xample.com', 2), '400');
  t.equal(check('sip:example.org', 2), '400');
  t.equal(check('sips:example.com', 2), '400');
  t.equal(check('no URI', 2), '400');
  t.equal(check('sip:example.com', 2), 'accepted');

  for (const [name, value] of [
    ['nc', '1'],
    ['nc', undefined],
    ['qop', 'auth-conf'],
    ['cnonce', undefined],
    ['response', undefined],
    ['username', undefined],
    ['nonce', undefined],
    ['algorithm', 'SHA-1'],
  ] as const) {
    const asked = signed(request(), { nonce, nc: 3 });
    const params = authorization(asked);
    if (value === undefined) params.delete(name);
    else params.set(name, value);
    const refusal = guard.check(asked, 0) as Refusal;
    t.equal(outcome(refusal), '400', `${name} ${value}`);
    t.equal(guard.refuse(asked, refusal, 'tag').status, 400);
  }
  const torn = request();
  torn.headers.setText('Authorization', 'Digest realm="example.com", nonce');
  t.throws(() => guard.check(torn, 0), SipSyntaxError);
  const others = request();
  others.headers.setText('Authorization', 'Bearer abc', 'Digest realm="other", nonce="x"');
  t.equal(outcome(guard.check(others, 0)), 'challenge');
});

t.test('nonces cost nothing until used, and what is forgotten is never accepted again', async t => {
  const capacity = 100;
  const nonces = new Nonces(new SeededRandom(1), capacity);
  const unused = nonces.issue(0);
  const issued = Array.from({ length: 1000 }, () => nonces.issue(0));
  t.equal(new Set(issued).size, 1000, 'each is another, at the same instant too');
  t.equal(nonces.size, 0);
  t.ok(issued.every(nonce => nonces.use(nonce, 1, 0)));
  t.equal(nonces.size, capacity);
  t.notOk(
    issued.some(nonce => nonces.use(nonce, 1, 0)),
    'no replay, remembered or not',
  );
  t.notOk(nonces.use(unused, 1, 0), 'cannot be told from a forgotten one');
  t.ok(nonces.use(issued.at(-1)!, 2, 0), 'those in use go on');
  t.ok(nonces.use(nonces.issue(0), 1, 0), 'new ones are as good as ever');
  t.ok(nonces.use(nonces.issue(NONCE_LIFETIME_MS + 1), 1, NONCE_LIFETIME_MS + 1));
  t.equal(nonces.size, 1, 'old ones make room');
});

interface Signing {
  username: string;
  password: string;
  realm: string;
  nonce: string;
  uri: string;
  algorithm: DigestAlgorithm;
  qop: 'auth' | 'auth-int' | undefined;
  nc: number;
}

/** A request with credentials made by hand. */
function signed(asked: SipRequest, change: Partial<Signing>): SipRequest {
  const signing: Signing = {
    username: 'alice',
    password: PASSWORDS.alice!,
    realm: 'example.com',
    nonce: '',
    uri: formatUri(asked.uri),
    algorithm: 'SHA-256',
    qop: 'auth',
    nc: 1,
    ...change,
  };
  const { username, password, realm, nonce, uri, algorithm, qop, nc } = signing;
  const ha1 = ha1Of(hashOf(algorithm), username, realm, password);
  const protection = qop && { qop, cnonce: 'cc', count: nc };
  const { method, body } = asked;
  const input = { algorithm, nonce, protection, method, uri, body };
  const response = computeResponse(secretOf(algorithm, ha1, nonce, 'cc'), input);
  const params = Params.from({ username, realm, nonce, uri, response, algorithm });
  if (qop) params.set('qop', qop).set('nc', nc.toString(16).padStart(8, '0')).set('cnonce', 'cc');
  asked.headers.set(Authorization, { scheme: 'Digest', params });
  return asked;
}

function nonceOf(guard: DigestServer): string {
  const refusal = guard.check(request(), 0) as Refusal & { type: 'challenge' };
  return refusal.challenges[0]!.params.get('nonce')!;
}

/** `accepted`, `challenge`, `stale` or `400`. */
function outcome(verdict: Acceptance | Refusal): string {
  if (verdict.type === 'malformed') return '400';
  if (verdict.type === 'accepted') return 'accepted';
  return verdict.challenges.every(({ params }) => params.get('stale') === 'true')
    ? 'stale'
    : 'challenge';
}

function answerOnce(guard: DigestServer, user: DigestClient): SipResponse {
  const asked = request();
  user.begin().authorize(asked);
  return answer(guard, asked);
}

function exchangeOf(
  user: DigestClient,
  guard: DigestServer,
  change: (reply: SipResponse) => SipResponse,
): ExchangeVerdict {
  const exchange = user.begin();
  const asked = request();
  exchange.authorize(asked);
  return exchange.receive(change(answer(guard, asked)));
}
