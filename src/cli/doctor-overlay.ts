/** The part of `ringline doctor` about calling without a server: links over TLS, and super-nodes to be found. */
import { formatEndpoint } from '../core/endpoint.js';
import { afterSeconds } from '../core/signals.js';
import { StoredOverlay } from '../identity/stored-overlay.js';
import { DEFAULT_OVERLAY } from '../overlay/names/own-user.js';
import type { OverlayStatus } from '../overlay/overlay.js';
import type { Settings } from '../runtime/config-settings.js';
import { phoneStatus } from '../runtime/control-client.js';
import { createLogger } from '../runtime/logging.js';
import type { PhoneStatus } from '../runtime/phone-status.js';
import { systemSeams } from '../runtime/system.js';
import { superNodesHeardOf } from './find-super-nodes.js';
import { explain, type Finding } from './finding.js';
import { GuestStore } from './guest-store.js';

const CHECK = 'calling by the overlay';
const LINKS = 'links of the overlay (TLS)';
/** Multicast DNS answers within a quarter of a second, and is asked twice in this time. */
const LISTEN_SECONDS = 1.5;

/** What the phone that runs says of itself; where none does, who is heard of. */
export async function checkOverlay(settings: Settings): Promise<Finding[]> {
  if (settings.overlayRole === 'off') {
    return [{ check: CHECK, verdict: 'ok', detail: 'switched off in the configuration' }];
  }
  const running = await phoneStatus(settings.data).catch(() => undefined);
  const whether = running ? ofRunning(running, settings) : await ofNetwork(settings);
  return [checkLinks(settings, running), whether];
}

function checkLinks({ listenToo, overlayRole }: Settings, running?: PhoneStatus): Finding {
  const bound = running?.listening.find(({ protocol }) => protocol === 'TLS')?.at;
  if (running ? bound !== undefined : listenToo.TLS !== undefined) {
    const detail = bound === undefined ? 'will be taken' : `are taken at ${bound}`;
    return { check: LINKS, verdict: 'ok', detail };
  }
  const detail = 'are not taken: this phone can attach to a super-node, and be none';
  const remedy = 'Give it a free port with --tls, or `tls: { port: … }` in the configuration.';
  return { check: LINKS, verdict: overlayRole === 'never' ? 'ok' : 'warn', detail, remedy };
}

function ofRunning({ overlay }: PhoneStatus, settings: Settings): Finding {
  if (!overlay) {
    const remedy = 'Its log says why. In a private overlay: `ringline user show`, `overlay show`.';
    return { check: CHECK, verdict: 'warn', detail: 'the phone that runs is in none', remedy };
  }
  if (overlay.expelled) {
    const detail = `its user was expelled from "${overlay.name}": nobody there calls it by its name`;
    const remedy = 'Ask who founded it for another enrolment, and `ringline overlay join` that.';
    return { check: CHECK, verdict: 'warn', detail, remedy };
  }
  const place = placeOf(overlay);
  if (place !== undefined) return { check: CHECK, verdict: 'ok', detail: place };
  return nobody(`"${overlay.name}" is looked for, and no super-node answers`, settings);
}

function placeOf({ name, member, superNode }: OverlayStatus): string | undefined {
  if (member) return `super-node of "${name}"`;
  return superNode === undefined ? undefined : `attached to ${superNode} in "${name}"`;
}

async function ofNetwork(settings: Settings): Promise<Finding> {
  const system = systemSeams(await createLogger('error'));
  const store = await GuestStore.open(settings.data);
  // The signal alone would not keep the process alive.
  const awake = setTimeout(() => undefined, 2000 * LISTEN_SECONDS);
  try {
    const membership = await new StoredOverlay({ store, random: system.random }).membership();
    const overlay = membership?.overlay.name ?? DEFAULT_OVERLAY;
    // Neighbours are asked one by one by who means to stay.
    const search = { ...settings.overlaySearch, flood: false };
    const until = afterSeconds(LISTEN_SECONDS);
    for await (const found of superNodesHeardOf({ system, search, store, overlay }, until)) {
      const at = formatEndpoint({ address: found.host, port: found.port });
      const detail = `"${overlay}" has a super-node at ${at}, by ${found.source}`;
      return { check: CHECK, verdict: 'ok', detail };
    }
    return nobody(`no super-node of "${overlay}" is heard of`, settings);
  } catch (error) {
    return { check: CHECK, verdict: 'warn', ...explain(error) };
  } finally {
    clearTimeout(awake);
    await store.close();
  }
}

/** The first phone of a network hears of nobody, and becomes one. */
function nobody(detail: string, { overlayRole }: Settings): Finding {
  if (overlayRole !== 'never') {
    return { check: CHECK, verdict: 'ok', detail: `${detail}: this phone becomes one` };
  }
  const remedy = 'Have another phone here, or name one: `overlay: { bootstrap: [HOST] }`.';
  return { check: CHECK, verdict: 'warn', detail, remedy };
}
