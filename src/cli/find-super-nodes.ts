/** `ringline overlay find`: who may be a super-node of this device's overlay, as it is heard of. */
import { formatEndpoint } from '../core/endpoint.js';
import { afterSeconds, firstOf } from '../core/signals.js';
import type { Candidate } from '../discovery/candidates/candidate.js';
import { Candidates } from '../discovery/candidates/candidates.js';
import { RememberedPeers } from '../discovery/candidates/remembered-peers.js';
import { StoredOverlay } from '../identity/stored-overlay.js';
import { DEFAULT_OVERLAY } from '../overlay/names/own-user.js';
import { loadSettings } from '../runtime/config.js';
import type { OverlaySearch } from '../runtime/config-overlay.js';
import { createLogger } from '../runtime/logging.js';
import { overlaySources } from '../runtime/overlay-discovery.js';
import { type System, systemSeams } from '../runtime/system.js';
import { FileStore } from '../storage/file-store.js';
import type { Store } from '../storage/store.js';
import { EXIT } from './exit-codes.js';
import type { Output } from './output.js';
import { stopSignal } from './stop-signal.js';

export interface FindFlags {
  readonly data: string;
  readonly config?: string;
  readonly seconds: number;
}

/** mDNS and SLP answer within two seconds; neighbours are asked after five. */
export const FIND_SECONDS = 12;

export async function findSuperNodes(flags: FindFlags, output: Output): Promise<number> {
  const until = firstOf(stopSignal(), afterSeconds(flags.seconds));
  const { data, overlaySearch } = await loadSettings({ data: flags.data }, flags.config);
  const logger = await createLogger('error');
  const system = systemSeams(logger);
  const store = await FileStore.open({
    directory: data,
    onDamage: problem => output.error(problem),
  });
  try {
    const membership = await new StoredOverlay({ store, random: system.random }).membership();
    const overlay = membership?.overlay.name ?? DEFAULT_OVERLAY;
    output.event(
      { event: 'looking', overlay },
      `Looking for super-nodes of the overlay "${overlay}"; ^C ends it.`,
    );
    const heard = superNodesHeardOf({ system, search: overlaySearch, store, overlay }, until);
    const count = await tell(heard, output);
    if (count === 0) output.event({ event: 'none' }, 'Nobody was heard of.');
  } finally {
    await store.close();
  }
  return EXIT.ok;
}

export interface HearOptions {
  readonly system: System;
  readonly search: OverlaySearch;
  readonly store: Store;
  readonly overlay: string;
}

/** Who may be a super-node of an overlay, as they are heard of: nobody is asked whether it is so. */
export async function* superNodesHeardOf(
  { system, search, store, overlay }: HearOptions,
  until: AbortSignal,
): AsyncGenerator<Candidate, void, undefined> {
  const remembered = await RememberedPeers.load({ ...system, store, overlay });
  const sources = [...overlaySources(system, search), remembered];
  const candidates = new Candidates({ ...system, overlay, sources });
  await system.watcher.start();
  candidates.start();
  try {
    yield* candidates.stream(until);
  } finally {
    await candidates.stop();
    await remembered.close();
    await system.watcher.stop();
  }
}

/** How many were told. */
async function tell(heard: AsyncIterable<Candidate>, output: Output): Promise<number> {
  let count = 0;
  for await (const { host, port, transport, source, nodeId } of heard) {
    count++;
    const endpoint = formatEndpoint({ address: host, port });
    output.event(
      { event: 'candidate', source, transport, endpoint, nodeId },
      `${source.padEnd(10)} ${transport.padEnd(4)} ${endpoint.padEnd(28)} ${nodeId ?? ''}`,
    );
  }
  return count;
}
