/** A phone that lives for one call or one message. */
import type { TlsIdentity } from '../core/network.js';
import type { Random } from '../core/random.js';
import type { Locator } from '../discovery/locator.js';
import { StoredIdentity } from '../identity/stored-identity.js';
import { phoneCertificateNames, StoredTlsIdentity } from '../identity/stored-tls-identity.js';
import { type Config, DEFAULT_LISTEN, type Settings } from '../runtime/config-settings.js';
import { createLogger } from '../runtime/logging.js';
import { overlaySources } from '../runtime/overlay-discovery.js';
import { OverlayRole } from '../runtime/overlay-role.js';
import { systemSeams } from '../runtime/system.js';
import { Telephone } from '../runtime/telephone.js';
import { tlsSettings } from '../runtime/tls-policy.js';
import { productName } from '../runtime/version.js';
import { MemoryStore } from '../storage/memory-store.js';
import { GuestStore } from './guest-store.js';
import { stopSignal } from './stop-signal.js';

/** @param work told to stop, it comes to an end soon */
export async function withPassingPhone(
  settings: Settings,
  flags: Config,
  work: (telephone: Telephone, stop: AbortSignal) => Promise<number>,
): Promise<number> {
  const stop = stopSignal();
  const logger = await createLogger(flags.log ?? 'error');
  let overlay: OverlayRole | undefined;
  const ring: Locator = { locate: async (...asked) => overlay?.locate(...asked) ?? [] };
  const system = systemSeams(logger, { ring });
  // Another phone may run here on the usual ports: take any.
  const listen = flags.listen ?? { ...DEFAULT_LISTEN, port: 0 };
  const telephone = new Telephone(system, {
    name: settings.name,
    listen,
    // Called by TLS the other side answers by the same connection, where we would take another.
    listenToo: { TLS: { address: listen.address, port: 0 } },
    tls: tlsSettings(settings.tls, passingIdentity(settings.name, system.random)),
    product: productName(),
    codecs: settings.codecs,
    srtp: settings.srtp,
    silence: settings.silence,
    // One call needs no registration, but the credentials and the way to its server.
    accounts: settings.accounts,
    register: false,
  });
  const store = await GuestStore.open(settings.data);
  overlay = new OverlayRole({
    ...system,
    userAgent: telephone.userAgent,
    role: 'never',
    store: () => store,
    identity: () => new StoredIdentity({ ...system, store: new MemoryStore() }),
    givenName: settings.name,
    phoneName: () => settings.name,
    reachableAt: () => [],
    linksAt: () => [],
    users: () => [],
    // Whoever runs for a moment asks no strangers.
    sources: (_name, remembered) => [
      ...overlaySources(system, { ...settings.overlaySearch, flood: false }),
      remembered,
    ],
    announcer: () => ({
      prepare: () => undefined,
      announce: async () => undefined,
      withdraw: async () => undefined,
    }),
    phonesSeen: () => 0,
    lacksKind: () => false,
  });
  await system.watcher.start();
  try {
    await telephone.start(stop);
    if (settings.overlayRole !== 'off') await overlay.start();
    return await work(telephone, stop);
  } finally {
    await overlay?.stop();
    await store.close();
    await telephone.stop();
    await system.watcher.stop();
  }
}

/** The phone that runs here keeps its own key to itself. */
function passingIdentity(name: string, random: Random): () => Promise<TlsIdentity> {
  const names = phoneCertificateNames(name, `${name}.local`);
  const stored = new StoredTlsIdentity({ store: new MemoryStore(), random, names });
  return () => stored.identity();
}
