/** The keys in a data directory, for a command that works with them. */
import { SystemRandom } from '../core/random.js';
import { StoredIdentity } from '../identity/stored-identity.js';
import { StoredOverlay } from '../identity/stored-overlay.js';
import { StoredUser } from '../identity/stored-user.js';
import { FileStore } from '../storage/file-store.js';
import type { Output } from './output.js';

export interface OwnKeys {
  readonly device: StoredIdentity;
  readonly user: StoredUser;
  readonly overlay: StoredOverlay;
}

/** Beside a phone that runs, too: it reads its keys when it starts. */
export async function withOwnKeys<Result>(
  directory: string,
  output: Output,
  work: (keys: OwnKeys) => Promise<Result>,
): Promise<Result> {
  const store = await FileStore.open({ directory, onDamage: problem => output.error(problem) });
  const options = { store, random: new SystemRandom() };
  try {
    return await work({
      device: new StoredIdentity(options),
      user: new StoredUser(options),
      overlay: new StoredOverlay(options),
    });
  } finally {
    await store.close();
  }
}
