/**
 * Which overlay this device belongs to, and the enrolment keys of those it founded: each kept sealed, so that neither
 * who takes the card nor who gets into the phone enrols anybody.
 */
import { CodedError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import type { Store } from '../storage/store.js';
import { decodeCbor } from './cbor.js';
import {
  type Enrolment,
  issueEnrolment,
  issueExpulsions,
  MAX_EXPULSIONS,
  type Overlay,
  readEnrolment,
  readExpulsions,
} from './enrolment.js';
import { itemsOf, sameOctets } from './fields.js';
import { refusalError } from './refusal.js';
import { openSecret, sealSecret } from './sealed-secret.js';
import { Ed25519Signer, Ed25519Verifier, KEY_OCTETS, type Signer } from './signing.js';
import { CERTIFICATE_LIFETIME_S } from './stored-user.js';
import { keyFromText, keyToText } from './text-form.js';

const MEMBERSHIP_RECORD = 'identity/overlay';
/** As a DNS label: it stands in SIP URIs and in file names. */
const OVERLAY_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

interface FoundedRecord {
  /** The enrolment key, as `sealSecret` gives it. */
  readonly sealed: string;
  readonly enrolmentKey: string;
  /** The next. */
  readonly sequence: number;
  readonly expelled: readonly { readonly user: string; readonly sequence: number }[];
  /** The newest list of them that was signed, base64url, and what makes it a record of the ring. */
  readonly list?: string;
  readonly listSignature?: string;
}

/** A list that was made elsewhere. */
interface LearntRecord {
  /** Base64url. */
  readonly list: string;
  readonly signature: string;
}

interface MembershipRecord {
  readonly name: string;
  /** Hexadecimal; an open overlay has none. */
  readonly enrolmentKey?: string;
  /** Base64url. */
  readonly enrolment?: string;
}

export interface Membership {
  readonly overlay: Overlay;
  /** In a private overlay. */
  readonly enrolment?: Uint8Array;
}

/** A list of those expelled, as it lies here. */
export interface KeptExpulsions {
  readonly list: Uint8Array;
  /** By which any phone may put it into the ring; those of earlier versions have none. */
  readonly signature?: string;
}

/** Has the enrolment key sign what makes its list a record of the ring: the format is of a room above. */
export type SignForRing = (enroller: Signer, list: Uint8Array, sequence: number) => string;

export interface StoredOverlayOptions {
  readonly store: Store;
  readonly random: Random;
}

/** Every method throws whatever the store throws. */
export class StoredOverlay {
  readonly #store: Store;
  readonly #random: Random;

  constructor({ store, random }: StoredOverlayOptions) {
    this.#store = store;
    this.#random = random;
  }

  /** Founds a private overlay: makes its enrolment key. @throws {CodedError} `OVERLAY_EXISTS`, `BAD_NAME`, `BAD_PASSPHRASE` */
  async create(name: string, passphrase: string): Promise<Required<Overlay>> {
    checkOverlayName(name);
    const secret = this.#random.bytes(KEY_OCTETS);
    const sealed = await sealSecret(
      { kind: 'overlay', name, counter: 0, secret },
      passphrase,
      this.#random,
    );
    const enrolmentKey = new Ed25519Signer(secret).publicKey;
    const record: FoundedRecord = {
      sealed,
      enrolmentKey: keyToText(enrolmentKey),
      sequence: 1,
      expelled: [],
    };
    if (await this.#store.add(recordOf(name), record)) return { name, enrolmentKey };
    throw new CodedError('OVERLAY_EXISTS', `the enrolment key of "${name}" lies here already`, {
      remedy: 'Enrol with it (`ringline overlay enrol`), or choose another name.',
    });
  }

  /** @throws {CodedError} `NO_ENROLMENT_KEY`, `WRONG_PASSPHRASE`, `BAD_NAME` */
  async enrol(
    overlay: string,
    passphrase: string,
    { name, user, roles }: Pick<Enrolment, 'name' | 'user' | 'roles'>,
  ): Promise<Uint8Array> {
    const { record, signer } = await this.#opened(overlay, passphrase);
    const { sequence } = record;
    const lifetime = CERTIFICATE_LIFETIME_S;
    const octets = issueEnrolment(signer, overlay, { name, user, roles, sequence, lifetime });
    await this.#store.set(recordOf(overlay), { ...record, sequence: sequence + 1 });
    return octets;
  }

  /** A list of all whose enrolments are taken back. @throws {CodedError} `NO_ENROLMENT_KEY`, `WRONG_PASSPHRASE`, `TOO_MANY_EXPULSIONS` */
  async expel(
    overlay: string,
    passphrase: string,
    user: Uint8Array,
    signForRing: SignForRing,
  ): Promise<Uint8Array> {
    const { record, signer } = await this.#opened(overlay, passphrase);
    const { sequence } = record;
    const text = keyToText(user);
    const others = record.expelled.filter(each => each.user !== text);
    if (others.length >= MAX_EXPULSIONS) {
      throw new CodedError('TOO_MANY_EXPULSIONS', `expected at most ${MAX_EXPULSIONS}`, {
        remedy: 'Found a new overlay, and enrol again whoever is to belong to it.',
      });
    }
    const expelled = [...others, { user: text, sequence }];
    const list = expelled.map(each => ({ ...each, user: keyFromText(each.user) }));
    const lifetime = CERTIFICATE_LIFETIME_S;
    const octets = issueExpulsions(signer, overlay, { expelled: list, sequence, lifetime });
    const next: FoundedRecord = {
      ...record,
      sequence: sequence + 1,
      expelled,
      list: Buffer.from(octets).toString('base64url'),
      listSignature: signForRing(signer, octets, sequence),
    };
    await this.#store.set(recordOf(overlay), next);
    return octets;
  }

  /** The lists of those expelled that lie here: the newest that was made here, and the newest that was learnt. */
  async expulsions(overlay: string): Promise<readonly KeptExpulsions[]> {
    checkOverlayName(overlay);
    const { list: own, listSignature } =
      (await this.#store.get<FoundedRecord>(recordOf(overlay))) ?? {};
    const learnt = await this.#store.get<LearntRecord>(learntOf(overlay));
    return [
      ...(own === undefined ? [] : [kept(own, listSignature)]),
      ...(learnt ? [kept(learnt.list, learnt.signature)] : []),
    ];
  }

  /** Keeps a list that others told of: it is the newest, and the overlay's key has signed it. */
  async keepExpulsions(
    overlay: string,
    { list, signature }: Required<KeptExpulsions>,
  ): Promise<void> {
    checkOverlayName(overlay);
    const record: LearntRecord = { list: Buffer.from(list).toString('base64url'), signature };
    await this.#store.set(learntOf(overlay), record);
  }

  /** Belongs to a private overlay from now on. @throws {CodedError} a refusal's, or `WRONG_KEY` */
  async join(enrolment: Uint8Array, user: Uint8Array): Promise<Enrolment & { overlay: Overlay }> {
    const name = overlayNameIn(enrolment);
    const read = readEnrolment(enrolment, { name }, new Ed25519Verifier());
    if (!read.ok) throw refusalError(read, 'Ask for the enrolment again.');
    const { enrolmentKey, ...told } = read.value;
    if (!sameOctets(told.user, user)) {
      throw new CodedError('WRONG_KEY', `"${told.name}" was enrolled with another user's key`, {
        remedy: 'Have the user key enrolled that `ringline user show` prints here.',
      });
    }
    const record: MembershipRecord = {
      name,
      enrolmentKey: keyToText(enrolmentKey),
      enrolment: Buffer.from(enrolment).toString('base64url'),
    };
    await this.#store.set(MEMBERSHIP_RECORD, record);
    return { ...told, overlay: { name, enrolmentKey } };
  }

  /** Belongs to an open overlay from now on. @throws {CodedError} `BAD_NAME` */
  async joinOpen(name: string): Promise<void> {
    checkOverlayName(name);
    const record: MembershipRecord = { name };
    await this.#store.set(MEMBERSHIP_RECORD, record);
  }

  /** Undefined where it was never told of one. */
  async membership(): Promise<Membership | undefined> {
    const record = await this.#store.get<MembershipRecord>(MEMBERSHIP_RECORD);
    if (!record) return undefined;
    const { name, enrolmentKey, enrolment } = record;
    if (enrolmentKey === undefined || enrolment === undefined) return { overlay: { name } };
    return {
      overlay: { name, enrolmentKey: keyFromText(enrolmentKey) },
      enrolment: Buffer.from(enrolment, 'base64url'),
    };
  }

  async #opened(overlay: string, passphrase: string) {
    checkOverlayName(overlay);
    const record = await this.#store.get<FoundedRecord>(recordOf(overlay));
    if (!record) {
      throw new CodedError('NO_ENROLMENT_KEY', `no enrolment key of "${overlay}" lies here`, {
        remedy: 'Enrol on the device where it was founded (`ringline overlay create`).',
      });
    }
    const { secret } = await openSecret(record.sealed, 'overlay', passphrase);
    const signer = new Ed25519Signer(secret);
    return { record: await this.#countedOn(overlay, record, signer), signer };
  }

  /** The overlay may have newer numbers than this: its key lies on two devices, or what lies here was put back from a copy. */
  async #countedOn(name: string, record: FoundedRecord, { publicKey: enrolmentKey }: Signer) {
    let newest = record;
    for (const { list } of await this.expulsions(name)) {
      const read = readExpulsions(list, { name, enrolmentKey }, new Ed25519Verifier());
      if (!read.ok || read.value.sequence < newest.sequence) continue;
      const expelled = read.value.expelled.map(each => ({ ...each, user: keyToText(each.user) }));
      newest = { ...newest, sequence: read.value.sequence + 1, expelled };
    }
    return newest;
  }
}

function recordOf(name: string): string {
  return `overlays/${name}`;
}

function learntOf(name: string): string {
  return `expulsions/${name}`;
}

function kept(list: string, signature: string | undefined): KeptExpulsions {
  return {
    list: Buffer.from(list, 'base64url'),
    ...(signature !== undefined && { signature }),
  };
}

function checkOverlayName(name: string): void {
  if (OVERLAY_NAME.test(name)) return;
  throw new CodedError(
    'BAD_NAME',
    `expected an overlay's name (a-z, 0-9, -; at most 63 characters), found "${name}"`,
  );
}

/** What the record says of itself, before anything of it is believed. */
function overlayNameIn(record: Uint8Array): string {
  const bounds = { octets: 4096, depth: 1, items: 10 };
  const outer = decodeCbor(record, bounds);
  const [payload] = outer.ok ? itemsOf(outer.value) : [];
  const inner = payload instanceof Uint8Array ? decodeCbor(payload, bounds) : outer;
  const name = inner.ok ? itemsOf(inner.value)[2] : undefined;
  return typeof name === 'string' ? name : '';
}
