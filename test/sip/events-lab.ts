/** Alice subscribes at Bob, whose state is a text; or a peer that does as a test says is at either end. */
import { type SipRequest, sipUri } from '@sip-stack/parser';
import type { LinkOptions } from '../../src/simulation/virtual-network.js';
import { type EventPackage, REFER } from '../../src/sip/events/package.js';
import type { SubscribeOptions, Subscription } from '../../src/sip/events/subscription.js';
import type { RequestAuthenticator } from '../../src/sip/request-client.js';
import type { Load, UserAgent } from '../../src/sip/user-agent.js';
import { ALICE, BOB, type Pair, pair } from './pair.js';
import { type Peer, peerAt } from './peer.js';

export const MOOD: EventPackage = {
  name: 'mood',
  types: ['text/mood'],
  expires: { defaultS: 600, minS: 60, maxS: 3600 },
  intervalMs: 1000,
  forks: true,
};

const to = { protocol: 'UDP', endpoint: { address: BOB, port: 5060 } } as const;

export interface Lab extends Pair {
  subscribe(options?: Partial<SubscribeOptions>): Subscription;
  /** Bob's state. */
  set(text: string): void;
}

export async function eventsLab(
  link: Partial<LinkOptions> = {},
  { seed = 1, authenticator }: { seed?: number; authenticator?: RequestAuthenticator } = {},
): Promise<Lab> {
  const lab = await pair(seed, link, authenticator);
  let mood = 'calm';
  lab.bob.notifier.serve({
    package: MOOD,
    admit: ({ uri }: SipRequest) =>
      'user' in uri && uri.user === 'nobody' ? 404 : { resource: 'bob' },
    content: (_resource, sequence) => ({
      type: 'text/mood',
      body: Buffer.from(`${sequence} ${mood}`),
    }),
  });
  const set = (text: string) => {
    mood = text;
    lab.bob.notifier.changed('mood', 'bob');
  };
  const subscribe = (options: Partial<SubscribeOptions> = {}) =>
    lab.alice.subscriber.subscribe({
      package: MOOD,
      locate: async () => ({ uri: sipUri({ user: 'bob', host: BOB }), to }),
      from: { user: 'alice' },
      ...options,
    });
  return { ...lab, subscribe, set };
}

export function refer(lab: Lab, headers: Record<string, string>): Subscription {
  return lab.alice.subscriber.refer({
    package: REFER,
    locate: async () => ({ uri: sipUri({ user: 'bob', host: BOB }), to }),
    from: { user: 'alice' },
    headers,
  });
}

/** What is open at a user agent, subscriptions too. */
export function loadOf(agent: UserAgent): Load & { readonly subscriptions: number } {
  return { ...agent.load, subscriptions: agent.subscriber.size + agent.notifier.size };
}

/** Every event of a subscription, as text, in order. */
export function told(subscription: Subscription): string[] {
  const events: string[] = [];
  subscription.on('phase', phase => events.push(phase));
  subscription.on('notified', content => {
    events.push(content ? new TextDecoder().decode(content.body) : 'nothing');
  });
  subscription.on('ended', end => {
    const why = end.by === 'refusal' ? end.status : end.by === 'notifier' ? end.reason : 'local';
    events.push(`ended ${why}`.trim());
  });
  return events;
}

/** In Bob's place: a notifier that does as a test says. */
export interface Notifying extends Peer {
  /** Sends a NOTIFY to whoever sent `subscribe`. */
  notify(subscribe: SipRequest, options?: NotifyOptions): void;
}

export interface NotifyOptions {
  readonly state?: string;
  readonly tag?: string;
  readonly sequence?: number;
  readonly event?: string;
  readonly body?: string;
  readonly headers?: readonly string[];
  readonly from?: string;
}

export async function notifying(
  lab: Pair,
  answer: (subscribe: SipRequest, nth: number, peer: Notifying) => number | undefined,
  headers: Readonly<Record<string, string>> = { Expires: '600' },
): Promise<Notifying> {
  await lab.bob.stop();
  let branch = 0;
  const peer: Notifying = {
    ...(await peerAt(lab.network, { address: BOB, port: 5060 }, (request, nth) => {
      const status = answer(request, nth, peer);
      return status === undefined ? [] : [{ status, headers }];
    })),
    notify: (subscribe, options = {}) => {
      const { state = 'active;expires=600', tag = 'peer', sequence = 1, body = 'glad' } = options;
      const { event = 'mood', from = BOB } = options;
      const lines = [
        `NOTIFY sip:alice@${ALICE} SIP/2.0`,
        `Via: SIP/2.0/UDP ${from};branch=z9hG4bKn${branch++}`,
        `From: ${subscribe.headers.text('To')?.replace(/;tag=.*/, '')};tag=${tag}`,
        `To: ${subscribe.headers.text('From')}`,
        `Call-ID: ${subscribe.headers.text('Call-ID')}`,
        `CSeq: ${sequence} NOTIFY`,
        'Max-Forwards: 70',
        `Contact: <sip:bob@${from};from=${tag}>`,
        `Event: ${event}`,
        `Subscription-State: ${state}`,
        ...(body ? ['Content-Type: text/mood'] : []),
        `Content-Length: ${body.length}`,
        ...(options.headers ?? []),
      ];
      peer.send(`${lines.join('\r\n')}\r\n\r\n${body}`, { address: ALICE, port: 5060 });
    },
  };
  return peer;
}
