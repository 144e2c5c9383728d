/** Every open connection, of all transports together: how many there may be, and which serves whom. */
import { formatEndpoint, withoutZone } from '../../core/endpoint.js';
import { CodedError } from '../../core/errors.js';
import type { Endpoint } from '../../core/network.js';
import type { Flow } from './flow.js';
import type { FlowLimits } from './flow-limits.js';
import type { SipProtocol } from './transport.js';

export class FlowTable {
  readonly #limits: FlowLimits;
  readonly #flows = new Map<string, Flow>();
  /** The connections that lead to an endpoint: opened to it, come from it, or an alias of it. */
  readonly #byEndpoint = new Map<string, Set<Flow>>();
  readonly #aliases = new Map<Flow, string>();
  #created = 0;
  #unfinishedOctets = 0;

  constructor(limits: FlowLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#flows.size;
  }

  newId(protocol: SipProtocol): string {
    this.#created++;
    return `${protocol}-${this.#created}`;
  }

  /**
   * Whether there is room for one more; the one longest idle may have to go for it, or one of an address that has many.
   * @param address where it comes from; left out for one of ours
   */
  hasRoom(address?: string): boolean {
    if (this.#flows.size < this.#limits.connections) return true;
    let idlest: Flow | undefined;
    for (const flow of this.#flows.values()) {
      if (flow.idleMs > (idlest?.idleMs ?? 0)) idlest = flow;
    }
    if (!idlest || idlest.idleMs < this.#limits.crowdedIdleMs) return this.#displace(address);
    idlest.end('was idle when there was no room');
    return true;
  }

  /** Of the address that has most: nobody keeps others out, however busy its connections are. */
  #displace(address: string | undefined): boolean {
    const byAddress = new Map<string, Flow[]>();
    for (const flow of this.#flows.values()) {
      const { role, remote } = flow.options;
      if (role !== 'accepted') continue;
      const there = byAddress.get(remote.address) ?? [];
      there.push(flow);
      byAddress.set(remote.address, there);
    }
    const own = byAddress.get(address ?? '')?.length ?? 0;
    let crowd: readonly Flow[] = [];
    for (const flows of byAddress.values()) if (flows.length > crowd.length) crowd = flows;
    if (crowd.length <= own + 1) return false;
    const idlest = crowd.reduce((one, other) => (other.idleMs > one.idleMs ? other : one));
    idlest.end('had to make room: its address has the most connections');
    return true;
  }

  /** Whether one more may be accepted from this address. */
  admits(address: string): boolean {
    let fromThere = 0;
    for (const { options } of this.#flows.values()) {
      if (options.role === 'accepted' && options.remote.address === address) fromThere++;
    }
    return fromThere < this.#limits.perAddress && this.hasRoom(address);
  }

  add(flow: Flow): void {
    this.#flows.set(flow.id, flow);
    this.#index(endpointKey(flow.options.protocol, flow.options.remote), flow);
  }

  remove(flow: Flow): void {
    this.#flows.delete(flow.id);
    this.#unindex(endpointKey(flow.options.protocol, flow.options.remote), flow);
    this.#unindex(this.#aliases.get(flow) ?? '', flow);
    this.#aliases.delete(flow);
  }

  get(id: string): Flow | undefined {
    return this.#flows.get(id);
  }

  /** Those that lead to an endpoint, the oldest first. */
  leadingTo(protocol: SipProtocol, endpoint: Endpoint): Iterable<Flow> {
    return this.#byEndpoint.get(endpointKey(protocol, endpoint)) ?? [];
  }

  /** Lets a connection lead to one more endpoint: the first that is asked for, and no other. */
  alias(flow: Flow, endpoint: Endpoint): void {
    if (this.#aliases.has(flow)) return;
    const key = endpointKey(flow.options.protocol, endpoint);
    this.#aliases.set(flow, key);
    this.#index(key, flow);
  }

  /** Accounts for octets of unfinished messages; answers whether there is room for them. */
  unfinished(change: number): boolean {
    this.#unfinishedOctets += change;
    return this.#unfinishedOctets <= this.#limits.unfinishedOctets;
  }

  /** Ends those that lead from an address that we have no more: nobody would tell us that they are dead. */
  closeFromElsewhere(addresses: ReadonlySet<string>): void {
    for (const flow of [...this.#flows.values()]) {
      const { localAddress } = flow;
      if (localAddress === undefined || addresses.has(withoutZone(localAddress))) continue;
      flow.fail(
        new CodedError('CONNECTION_CLOSED', `${localAddress} is no address of ours any more`),
      );
    }
  }

  closeAll(): void {
    for (const flow of [...this.#flows.values()]) flow.end('was closed with everything else');
  }

  #index(key: string, flow: Flow): void {
    const flows = this.#byEndpoint.get(key);
    if (flows) flows.add(flow);
    else this.#byEndpoint.set(key, new Set([flow]));
  }

  #unindex(key: string, flow: Flow): void {
    const flows = this.#byEndpoint.get(key);
    flows?.delete(flow);
    if (flows?.size === 0) this.#byEndpoint.delete(key);
  }
}

function endpointKey(protocol: SipProtocol, endpoint: Endpoint): string {
  return `${protocol} ${formatEndpoint(endpoint)}`;
}
