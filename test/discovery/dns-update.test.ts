/** Records of a super-node in the DNS: octets, when they are sent, and the driver on a virtual network. */
import { createHmac } from 'node:crypto';
import t from 'tap';
import type { CodedError } from '../../src/core/errors.js';
import { silentLogger as logger } from '../../src/core/logger.js';
import { DynamicDns } from '../../src/discovery/dns-update/dynamic-dns.js';
import { readTsigSecret } from '../../src/discovery/dns-update/tsig.js';
import {
  GATHER_MS,
  newUpdateState,
  REFRESH_MS,
  stepUpdate,
  type UpdateAction,
  type UpdateEvent,
} from '../../src/discovery/dns-update/update-machine.js';
import {
  encodeUpdate,
  signedUpdate,
  type Update,
} from '../../src/discovery/dns-update/update-message.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';

const KEY = { name: 'phone.home.test', secret: Buffer.from('a secret of thirty-two octets ..') };
const UPDATE: Update = {
  zone: 'home.test.',
  changes: [
    { kind: 'delete-set', name: 'alice.home.test', type: 'A' },
    {
      kind: 'add',
      name: 'Alice.home.test',
      ttlS: 120,
      data: { type: 'A', address: '192.0.2.7' },
    },
    {
      kind: 'add',
      name: '_ringline._tcp.home.test',
      ttlS: 120,
      data: { type: 'SRV', priority: 0, weight: 0, port: 5061, host: 'alice.home.test' },
    },
  ],
};

// What Knot DNS 3.2.6 has taken from us, and answered.
const ZONE_HEX = '04686f6d650474657374000006 0001';
const CHANGES_HEX = `
  05616c69636504686f6d6504746573740000 01 00ff 00000000 0000
  05616c69636504686f6d6504746573740000 01 0001 00000078 0004 c0000207
  095f72696e676c696e65045f74637004686f6d6504746573740000 21 0001 00000078 0017
  0000 0000 13c5 05616c69636504686f6d65047465737400`;
const KEY_HEX = '0570686f6e6504686f6d6504746573740000fa00ff00000000';
const SHA_HEX = '0b686d61632d73686132353600';
const SIGNED_HEX = `${KEY_HEX} 003d ${SHA_HEX} 00006b0b1aaf 012c 0020
  772be9aa3f6a496cd46bb6ed8f3927c4239d22b6185593b39cb9e10cf01b4278 1234 0000 0000`;
const DONE_HEX = `1234 a800 0001 0000 0000 0001 ${ZONE_HEX} ${KEY_HEX} 003d ${SHA_HEX}
  00006b0b1aaf 012c 0020 d28f55106d053bb963e72c8c72baf79f6a82b02ab8ea6251401563a4a0b585cd
  1234 0000 0000`;
const BADTIME_HEX = `1235 a809 0001 0000 0000 0001 ${ZONE_HEX} ${KEY_HEX} 0043 ${SHA_HEX}
  0000000003e8 012c 0020 2f6905db60ff02a837d7cd543fb79d27e03935e2e1a6279931de732932dffc6a
  1235 0012 0006 00006b0b1aaf`;
const BADKEY_HEX = `1236 a809 0001 0000 0000 0001 ${ZONE_HEX}
  066e6f626f647904686f6d6504746573740000fa00ff00000000 001d ${SHA_HEX}
  00006b0b1aaf 012c 0000 1236 0011 0000`;
const NOW_S = 1_795_889_839;

function octets(hex: string): Buffer {
  return Buffer.from(hex.replace(/\s/g, ''), 'hex');
}

t.test('an update and its signature, octet by octet', async t => {
  const plain = `1234 2800 0001 0000 0003 0000 ${ZONE_HEX} ${CHANGES_HEX}`;
  t.same(Buffer.from(encodeUpdate(UPDATE, 0x1234)), octets(plain));
  const signed = `1234 2800 0001 0000 0003 0001 ${ZONE_HEX} ${CHANGES_HEX} ${SIGNED_HEX}`;
  const sent = signedUpdate(UPDATE, 0x1234, KEY, NOW_S);
  t.same(Buffer.from(sent.octets), octets(signed));
  const { changes } = { changes: [{ kind: 'delete', name: 'a.test', data: srv() }] } as const;
  t.ok(
    Buffer.from(encodeUpdate({ zone: 'test', changes }, 1))
      .toString('hex')
      .includes('016104746573740000 21 00fe 00000000'.replace(/ /g, '')),
    'one record is deleted by the class NONE',
  );
  t.throws(() => encodeUpdate({ zone: 'a..b', changes: [] }, 1), { code: 'BAD_DNS_NAME' });
  t.throws(() => encodeUpdate({ zone: 'x'.repeat(64), changes: [] }, 1), { code: 'BAD_DNS_NAME' });
});

function srv() {
  return { type: 'SRV', priority: 0, weight: 0, port: 1, host: 'b.test' } as const;
}

t.test('an answer is believed where it is signed, and to this request', async t => {
  const sent = signedUpdate(UPDATE, 0x1234, KEY, NOW_S);
  t.same(sent.answer(octets(DONE_HEX)), { type: 'done' });
  const later = signedUpdate(UPDATE, 0x1234, KEY, NOW_S + 1);
  t.equal(later.answer(octets(DONE_HEX)), undefined, 'not the answer to another request');
  const unsigned = octets(`1234 a800 0001 0000 0000 0000 ${ZONE_HEX}`);
  t.equal(sent.answer(unsigned), undefined, 'nor one that nobody has signed');
  const whole = octets(DONE_HEX);
  for (let i = 0; i < whole.length; i++) {
    const changed = Buffer.from(whole);
    changed[i]! ^= 1;
    t.not(sent.answer(changed)?.type, 'done', `nor with octet ${i} changed`);
    t.not(sent.answer(whole.subarray(0, i))?.type, 'done');
  }
  const refused = octets(`1234 a805 0001 0000 0000 0000 ${ZONE_HEX}`);
  t.same(sent.answer(refused), { type: 'refused', code: 'REFUSED' });
  const early = signedUpdate(UPDATE, 0x1235, KEY, 1000);
  t.same(early.answer(octets(BADTIME_HEX)), { type: 'clock', serverTimeS: NOW_S });
  const forged = octets(BADTIME_HEX);
  forged[forged.length - 1]! ^= 1;
  t.same(early.answer(forged), { type: 'refused', code: 'BADTIME' }, 'a time that is not signed');
  const nobody = signedUpdate(UPDATE, 0x1236, { ...KEY, name: 'nobody.home.test' }, NOW_S);
  t.same(nobody.answer(octets(BADKEY_HEX)), { type: 'refused', code: 'BADKEY' });
  t.same(readTsigSecret(KEY.secret.toString('base64')), KEY.secret);
  for (const bad of ['', 'short', 'AAAA', 'not base64 at all!!!'])
    t.throws(() => readTsigSecret(bad), { code: 'BAD_TSIG_KEY' });
});

class Machine {
  readonly state = newUpdateState(() => 0.5);
  now = 0;

  step(
    event: {
      [K in UpdateEvent['kind']]: Omit<UpdateEvent & { kind: K }, 'now'>;
    }[UpdateEvent['kind']],
  ) {
    return stepUpdate(this.state, { ...event, now: this.now } as UpdateEvent);
  }

  /** What happens by itself until `ms` from now. */
  wait(ms: number): UpdateAction[] {
    const until = this.now + ms;
    const actions: UpdateAction[] = [];
    while (this.state.dueAt <= until) {
      this.now = this.state.dueAt;
      actions.push(...this.step({ kind: 'due' }));
    }
    this.now = until;
    return actions;
  }
}

const SEND = { kind: 'send', what: 'wanted' };

t.test('what changes is sent at once, once; what stays, every hour', async t => {
  const machine = new Machine();
  machine.step({ kind: 'want', content: 'a' });
  machine.step({ kind: 'want', content: 'b' });
  t.same(machine.wait(GATHER_MS), [SEND]);
  t.same(machine.step({ kind: 'answered', answer: { type: 'done' } }), [{ kind: 'published' }]);
  machine.step({ kind: 'want', content: 'b' });
  t.same(machine.wait(REFRESH_MS - 1), [], 'no news is not sent');
  t.same(machine.wait(1), [SEND]);
  machine.step({ kind: 'want', content: 'c' });
  machine.step({ kind: 'answered', answer: { type: 'done' } });
  t.same(machine.wait(GATHER_MS), [SEND], 'what came while it was asked');
});

t.test('a server that is silent or refuses is asked less and less', async t => {
  for (const refusal of [undefined, 'REFUSED', 'BADKEY']) {
    const machine = new Machine();
    machine.step({ kind: 'want', content: 'a' });
    const problems: UpdateAction[] = [];
    let sends = 0;
    const from = machine.now;
    while (machine.now < from + 24 * 3600_000) {
      for (const action of machine.wait(500)) {
        if (action.kind === 'send') sends++;
        else problems.push(action);
        if (action.kind === 'send' && refusal)
          problems.push(
            ...machine.step({ kind: 'answered', answer: { type: 'refused', code: refusal } }),
          );
      }
    }
    t.match(problems[0], { kind: 'problem', code: refusal ?? 'NO_ANSWER' });
    t.ok(sends < 150, `${sends} packets in a day`);
    t.ok(sends > 20, 'but it is not given up');
    machine.step({ kind: 'want', content: 'b' });
    t.same(machine.wait(GATHER_MS).length <= 1, true, 'nor is it asked at once for each change');
  }
});

t.test('a clock that is wrong is put right once, and told where that does not help', async t => {
  const machine = new Machine();
  machine.step({ kind: 'want', content: 'a' });
  machine.wait(GATHER_MS);
  const answer = { type: 'clock', serverTimeS: 77 } as const;
  t.same(machine.step({ kind: 'answered', answer }), [
    { kind: 'set-clock', serverTimeS: 77 },
    SEND,
  ]);
  machine.step({ kind: 'answered', answer });
  t.match(machine.step({ kind: 'answered', answer }), [{ kind: 'problem', code: 'BADTIME' }]);
});

t.test('the end takes back what may be there, and waits two seconds for it at most', async t => {
  const untouched = new Machine();
  t.same(untouched.step({ kind: 'stop' }), [{ kind: 'gone' }]);
  const machine = new Machine();
  machine.step({ kind: 'want', content: 'a' });
  machine.wait(GATHER_MS);
  const nothing = { kind: 'send', what: 'nothing' };
  t.same(machine.step({ kind: 'stop' }), [nothing]);
  t.same(machine.wait(2000), [nothing, { kind: 'gone' }]);
  t.same(machine.step({ kind: 'want', content: 'b' }), []);
  t.equal(machine.state.dueAt, Number.POSITIVE_INFINITY);
});

function world(serverIs: 'dead' | 'alive') {
  const clock = new VirtualClock();
  const net = new VirtualNetwork({ clock, seed: 1 });
  const problems: CodedError[] = [];
  const dns = new DynamicDns({
    settings: { server: 'ns.home.test', port: 53, zone: 'home.test', key: KEY },
    network: net.host('10.0.0.1'),
    clock,
    random: new SeededRandom(1),
    logger,
    lookup: async () => ['10.0.0.53'],
    onProblem: error => problems.push(error),
  });
  const addresses = net.host('10.0.0.1').addresses();
  const heard: Buffer[] = [];
  const server = net
    .host('10.0.0.53')
    .bindDatagram({ address: '10.0.0.53', port: 53, trafficClass: 'default' });
  void server.then(socket => {
    socket.onMessage = (data, from) => {
      heard.push(Buffer.from(data));
      if (serverIs === 'alive') socket.send(answerTo(Buffer.from(data)), from);
    };
  });
  return { clock, net, problems, dns, addresses, heard };
}

/** Done, signed by hand: RFC 8945 §5.3. */
function answerTo(request: Buffer): Buffer {
  const tsig = request.length - 16 - 61;
  const mac = request.subarray(request.length - 38, request.length - 6);
  const plain = Buffer.concat([
    request.subarray(0, 2),
    octets(`a800 0001 0000 0000 0000 ${ZONE_HEX}`),
  ]);
  const name = octets('0570686f6e6504686f6d65047465737400');
  const times = request.subarray(request.length - 48, request.length - 40);
  const hmac = createHmac('sha256', KEY.secret)
    .update(
      Buffer.concat([octets('0020'), mac, plain, name, octets('00ff00000000'), octets(SHA_HEX)]),
    )
    .update(Buffer.concat([times, octets('0000 0000')]))
    .digest();
  plain[11] = 1;
  const head = octets(`${KEY_HEX} 003d ${SHA_HEX}`);
  const tail = Buffer.concat([
    times,
    octets('0020'),
    hmac,
    request.subarray(0, 2),
    octets('0000 0000'),
  ]);
  t.ok(tsig > 0);
  return Buffer.concat([plain, head, tail]);
}

const SUPER_NODE = { overlay: 'home', nodeId: 'a1'.repeat(20), ports: { TLS: 5061 } };

t.test('a server that takes it has the records, and has them no more at the end', async t => {
  const { clock, dns, addresses, heard, problems } = world('alive');
  dns.publish(SUPER_NODE, addresses);
  await clock.advance(1100);
  t.equal(heard.length, 1);
  t.ok(heard[0]?.toString('latin1').includes('ringline-a1a1a1a1a1a1'));
  await clock.advance(3000_000);
  t.equal(heard.length, 1, 'the answer was understood');
  dns.publish(SUPER_NODE, addresses);
  await clock.advance(10_000);
  t.equal(heard.length, 1, 'no news is not sent');
  const stopped = dns.stop();
  await clock.advance(100);
  await stopped;
  t.equal(heard.length, 2);
  await dns.stop();
  t.same(problems, []);
  t.equal(clock.pending, 0);
});

t.test('a server that is dead costs little, is told once, and holds up no end', async t => {
  const { clock, dns, addresses, heard, problems } = world('dead');
  dns.publish(SUPER_NODE, addresses);
  await clock.advance(24 * 3600_000);
  t.ok(heard.length < 150, `${heard.length} packets in a day`);
  t.match(problems, [{ code: 'DNS_UPDATE_FAILED', message: /no answer \(ns.home.test:53\)/ }]);
  t.equal(problems.length, 1);
  const stopped = dns.stop();
  await clock.advance(2000);
  await stopped;
  t.equal(clock.pending, 0);
});
