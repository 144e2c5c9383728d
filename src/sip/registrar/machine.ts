/**
 * The registrar: RFC 3261 §10.3, with Path (RFC 3327), Service-Route (RFC 3608) and several flows of
 * one device (RFC 5626 §6), public GRUUs (RFC 5627). Pure: who may register what is settled before a request comes here.
 */
import {
  CallId,
  Contact,
  CSeq,
  Expires,
  formatUri,
  isSipUri,
  MinExpires,
  type NameAddr,
  Params,
  Path,
  Require,
  RetryAfter,
  ServiceRoute,
  type SipRequest,
  type SipResponse,
  Supported,
  sameUri,
  sipUri,
  To,
  Unsupported,
  type Uri,
  Via,
} from '@sip-stack/parser';
import { makeResponse } from '../response.js';
import {
  type Binding,
  describeBinding,
  type Flow,
  isSameBinding,
  newBinding,
  octetsOf,
  parseContact,
  type RegisteredContact,
  regIdOf,
} from './binding.js';

export interface RegistrarLimits {
  /** Granted where a device asks for nothing. */
  readonly defaultSeconds: number;
  /** Less is refused with 423, unless it is 0. At most 3600 (§10.3 step 7). */
  readonly minSeconds: number;
  /** More is cut down to this. */
  readonly maxSeconds: number;
  readonly perAddress: number;
  readonly inAll: number;
  /** Octets of text one binding may keep. */
  readonly bindingOctets: number;
}

export const DEFAULT_REGISTRAR_LIMITS: RegistrarLimits = {
  defaultSeconds: 3600, // RFC 3261 §10.2.1.1
  minSeconds: 60,
  maxSeconds: 7200,
  perAddress: 10,
  inAll: 10_000,
  bindingOctets: 2048,
};

export interface RegistrarState {
  readonly limits: RegistrarLimits;
  /** By address-of-record; expired ones stay until the next sweep, and nobody sees them. */
  readonly bindings: Map<string, readonly Binding[]>;
  /** Bindings in all. */
  size: number;
}

export type RegistrarEvent =
  | {
      readonly type: 'register';
      readonly request: SipRequest;
      /** From `addressOfRecord`. */
      readonly aor: string;
      readonly flow: Flow;
      /** For the To of the response. */
      readonly tag: string;
      readonly serviceRoute: readonly NameAddr[];
      readonly now: number;
    }
  /** What an address-of-record had before a restart. */
  | { readonly type: 'restore'; readonly aor: string; readonly bindings: readonly Binding[] }
  /** A contact is known to be gone, as when its flow failed (RFC 5626 §5.3). */
  | { readonly type: 'remove'; readonly aor: string; readonly contact: Uri; readonly now: number }
  /** Time to drop what has expired. */
  | { readonly type: 'sweep'; readonly now: number };

export type RegistrarAction =
  | { readonly type: 'respond'; readonly response: SipResponse }
  /** The bindings of this address-of-record came, went or were refreshed. */
  | { readonly type: 'changed'; readonly aor: string };

type Registration = Extract<RegistrarEvent, { type: 'register' }>;

/** Extensions a REGISTER may require of us. */
const EXTENSIONS: readonly string[] = ['path', 'outbound', 'gruu'];
/** A full registrar asks for a new attempt after this time, in seconds. */
const RETRY_AFTER_S = 60;
/** §10.3 step 7: nothing from an hour up may be refused as too brief. */
const NEVER_TOO_BRIEF_S = 3600;

export function newRegistrar(limits: Partial<RegistrarLimits> = {}): RegistrarState {
  return { limits: { ...DEFAULT_REGISTRAR_LIMITS, ...limits }, bindings: new Map(), size: 0 };
}

export function stepRegistrar(state: RegistrarState, event: RegistrarEvent): RegistrarAction[] {
  switch (event.type) {
    case 'register':
      return register(state, event);
    case 'remove': {
      const current = liveBindings(state, event.aor, event.now);
      const left = current.filter(
        ({ contact }) => !sameUri(parseContact(contact).uri, event.contact),
      );
      if (left.length === current.length) return [];
      store(state, event.aor, left);
      return [{ type: 'changed', aor: event.aor }];
    }
    case 'restore':
      return restore(state, event.aor, event.bindings);
    case 'sweep':
      return sweep(state, event.now);
  }
}

/**
 * Where an address-of-record can be reached: highest q first, then the latest. Of several flows to one
 * device only the latest stands in the list, and the others beside it.
 */
export function lookup(state: RegistrarState, aor: string, now: number): RegisteredContact[] {
  const ordered = liveBindings(state, aor, now).sort(
    (a, b) => b.q - a.q || b.refreshedAt - a.refreshedAt,
  );
  const devices = new Map<string | Binding, [RegisteredContact, ...RegisteredContact[]]>();
  for (const binding of ordered) {
    const device = (binding.regId > 0 ? binding.instance : undefined) ?? binding;
    const contact = describeBinding(binding, now);
    const flows = devices.get(device);
    if (flows) flows.push(contact);
    else devices.set(device, [contact]);
  }
  return [...devices.values()].map(([first, ...alternates]) => ({ ...first, alternates }));
}

function register(state: RegistrarState, event: Registration): RegistrarAction[] {
  const { request, aor, now } = event;
  const { headers } = request;
  const unknown = headers.all(Require).filter(tag => !EXTENSIONS.includes(tag.toLowerCase()));
  if (unknown.length > 0) {
    return refuse(event, 420, response => response.headers.set(Unsupported, ...unknown));
  }
  const current = liveBindings(state, aor, now);
  const contacts = headers.all(Contact);
  // Without Contact it only asks what there is (§10.2.3).
  if (contacts.length === 0) return [accept(event, current)];
  const updated = contacts.includes('*')
    ? removeAll(event, current)
    : update(state.limits, event, current, contacts as readonly NameAddr[]);
  if (!Array.isArray(updated)) return updated.refused;
  if (updated.length > state.limits.perAddress && updated.length > current.length) {
    return refuse(event, 403);
  }
  const known = state.bindings.get(aor)?.length ?? 0;
  if (updated.length > current.length && state.size - known + updated.length > state.limits.inAll) {
    return refuse(event, 503, response =>
      response.headers.set(RetryAfter, { seconds: RETRY_AFTER_S, params: new Params() }),
    );
  }
  // Who takes back what was never there changes nothing.
  if (known === 0 && updated.length === 0) return [accept(event, updated)];
  store(state, aor, updated);
  return [accept(event, updated), { type: 'changed', aor }];
}

interface Refused {
  readonly refused: RegistrarAction[];
}

/** `Contact: *` (§10.2.2, §10.3 step 6). */
function removeAll(event: Registration, current: readonly Binding[]): Binding[] | Refused {
  const { headers } = event.request;
  if (headers.all(Contact).length > 1 || headers.first(Expires) !== 0) {
    return { refused: refuse(event, 400) };
  }
  return current.some(binding => !isInOrder(event.request, binding))
    ? { refused: refuse(event, 500) }
    : [];
}

/** All contacts of a request or none (§10.3 step 7). */
function update(
  limits: RegistrarLimits,
  event: Registration,
  current: readonly Binding[],
  contacts: readonly NameAddr[],
): Binding[] | Refused {
  const { request, flow, now } = event;
  const { headers } = request;
  const numbered = contacts.filter(contact => regIdOf(contact) > 0);
  if (numbered.length > 1) return { refused: refuse(event, 400) };
  if (numbered.length > 0 && !keepsFlows(request)) return { refused: refuse(event, 439) };
  const callId = headers.require(CallId);
  const { sequence } = headers.require(CSeq);
  let updated: Binding[] = [...current];
  for (const contact of contacts) {
    const seconds = lifetime(limits, contact, headers.first(Expires));
    if (seconds > 0 && seconds < limits.minSeconds && seconds < NEVER_TOO_BRIEF_S) {
      return {
        refused: refuse(event, 423, response =>
          response.headers.set(MinExpires, limits.minSeconds),
        ),
      };
    }
    const replaced = current.filter(binding => isSameBinding(binding, contact));
    if (replaced.some(binding => !isInOrder(request, binding))) {
      return { refused: refuse(event, 500) };
    }
    updated = updated.filter(binding => !isSameBinding(binding, contact));
    if (seconds === 0) continue;
    const lifetimeMs = Math.min(seconds, limits.maxSeconds) * 1000;
    const binding = newBinding(request, contact, { callId, sequence, flow, now, lifetimeMs });
    if (octetsOf(binding) > limits.bindingOctets) return { refused: refuse(event, 513) };
    updated.push(binding);
  }
  return updated;
}

/** A request that was overtaken by a later one of the same device changes nothing (§10.3 step 7). */
function isInOrder({ headers }: SipRequest, binding: Binding): boolean {
  const sameSeries = headers.require(CallId) === binding.callId;
  return !sameSeries || headers.require(CSeq).sequence > binding.sequence;
}

/** RFC 5626 §6: straight from the device, or through a first proxy that keeps flows open. */
function keepsFlows({ headers }: SipRequest): boolean {
  const first = headers.all(Path).at(-1);
  if (first) return 'host' in first.uri && first.uri.params.has('ob');
  return headers.all(Via).length === 1;
}

/** In seconds: what the contact asks for, else the request, else the default. */
function lifetime(limits: RegistrarLimits, contact: NameAddr, expires: number | undefined): number {
  const asked = contact.params.get('expires');
  if (asked === undefined) return expires ?? limits.defaultSeconds;
  // §10.2.1.1: a malformed value counts as the default.
  return /^\d{1,10}$/.test(asked) ? Number(asked) : limits.defaultSeconds;
}

function accept(event: Registration, bindings: readonly Binding[]): RegistrarAction {
  const { request, tag, now, serviceRoute } = event;
  const response = makeResponse(request, 200, tag);
  const { headers } = response;
  const wantsGruu = request.headers.all(Supported).some(tag => tag.toLowerCase() === 'gruu');
  const contacts = bindings.map(({ contact, instance, expiresAt }) => {
    const gruu = wantsGruu && instance !== undefined ? publicGruu(request, instance) : undefined;
    const param = gruu === undefined ? '' : `;pub-gruu="${gruu}"`;
    return `${contact}${param};expires=${Math.ceil((expiresAt - now) / 1000)}`;
  });
  headers.setText(Contact.name, ...contacts);
  headers.set(Path, ...request.headers.all(Path));
  if (bindings.length > 0) headers.set(ServiceRoute, ...serviceRoute);
  const outbound = request.headers.all(Supported).some(tag => tag.toLowerCase() === 'outbound');
  if (outbound && bindings.some(({ regId }) => regId > 0)) headers.set(Require, 'outbound');
  return { type: 'respond', response };
}

/** Names one device of an address-of-record, wherever it is (RFC 5627 §3.1): its registrar finds it by `gr`. */
function publicGruu(register: SipRequest, instance: string): string | undefined {
  const { uri } = register.headers.require(To);
  const urn = /^<(urn:[\w:.-]+)>$/.exec(instance)?.[1];
  if (!isSipUri(uri) || urn === undefined) return undefined;
  const { scheme, user, host } = uri;
  // An address-of-record may do without the port of its registrar, a place to send requests to may not.
  const registrar = isSipUri(register.uri) && register.uri.host === host ? register.uri : undefined;
  const port = uri.port ?? registrar?.port;
  return formatUri(sipUri({ scheme, user, host, port, params: { gr: urn } }));
}

function refuse(
  event: Registration,
  status: number,
  complete: (response: SipResponse) => void = () => undefined,
): RegistrarAction[] {
  const response = makeResponse(event.request, status, event.tag);
  complete(response);
  return [{ type: 'respond', response }];
}

function liveBindings({ bindings }: RegistrarState, aor: string, now: number): Binding[] {
  return (bindings.get(aor) ?? []).filter(({ expiresAt }) => expiresAt > now);
}

function store(state: RegistrarState, aor: string, updated: readonly Binding[]): void {
  state.size += updated.length - (state.bindings.get(aor)?.length ?? 0);
  if (updated.length === 0) state.bindings.delete(aor);
  else state.bindings.set(aor, updated);
}

/** As far as there is room; what has registered meanwhile comes first. */
function restore(
  state: RegistrarState,
  aor: string,
  bindings: readonly Binding[],
): RegistrarAction[] {
  const { perAddress, inAll } = state.limits;
  const known = state.bindings.get(aor) ?? [];
  const others = bindings.filter(
    binding => !known.some(entry => isSameBinding(entry, parseContact(binding.contact))),
  );
  const room = Math.min(perAddress - known.length, inAll - state.size);
  store(state, aor, [...known, ...others.slice(0, Math.max(0, room))]);
  return [{ type: 'changed', aor }];
}

function sweep(state: RegistrarState, now: number): RegistrarAction[] {
  const actions: RegistrarAction[] = [];
  for (const [aor, bindings] of state.bindings) {
    if (bindings.every(({ expiresAt }) => expiresAt > now)) continue;
    store(state, aor, liveBindings(state, aor, now));
    actions.push({ type: 'changed', aor });
  }
  return actions;
}
