/** Names of users, as overlays compare them. */

const MAX_NAME_OCTETS = 64;
/** Nothing that cannot be seen, and no white space but single blanks inside. */
const NAME = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Z}]+( [^\p{Cc}\p{Cf}\p{Cs}\p{Z}]+)*$/u;

/** One form of each name: NFC, lower case. Undefined for what is none. Look-alikes of other scripts stay apart. */
export function foldedName(name: string): string | undefined {
  const folded = name.normalize('NFC').toLowerCase().normalize('NFC');
  return NAME.test(folded) && Buffer.byteLength(folded) <= MAX_NAME_OCTETS ? folded : undefined;
}
