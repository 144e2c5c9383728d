/**
 * Keeps a flow of datagrams alive by STUN Binding requests (RFC 5626 §4.4.2), and notices when nobody answers
 * or when we are seen from another address than before. Pure; the driver is `datagram-flows.ts`.
 */
import { formatEndpoint } from '../../core/endpoint.js';
import type { Endpoint } from '../../core/network.js';

/** RFC 8489 §6.2.1: the first retransmission, how often it is sent, and the wait after the last. */
const RTO_MS = 500;
const SENT_TIMES = 7;
const LAST_WAIT_MS = 16 * RTO_MS;

export interface BindingKeeper {
  /** Each pause is 80 to 100% of it (RFC 5626 §4.4). */
  readonly intervalMs: number;
  /** A number in [0, 1). */
  readonly chance: () => number;
  readonly newId: () => string;
  /** The request under way, and how often it was sent. */
  asked: { readonly id: string; times: number } | undefined;
  /** Where we are seen. */
  mapped: string | undefined;
  lost: boolean;
}

export type BindingEvent =
  | { readonly type: 'start' }
  | { readonly type: 'timer' }
  | { readonly type: 'response'; readonly id: string; readonly mapped: Endpoint };

export type BindingAction =
  | { readonly type: 'send'; readonly id: string }
  | { readonly type: 'set-timer'; readonly ms: number }
  /** Last of all: nothing that is sent to us by this flow arrives any more. */
  | { readonly type: 'lost'; readonly reason: string };

export function newBindingKeeper(
  options: Pick<BindingKeeper, 'intervalMs' | 'chance' | 'newId'>,
): BindingKeeper {
  return { ...options, asked: undefined, mapped: undefined, lost: false };
}

export function stepBindingKeeper(keeper: BindingKeeper, event: BindingEvent): BindingAction[] {
  if (keeper.lost) return [];
  switch (event.type) {
    case 'start':
      return [pause(keeper)];
    case 'timer':
      return onTimer(keeper);
    case 'response': {
      if (event.id !== keeper.asked?.id) return [];
      keeper.asked = undefined;
      const mapped = formatEndpoint(event.mapped);
      const before = keeper.mapped ?? mapped;
      keeper.mapped = mapped;
      if (before !== mapped)
        return lose(keeper, `we are seen at ${mapped}, no longer at ${before}`);
      return [pause(keeper)];
    }
  }
}

function onTimer(keeper: BindingKeeper): BindingAction[] {
  keeper.asked ??= { id: keeper.newId(), times: 0 };
  const { asked } = keeper;
  if (asked.times >= SENT_TIMES) return lose(keeper, 'nobody answers keep-alives');
  const wait = asked.times === SENT_TIMES - 1 ? LAST_WAIT_MS : RTO_MS * 2 ** asked.times;
  asked.times++;
  return [
    { type: 'send', id: asked.id },
    { type: 'set-timer', ms: wait },
  ];
}

function pause({ intervalMs, chance }: BindingKeeper): BindingAction {
  return { type: 'set-timer', ms: intervalMs * (0.8 + 0.2 * chance()) };
}

function lose(keeper: BindingKeeper, reason: string): BindingAction[] {
  keeper.lost = true;
  return [{ type: 'lost', reason }];
}
