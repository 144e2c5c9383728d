/** `ringline call`: calls somebody, plays and records files. */
import { attachAudio, type CallAudio, type CallAudioOptions } from '../calling/call-audio.js';
import { type CallEnd, isOrdinaryEnd } from '../calling/call-end.js';
import { SystemClock, sleep } from '../core/clock.js';
import { CodedError } from '../core/errors.js';
import type { TlsIdentity } from '../core/network.js';
import type { Random } from '../core/random.js';
import { phoneCertificateNames, StoredTlsIdentity } from '../identity/stored-tls-identity.js';
import { loadSettings } from '../runtime/config.js';
import type { Config } from '../runtime/config-settings.js';
import { createLogger } from '../runtime/logging.js';
import { systemSeams } from '../runtime/system.js';
import { Telephone } from '../runtime/telephone.js';
import { tlsSettings } from '../runtime/tls-policy.js';
import { productName } from '../runtime/version.js';
import { MemoryStore } from '../storage/memory-store.js';
import { checkAudioFiles } from './audio-files.js';
import { tellPhases } from './call-events.js';
import { exitCodeOfEnd, exitCodeOfError } from './exit-codes.js';
import type { Output } from './output.js';
import { ownPhoneTarget } from './own-phone.js';
import { stopSignal } from './stop-signal.js';

/** After the last sample played, the network and the other side's echo still have something to say. */
const TAIL_MS = 1000;

export interface CallOptions extends CallAudioOptions {
  /** Of talk, before hanging up. */
  readonly seconds?: number;
}

export async function call(
  who: string,
  flags: Config,
  configFile: string | undefined,
  options: CallOptions,
  output: Output,
): Promise<number> {
  const settings = await loadSettings(flags, configFile);
  await checkAudioFiles(options);
  const target = await ownPhoneTarget(who, settings.data);
  const stop = stopSignal();
  const logger = await createLogger(flags.log ?? 'error');
  const system = systemSeams(logger);
  // Another phone may run here on the usual ports: take any.
  const listen = flags.listen ?? { address: '0.0.0.0', port: 0 };
  const telephone = new Telephone(system, {
    name: settings.name,
    listen,
    // Called by TLS the other side answers by the same connection, where we would take another.
    listenToo: { TLS: { address: listen.address, port: 0 } },
    tls: tlsSettings(settings.tls, passingIdentity(settings.name, system.random)),
    product: productName(),
    // One call needs no registration, but the credentials and the way to its server.
    accounts: settings.accounts,
    register: false,
  });
  await system.watcher.start();
  try {
    await telephone.start(stop);
    return await talk(telephone, target, options, stop, output);
  } finally {
    await telephone.stop();
    await system.watcher.stop();
  }
}

/** Of a phone that lives for one call: the one that runs here keeps its own key to itself. */
function passingIdentity(name: string, random: Random): () => Promise<TlsIdentity> {
  const names = phoneCertificateNames(name, `${name}.local`);
  const stored = new StoredTlsIdentity({ store: new MemoryStore(), random, names });
  return () => stored.identity();
}

async function talk(
  telephone: Telephone,
  who: string,
  options: CallOptions,
  stop: AbortSignal,
  output: Output,
): Promise<number> {
  const clock = new SystemClock();
  const call = telephone.calls.dial(who);
  let audio: CallAudio | undefined;
  let failure: unknown;
  tellPhases(call, output);
  stop.addEventListener('abort', () => call.hangUp());
  const join = async () => {
    audio = await attachAudio(telephone.media, call, options);
    const { seconds, play } = options;
    if (seconds !== undefined) await sleep(clock, seconds * 1000);
    else if (play !== undefined) await audio.played.then(() => sleep(clock, TAIL_MS));
    else return;
    call.hangUp();
  };
  call.on('phase', phase => {
    if (phase !== 'connected') return;
    join().catch(error => {
      failure = error;
      call.hangUp();
    });
  });
  const [end, statistics] = await new Promise<[CallEnd, unknown]>(resolve => {
    call.once('ended', (...ended) => resolve(ended));
  });
  await audio?.close();
  if (failure) {
    output.error(failure);
    return exitCodeOfError(failure);
  }
  const talked = call.connectedAt === undefined ? undefined : clock.now() - call.connectedAt;
  const seconds = talked === undefined ? undefined : Math.round(talked / 100) / 10;
  const fields = {
    event: 'ended',
    with: call.target,
    id: call.callId,
    ...end,
    seconds,
    statistics,
  };
  if (isOrdinaryEnd(end)) {
    const lasted = seconds === undefined ? '' : ` after ${seconds} s`;
    output.event(fields, `Ended${lasted}: ${end.message}.`);
  } else {
    output.failure(fields, new CodedError(end.code, end.message, end));
  }
  return exitCodeOfEnd(end.code);
}
