/** Flows of datagrams that are kept alive: by STUN where the other side answers it, else by line ends alone. */
import type { Clock, Timer } from '../../core/clock.js';
import { formatEndpoint } from '../../core/endpoint.js';
import { CodedError } from '../../core/errors.js';
import type { Endpoint } from '../../core/network.js';
import { type Random, randomToken, randomUnit } from '../../core/random.js';
import { type BindingEvent, newBindingKeeper, stepBindingKeeper } from './binding-keeper.js';
import { bindingRequest, type StunMessage, TRANSACTION_ID_OCTETS } from './stun.js';

/** What NATs are asked to remember (RFC 5626 §3.5.1): nobody answers it. */
const LINE_ENDS = Buffer.from('\r\n\r\n');

export interface DatagramFlowsOptions {
  readonly clock: Clock;
  readonly random: Random;
  send(data: Uint8Array, to: Endpoint): void;
}

export interface KeepDatagramFlow {
  readonly to: Endpoint;
  readonly intervalMs: number;
  /** Whether the other side answers STUN. */
  readonly answers: boolean;
  readonly lost: (error: CodedError) => void;
}

export class DatagramFlows {
  readonly #options: DatagramFlowsOptions;
  readonly #keepers = new Map<string, Set<(message: StunMessage) => void>>();
  readonly #timers = new Set<() => void>();

  constructor(options: DatagramFlowsOptions) {
    this.#options = options;
  }

  /** @returns ends that */
  keep(flow: KeepDatagramFlow): () => void {
    const stop = flow.answers ? this.#keepByStun(flow) : this.#keepByLineEnds(flow);
    const stopped = () => {
      this.#timers.delete(stopped);
      stop();
    };
    this.#timers.add(stopped);
    return stopped;
  }

  /** A response came from there. */
  receive(message: StunMessage, from: Endpoint): void {
    for (const hear of [...(this.#keepers.get(formatEndpoint(from)) ?? [])]) hear(message);
  }

  close(): void {
    for (const stop of [...this.#timers]) stop();
  }

  #keepByLineEnds({ to, intervalMs }: KeepDatagramFlow): () => void {
    const { clock, random, send } = this.#options;
    let timer: Timer | undefined;
    const wait = () => {
      timer = clock.after(intervalMs * (0.8 + 0.2 * randomUnit(random)), () => {
        send(LINE_ENDS, to);
        wait();
      });
    };
    wait();
    return () => timer?.cancel();
  }

  #keepByStun({ to, intervalMs, lost }: KeepDatagramFlow): () => void {
    const { clock, random, send } = this.#options;
    const keeper = newBindingKeeper({
      intervalMs,
      chance: () => randomUnit(random),
      newId: () => randomToken(random, TRANSACTION_ID_OCTETS),
    });
    const key = formatEndpoint(to);
    let timer: Timer | undefined;
    const stop = () => {
      timer?.cancel();
      const here = this.#keepers.get(key);
      here?.delete(hear);
      if (here?.size === 0) this.#keepers.delete(key);
    };
    const step = (event: BindingEvent): void => {
      for (const action of stepBindingKeeper(keeper, event)) {
        if (action.type === 'send') {
          send(bindingRequest(Buffer.from(action.id, 'hex')), to);
        } else if (action.type === 'set-timer') {
          timer?.cancel();
          timer = clock.after(action.ms, () => step({ type: 'timer' }));
        } else {
          stop();
          lost(flowLost(key, action.reason));
        }
      }
    };
    const hear = (message: StunMessage) => {
      if (message.type !== 'response') return;
      const { mapped } = message;
      step({ type: 'response', id: Buffer.from(message.id).toString('hex'), mapped });
    };
    const here = this.#keepers.get(key) ?? new Set();
    this.#keepers.set(key, here.add(hear));
    step({ type: 'start' });
    return stop;
  }
}

function flowLost(to: string, reason: string): CodedError {
  return new CodedError('FLOW_LOST', `the way from ${to} (UDP) to us is gone: ${reason}`);
}
