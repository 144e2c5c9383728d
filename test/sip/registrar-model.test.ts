/**
 * Every state an address-of-record can be in, and every REGISTER in each, against a table one can read
 * beside RFC 3261 §10.3; `test/harness/explore.ts` says how.
 */

import { isDeepStrictEqual } from 'node:util';
import { parseMessage, parseUri, type SipRequest } from '@sip-stack/parser';
import t from 'tap';
import type { Binding } from '../../src/sip/registrar/binding.js';
import {
  lookup,
  newRegistrar,
  type RegistrarAction,
  type RegistrarEvent,
  type RegistrarState,
  stepRegistrar,
} from '../../src/sip/registrar/machine.js';
import { explore, sameTable } from '../harness/explore.js';
import { hop } from './proxy-lab.js';

const REGISTRAR = `
nobody: desk registers, desk registers too late, desk registers after a restart: -> desk 200 changed
nobody: desk asks for a minute less than granted: 423
nobody: desk leaves, hall leaves, all leave, another address gives room: 200 | 200 changed
nobody: desk leaves too late, all leave too late: 200 changed
nobody: hall registers: -> hall 200 changed
nobody: all leave in a while: 400
nobody: somebody asks, an hour later somebody asks: 200
nobody: an unknown extension is required: 420
nobody: another address takes room: -> nobody, and carol 200 changed | 503
nobody: what was before a restart comes back: -> desk and hall changed | -> desk changed | -> hall changed | changed
nobody: time to sweep, an hour later time to sweep: changed | changed changed | nothing
nobody: - the flow to the desk breaks
nobody: ! a third device registers
desk: desk registers, desk registers after a restart, hall leaves: 200 changed
desk: desk registers too late, desk leaves too late, all leave too late: 500
desk: desk asks for a minute less than granted: 423
desk: desk leaves, all leave: -> nobody 200 changed
desk: hall registers: -> desk and hall 200 changed | 503
desk: all leave in a while: 400
desk: somebody asks: 200
desk: an unknown extension is required: 420
desk: another address takes room: -> desk, and carol 200 changed | 503
desk: another address gives room: 200 | 200 changed
desk: the flow to the desk breaks: -> nobody changed
desk: what was before a restart comes back: -> desk and hall changed | changed
desk: time to sweep: changed | nothing
desk: an hour later somebody asks: -> nobody 200
desk: an hour later time to sweep: -> nobody changed | -> nobody changed changed
desk: ! a third device registers
hall: desk registers, desk registers after a restart: -> desk and hall 200 changed | 503
hall: desk registers too late: -> desk and hall 200 changed
hall: desk asks for a minute less than granted: 423
hall: desk leaves, desk leaves too late, hall registers: 200 changed
hall: hall leaves, all leave, all leave too late: -> nobody 200 changed
hall: all leave in a while: 400
hall: somebody asks: 200
hall: an unknown extension is required: 420
hall: another address takes room: -> hall, and carol 200 changed | 503
hall: another address gives room: 200 | 200 changed
hall: what was before a restart comes back: -> desk and hall changed | changed
hall: time to sweep: changed | nothing
hall: an hour later somebody asks: -> nobody 200
hall: an hour later time to sweep: -> nobody changed | -> nobody changed changed
hall: - the flow to the desk breaks
hall: ! a third device registers
nobody, and carol: desk registers, desk registers too late, desk registers after a restart: -> desk, and carol 200 changed
nobody, and carol: desk asks for a minute less than granted: 423
nobody, and carol: desk leaves, hall leaves, all leave: 200 | 200 changed
nobody, and carol: desk leaves too late, all leave too late: 200 changed
nobody, and carol: hall registers: -> hall, and carol 200 changed
nobody, and carol: all leave in a while: 400
nobody, and carol: somebody asks: 200
nobody, and carol: an unknown extension is required: 420
nobody, and carol: another address takes room: 500
nobody, and carol: another address gives room: -> nobody 200 changed
nobody, and carol: what was before a restart comes back: -> desk, and carol changed | changed
nobody, and carol: time to sweep: changed | nothing
nobody, and carol: an hour later somebody asks: -> nobody 200
nobody, and carol: an hour later time to sweep: -> nobody changed | -> nobody changed changed
nobody, and carol: - the flow to the desk breaks
nobody, and carol: ! a third device registers
desk and hall: desk registers, desk registers after a restart, hall registers: 200 changed
desk and hall: desk registers too late, desk leaves too late, all leave too late: 500
desk and hall: desk asks for a minute less than granted: 423
desk and hall: desk leaves: -> hall 200 changed
desk and hall: hall leaves: -> desk 200 changed
desk and hall: a third device registers: 403
desk and hall: all leave: -> nobody 200 changed
desk and hall: all leave in a while: 400
desk and hall: somebody asks, another address gives room: 200
desk and hall: an unknown extension is required: 420
desk and hall: another address takes room: 503
desk and hall: the flow to the desk breaks: -> hall changed
desk and hall: what was before a restart comes back: changed
desk and hall: an hour later somebody asks: -> nobody 200
desk and hall: an hour later time to sweep: -> nobody changed
desk and hall: - time to sweep
desk, and carol: desk registers, desk registers after a restart, hall leaves: 200 changed
desk, and carol: desk registers too late, desk leaves too late, all leave too late, another address takes room: 500
desk, and carol: desk asks for a minute less than granted: 423
desk, and carol: desk leaves, all leave: -> nobody, and carol 200 changed
desk, and carol: hall registers: 503
desk, and carol: all leave in a while: 400
desk, and carol: somebody asks: 200
desk, and carol: an unknown extension is required: 420
desk, and carol: another address gives room: -> desk 200 changed
desk, and carol: the flow to the desk breaks: -> nobody, and carol changed
desk, and carol: what was before a restart comes back: changed
desk, and carol: an hour later somebody asks: -> nobody 200
desk, and carol: an hour later time to sweep: -> nobody changed changed
desk, and carol: - time to sweep
desk, and carol: ! a third device registers
hall, and carol: desk registers, desk registers after a restart: 503
hall, and carol: desk asks for a minute less than granted: 423
hall, and carol: desk leaves, hall registers: 200 changed
hall, and carol: hall leaves, all leave: -> nobody, and carol 200 changed
hall, and carol: all leave in a while: 400
hall, and carol: somebody asks: 200
hall, and carol: an unknown extension is required: 420
hall, and carol: another address takes room: 500
hall, and carol: another address gives room: -> hall 200 changed
hall, and carol: what was before a restart comes back: changed
hall, and carol: an hour later somebody asks: -> nobody 200
hall, and carol: an hour later time to sweep: -> nobody changed changed
hall, and carol: - the flow to the desk breaks, time to sweep
hall, and carol: ! desk registers too late, desk leaves too late, a third device registers, all leave too late
`;

const AOR = 'sip:alice@example.com';
const OTHER_AOR = 'sip:carol@example.com';
const GRANTED_S = 3600;
/** Two contacts fill an address, three the registrar. */
const LIMITS = { perAddress: 2, inAll: 3 };

interface RegistrarModel {
  registrar: RegistrarState;
  now: number;
}

function register(aor: string, device: string, sequence: number, ...lines: string[]): SipRequest {
  const text = [
    `REGISTER sip:example.com SIP/2.0`,
    `Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1`,
    `From: <${aor}>;tag=a`,
    `To: <${aor}>`,
    `Call-ID: ${device}`,
    `CSeq: ${sequence} REGISTER`,
    'Max-Forwards: 70',
    ...lines,
  ];
  const message = parseMessage(Buffer.from(`${text.join('\r\n')}\r\n\r\n`));
  if (message.kind !== 'request') throw new Error('expected a request');
  return message;
}

const bindingsOf = ({ registrar }: RegistrarModel, aor = AOR): readonly Binding[] =>
  registrar.bindings.get(aor) ?? [];

/** The device's last CSeq. */
const lastOf = (model: RegistrarModel, device: string) =>
  Math.max(
    0,
    ...bindingsOf(model).flatMap(({ callId, sequence }) => (callId === device ? sequence : [])),
  );

function event(request: SipRequest, now: number, aor = AOR): RegistrarEvent {
  const { address, port } = hop('10.0.0.1').endpoint;
  const flow = { protocol: 'UDP', endpoint: { address, port } } as const;
  return { type: 'register', request, aor, flow, tag: 'r', serviceRoute: [], now };
}

/** What a device says next: with a CSeq one up. */
const says =
  (device: string, ...lines: string[]) =>
  (model: RegistrarModel): RegistrarEvent =>
    event(register(AOR, device, lastOf(model, device) + 1, ...lines), model.now);

/** What was overtaken on its way by what the device said last. */
const saidEarlier =
  (device: string, ...lines: string[]) =>
  (model: RegistrarModel): RegistrarEvent | undefined => {
    const last = lastOf(model, device);
    return last > 0 ? event(register(AOR, device, last, ...lines), model.now) : undefined;
  };

const DESK = 'Contact: <sip:desk@10.0.0.1>';
const HALL = 'Contact: <sip:hall@10.0.0.2>';
const ROOF = 'Contact: <sip:roof@10.0.0.3>';

/** A binding as it was stored before a restart. */
function before(line: string, now: number): Binding {
  const registrar = newRegistrar();
  stepRegistrar(registrar, event(register(AOR, 'earlier', 1, line), now));
  const [binding] = registrar.bindings.get(AOR) ?? [];
  if (!binding) throw new Error('expected a binding');
  return binding;
}

const events = {
  'desk registers': says('desk', DESK),
  'desk registers too late': saidEarlier('desk', DESK),
  'desk registers after a restart': says('restarted', DESK),
  'desk asks for a minute less than granted': says('desk', `${DESK};expires=59`),
  'desk leaves': says('desk', `${DESK};expires=0`),
  'desk leaves too late': saidEarlier('desk', `${DESK};expires=0`),
  'hall registers': says('hall', HALL),
  'hall leaves': says('hall', `${HALL};expires=0`),
  'a third device registers': (model: RegistrarModel) =>
    live(model).length < LIMITS.perAddress ? undefined : says('roof', ROOF)(model),
  'all leave': says('desk', 'Contact: *', 'Expires: 0'),
  'all leave too late': saidEarlier('desk', 'Contact: *', 'Expires: 0'),
  'all leave in a while': says('desk', 'Contact: *', 'Expires: 60'),
  'somebody asks': says('nobody'),
  'an unknown extension is required': says('desk', DESK, 'Require: teleport'),
  'another address takes room': ({ now }: RegistrarModel) =>
    event(register(OTHER_AOR, 'carol', 1, HALL, ROOF), now, OTHER_AOR),
  'another address gives room': ({ now }: RegistrarModel) =>
    event(register(OTHER_AOR, 'carol', 9, 'Contact: *', 'Expires: 0'), now, OTHER_AOR),
  'the flow to the desk breaks': ({ now }: RegistrarModel): RegistrarEvent => ({
    type: 'remove',
    aor: AOR,
    contact: parseUri('sip:desk@10.0.0.1'),
    now,
  }),
  'what was before a restart comes back': ({ now }: RegistrarModel): RegistrarEvent => ({
    type: 'restore',
    aor: AOR,
    bindings: [DESK, HALL, ROOF].map(line => before(line, now)),
  }),
  'time to sweep': ({ now }: RegistrarModel): RegistrarEvent => ({ type: 'sweep', now }),
  'an hour later somebody asks': (model: RegistrarModel) =>
    event(register(AOR, 'nobody', 1), model.now + GRANTED_S * 1000),
  'an hour later time to sweep': ({ now }: RegistrarModel): RegistrarEvent => ({
    type: 'sweep',
    now: now + GRANTED_S * 1000,
  }),
};

const live = (model: RegistrarModel, aor = AOR) =>
  bindingsOf(model, aor).filter(({ expiresAt }) => expiresAt > model.now);
const stored = ({ registrar }: RegistrarModel) => new Map(registrar.bindings);

t.test('an address-of-record', async t => {
  const walk = explore<RegistrarModel, RegistrarEvent, RegistrarAction>({
    types: { register: true, restore: true, remove: true, sweep: true },
    starts: [{ registrar: newRegistrar(LIMITS), now: 0 }],
    events,
    copy: model => ({ ...model, registrar: { ...model.registrar, bindings: stored(model) } }),
    step: (model, event) => {
      if (event.type !== 'restore') model.now = event.now;
      return stepRegistrar(model.registrar, event);
    },
    key: model =>
      JSON.stringify(
        [AOR, OTHER_AOR].map(aor =>
          bindingsOf(model, aor)
            .map(({ contact, callId, expiresAt }) => [contact, callId, expiresAt > model.now])
            .sort(),
        ),
      ),
    mode: model => {
      const names = live(model).map(({ contact }) => /sip:(\w+)/.exec(contact)?.[1] ?? '');
      const full = live(model, OTHER_AOR).length > 0 ? ', and carol' : '';
      return (names.sort().join(' and ') || 'nobody') + full;
    },
    brief: action => (action.type === 'respond' ? `${action.response.status}` : action.type),
    check: ({ before, event, actions, after }) => {
      const { registrar, now } = after;
      const answers = actions.filter(({ type }) => type === 'respond').length;
      if (answers !== (event.type === 'register' ? 1 : 0)) throw new Error(`${answers} answers`);
      const kept = [...registrar.bindings.values()].flat();
      if (kept.length !== registrar.size)
        throw new Error(`${kept.length} counted as ${registrar.size}`);
      if (kept.length > LIMITS.inAll) throw new Error('more than there is room for');
      if (lookup(registrar, AOR, now).length !== live(after).length)
        throw new Error('who is found is not who is here');
      const changed = actions.some(({ type }) => type === 'changed');
      if (!changed && !isDeepStrictEqual(stored(before), stored(after))) {
        throw new Error('something changed, and nobody was told');
      }
    },
  });
  sameTable(t, walk, REGISTRAR);
});
