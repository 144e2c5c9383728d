/** The state machines by themselves: when they ask, when they stop, what they answer. RFC 2608 §6-12. */
import {
  type DirectoryAgentState,
  encode,
  errorName,
  MessageFramer,
  type MessageHeader,
  newDaDirectory,
  newDirectoryAgent,
  newExchange,
  newQuery,
  type Query,
  type QueryEvent,
  type SlpMessage,
  type SrvReg,
  type SrvRqst,
  stepDaDirectory,
  stepDirectoryAgent,
  stepExchange,
  stepQuery,
} from 'slp-js';
import t from 'tap';

const head: MessageHeader = { xid: 7, language: 'en' };
const request: SrvRqst = {
  ...head,
  kind: 'SrvRqst',
  previousResponders: [],
  serviceType: 'service:x',
  scopes: ['DEFAULT'],
  predicate: '',
  spi: '',
};
const reply: SlpMessage = {
  ...head,
  kind: 'SrvRply',
  error: 0,
  urls: [{ url: 'service:x://h', lifetime: 9 }],
};

/** Runs a query on its own time: who answers at which ms. In words. */
function play(query: Query, answers: ReadonlyArray<readonly [at: number, from: string]>): string[] {
  const words: string[] = [];
  const step = (event: QueryEvent) => {
    for (const action of stepQuery(query, event)) {
      if (action.kind === 'multicast')
        words.push(`${event.now} ask [${action.message.previousResponders}]`);
      else if (action.kind === 'answer') words.push(`${event.now} ${action.from}`);
      else words.push(`${event.now} ${action.reason}`);
    }
  };
  const left = [...answers];
  step({ kind: 'start', now: 0 });
  while (query.wakeAt !== undefined) {
    const [next] = left;
    if (next && next[0] < query.wakeAt) {
      left.shift();
      step({ kind: 'heard', now: next[0], from: next[1], message: reply });
    } else step({ kind: 'due', now: query.wakeAt });
  }
  return words;
}

t.test('convergence: waits double, the list grows, and it ends (§6.3)', async t => {
  t.same(play(newQuery(request), []), [
    '0 ask []',
    '2000 ask []',
    '6000 ask []',
    '14000 ask []',
    '15000 time',
  ]);
  t.same(
    play(newQuery(request), [
      [10, 'a'],
      [20, 'a'],
      [2100, 'b'],
    ]),
    ['0 ask []', '10 a', '2000 ask [a]', '2100 b', '6000 ask [a,b]', '14000 converged'],
    'an address counts once',
  );
  t.same(
    play(newQuery(request, { thorough: true }), [
      [10, 'a'],
      [6100, 'b'],
    ]),
    ['0 ask []', '10 a', '2000 ask [a]', '6000 ask [a]', '6100 b', '14000 ask [a,b]', '15000 time'],
  );
  t.same(play(newQuery(request), [[14_500, 'late']]).slice(-2), ['14500 late', '15000 time']);
  const crowd = Array.from({ length: 100 }, (_, i) => [i, `192.168.100.${i + 100}`] as const);
  t.same(play(newQuery(request), crowd).slice(-1), ['2000 full'], 'the list fits into no datagram');
  const flood = Array.from({ length: 1500 }, (_, i) => [i / 10, `a${i}`] as const);
  t.equal(play(newQuery(request), flood).length, 1002, 'a thousand responders are enough');
  const over = newQuery(request);
  play(over, []);
  t.same(stepQuery(over, { kind: 'heard', now: 16_000, from: 'a', message: reply }), []);
});

t.test('a reply with an extension that must be understood is discarded (§9.1)', async t => {
  const query = newQuery(request);
  stepQuery(query, { kind: 'start', now: 0 });
  const message = { ...reply, extensions: [{ id: 0x4000, data: new Uint8Array() }] };
  t.same(stepQuery(query, { kind: 'heard', now: 1, from: 'a', message }), []);
});

t.test('one agent is asked at 0, 2, 6, 14 s, and given up at 15 s (§12.3)', async t => {
  const exchange = newExchange(request);
  const words: string[] = [];
  let now = 0;
  const note = (actions: ReturnType<typeof stepExchange>) =>
    words.push(
      ...actions.map(action => `${now} ${action.kind === 'fail' ? action.reason : action.kind}`),
    );
  note(stepExchange(exchange, { kind: 'start', now }));
  while (exchange.wakeAt !== undefined) {
    now = exchange.wakeAt;
    note(stepExchange(exchange, { kind: 'due', now }));
  }
  t.same(words, ['0 send', '2000 send', '6000 send', '14000 send', '15000 NO_ANSWER']);
});

t.test(
  'who is busy is asked again; what overflows comes by TCP, or as far as it fitted',
  async t => {
    const heard = (message: SlpMessage, by: 'datagram' | 'stream' = 'datagram') =>
      ({ kind: 'heard', now: 1, by, message }) as const;
    const busy = newExchange(request);
    stepExchange(busy, { kind: 'start', now: 0 });
    t.same(stepExchange(busy, heard({ ...reply, error: 11 } as SlpMessage)), []);
    t.match(stepExchange(busy, { kind: 'due', now: 2000 }), [{ kind: 'send' }]);
    t.match(stepExchange(busy, { kind: 'due', now: 15_000 }), [{ kind: 'fail', reason: 'BUSY' }]);

    const cut = { ...reply, overflow: true };
    for (const [event, expected] of [
      [heard(reply, 'stream'), reply],
      [{ kind: 'streamFailed', now: 2 }, cut],
      [{ kind: 'due', now: 15_001 }, cut],
    ] as const) {
      const exchange = newExchange(request);
      stepExchange(exchange, { kind: 'start', now: 0 });
      t.match(stepExchange(exchange, heard(cut)), [{ kind: 'stream' }]);
      t.same(stepExchange(exchange, event), [{ kind: 'answer', message: expected }]);
      t.equal(exchange.wakeAt, undefined);
    }
    const large = newExchange({ ...request, predicate: `(a=${'x'.repeat(1400)})` });
    t.match(
      stepExchange(large, { kind: 'start', now: 0 }),
      [{ kind: 'stream' }],
      'too long to ask by UDP',
    );
    t.match(stepExchange(large, { kind: 'streamFailed', now: 1 }), [
      { kind: 'fail', reason: 'NO_STREAM' },
    ]);
  },
);

/** A directory agent that is spoken to by UDP, and what it says. */
class Desk {
  readonly state: DirectoryAgentState;
  now = 0;

  constructor(minRefreshInterval = 0) {
    this.state = newDirectoryAgent({
      scopes: ['DEFAULT', 'B'],
      bootTimestamp: 1000,
      minRefreshInterval,
      language: 'en',
      limits: { registrations: 5, octets: 1000 },
    });
    stepDirectoryAgent(this.state, { kind: 'start', now: 0 });
  }

  say(message: SlpMessage): SlpMessage | undefined {
    const by = { own: ['192.0.2.2', '10.0.0.2'], local: '192.0.2.2' };
    const [action] = stepDirectoryAgent(this.state, { kind: 'heard', now: this.now, message, by });
    return action?.kind === 'reply' ? action.message : undefined;
  }

  /** Its error code, by name. */
  error(message: SlpMessage): string {
    const answer = this.say(message);
    return answer === undefined
      ? 'silence'
      : 'error' in answer
        ? errorName(answer.error)
        : answer.kind;
  }

  register(changes: Partial<SrvReg> & { lifetime?: number; at?: string } = {}): string {
    const { lifetime = 100, at = 'service:x:sip://h', ...rest } = changes;
    return this.error({
      ...head,
      kind: 'SrvReg',
      fresh: true,
      url: { url: at, lifetime },
      serviceType: 'service:x:sip',
      scopes: ['DEFAULT'],
      attributes: '(A=1),(B=2)',
      ...rest,
    });
  }

  found(changes: Partial<SrvRqst> = {}): string[] {
    const answer = this.say({ ...request, ...changes });
    return answer?.kind === 'SrvRply'
      ? answer.urls.map(({ url, lifetime }) => `${url} ${lifetime}`)
      : [];
  }

  attributes(url = 'service:x:sip://h', tags: string[] = [], language = 'en'): string {
    const ask = {
      ...head,
      kind: 'AttrRqst',
      previousResponders: [],
      url,
      scopes: ['DEFAULT'],
      tags,
      spi: '',
      language,
    } as const;
    const answer = this.say(ask);
    return answer?.kind === 'AttrRply' ? answer.attributes || errorName(answer.error) : 'silence';
  }
}

const NONE = 'NONE (0)';

t.test(
  'a directory agent registers, updates, takes back and forgets (§8.3, §9.3, §10.6)',
  async t => {
    const desk = new Desk();
    t.equal(desk.register(), NONE);
    t.same(desk.found(), ['service:x:sip://h 100']);
    desk.now = 30_500;
    t.same(desk.found(), ['service:x:sip://h 69'], 'the lifetime that is left');
    t.equal(desk.register({ fresh: false, attributes: '(b=20),(C=3)', lifetime: 50 }), NONE);
    t.equal(desk.attributes(), '(A=1),(b=20),(C=3)');
    t.equal(desk.register({ attributes: '(Z=  a  B)' }), NONE);
    t.equal(desk.attributes(), '(Z=  a  B)', 'FRESH replaces all; white space comes back');
    t.equal(desk.register({ fresh: false, scopes: ['B'] }), 'SCOPE_NOT_SUPPORTED (4)');
    t.equal(desk.register({ fresh: false, serviceType: 'service:y' }), 'INVALID_UPDATE (13)');
    t.equal(desk.register({ fresh: false, at: 'service:x:sip://other' }), 'INVALID_UPDATE (13)');
    const url = { url: 'service:x:sip://h', lifetime: 0 };
    const back = { ...head, kind: 'SrvDeReg', scopes: ['DEFAULT'], url, tags: [] } as const;
    t.equal(desk.error({ ...back, scopes: ['B'] }), 'SCOPE_NOT_SUPPORTED (4)');
    desk.register();
    t.equal(desk.error({ ...back, tags: ['a*'] }), NONE);
    t.equal(desk.attributes(), '(B=2)');
    t.equal(desk.error(back), NONE);
    t.same(desk.found(), []);
    desk.register({ lifetime: 10 });
    desk.now += 10_000;
    t.same(desk.found(), [], 'its time is over');
    t.equal(desk.state.answerer.registry.entries.size, 1);
    desk.now += 60_000;
    stepDirectoryAgent(desk.state, { kind: 'due', now: desk.now });
    t.equal(desk.state.answerer.registry.entries.size, 0);
    t.equal(desk.state.answerer.registry.octets, 0);
  },
);

t.test('a directory agent refuses what it has to (§7)', async t => {
  const desk = new Desk();
  t.equal(desk.register({ lifetime: 0 }), 'INVALID_REGISTRATION (3)');
  t.equal(desk.register({ scopes: ['C'] }), 'SCOPE_NOT_SUPPORTED (4)');
  t.equal(desk.register({ scopes: [] }), 'SCOPE_NOT_SUPPORTED (4)');
  t.equal(desk.register({ attributes: '(a=1,true)' }), 'INVALID_REGISTRATION (3)');
  t.equal(desk.register({ attributes: '(a=' }), 'PARSE_ERROR (2)');
  t.equal(desk.register({ serviceType: '-' }), 'PARSE_ERROR (2)');
  const signature = { descriptor: 2, timestamp: 1, spi: 'k', data: new Uint8Array() };
  t.equal(desk.register({ authentication: [signature] }), 'AUTHENTICATION_UNKNOWN (5)');
  t.equal(
    desk.register({ extensions: [{ id: 0x4001, data: new Uint8Array() }] }),
    'OPTION_NOT_UNDERSTOOD (12)',
  );
  t.equal(desk.register({ multicast: true }), 'silence');
  for (let i = 0; i < 5; i++) t.equal(desk.register({ at: `service:x:sip://h${i}` }), NONE);
  t.equal(desk.register({ at: 'service:x:sip://h5' }), 'DA_BUSY_NOW (11)');
  t.equal(
    desk.register({ at: 'service:x:sip://h4', attributes: `(a=${'x'.repeat(2000)})` }),
    'DA_BUSY_NOW (11)',
  );
  desk.now = 101_000;
  t.equal(desk.register({ at: 'service:x:sip://h5' }), NONE, 'those whose time is over make room');

  const slow = new Desk(60);
  t.equal(slow.register(), NONE);
  slow.now = 59_000;
  t.equal(slow.register({ fresh: false }), 'REFRESH_REJECTED (15)');
  slow.now = 60_000;
  t.equal(slow.register({ fresh: false }), NONE);
});

t.test('a directory agent answers requests as the RFC has it (§8.1, §10)', async t => {
  const desk = new Desk();
  desk.register();
  desk.register({
    at: 'http://h/',
    serviceType: 'http',
    language: 'de',
    attributes: '(A=eins)',
    scopes: ['B'],
  });
  t.same(desk.found({ serviceType: 'SERVICE:X' }), ['service:x:sip://h 100']);
  t.same(desk.found({ serviceType: 'http', scopes: ['b'] }), ['http://h/ 100']);
  t.same(desk.found({ serviceType: 'http' }), [], 'not in this scope');
  t.same(desk.found({ predicate: '(a=1)' }), ['service:x:sip://h 100']);
  t.same(desk.found({ predicate: '(a=2)' }), []);
  t.same(desk.found({ predicate: '(a=1)', language: 'en-GB' }), ['service:x:sip://h 100']);
  const german = { serviceType: 'http', scopes: ['B'], predicate: '(a=eins)' };
  t.equal(desk.error({ ...request, ...german }), 'LANGUAGE_NOT_SUPPORTED (1)');
  t.same(desk.found({ ...german, language: 'de-AT' }), ['http://h/ 100']);
  t.equal(desk.error({ ...request, scopes: ['C'] }), 'SCOPE_NOT_SUPPORTED (4)');
  t.equal(desk.error({ ...request, scopes: [] }), 'SCOPE_NOT_SUPPORTED (4)');
  t.equal(desk.error({ ...request, predicate: '(a' }), 'PARSE_ERROR (2)');
  t.equal(desk.error({ ...request, spi: 'k' }), 'AUTHENTICATION_UNKNOWN (5)');
  t.equal(
    desk.error({ ...request, serviceType: 'service:none' }),
    NONE,
    'a unicast request always has an answer',
  );
  t.equal(desk.error({ ...request, multicast: true }), 'silence', '§6.1');
  t.equal(desk.attributes('service:x'), '(A=1),(B=2)');
  t.equal(desk.attributes('service:x:sip://h', ['b']), '(B=2)');
  t.equal(desk.attributes('service:x:sip://h', [], 'fr'), 'LANGUAGE_NOT_SUPPORTED (1)');
  t.equal(desk.error(reply), 'silence');
});

t.test('a directory agent says where it is (§8.5, §12.1)', async t => {
  const desk = new Desk(30);
  const ask = { ...request, serviceType: 'service:directory-agent', multicast: true };
  t.match(desk.say(ask), {
    kind: 'DAAdvert',
    xid: 7,
    bootTimestamp: 1000,
    url: 'service:directory-agent://192.0.2.2',
    scopes: ['DEFAULT', 'B'],
    attributes: '(min-refresh-interval=30)',
  });
  t.equal(desk.error({ ...ask, scopes: [] }), NONE);
  t.equal(desk.error({ ...ask, scopes: ['C'] }), 'silence');
  t.equal(desk.error({ ...ask, scopes: ['C'], multicast: false }), 'SCOPE_NOT_SUPPORTED (4)');
  t.equal(desk.error({ ...ask, predicate: '(min-refresh-interval>=60)' }), 'silence');
  t.equal(
    desk.error({ ...ask, previousResponders: ['no address', '10.0.0.2'] }),
    'silence',
    'any address of it',
  );
  const adverts = (kind: 'due' | 'stop', now: number) =>
    stepDirectoryAgent(desk.state, { kind, now }).map(action =>
      action.kind === 'advertise' ? action.message('192.0.2.2') : undefined,
    );
  t.same(adverts('due', 3 * 3600 * 1000 - 1), []);
  t.match(adverts('due', 3 * 3600 * 1000), [{ kind: 'DAAdvert', xid: 0, bootTimestamp: 1000 }]);
  t.match(adverts('stop', 3 * 3600 * 1000 + 1), [{ bootTimestamp: 0 }]);
});

t.test('a link that comes while directory agents are asked for is asked on, too', async t => {
  const directory = newDaDirectory(['DEFAULT'], () => 0.5);
  stepDaDirectory(directory, { kind: 'start', now: 0 });
  t.equal(directory.wakeAt, 1500);
  t.same(stepDaDirectory(directory, { kind: 'due', now: 1500 }), [{ kind: 'discover' }]);
  stepDaDirectory(directory, { kind: 'network', now: 2000 });
  t.equal(directory.wakeAt, undefined);
  stepDaDirectory(directory, { kind: 'discovered', now: 16_500 });
  t.equal(directory.wakeAt, 18_000);
  stepDaDirectory(directory, { kind: 'due', now: 18_000 });
  stepDaDirectory(directory, { kind: 'discovered', now: 33_000 });
  t.equal(directory.wakeAt, 933_000, 'then every 900 s');
});

t.test('messages come out of a stream in whatever pieces (§6.2)', async t => {
  const bytes = Buffer.concat([encode(request), encode(reply)]);
  for (const size of [1, 7, 1000]) {
    const framer = new MessageFramer();
    const lengths: number[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      lengths.push(...framer.push(bytes.subarray(at, at + size)).map(({ length }) => length));
    }
    t.same(lengths, [encode(request).length, encode(reply).length]);
  }
  t.throws(() => new MessageFramer(100).push(Uint8Array.of(2, 1, 0, 1, 0)), { code: 'BAD_LENGTH' });
});
