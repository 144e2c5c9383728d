/**
 * Keys for SRTP in session descriptions: the `a=crypto` lines of RFC 4568, offered and answered. Whoever reads the
 * signalling can listen: the keys are worth what the signalling's own protection is. Keys appear in no error.
 */

/** A suite this phone has, as SDP names it. */
export interface CryptoSuite {
  readonly name: string;
  readonly keyOctets: number;
  readonly saltOctets: number;
}

/** A key as one side chose it for what it sends. */
export interface CryptoKey {
  readonly suite: string;
  /** Master key, then master salt. */
  readonly master: Uint8Array;
  /** RTP packets it may protect. */
  readonly lifetime?: number;
}

/** What we make of encryption in one call. */
export interface LocalCrypto {
  /**
   * `answer`: used where the other side offers it. `offer`: offered too, and done without where the other side has
   * none (RFC 8643). `require`: no call without it.
   */
  readonly mode: 'answer' | 'offer' | 'require';
  /** Accepted. */
  readonly suites: readonly CryptoSuite[];
  /** Offered, best first; some of `suites`. */
  readonly offered: readonly CryptoSuite[];
  /** Our key for a suite; the same whenever it is asked for. */
  readonly key: (suite: CryptoSuite) => Uint8Array;
}

/** What both sides agreed on. */
export interface AgreedCrypto {
  readonly suite: string;
  readonly send: CryptoKey;
  readonly receive: CryptoKey;
  /** The tag of the line that was taken, which the answer repeats. */
  readonly tag: number;
}

interface CryptoLine extends CryptoKey {
  readonly tag: number;
}

/** RFC 4568 §6.1: no more than SRTP itself allows. */
const MAX_LIFETIME = 2 ** 48;

/** As sdp-transform writes it. */
export interface CryptoAttribute {
  readonly id: number;
  readonly suite: string;
  readonly config: string;
}

/** The lines of an offer. */
export function offeredCrypto(local: LocalCrypto | undefined): CryptoAttribute[] {
  if (!local || local.mode === 'answer') return [];
  return local.offered.map((suite, index) => attribute(index + 1, suite, local));
}

/** The line of an answer. */
export function answeredCrypto({ tag, send }: AgreedCrypto): CryptoAttribute {
  return { id: tag, suite: send.suite, config: inline(send.master) };
}

/**
 * Which of the lines offered is taken: the first we can (RFC 4568 §5.1.2). Undefined where there is none.
 *
 * @param lines the values of the stream's `a=crypto` lines
 */
export function chooseCrypto(
  lines: readonly string[],
  local: LocalCrypto | undefined,
): AgreedCrypto | undefined {
  if (!local) return undefined;
  for (const text of lines) {
    const line = readCrypto(text, local.suites);
    if (line) return agreed(line, local);
  }
  return undefined;
}

/** What an answer took of our offer (RFC 4568 §5.1.3); undefined where it is none of our lines. */
export function readAnsweredCrypto(
  lines: readonly string[],
  local: LocalCrypto | undefined,
): AgreedCrypto | undefined {
  const [text] = lines;
  if (!local || text === undefined || lines.length !== 1) return undefined;
  const line = readCrypto(text, local.suites);
  if (!line || local.offered[line.tag - 1]?.name !== line.suite) return undefined;
  return agreed(line, local);
}

/** The values of the `a=crypto` lines of the stream at `index` in a description. */
export function cryptoLines(sdp: string, index: number): string[] {
  const streams = sdp.split(/^m=/m);
  return [...(streams[index + 1] ?? '').matchAll(/^a=crypto:(.*?)\r?$/gm)].map(
    ([, value = '']) => value,
  );
}

function agreed(line: CryptoLine, local: LocalCrypto): AgreedCrypto | undefined {
  const suite = local.suites.find(({ name }) => name === line.suite);
  if (!suite) return undefined;
  const { tag, ...receive } = line;
  return { suite: suite.name, tag, receive, send: { suite: suite.name, master: local.key(suite) } };
}

/**
 * Reads `TAG SUITE inline:KEY[|LIFETIME] [WSH=n]`; undefined for what we cannot do: another suite, several keys, a
 * key that packets name (MKI), session parameters that change how packets are protected (RFC 4568 §6.3).
 */
export function readCrypto(text: string, suites: readonly CryptoSuite[]): CryptoLine | undefined {
  const [tag = '', name, keyParameters = '', ...sessionParameters] = text.trim().split(/ +/);
  const suite = suites.find(entry => entry.name === name);
  if (!suite || !/^\d{1,9}$/.test(tag)) return undefined;
  // A hint of the window's size is the only one that may be left aside; so may extensions that say so by a `-`.
  if (!sessionParameters.every(parameter => /^(?:WSH=\d+|-.+)$/.test(parameter))) return undefined;
  const [, key = '', lifetimeText] =
    /^inline:([A-Za-z0-9+/]+={0,2})(?:\|([^|:;]+))?$/i.exec(keyParameters) ?? [];
  const master = Buffer.from(key, 'base64');
  const whole = master.toString('base64').replace(/=+$/, '') === key.replace(/=+$/, '');
  if (!whole || master.length !== suite.keyOctets + suite.saltOctets) return undefined;
  const lifetime = lifetimeText === undefined ? undefined : readLifetime(lifetimeText);
  if (Number.isNaN(lifetime)) return undefined;
  return {
    tag: Number(tag),
    suite: suite.name,
    master: Uint8Array.from(master),
    ...(lifetime !== undefined && { lifetime }),
  };
}

/** `2^31`, or a number; NaN for what is neither or too much. */
function readLifetime(text: string): number {
  const power = /^2\^(\d{1,2})$/.exec(text);
  const lifetime = power
    ? 2 ** Number(power[1])
    : /^\d{1,15}$/.test(text)
      ? Number(text)
      : Number.NaN;
  return lifetime >= 1 && lifetime <= MAX_LIFETIME ? lifetime : Number.NaN;
}

function attribute(tag: number, suite: CryptoSuite, local: LocalCrypto): CryptoAttribute {
  return { id: tag, suite: suite.name, config: inline(local.key(suite)) };
}

function inline(master: Uint8Array): string {
  return `inline:${Buffer.from(master).toString('base64')}`;
}
