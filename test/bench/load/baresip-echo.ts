/** baresip as echo: it answers every call of many at once, and sends back what it hears. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Child, startChild } from '../../harness/child.js';
import { type Cleanup, PlainFailure } from '../../harness/program.js';
import { SAMPLE_RATE } from '../../harness/sound.js';

const START_MS = 5000;
const LOOK_EVERY_MS = 20;

export interface EchoOptions {
  readonly cleanup: Cleanup;
  /** For its configuration. */
  readonly directory: string;
  readonly port: number;
  /** Put before the command: the core it runs on. */
  readonly pinned: readonly string[];
}

/** Resolves when it can be called. */
export async function startBaresipEcho(options: EchoOptions): Promise<Child> {
  const { cleanup, directory, port, pinned } = options;
  const configuration = [
    `sip_listen 127.0.0.1:${port}`,
    'net_interface 127.0.0.1',
    'call_max_calls 0', // no limit
    'audio_source aubridge,echo',
    'audio_player aubridge,echo',
    'audio_alert aubridge,alert',
    `ausrc_srate ${SAMPLE_RATE}`,
    `auplay_srate ${SAMPLE_RATE}`,
    'ausrc_channels 1',
    'auplay_channels 1',
    'module_path /usr/lib/baresip/modules',
    'module g711.so',
    'module aubridge.so',
    'module_tmp account.so',
    'module_app menu.so',
  ];
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'config'), configuration.map(line => `${line}\n`).join(''));
  const account = `<sip:echo@127.0.0.1:${port}>;regint=0;answermode=auto\n`;
  writeFileSync(join(directory, 'accounts'), account);
  const child = startChild(cleanup, [...pinned, 'baresip', '-f', directory]);
  for (let waited = 0; waited < START_MS; waited += LOOK_EVERY_MS) {
    if (child.output().includes('baresip is ready')) return child;
    await delay(LOOK_EVERY_MS);
  }
  throw new PlainFailure(`baresip did not start:\n${child.output()}`);
}
