/** What sets TCP, TLS and WebSocket apart: how an open TCP connection becomes a link for SIP. */
import { isIP } from 'node:net';
import { CodedError } from '../../core/errors.js';
import type { Network, StreamConnection } from '../../core/network.js';
import type { Flow } from './flow.js';
import type { FlowLimits } from './flow-limits.js';
import { type Link, type LinkEvents, StreamLink } from './link.js';
import { checkPeer, type TlsSettings, trustFor } from './tls-trust.js';
import type { SipProtocol, Target } from './transport.js';
import { WebSocketHandshakes, type WebSocketOptions } from './web-socket.js';

export interface Wire {
  readonly protocol: SipProtocol;
  accept(stream: StreamConnection, events: LinkEvents): Promise<Link>;
  dial(stream: StreamConnection, target: Target, events: LinkEvents): Promise<Link>;
  /** Whether what is meant for `tlsName` may go by this connection. */
  serves(flow: Flow, tlsName: string | undefined): boolean;
  /** Whether the other end has proved who it is. */
  proven(flow: Flow): boolean;
}

export interface WireOptions {
  readonly network: Network;
  readonly limits: FlowLimits;
  readonly tls?: TlsSettings;
  readonly webSocket?: WebSocketOptions;
}

type Secure = (stream: StreamConnection, target?: Target) => Promise<StreamConnection>;
/** `target` is absent for a connection that was accepted. */
type Begin = (stream: StreamConnection, events: LinkEvents, target?: Target) => Promise<Link>;

/** Throws `CodedError` `NO_TLS`. */
export function makeWire(protocol: Exclude<SipProtocol, 'UDP'>, options: WireOptions): Wire {
  const { limits, tls, webSocket = {} } = options;
  const secured = protocol === 'TLS' || protocol === 'WSS';
  if (secured && !tls) {
    throw new CodedError('NO_TLS', `${protocol} is not set up on this phone`, {
      remedy: 'Give it a key and a certificate, or use UDP or TCP.',
    });
  }
  const secure: Secure = secured && tls ? securing(options.network, tls) : async stream => stream;
  const begin =
    protocol === 'WS' || protocol === 'WSS'
      ? webSocketBegin(new WebSocketHandshakes(limits, webSocket))
      : streamBegin(limits);
  return {
    protocol,
    accept: async (stream, events) => begin(await secure(stream), events),
    dial: async (stream, target, events) => begin(await secure(stream, target), events, target),
    serves: (flow, tlsName) => !secured || !tls || trusts(tls, flow, tlsName),
    proven: flow => secured && tls !== undefined && hasProved(tls, flow),
  };
}

function streamBegin(limits: FlowLimits): Begin {
  return async (stream, events, target) =>
    new StreamLink(stream, target ? 'dialled' : 'accepted', limits, events);
}

function webSocketBegin(handshakes: WebSocketHandshakes): Begin {
  return (stream, events, target) =>
    target ? handshakes.dial(stream, events) : handshakes.accept(stream, events);
}

function securing(network: Network, tls: TlsSettings): Secure {
  return async (stream, target) => {
    const serverName = target?.tlsName;
    const role = target ? 'dialled' : 'accepted';
    const trust = trustFor(tls, serverName);
    const authorities = trust.type === 'authorities' ? trust.certificates : undefined;
    const identity = typeof tls.identity === 'function' ? await tls.identity() : tls.identity;
    return network.secureStream(stream, {
      ...(identity && { identity }),
      ...(authorities && { authorities }),
      role: target ? 'client' : 'server',
      ...(serverName !== undefined && isIP(serverName) === 0 && { serverName }),
      verify: peer => checkPeer(trust, peer, role, serverName),
    });
  };
}

/**
 * One that is being opened was judged by nobody yet: it serves only whom it is opened for. One that stands
 * was judged by the trust in whom it was opened for, and proves nothing where another is asked for.
 */
function trusts(tls: TlsSettings, flow: Flow, tlsName: string | undefined): boolean {
  if (!flow.established) return flow.options.tlsName === tlsName;
  const trust = trustFor(tls, tlsName);
  if (trust.type !== 'anybody' && trust !== trustFor(tls, flow.options.tlsName)) return false;
  if (trust.type === 'authorities' && !flow.certificate) return tlsName === undefined;
  try {
    const { certificate } = flow;
    checkPeer(trust, { certificate, chainProblem: undefined }, 'dialled', tlsName);
    return true;
  } catch {
    return false;
  }
}

function hasProved(tls: TlsSettings, flow: Flow): boolean {
  const judgedBy = trustFor(tls, flow.options.tlsName);
  return judgedBy.type !== 'anybody' && flow.certificate !== undefined;
}
