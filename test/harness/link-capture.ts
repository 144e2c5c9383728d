/**
 * All SIP that goes over a LAN, over TLS too, as Wireshark reads it: captured at the switch, and deciphered with the secrets
 * that phones log (`NODE_OPTIONS=--tls-keylog=FILE`).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Child, requireProgram, startChild } from './child.js';
import type { Lan } from './lan.js';
import { type Cleanup, PlainFailure } from './program.js';

/** One message. */
export interface Captured {
  /** By the clock of this machine (`Date.now`), in ms. */
  readonly at: number;
  /** Addresses. */
  readonly from: string;
  readonly to: string;
  readonly octets: Buffer;
}

export interface Reading {
  readonly messages: readonly Captured[];
  /** What Wireshark calls malformed, or an error: a line for each packet. */
  readonly malformed: readonly string[];
}

const READY_WITHIN_MS = 10_000;
const FILTER = 'tcp port 5061 or udp port 5060 or tcp port 5060';

export class LinkCapture {
  readonly #file: string;
  readonly #secrets: string;
  readonly #child: Child;

  static async start(lan: Lan, cleanup: Cleanup, directory: string): Promise<LinkCapture> {
    requireProgram('tshark', 'tshark');
    const capture = new LinkCapture(lan, cleanup, directory);
    for (const last = performance.now() + READY_WITHIN_MS; ; await delay(20)) {
      if (/File: /.test(capture.#child.output()) && existsSync(capture.#file)) return capture;
      if (performance.now() > last) {
        throw new PlainFailure(`nothing is captured:\n${capture.#child.output()}`);
      }
    }
  }

  private constructor(lan: Lan, cleanup: Cleanup, directory: string) {
    this.#file = join(directory, 'links.pcapng');
    this.#secrets = join(directory, 'tls-secrets.txt');
    const dumpcap = ['dumpcap', '-q', '-i', 'lan', '-f', FILTER, '-w', this.#file];
    this.#child = startChild(cleanup, [...lan.enterSwitch, ...dumpcap]);
  }

  /** Put before the command of a phone whose links are to be read. */
  get logsSecrets(): readonly string[] {
    return ['env', `NODE_OPTIONS=--tls-keylog=${this.#secrets}`];
  }

  /** Ends it. */
  async read(): Promise<Reading> {
    this.#child.process.kill('SIGINT');
    await this.#child.ended;
    const shown = ['-T', 'json', '-x', '--no-duplicate-keys', '-J', 'frame ip sip'];
    const wrong = '_ws.malformed || (sip && _ws.expert.severity == "Error")';
    const told = ['frame.number', '_ws.col.Protocol', '_ws.expert.message'];
    const [json, malformed] = await Promise.all([
      this.#dissect('-Y', 'sip', ...shown),
      this.#dissect('-Y', wrong, '-T', 'fields', ...told.flatMap(field => ['-e', field])),
    ]);
    const packets = JSON.parse(json) as readonly Packet[];
    return {
      messages: packets.flatMap(messagesOf),
      malformed: malformed.split('\n').filter(line => line !== ''),
    };
  }

  /** Wireshark says on the side as whom it runs. */
  async #dissect(...options: readonly string[]): Promise<string> {
    const deciphered = ['-o', `tls.keylog_file:${this.#secrets}`, '-d', 'tcp.port==5061,tls'];
    const tshark = spawn('tshark', ['-r', this.#file, ...deciphered, ...options], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const pieces: Buffer[] = [];
    tshark.stdout.on('data', piece => pieces.push(piece));
    const [code] = await once(tshark, 'close');
    if (code !== 0) throw new PlainFailure(`tshark ended with ${code}, reading ${this.#file}`);
    return Buffer.concat(pieces).toString();
  }
}

/** Of `-T json -x`: octets in hexadecimal come first in what is called raw; several messages of a packet make a list. */
type Raw = readonly [string, ...unknown[]];

interface Packet {
  readonly _source: {
    readonly layers: {
      readonly frame: { readonly 'frame.time_epoch': string };
      readonly ip: { readonly 'ip.src': string; readonly 'ip.dst': string };
      readonly sip_raw: Raw | readonly Raw[];
    };
  };
}

function messagesOf({ _source: { layers } }: Packet): Captured[] {
  const { frame, ip, sip_raw: raw } = layers;
  const all = isOne(raw) ? [raw] : raw;
  return all.map(([hexadecimal]) => ({
    at: 1000 * Number(frame['frame.time_epoch']),
    from: ip['ip.src'],
    to: ip['ip.dst'],
    octets: Buffer.from(hexadecimal, 'hex'),
  }));
}

function isOne(raw: Raw | readonly Raw[]): raw is Raw {
  return typeof raw[0] === 'string';
}
