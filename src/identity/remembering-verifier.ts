/** Remembers which signatures held: a device shows the same certificates with each of its records. */
import { createHash } from 'node:crypto';
import { moveToEnd } from './recent.js';
import type { Verifier } from './signing.js';

/** Some 100 octets each. */
const MAX_REMEMBERED = 10_000;

export class RememberingVerifier implements Verifier {
  readonly #verifier: Verifier;
  readonly #most: number;
  readonly #held = new Map<string, true>();

  constructor(verifier: Verifier, most = MAX_REMEMBERED) {
    this.#verifier = verifier;
    this.#most = most;
  }

  verify(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
    // With their lengths, so that no two triples run together.
    const seen = createHash('sha256')
      .update(`${publicKey.length} ${signature.length} `)
      .update(publicKey)
      .update(signature)
      .update(data)
      .digest('base64');
    const holds = this.#held.has(seen) || this.#verifier.verify(publicKey, data, signature);
    if (holds) moveToEnd(this.#held, seen, true, this.#most);
    return holds;
  }
}
