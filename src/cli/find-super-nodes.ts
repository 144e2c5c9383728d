/** `ringline overlay find`: who may be a super-node of this device's overlay, as it is heard of. */
import { formatEndpoint } from '../core/endpoint.js';
import { afterSeconds, firstOf } from '../core/signals.js';
import { Candidates } from '../discovery/candidates/candidates.js';
import { RememberedPeers } from '../discovery/candidates/remembered-peers.js';
import { StoredOverlay } from '../identity/stored-overlay.js';
import { DEFAULT_OVERLAY } from '../overlay/names/own-user.js';
import { loadSettings } from '../runtime/config.js';
import { createLogger } from '../runtime/logging.js';
import { overlaySources } from '../runtime/overlay-discovery.js';
import { systemSeams } from '../runtime/system.js';
import { FileStore } from '../storage/file-store.js';
import { EXIT } from './exit-codes.js';
import type { Output } from './output.js';
import { aborted, stopSignal } from './stop-signal.js';

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
    const remembered = await RememberedPeers.load({ ...system, store, overlay });
    const sources = [...overlaySources(system, overlaySearch), remembered];
    const candidates = new Candidates({ ...system, overlay, sources });
    await system.watcher.start();
    candidates.start();
    const told = tell(candidates, until, output);
    await aborted(until);
    await candidates.stop();
    if ((await told) === 0) output.event({ event: 'none' }, 'Nobody was heard of.');
    await remembered.close();
  } finally {
    await system.watcher.stop();
    await store.close();
  }
  return EXIT.ok;
}

/** How many were told. */
async function tell(candidates: Candidates, until: AbortSignal, output: Output): Promise<number> {
  let count = 0;
  for await (const { host, port, transport, source, nodeId } of candidates.stream(until)) {
    count++;
    const endpoint = formatEndpoint({ address: host, port });
    output.event(
      { event: 'candidate', source, transport, endpoint, nodeId },
      `${source.padEnd(10)} ${transport.padEnd(4)} ${endpoint.padEnd(28)} ${nodeId ?? ''}`,
    );
  }
  return count;
}
