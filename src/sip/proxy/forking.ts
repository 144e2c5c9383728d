/** The branches of a proxied request, from the first that is tried to the answer that goes back. */
import { type SipResponse, Via } from '@sip-stack/parser';
import { makeResponse } from '../response.js';
import { isProvisional, isSuccess } from '../transaction/machine.js';
import { bestResponse } from './best-response.js';
import type { Branch, ProxyAction, ProxyContext, ProxyTimer } from './context.js';
import { forwardedRequest, nextUri, type OwnAddress } from './route.js';
import type { NextHop } from './target.js';

/** RFC 3326: whose call was taken elsewhere need not show it as missed. */
const TAKEN_ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"';

const BRANCH_TIMERS = ['C', 'no-answer', 'cancel'] as const;

export function fork(context: ProxyContext): ProxyAction[] {
  context.phase = 'forwarding';
  return proceed(context);
}

/** The caller gave up: no new branches, and an end to those under way (§16.10). */
export function stopForking(context: ProxyContext): ProxyAction[] {
  const actions = cancelPending(context);
  return [...actions, ...proceed(context)];
}

/** The final response, but for a 2xx of a branch, and the end of forwarding. */
export function endWith(context: ProxyContext, response: SipResponse): ProxyAction[] {
  context.phase = 'refused';
  return [{ type: 'respond', response }, ...settle(context)];
}

// ---- beginning a branch

/** Begins what may begin now; answers when nothing is left to wait for. */
function proceed(context: ProxyContext): ProxyAction[] {
  const pending = context.branches.filter(({ state }) => state !== 'done');
  if (pending.length === 0 && context.group.length === 0) {
    const next = context.waiting.shift();
    if (!next) return conclude(context);
    context.group = next;
  }
  const room = context.breadth - pending.reduce((sum, { breadth }) => sum + breadth, 0);
  const starting = context.group.splice(0, room);
  const breadth = Math.floor(room / starting.length);
  return starting.flatMap(target => {
    const branch: Branch = {
      id: context.branches.length,
      state: 'resolving',
      target,
      hops: [],
      cancel: 'no',
      timedOut: false,
      breadth,
    };
    context.branches.push(branch);
    return reach(context, branch);
  });
}

function reach(context: ProxyContext, branch: Branch): ProxyAction[] {
  const { hop, route } = branch.target;
  if (hop && route.length === 0) return send(context, branch, hop);
  branch.state = 'resolving';
  const uri = nextUri(context.request, branch.target);
  return [{ type: 'resolve', branch: branch.id, uri }];
}

export function onResolved(
  context: ProxyContext,
  branch: Branch | undefined,
  hops: readonly NextHop[],
): ProxyAction[] {
  if (branch?.state !== 'resolving') return [];
  branch.hops = hops;
  return retry(context, branch) ?? finish(context, branch, local(context, 503));
}

/** The next way to this target, if there is another. */
function retry(context: ProxyContext, branch: Branch): ProxyAction[] | undefined {
  const [hop, ...hops] = branch.hops;
  if (hop) {
    branch.hops = hops;
    return send(context, branch, hop);
  }
  const [target, ...alternates] = branch.target.alternates ?? [];
  if (!target) return undefined;
  branch.target = { ...target, alternates };
  return reach(context, branch);
}

function send(context: ProxyContext, branch: Branch, hop: NextHop): ProxyAction[] {
  const { request, settings, loop } = context;
  const { target, breadth, id } = branch;
  branch.state = 'calling';
  const forwarded = forwardedRequest(request, {
    target,
    maxBreadth: breadth,
    recordRoute: settings.recordRoute(request) ? ownAddresses(context, hop) : [],
  });
  const actions: ProxyAction[] = [{ type: 'send', branch: id, request: forwarded, hop, loop }];
  if (request.method !== 'INVITE') return actions;
  actions.push(setTimer(branch, 'C', settings.timerC));
  if (target.ringMs !== undefined) actions.push(setTimer(branch, 'no-answer', target.ringMs));
  return actions;
}

/** Two where this proxy stands between two networks or transports (RFC 5658). */
function ownAddresses({ settings, source }: ProxyContext, hop: NextHop): OwnAddress[] {
  const ahead = settings.addressFor(hop);
  const behind = settings.addressFor(source);
  const same =
    ahead.host === behind.host &&
    ahead.port === behind.port &&
    ahead.transport === behind.transport;
  return same ? [ahead] : [ahead, behind];
}

// ---- what a branch answers

export function onResponse(
  context: ProxyContext,
  branch: Branch | undefined,
  response: SipResponse,
): ProxyAction[] {
  if (!branch) return [];
  response.headers.removeFirst(Via);
  if (isProvisional(response)) return onProvisional(context, branch, response);
  if (isSuccess(response)) return onSuccess(context, branch, response);
  if (branch.state === 'done') return [];
  // Overloaded, or its flow is broken: there may be another way (RFC 3263 §4.3, RFC 5626 §5.3).
  const elsewhere = response.status === 503 || response.status === 430;
  const again = elsewhere && branch.cancel === 'no' ? retry(context, branch) : undefined;
  return again ?? finish(context, branch, response);
}

function onProvisional(
  context: ProxyContext,
  branch: Branch,
  response: SipResponse,
): ProxyAction[] {
  if (branch.state === 'calling') branch.state = 'proceeding';
  if (branch.cancel === 'wanted') return sendCancel(context, branch, undefined);
  // Others have only 100, which is each hop's own (RFC 4320 §4.1).
  if (context.request.method !== 'INVITE') return [];
  if (branch.state === 'done' || response.status === 100) return [];
  const actions: ProxyAction[] = [setTimer(branch, 'C', context.settings.timerC)];
  if (context.phase === 'forwarding') actions.push({ type: 'respond', response });
  return actions;
}

/** Goes back at once, each of several too (§16.7 step 5). */
function onSuccess(context: ProxyContext, branch: Branch, response: SipResponse): ProxyAction[] {
  const first = context.phase === 'forwarding';
  // After another final response the server transaction takes no 2xx: the callee will hang up by itself.
  if (!first && context.phase !== 'answered') return [];
  const repeated = branch.state === 'done';
  branch.state = 'done';
  const actions: ProxyAction[] = [{ type: 'respond', response }];
  if (context.request.method !== 'INVITE') {
    context.phase = 'released';
    return [...actions, { type: 'release' }];
  }
  if (!first && repeated) return actions;
  actions.push(...cancelTimers(branch));
  if (first) {
    context.phase = 'answered';
    context.group = [];
    context.waiting = [];
    if (context.cancelsOthers) actions.push(...cancelPending(context, TAKEN_ELSEWHERE));
  }
  return [...actions, ...proceed(context)];
}

export function onFailed(
  context: ProxyContext,
  branch: Branch | undefined,
  reason: 'timeout' | 'transport',
): ProxyAction[] {
  if (!branch || branch.state === 'done') return [];
  const again = branch.cancel === 'no' ? retry(context, branch) : undefined;
  // §16.8, §16.9
  return again ?? finish(context, branch, local(context, reason === 'timeout' ? 408 : 503));
}

/** The branch has its final response, which is no 2xx. */
function finish(context: ProxyContext, branch: Branch, response: SipResponse): ProxyAction[] {
  branch.state = 'done';
  const final = branch.timedOut ? local(context, 408) : response;
  context.finals.push(final);
  const actions = cancelTimers(branch);
  // Nobody will take it: it goes back when the others have ended (§16.7 step 5).
  if (final.status >= 600) actions.push(...cancelPending(context));
  return [...actions, ...proceed(context)];
}

/** Nothing is under way and nothing is left to try. */
function conclude(context: ProxyContext): ProxyAction[] {
  if (context.phase === 'answered') return settle(context);
  const best = bestResponse(context.finals) ?? local(context, context.cancelled ? 487 : 480);
  // A 408 to anything but INVITE comes when nobody waits for it any more (RFC 4320 §4.2).
  if (best.status === 408 && context.request.method !== 'INVITE') {
    context.phase = 'released';
    return [{ type: 'abandon' }, { type: 'release' }];
  }
  return endWith(context, best);
}

function settle(context: ProxyContext): ProxyAction[] {
  const { request, settings } = context;
  if (request.method === 'INVITE') {
    return [{ type: 'set-timer', timer: { name: 'linger' }, ms: 64 * settings.timers.t1 }];
  }
  context.phase = 'released';
  return [{ type: 'release' }];
}

// ---- ending a branch

export function onBranchTimer(
  context: ProxyContext,
  branch: Branch | undefined,
  name: (typeof BRANCH_TIMERS)[number],
): ProxyAction[] {
  if (!branch || branch.state === 'done') return [];
  if (name === 'cancel') {
    // It does not even answer the INVITE that was cancelled (§9.1).
    const final = local(context, context.cancelled ? 487 : 408);
    return [{ type: 'forget', branch: branch.id }, ...finish(context, branch, final)];
  }
  if (branch.cancel !== 'no') return [];
  branch.timedOut = true;
  if (branch.state === 'proceeding') return sendCancel(context, branch, undefined);
  // Nothing to cancel yet, and no reason to wait: if it wakes up, it is cancelled then.
  branch.cancel = 'wanted';
  return finish(context, branch, local(context, 408));
}

/** No new branches; those under way are cancelled (§16.7 step 10). */
function cancelPending(context: ProxyContext, reason?: string): ProxyAction[] {
  context.group = [];
  context.waiting = [];
  // Only an INVITE can be cancelled (§9.1): others have their answer soon by themselves.
  if (context.request.method !== 'INVITE') return [];
  const actions: ProxyAction[] = [];
  for (const branch of context.branches) {
    if (branch.state === 'proceeding' && branch.cancel !== 'sent') {
      actions.push(...sendCancel(context, branch, reason));
    }
    if (branch.state === 'calling') branch.cancel = 'wanted';
    if (branch.state === 'resolving') branch.state = 'done';
  }
  return actions;
}

function sendCancel(
  context: ProxyContext,
  branch: Branch,
  reason: string | undefined,
): ProxyAction[] {
  branch.cancel = 'sent';
  return [
    { type: 'cancel', branch: branch.id, reason },
    setTimer(branch, 'cancel', 64 * context.settings.timers.t1),
  ];
}

function setTimer(branch: Branch, name: (typeof BRANCH_TIMERS)[number], ms: number): ProxyAction {
  return { type: 'set-timer', timer: timerOf(branch, name), ms };
}

function cancelTimers(branch: Branch): ProxyAction[] {
  return BRANCH_TIMERS.map(name => ({ type: 'cancel-timer', timer: timerOf(branch, name) }));
}

function timerOf({ id }: Branch, name: (typeof BRANCH_TIMERS)[number]): ProxyTimer {
  return { name, branch: id };
}

function local({ request, tag }: ProxyContext, status: number): SipResponse {
  return makeResponse(request, status, tag);
}
