/** The keys of a simulated ring's members. */
import type { Random } from '../core/random.js';
import { idSigned, signAsId } from '../identity/id-signature.js';
import { deviceIdOf } from '../identity/identity.js';
import { KEY_OCTETS, type Signer, type Verifier } from '../identity/signing.js';
import type { Id } from '../overlay/ring/ids.js';

export interface RingKeys {
  /** Of a new member. */
  newId(random: Random): Id;
  sign(id: Id, text: string): string;
  verify(id: Id, text: string, signature: string): boolean;
}

/** No ciphers: a signature states who signed what. */
export class StatedKeys implements RingKeys {
  newId(random: Random): Id {
    return Buffer.from(random.bytes(20)).toString('hex');
  }

  sign(id: Id, text: string): string {
    return `${id} signed ${text}`;
  }

  verify(id: Id, text: string, signature: string): boolean {
    return signature === this.sign(id, text);
  }
}

/** An id is the hash of its key, as on devices. */
export class SigningKeys implements RingKeys {
  readonly #makeSigner: (seed: Uint8Array) => Signer;
  readonly #verifier: Verifier;
  readonly #signers = new Map<Id, Signer>();

  /** @param makeSigner of 32 octets */
  constructor(makeSigner: (seed: Uint8Array) => Signer, verifier: Verifier) {
    this.#makeSigner = makeSigner;
    this.#verifier = verifier;
  }

  newId(random: Random): Id {
    const signer = this.#makeSigner(random.bytes(KEY_OCTETS));
    const id = deviceIdOf(signer.publicKey);
    this.#signers.set(id, signer);
    return id;
  }

  sign(id: Id, text: string): string {
    const signer = this.#signers.get(id);
    if (!signer) throw new Error(`${id} is no member of this ring`);
    return signAsId(signer, text);
  }

  verify(id: Id, text: string, signature: string): boolean {
    return idSigned(this.#verifier, id, text, signature);
  }
}
