/** What members of small rings say to each other, written down as SIP: the first part of EXAMPLES.md. */
import { Params, serializeMessage, Via } from '@sip-stack/parser';
import { Ed25519Signer, Ed25519Verifier } from '../../../src/identity/signing.js';
import { type Id, idOf } from '../../../src/overlay/ring/ids.js';
import type { MemberTools } from '../../../src/overlay/ring/member-state.js';
import type { RingAnswer, RingMessage, RingRequest } from '../../../src/overlay/ring/messages.js';
import type { Peer } from '../../../src/overlay/ring/peer.js';
import { recordSignedText } from '../../../src/overlay/ring/record-signature.js';
import type { RingRecord } from '../../../src/overlay/ring/records.js';
import { encodeRequest } from '../../../src/overlay/sip/request.js';
import { answering, encodeAnswer } from '../../../src/overlay/sip/response.js';
import { SigningKeys } from '../../../src/simulation/ring-keys.js';
import {
  SimulatedRing,
  type SimulatedRingOptions,
} from '../../../src/simulation/simulated-ring.js';
import { requestIn } from './any-message.js';
import { OVERLAY, type Scenario } from './scenario.js';

const MINUTE_MS = 60_000;

interface Step {
  readonly ms: number;
  readonly from: Peer;
  readonly to: Peer;
  readonly message: RingMessage;
}

type Name = (RingRequest | RingAnswer)['type'];

/** With the keys of devices, and addresses for documentation (RFC 5737, RFC 3849); every second member has IPv6 too. */
class CapturedRing extends SimulatedRing {
  readonly steps: Step[] = [];
  readonly #keys: SigningKeys;

  constructor(options: Omit<SimulatedRingOptions, 'keys'>) {
    const keys = new SigningKeys(seed => new Ed25519Signer(seed), new Ed25519Verifier());
    super({ ...options, keys });
    this.#keys = keys;
    this.onSent((from, to, message) => {
      this.steps.push({ ms: this.now, from, to, message });
    });
  }

  override newPeer(): { peer: Peer; host: number } {
    const { peer, host } = super.newPeer();
    const number = host + 1;
    const at = { id: peer.id, address: `192.0.2.${number}:5061` };
    return { peer: number % 2 === 0 ? { ...at, also: `[2001:db8::${number}]:5061` } : at, host };
  }

  override toolsOf(peer: Peer): MemberTools {
    const verifyRecord = (record: RingRecord) =>
      this.#keys.verify(record.publisher, recordSignedText(record), record.signature);
    return { ...super.toolsOf(peer), verifyRecord };
  }

  grow(members: number): void {
    for (let n = this.members.length; n < members; n++) {
      this.start(n === 0 ? [] : [this.members[0]!.peer]);
      this.run(this.now + 20_000);
    }
    this.run(this.now + MINUTE_MS);
  }

  record(publisher: Id, name: string, text: string): RingRecord {
    const value = Buffer.from(text);
    const of = { key: idOf(name), publisher, sequence: 1, lifeMs: 3_600_000, value };
    return { ...of, ageMs: 0, signature: this.#keys.sign(publisher, recordSignedText(of)) };
  }

  /** What is said while `act` is done and until `done`, as far as it belongs here. */
  captured(act: () => void, done: () => boolean, belongs: (step: Step) => boolean): Step[] {
    const start = this.steps.length;
    const startMs = this.now;
    act();
    if (!this.runUntil(done, 2 * MINUTE_MS)) throw new Error('it does not end');
    this.run(this.now + 2_000);
    const steps = this.steps.slice(start).filter(belongs);
    return steps.map(step => ({ ...step, ms: step.ms - startMs }));
  }
}

function nameOf({ message }: Step): Name {
  return message.kind === 'request' ? message.request.type : message.answer.type;
}

/** Requests of these names, and the answers to them. */
function conversation(...names: RingRequest['type'][]): (step: Step) => boolean {
  const asked = new Set<string>();
  return step => {
    const { message, from, to } = step;
    if (message.kind === 'answer') return asked.has(`${to.id} ${message.number}`);
    const belongs = names.includes(message.request.type) && from.id !== to.id;
    if (belongs) asked.add(`${from.id} ${message.number}`);
    return belongs;
  };
}

export function ringScenarios(): Scenario[] {
  return [joins(), looksUp(), stores(), leaves(), merges()];
}

function scenario(title: string, about: string, steps: readonly Step[]): Scenario {
  const written = steps.map((step, index) => ({
    ms: step.ms,
    from: step.from.address,
    to: step.to.address,
    name: nameOf(step),
    answers: step.message.kind === 'answer',
    octets: () => Buffer.from(textOf(step, steps.slice(0, index))),
  }));
  return { title, about, steps: written, hidden: ['compare'] };
}

function joins(): Scenario {
  const ring = new CapturedRing({ seed: 1, member: { routing: 'table' } });
  ring.grow(2);
  const [first] = ring.members;
  const record = ring.record(first!.peer.id, 'sip:alice@home', 'sip:alice@192.0.2.77');
  ring.put(first!, record, () => undefined);
  ring.run(ring.now + MINUTE_MS);
  const steps = ring.captured(
    () => void ring.start([first!.peer]),
    () => ring.ring.length === 3,
    conversation('find', 'join', 'notify', 'offer', 'store', 'membership', 'compare'),
  );
  return scenario(
    'A member joins, is told of, and is handed what is its own to keep',
    'A third member joins a ring of two. It looks up its own ID, adopts the successor list of the owner, becomes its ' +
      'predecessor, learns the table and is told to everybody. Neighbours offer what they hold and the newcomer should.',
    steps,
  );
}

function looksUp(): Scenario {
  const ring = new CapturedRing({ seed: 2, member: { routing: 'base16' } });
  ring.grow(40);
  const asker = ring.members[8]!;
  let answered = false;
  const wanted = conversation('find');
  const steps = ring.captured(
    () => {
      ring.lookup(asker, idOf('sip:bob@home'), () => {
        answered = true;
      });
    },
    () => answered,
    step =>
      (step.message.kind === 'answer' ? step.to.id : step.from.id) === asker.peer.id &&
      wanted(step),
  );
  return scenario(
    'A lookup',
    'In a ring of 40, too large for a table in this example: who knows somebody closer says so, the owner answers for ' +
      'itself. The asker asks each in turn (iterative).',
    steps,
  );
}

function stores(): Scenario {
  const ring = new CapturedRing({ seed: 3, member: { routing: 'table' } });
  ring.grow(4);
  const [publisher] = ring.members;
  const record = ring.record(publisher!.peer.id, 'sip:bob@home', 'sip:bob@192.0.2.78');
  let ended = 0;
  const steps = ring.captured(
    () => {
      ring.put(publisher!, record, () => {
        ended++;
        ring.get(ring.members[1]!, record.key, () => {
          ended++;
        });
      });
    },
    () => ended === 2,
    conversation('find', 'store', 'fetch'),
  );
  return scenario(
    'A record is stored, copied, and fetched',
    'The owner keeps it, sends copies to the members after it, and answers with their number.',
    steps,
  );
}

function leaves(): Scenario {
  const ring = new CapturedRing({ seed: 4, member: { routing: 'table' } });
  ring.grow(3);
  const leaver = ring.members[1]!;
  const left = { at: Number.POSITIVE_INFINITY };
  const steps = ring.captured(
    () => {
      ring.leave(leaver);
      left.at = ring.now;
    },
    () => ring.now > left.at,
    conversation('leave', 'membership', 'offer', 'store'),
  );
  return scenario(
    'A member leaves',
    'It tells its neighbours who is next to them now, and everybody that it is gone. It does not wait for answers.',
    steps,
  );
}

function merges(): Scenario {
  const ring = new CapturedRing({ seed: 5, member: { routing: 'base16' } });
  ring.truthIsDivided = true;
  const firsts = [0, 1].map(part => ring.start([], { part }));
  for (const part of [0, 1]) ring.start([firsts[part]!.peer], { part });
  ring.run(MINUTE_MS);
  for (const member of ring.members) member.part = 0;
  const inOrder = () =>
    ring.ring.every((peer, i) => {
      const next = ring.ring[(i + 1) % ring.ring.length]!;
      return ring.memberOf(peer).state.successors[0]?.id === next.id;
    });
  const steps = ring
    .captured(
      () => {
        const [one, other] = firsts;
        ring.step(one!, { type: 'contacts', now: ring.now, contacts: [other!.peer] });
      },
      inOrder,
      conversation('find', 'merge', 'notify'),
    )
    .filter(({ ms }) => ms < 1_000);
  return scenario(
    'Two rings that meet',
    'A member of one ring of two has discovered a member of another ring of two, and looks up its own ID there. ' +
      '' +
      'Those it would leave without a predecessor are told by `merge`. Shown is the first second; stabilising does the rest.',
    steps,
  );
}

function textOf(step: Step, before: readonly Step[]): string {
  const { from, to, message } = step;
  if (message.kind === 'request') return textOfRequest(message, to);
  const asked = before.find(
    ({ message: other, from: asker }) =>
      other.kind === 'request' && other.number === message.number && asker.id === to.id,
  )?.message;
  if (asked?.kind !== 'request') throw new Error('an answer to nothing');
  const [sip] = encodeAnswer(message, OVERLAY);
  const request = requestIn(Buffer.from(textOfRequest(asked, from)));
  return Buffer.from(
    serializeMessage(answering(sip!, request, idOf(from.id).slice(0, 8))),
  ).toString();
}

function textOfRequest(message: Extract<RingMessage, { kind: 'request' }>, to: Peer): string {
  const { from, number } = message;
  const chance = idOf(`${from.id} ${to.id}`);
  const frame = {
    overlay: OVERLAY,
    to,
    callId: chance.slice(0, 16),
    sequence: 1 + (number % 1_000),
    tag: chance.slice(16, 24),
  };
  const [sip] = encodeRequest(message, frame);
  const [host, port] = from.address.split(':') as [string, string];
  const params = Params.from({ branch: `z9hG4bK${chance.slice(24, 34)}` });
  sip!.headers.prepend(Via, { transport: 'TLS', host, port: Number(port), params });
  return Buffer.from(serializeMessage(sip!)).toString();
}
