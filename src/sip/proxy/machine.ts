/**
 * A stateful proxy's work on one request: RFC 3261 §16 with RFC 3841, RFC 4320, RFC 5393 and RFC 6026.
 * Pure. What happens before anything is sent on is here, the branches are in `forking.ts`.
 */
import {
  Contact,
  isSipUri,
  MaxForwards,
  Params,
  ProxyRequire,
  RequestDisposition,
  Route,
  type SipResponse,
  type SipUri,
  Unsupported,
} from '@sip-stack/parser';
import { makeResponse } from '../response.js';
import { isLoop, loopDigest } from './branch.js';
import type { ProxyAction, ProxyContext, ProxyEvent, ProxyTimer } from './context.js';
import {
  endWith,
  fork,
  onBranchTimer,
  onFailed,
  onResolved,
  onResponse,
  stopForking,
} from './forking.js';
import { preferencesOf } from './preferences.js';
import { consumeRoute, DEFAULT_MAX_BREADTH, MaxBreadth } from './route.js';
import {
  type ForkDirective,
  groupTargets,
  isRoutable,
  plainTarget,
  type Target,
} from './target.js';

/** @throws {SipSyntaxError} for a malformed field that only proxies read */
export function stepProxy(context: ProxyContext, event: ProxyEvent): ProxyAction[] {
  if (context.phase === 'released') return [];
  switch (event.type) {
    case 'admitted':
      return context.phase === 'admitting' ? onAdmitted(context) : [];
    case 'refused': {
      const undecided = context.phase === 'admitting' || context.phase === 'locating';
      return undecided ? endWith(context, event.response) : [];
    }
    case 'located':
      return context.phase === 'locating' ? onLocated(context, event.found) : [];
    case 'resolved':
      return onResolved(context, context.branches[event.branch], event.hops);
    case 'response':
      return onResponse(context, context.branches[event.branch], event.response);
    case 'failed':
      return onFailed(context, context.branches[event.branch], event.reason);
    case 'cancelled':
      return onCancelled(context);
    case 'timer':
      return onTimer(context, event.timer);
  }
}

function onAdmitted(context: ProxyContext): ProxyAction[] {
  const { request, settings } = context;
  const { headers, method } = request;
  const refusal = validate(context);
  if (refusal) return endWith(context, refusal);
  consumeRoute(request, uri => settings.isSelf(uri));
  context.loop = loopDigest(request, settings.secret);
  if (isLoop(request, context.loop)) return endWith(context, answer(context, 482));
  context.phase = 'locating';
  const actions: ProxyAction[] =
    method === 'INVITE'
      ? []
      : [{ type: 'set-timer', timer: { name: 'late' }, ms: 64 * settings.timers.t1 }];
  if (!headers.has(Route)) {
    if (method === 'OPTIONS' && isSipUri(request.uri) && isProxyItself(request.uri, context)) {
      return endWith(context, answer(context, 200));
    }
    if (settings.isResponsible(request.uri)) return [...actions, { type: 'locate', request }];
  }
  return [...actions, ...onLocated(context, [plainTarget(request.uri)])];
}

/** §16.3, but for the loop: that is looked for when the route is known. */
function validate(context: ProxyContext): SipResponse | undefined {
  const { request, settings } = context;
  const { headers, method } = request;
  if (headers.first(MaxForwards) === 0) {
    // Whoever counts hops with OPTIONS learns who is at this one (§11).
    return answer(context, method === 'OPTIONS' ? 200 : 483);
  }
  const unknown = headers.all(ProxyRequire).filter(tag => !settings.extensions.includes(tag));
  if (unknown.length === 0) return undefined;
  const response = answer(context, 420);
  response.headers.set(Unsupported, ...unknown);
  return response;
}

function isProxyItself(uri: SipUri, { settings }: ProxyContext): boolean {
  return uri.user === undefined && settings.isSelf(uri);
}

/** §16.5: the targets are known. */
function onLocated(context: ProxyContext, found: readonly Target[] | number): ProxyAction[] {
  if (typeof found === 'number') return endWith(context, answer(context, found));
  const { request } = context;
  const directives = request.headers.all(RequestDisposition).map(word => word.toLowerCase());
  const located = groupTargets(found, preferencesOf(request), forkDirective(directives));
  if (located.length === 0) return endWith(context, answer(context, 480));
  if (directives.includes('redirect'))
    return endWith(context, redirection(context, located.flat()));
  const routable = (target: Target) => isRoutable(target) || request.headers.has(Route);
  const groups = located.map(group => group.filter(routable)).filter(group => group.length > 0);
  if (groups.length === 0) return endWith(context, answer(context, 416));
  context.breadth = request.headers.first(MaxBreadth) ?? DEFAULT_MAX_BREADTH;
  if (context.breadth === 0) return endWith(context, answer(context, 440));
  context.cancelsOthers = !directives.includes('no-cancel');
  context.waiting = groups;
  return fork(context);
}

function forkDirective(directives: readonly string[]): ForkDirective {
  if (directives.includes('no-fork')) return 'no-fork';
  if (directives.includes('sequential')) return 'sequential';
  return directives.includes('parallel') ? 'parallel' : undefined;
}

/** The caller wants to know, and try, the targets itself (RFC 3841 §9.1). */
function redirection(context: ProxyContext, targets: readonly Target[]): SipResponse {
  const response = answer(context, 302);
  const contacts = targets.map(({ uri, features }) => ({ uri, params: features ?? new Params() }));
  response.headers.set(Contact, ...contacts);
  return response;
}

function onCancelled(context: ProxyContext): ProxyAction[] {
  switch (context.phase) {
    case 'admitting':
    case 'locating':
      return endWith(context, answer(context, 487));
    case 'forwarding':
      context.cancelled = true;
      return stopForking(context);
    case 'answered':
    case 'refused':
    case 'released':
      return [];
  }
}

function onTimer(context: ProxyContext, timer: ProxyTimer): ProxyAction[] {
  switch (timer.name) {
    case 'linger':
      context.phase = 'released';
      return [{ type: 'release' }];
    case 'late':
      context.phase = 'released';
      return [{ type: 'abandon' }, { type: 'release' }];
    case 'C':
    case 'no-answer':
    case 'cancel':
      return onBranchTimer(context, context.branches[timer.branch], timer.name);
  }
}

function answer({ request, tag }: ProxyContext, status: number): SipResponse {
  return makeResponse(request, status, tag);
}
