/** The native addon, where it was built: what Node cannot reach by itself. */
import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';
import { asError, errorCode } from '../core/errors.js';
import type { NativeDatagrams } from './datagrams.js';
import type { NativeOpus } from './opus.js';

export interface Native {
  /**
   * Opens and binds a UDP socket whose packets carry `dscp` (0 to 63, RFC 2474); IPv6 sockets take IPv6 alone.
   * Returns its file descriptor, which the caller owns; throws an `Error` with `code` `EADDRINUSE` and the like.
   *
   * @param address a literal address, with `%zone` where needed
   * @param port 0 lets the system choose
   */
  openMarkedUdpSocket(address: string, port: number, dscp: number): number;
  /** The code point a socket's packets carry. Throws as above. */
  socketDscp(fd: number): number;
  /** For `NativeClock`: a function that writes monotonic ms to `cell`, which its caller keeps. */
  openClock(cell: Float64Array): () => void;
  /** For `DatagramBatch`. */
  readonly datagrams: NativeDatagrams;
  /** The system's libopus; undefined where the machine has none. */
  readonly opus: NativeOpus | undefined;
}

/** What the addon exports: each answers -errno where it fails. */
interface Addon {
  openMarkedUdpSocket(address: string, port: number, dscp: number): number;
  socketDscp(fd: number): number;
  openClock(cell: Float64Array): () => void;
  readonly datagrams: NativeDatagrams;
  readonly opus?: NativeOpus;
}

type Loaded = { readonly native: Native } | { readonly problem: string };

let loaded: Loaded | undefined;

/** The addon, or undefined where it is not built; see `nativeProblem`. Never throws. */
export function loadNative(): Native | undefined {
  loaded ??= load();
  return 'native' in loaded ? loaded.native : undefined;
}

/** Why there is no addon and what to do about it, in one sentence; undefined where there is one. */
export function nativeProblem(): string | undefined {
  loaded ??= load();
  return 'problem' in loaded ? loaded.problem : undefined;
}

/** From dist/src/native/, or dist/bin/ringline/, to where scripts/build-native.mjs puts it. */
const ADDON = `../../native/${process.platform}-${process.arch}/ringline.node`;

function load(): Loaded {
  if (process.env.RINGLINE_NATIVE === 'off') {
    return { problem: 'the native addon is switched off by RINGLINE_NATIVE=off' };
  }
  try {
    const addon: Addon = createRequire(import.meta.url)(ADDON);
    // After an update without `make`: what is built is that of before.
    if (!addon.datagrams || !addon.openClock) throw new Error('it was built from older sources');
    return { native: new AddonNative(addon) };
  } catch (error) {
    const reason =
      errorCode(error) === 'MODULE_NOT_FOUND'
        ? 'the native addon is not built'
        : `the native addon does not load (${asError(error).message.split('\n')[0]})`;
    return {
      problem: `${reason}: voice packets leave without their DSCP mark; mend it with \`sudo apt install gcc libc6-dev && make native\``,
    };
  }
}

class AddonNative implements Native {
  readonly #addon: Addon;
  readonly datagrams: NativeDatagrams;
  readonly opus: NativeOpus | undefined;

  constructor(addon: Addon) {
    this.#addon = addon;
    this.datagrams = addon.datagrams;
    this.opus = addon.opus;
  }

  // A property, since it is handed on by itself.
  readonly openMarkedUdpSocket = (address: string, port: number, dscp: number): number =>
    checked(this.#addon.openMarkedUdpSocket(address, port, dscp), 'bind', ` ${address}:${port}`);

  openClock(cell: Float64Array): () => void {
    return this.#addon.openClock(cell);
  }

  socketDscp(fd: number): number {
    return checked(this.#addon.socketDscp(fd), 'getsockopt');
  }
}

/** A system error as Node words it: `bind EADDRINUSE 127.0.0.1:5060`. */
function checked(result: number, syscall: string, where = ''): number {
  if (result >= 0) return result;
  const code = getSystemErrorName(result);
  throw Object.assign(new Error(`${syscall} ${code}${where}`), { errno: result, code, syscall });
}
