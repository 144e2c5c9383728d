/** A directory agent (RFC 2608 §12): holds what service agents register, and answers for them. Pure. */
import { type Answerer, type AskedBy, answerQuery, directoryAdvert, failure } from './answers.js';
import { CONFIG_DA_BEAT_MS, ErrorCode } from './constants.js';
import { type DAAdvert, mandatoryExtension, type SlpMessage } from './message.js';
import {
  deregister,
  newRegistry,
  type RegistrationRules,
  type RegistryLimits,
  register,
  sweep,
} from './registry.js';

export interface DirectoryAgentOptions {
  readonly scopes: readonly string[];
  /** Seconds since 1970: later than at any start before, where what was registered is lost. */
  readonly bootTimestamp: number;
  /** In s; 0: as often as they like. */
  readonly minRefreshInterval: number;
  readonly limits?: RegistryLimits;
  readonly language: string;
}

export interface DirectoryAgentState {
  answerer: Answerer;
  readonly rules: RegistrationRules;
  readonly language: string;
  beatAt: number;
  sweepAt: number;
  wakeAt: number | undefined;
}

export type DirectoryAgentEvent =
  | { readonly kind: 'start'; readonly now: number }
  /** Say that it goes down. */
  | { readonly kind: 'stop'; readonly now: number }
  /** There is a link that was not there before. */
  | { readonly kind: 'network'; readonly now: number }
  | {
      readonly kind: 'heard';
      readonly now: number;
      readonly message: SlpMessage;
      readonly by: Omit<AskedBy, 'now'>;
    }
  | { readonly kind: 'due'; readonly now: number };

export type DirectoryAgentAction =
  | { readonly kind: 'reply'; readonly message: SlpMessage }
  /** Multicast on every link, with the address of that link in the URL. */
  | { readonly kind: 'advertise'; readonly message: (local: string) => DAAdvert };

/** Between looks for registrations whose time has run out; nobody is told of those in the meantime either. */
const SWEEP_MS = 60_000;

export function newDirectoryAgent(options: DirectoryAgentOptions): DirectoryAgentState {
  const { scopes, bootTimestamp, minRefreshInterval, limits, language } = options;
  const attributes = minRefreshInterval > 0 ? `(min-refresh-interval=${minRefreshInterval})` : '';
  return {
    answerer: { role: 'DA', scopes, attributes, bootTimestamp, registry: newRegistry(limits) },
    rules: { scopes, minRefreshInterval },
    language,
    beatAt: 0,
    sweepAt: 0,
    wakeAt: undefined,
  };
}

export function stepDirectoryAgent(
  state: DirectoryAgentState,
  event: DirectoryAgentEvent,
): DirectoryAgentAction[] {
  const { now } = event;
  switch (event.kind) {
    case 'start':
      state.sweepAt = now + SWEEP_MS;
      return beat(state, now);
    case 'network':
      return beat(state, now);
    case 'stop':
      state.wakeAt = undefined;
      state.answerer = { ...state.answerer, bootTimestamp: 0 };
      return [advertise(state)];
    case 'due': {
      if (state.wakeAt === undefined) return [];
      if (now >= state.sweepAt) {
        sweep(state.answerer.registry, now);
        state.sweepAt = now + SWEEP_MS;
      }
      const actions = now >= state.beatAt ? beat(state, now) : [];
      state.wakeAt = Math.min(state.beatAt, state.sweepAt);
      return actions;
    }
    case 'heard': {
      const message = answer(state, event.message, { ...event.by, now });
      return message ? [{ kind: 'reply', message }] : [];
    }
  }
}

function answer(
  state: DirectoryAgentState,
  message: SlpMessage,
  by: AskedBy,
): SlpMessage | undefined {
  switch (message.kind) {
    case 'SrvRqst':
    case 'AttrRqst':
    case 'SrvTypeRqst':
      return answerQuery(state.answerer, message, by);
    case 'SrvReg':
    case 'SrvDeReg': {
      if (message.multicast) return undefined;
      const { registry } = state.answerer;
      if (mandatoryExtension(message)) return failure(message, ErrorCode.OPTION_NOT_UNDERSTOOD);
      const error =
        message.kind === 'SrvReg'
          ? register(registry, message, state.rules, by.now)
          : deregister(registry, message, state.rules, by.now);
      return failure(message, error);
    }
    case 'SrvRply':
    case 'SrvAck':
    case 'AttrRply':
    case 'SrvTypeRply':
    case 'DAAdvert':
    case 'SAAdvert':
      return undefined;
  }
}

function beat(state: DirectoryAgentState, now: number): DirectoryAgentAction[] {
  state.beatAt = now + CONFIG_DA_BEAT_MS;
  state.wakeAt = Math.min(state.beatAt, state.sweepAt);
  return [advertise(state)];
}

function advertise({ answerer, language }: DirectoryAgentState): DirectoryAgentAction {
  // §8: only unsolicited adverts have an XID of 0.
  return {
    kind: 'advertise',
    message: local => directoryAdvert(answerer, local, { xid: 0, language }),
  };
}
