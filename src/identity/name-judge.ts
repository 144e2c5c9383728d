/**
 * Whose a name is, where several may claim it. In a private overlay: whoever its enrolment key certified. In an open
 * one: whom we talked to under that name, else the only one who signs for it. An ordinary phone has no key, so its
 * super-node vouches for it: that never displaces a signature. A clash is shown, never silently won.
 */
import type { Enrolments } from './enrolment.js';
import { sameOctets } from './fields.js';
import { foldedName } from './names.js';
import type { PinBook } from './pin-book.js';
import { accept, type Outcome, type Refusal, refuse } from './refusal.js';

/** What is claimed was proved already: the record's signature, and the device's certificate. */
export type NameClaim =
  | {
      readonly kind: 'signed';
      /** Raw Ed25519 key. */
      readonly user: Uint8Array;
      readonly enrolment?: Uint8Array;
    }
  | {
      readonly kind: 'vouched';
      /** The user of the super-node, raw. */
      readonly by: Uint8Array;
      /** Of that user, as super-node. */
      readonly enrolment?: Uint8Array;
    };

export type NameStanding =
  /** Enrolled in a private overlay. */
  | 'certified'
  /** The one we talked to before. */
  | 'pinned'
  /** Signed, and new to us. */
  | 'new'
  | 'vouched';

export interface NameClash<Claim> {
  /** Who has the name here: pinned, enrolled, or signed where others are vouched for; undefined where nobody does. */
  readonly holder: Uint8Array | undefined;
  readonly claims: readonly Claim[];
}

export interface NameJudgement<Claim> {
  /** To whom a call goes; undefined where a person has to choose. */
  readonly chosen: { readonly claim: Claim; readonly standing: NameStanding } | undefined;
  /** To be shown. */
  readonly clash: NameClash<Claim> | undefined;
  readonly refused: readonly { readonly claim: Claim; readonly refusal: Refusal }[];
}

export interface NameJudgeOptions {
  readonly pins: PinBook;
  /** Of a private overlay. */
  readonly enrolments?: Enrolments;
}

export class NameJudge {
  readonly #pins: PinBook;
  readonly #enrolments: Enrolments | undefined;

  constructor({ pins, enrolments }: NameJudgeOptions) {
    this.#pins = pins;
    this.#enrolments = enrolments;
  }

  /**
   * Of all who claim `name`, the one that has it. Claims refused: as by `Enrolments.check`, and with `MALFORMED` for
   * what is no name.
   *
   * @param now in ms, of a clock that does not jump back
   */
  judge<Claim extends NameClaim>(
    name: string,
    claims: readonly Claim[],
    now: number,
  ): NameJudgement<Claim> {
    const standing: { claim: Claim; standing: NameStanding }[] = [];
    const refused: { claim: Claim; refusal: Refusal }[] = [];
    for (const claim of claims) {
      const outcome = this.#standing(name, claim, now);
      if (outcome.ok) standing.push({ claim, standing: outcome.value });
      else refused.push({ claim, refusal: outcome });
    }
    const holder = this.#holder(name, standing);
    const rivals = standing.filter(({ claim }) => holder && !isOf(claim, holder));
    const chosen = holder ? standing.find(({ claim }) => isOf(claim, holder)) : alone(standing);
    const disputed = holder ? rivals : chosen ? [] : standing;
    const clash =
      disputed.length > 0 ? { holder, claims: disputed.map(({ claim }) => claim) } : undefined;
    return { chosen, clash, refused };
  }

  /** The key that has the name here: certified, pinned, or the only one that signs. */
  #holder(
    name: string,
    standing: readonly { claim: NameClaim; standing: NameStanding }[],
  ): Uint8Array | undefined {
    const enrolled = this.#enrolments?.holder(name);
    if (this.#enrolments) return enrolled;
    const pinned = this.#pins.pinned(name);
    if (pinned) return pinned.user;
    const signed = standing.flatMap(({ claim }) => (claim.kind === 'signed' ? [claim.user] : []));
    const [first, ...others] = signed;
    return first && others.every(other => sameOctets(other, first)) ? first : undefined;
  }

  #standing(name: string, claim: NameClaim, now: number): Outcome<NameStanding> {
    if (foldedName(name) === undefined) return refuse('MALFORMED', `"${name}" is no name`);
    const enrolments = this.#enrolments;
    switch (claim.kind) {
      case 'signed': {
        if (enrolments) {
          const { user, enrolment } = claim;
          const checked = enrolments.check({ user, name, enrolment }, now);
          return checked.ok ? accept('certified') : checked;
        }
        const pinned = this.#pins.pinned(name);
        return accept(pinned && sameOctets(pinned.user, claim.user) ? 'pinned' : 'new');
      }
      case 'vouched': {
        if (!enrolments) return accept('vouched');
        const { by: user, enrolment } = claim;
        const checked = enrolments.check({ user, role: 'super-node', enrolment }, now);
        return checked.ok ? accept('vouched') : checked;
      }
    }
  }
}

function isOf(claim: NameClaim, user: Uint8Array): boolean {
  return claim.kind === 'signed' && sameOctets(claim.user, user);
}

/** The only one, or all of one voucher: several phones may share a name. */
function alone<Claim extends NameClaim>(
  standing: readonly { claim: Claim; standing: NameStanding }[],
) {
  const [first, ...others] = standing;
  const voucher = (claim: NameClaim) => (claim.kind === 'vouched' ? claim.by : claim.user);
  const same = others.every(({ claim }) =>
    first ? sameOctets(voucher(claim), voucher(first.claim)) : false,
  );
  return same ? first : undefined;
}
