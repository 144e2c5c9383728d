/**
 * Signer and verifier for simulations of more members than real signatures allow: a hash instead of a curve, at a
 * twentieth of the time, and the real cost is charged to whoever keeps the account. Good against mistakes, not against
 * anybody who wants to forge.
 */
import { createHash } from 'node:crypto';
import { SIGNATURE_OCTETS, type Signer, type Verifier } from '../identity/signing.js';

/** Measured by test/bench/identity.bench.ts on a 2-core x86 VM, Node 20; in µs. A Raspberry Pi 4 takes some three times as long. */
export const SIGNING_COST_US = { sign: 35, verify: 110 } as const;

export interface SigningAccount {
  readonly signatures: number;
  readonly verifications: number;
  /** What real ones would have taken. */
  readonly costUs: number;
}

/** One for each simulated device. */
export class ChargedSigning implements Verifier {
  #signatures = 0;
  #verifications = 0;

  get account(): SigningAccount {
    const costUs =
      this.#signatures * SIGNING_COST_US.sign + this.#verifications * SIGNING_COST_US.verify;
    return { signatures: this.#signatures, verifications: this.#verifications, costUs };
  }

  /** @param publicKey 32 octets, as of a real key */
  signer(publicKey: Uint8Array): Signer {
    return {
      publicKey,
      sign: data => {
        this.#signatures++;
        return stampOf(publicKey, data);
      },
    };
  }

  verify(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
    this.#verifications++;
    if (signature.length !== SIGNATURE_OCTETS) return false;
    return Buffer.compare(stampOf(publicKey, data), signature) === 0;
  }
}

/** As long as a signature, and of the same key and text alone. */
function stampOf(publicKey: Uint8Array, data: Uint8Array): Uint8Array {
  return createHash('sha512').update(publicKey).update(data).digest();
}
