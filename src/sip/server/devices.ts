/** The devices that are registered now: which of them a request comes from, or leads to. */
import { isSipUri, type SipUri, type Uri } from '@sip-stack/parser';
import { withoutZone } from '../../core/endpoint.js';
import { type Target, targetOf } from '../proxy/target.js';
import type { RegisteredContact } from '../registrar/binding.js';
import { PROTOCOLS } from '../resolution/plan.js';
import type { Source } from '../transport/transport.js';
import type { TransportManager } from '../transport/transport-manager.js';

export class Devices {
  readonly #transports: Pick<TransportManager, 'isOpen'>;
  readonly #byUser = new Map<string, readonly RegisteredContact[]>();

  constructor(transports: Pick<TransportManager, 'isOpen'>) {
    this.#transports = transports;
  }

  /** What is registered for a user from now on. */
  set(user: string, contacts: readonly RegisteredContact[]): void {
    const all = contacts.flatMap(contact => [contact, ...contact.alternates]);
    if (all.length > 0) this.#byUser.set(user, all);
    else this.#byUser.delete(user);
  }

  /** Whether a request comes from the address of a registered device, or by its connection. */
  isSource({ endpoint, flow }: Source): boolean {
    const address = withoutZone(endpoint.address);
    return this.#some(contact => {
      if (flow !== undefined && contact.flow?.flow === flow) return true;
      return hostsOf(contact).includes(address);
    });
  }

  /** The device that a Contact of a dialog, or a Route, names: by its GRUU, or by host and port. */
  named(uri: Uri): RegisteredContact | undefined {
    if (!isSipUri(uri)) return undefined;
    const gr = uri.params.get('gr');
    const named: RegisteredContact[] = [];
    this.#some(contact => {
      if (gr !== undefined && instanceOf(contact) === gr) named.push(contact);
      const first = contact.path[0]?.uri ?? contact.uri;
      if (isSipUri(first) && samePlace(first, uri)) named.push(contact);
      return false;
    });
    // Behind two NATs there may be two with one address: then the user part tells them apart.
    return (
      named.find(contact => isSipUri(contact.uri) && contact.uri.user === uri.user) ?? named[0]
    );
  }

  /** A registered contact as a target; undefined for one whose only way is gone. */
  reach(contact: RegisteredContact): Target | undefined {
    const { alternates, ...target } = targetOf({ ...contact, alternates: [] });
    const others = contact.alternates
      .map(other => this.reach(other))
      .filter(other => other !== undefined);
    if (this.#isOpen(contact)) return { ...target, alternates: [...(alternates ?? []), ...others] };
    const [first, ...rest] = others;
    if (first) return { ...first, alternates: rest };
    if (listensNowhere(contact)) return undefined;
    // Its connection is gone, but it may take another.
    const { hop: _, ...unconnected } = target;
    return unconnected;
  }

  #isOpen({ flow }: RegisteredContact): boolean {
    return flow?.flow === undefined || this.#transports.isOpen(flow.flow);
  }

  #some(test: (contact: RegisteredContact) => boolean): boolean {
    for (const contacts of this.#byUser.values()) if (contacts.some(test)) return true;
    return false;
  }
}

/** What `gr` names it by (RFC 5627 §3.1). */
export function instanceOf({ params }: RegisteredContact): string | undefined {
  return params.get('+sip.instance')?.replace(/^<|>$/g, '');
}

/** A browser (RFC 7118 §5.2). */
function listensNowhere({ uri, flow }: RegisteredContact): boolean {
  const invalid = isSipUri(uri) && uri.host.toLowerCase().endsWith('.invalid');
  return invalid || flow?.protocol === 'WS' || flow?.protocol === 'WSS';
}

/** Where a device's requests come from: its own address, or that of the proxy it registered through. */
function hostsOf({ uri, path, flow }: RegisteredContact): string[] {
  if (flow) return [withoutZone(flow.endpoint.address)];
  const way = path[0]?.uri ?? uri;
  return isSipUri(way) ? [withoutZone(way.host)] : [];
}

function samePlace(a: SipUri, b: SipUri): boolean {
  return a.host.toLowerCase() === b.host.toLowerCase() && portOf(a) === portOf(b);
}

function portOf({ port, params }: SipUri): number {
  const named = params.get('transport')?.toUpperCase() ?? 'UDP';
  const facts = Object.entries(PROTOCOLS).find(([name]) => name === named)?.[1] ?? PROTOCOLS.UDP;
  return port ?? facts.defaultPort;
}
