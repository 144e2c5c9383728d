/** The media of one call: its leg, what we say of it in SDP, and what both sides agreed on. */
import { withZoneOf } from '../core/endpoint.js';
import { CodedError } from '../core/errors.js';
import type { Endpoint } from '../core/network.js';
import type { Random } from '../core/random.js';
import type { DigitWay, LegStatistics, MediaEngine, MediaLeg } from '../media/engine.js';
import { type AudioFormat, isSpeech, reofferedFormats } from '../sip/audio-formats.js';
import {
  type AgreedAudio,
  answerOffer,
  type LocalAudio,
  makeOffer,
  readAnswer,
} from '../sip/offer-answer.js';
import type { LocalCrypto } from '../sip/sdes.js';
import { payloadFormat } from './audio-codecs.js';
import { type CallEncryption, type EncryptionPolicy, localCrypto } from './encryption.js';
import type { SilencePolicy } from './silence.js';

export interface CallMediaOptions {
  readonly media: MediaEngine;
  /** Codecs offered and accepted, best first. */
  readonly formats: readonly AudioFormat[];
  /** For the o= line; any number. */
  readonly sessionId: number;
  readonly encryption: EncryptionPolicy;
  readonly silence: SilencePolicy;
  /** Keys come from it. */
  readonly random: Random;
}

export class CallMedia {
  readonly #options: CallMediaOptions;
  #leg: MediaLeg | undefined;
  #endpoint: Endpoint = { address: '', port: 0 };
  /** Grows with each description that differs from the one before (RFC 3264 §8). */
  #version = 0;
  #held = false;
  #agreed: AgreedAudio | undefined;
  #crypto: LocalCrypto | undefined;
  #secureSignalling = false;

  constructor(options: CallMediaOptions) {
    this.#options = options;
  }

  get leg(): MediaLeg | undefined {
    return this.#leg;
  }

  /** The codec in use, once agreed on. */
  get format(): AudioFormat | undefined {
    return this.#agreed?.format;
  }

  /** How the voice is encrypted; undefined while it is not. */
  get encryption(): CallEncryption | undefined {
    const suite = this.#agreed?.crypto?.suite;
    return suite === undefined ? undefined : { suite, keysProtected: this.#secureSignalling };
  }

  get held(): boolean {
    return this.#held;
  }

  /**
   * Opens the leg at this address of ours, in place of one opened before. Throws as `openLeg`.
   *
   * @param secureSignalling what we offer and answer goes through TLS
   */
  async open(address: string, secureSignalling: boolean): Promise<void> {
    await this.close();
    const { encryption, random } = this.#options;
    this.#secureSignalling = secureSignalling;
    this.#crypto = localCrypto(encryption, secureSignalling, random);
    const codecs = this.#options.formats.filter(isSpeech).map(format => format.name);
    this.#leg = await this.#options.media.openLeg({ address, codecs });
    this.#endpoint = { address, port: this.#leg.port };
  }

  /**
   * Goes on at another address of ours, which the next offer or answer tells; whether there is anything to go on.
   * Throws as `openLeg`.
   */
  async move(address: string): Promise<boolean> {
    const leg = this.#leg;
    if (!leg) return false;
    const port = await leg.move(address);
    if (leg !== this.#leg) return false;
    this.#endpoint = { address, port };
    this.#version++;
    return true;
  }

  async close(): Promise<void> {
    const leg = this.#leg;
    this.#leg = undefined;
    await leg?.close();
  }

  /** A description of our side, for an offer of ours. */
  offer(): string {
    const agreed = this.#agreed;
    const local = this.#local;
    if (!agreed) return makeOffer(local);
    return makeOffer({ ...local, formats: reofferedFormats(agreed, local.formats) });
  }

  /** The same after a change: the other side waits, or is heard again. */
  offerHold(held: boolean): string {
    this.#held = held;
    this.#version++;
    return this.offer();
  }

  /** The other side did not take that offer: who waits is as before. */
  revertHold(): void {
    this.#held = !this.#held;
  }

  /** Another offer within the call is about to be answered, or ours to be made again. */
  renew(): void {
    this.#version++;
  }

  /** Our answer, by which media flows from now on. Throws `CodedError` `BAD_SDP`, `NO_COMMON_CODEC`. */
  answer(offer: string): string {
    const { sdp, agreed } = answerOffer(offer, this.#local);
    this.#configure(agreed);
    return sdp;
  }

  /** Takes the other side's answer. Throws as `answer`. */
  agree(answer: string | undefined): void {
    if (answer === undefined) {
      throw new CodedError('BAD_SDP', 'expected an answer to our offer of media, found none');
    }
    this.#configure(readAnswer(answer, this.#local));
  }

  /** Whether both sides have telephone-event (RFC 4733). */
  get hasEvents(): boolean {
    return this.#agreed?.events !== undefined;
  }

  /** Resolves when they are sent, or cannot be any more. */
  async sendDigits(digits: string, by: DigitWay): Promise<void> {
    await this.#leg?.sendDigits({ digits, by });
  }

  async statistics(): Promise<LegStatistics | undefined> {
    return this.#leg?.statistics();
  }

  /** Since the other side was last heard, in ms; undefined where it is not expected to be. */
  async silence(connectedForMs: number): Promise<number | undefined> {
    const statistics = await this.#leg?.statistics();
    if (!statistics || !this.#agreed?.receive) return undefined;
    return Math.min(statistics.silentForMs ?? connectedForMs, connectedForMs);
  }

  /** Who hears this leg, and whom it hears, are those of `previous` from now on. */
  takePlaceOf(previous: CallMedia): void {
    if (previous.#leg && this.#leg) this.#options.media.replace(previous.#leg, this.#leg);
  }

  get #local(): LocalAudio {
    const agreed = this.#agreed;
    return {
      endpoint: this.#endpoint,
      formats: this.#options.formats,
      sessionId: this.#options.sessionId,
      version: this.#version,
      hold: this.#held,
      ...(this.#crypto && { crypto: this.#cryptoNow(this.#crypto, agreed) }),
      ...(agreed && { profile: agreed.profile }),
    };
  }

  /** Once there is a suite, another offer within the call goes on with it and its key. */
  #cryptoNow(crypto: LocalCrypto, agreed: AgreedAudio | undefined): LocalCrypto {
    const offered = crypto.suites.filter(({ name }) => name === agreed?.crypto?.suite);
    if (offered.length === 0) return crypto;
    return { ...crypto, offered, mode: crypto.mode === 'answer' ? 'offer' : crypto.mode };
  }

  #configure(agreed: AgreedAudio): void {
    if (!this.#leg) return;
    this.#agreed = agreed;
    const { send, receive, crypto: security, events, comfortNoise } = agreed;
    // A description has no zones: whom we speak to over a link of ours is on that link.
    const here = ({ address, port }: Endpoint) => ({
      address: withZoneOf(address, this.#endpoint.address),
      port,
    });
    const [remote, rtcp] = [here(agreed.remote), here(agreed.rtcp)];
    const { formats, silence } = this.#options;
    const format = payloadFormat(agreed, formats, silence);
    this.#leg.configure({
      remote,
      rtcp,
      format,
      send,
      receive,
      ...reportingOf(agreed),
      ...(security && { security }),
      ...(comfortNoise && { comfortNoise: comfortNoise.payloadType }),
      suppressSilence: silence === 'suppress',
      // Who has no telephone-event may send digits as tones.
      ...(events ? { events } : { hearTones: true }),
    });
  }
}

/** What both sides agreed on of reports and levels. */
function reportingOf({ profile, rtcpExtended, audioLevel }: AgreedAudio) {
  return {
    rtcpFeedback: profile.endsWith('AVPF'),
    rtcpExtended,
    ...(audioLevel !== undefined && { audioLevel }),
  };
}
