/**
 * Real peers, on loopback: baresip and linphone call, are called, hold and transfer; SIPp calls a thousand
 * times and plays its scenarios; Kamailio has accounts for phones of ours.
 * Run by `make interop`: node dist/test/interop/main.js [--json] [CHECK…]
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { requireProgram, temporaryDirectory } from '../harness/child.js';
import { exactly, explained, type Figure } from '../harness/figures.js';
import { PlainFailure, runProgram } from '../harness/program.js';
import { SAMPLE_RATE, writeSound } from '../harness/sound.js';
import { sine } from '../media/signal.js';
import { measureAccounts } from './accounts.js';
import { measureCalls } from './calls.js';
import { measureCodecs } from './codecs.js';
import { measureDigits } from './digits.js';
import { measureDynamicDns } from './dynamic-dns.js';
import { measureEncryption } from './encryption.js';
import { measureLamps } from './lamps.js';
import { measureLinphone } from './linphone.js';
import { measureMessages } from './messages.js';
import { measureProxies } from './proxies.js';
import { playScenarios } from './scenarios.js';
import { measureTransfers } from './transfers.js';
import { measureUsers } from './users.js';

const CHECKS = {
  calls: measureCalls,
  codecs: measureCodecs,
  encryption: measureEncryption,
  accounts: measureAccounts,
  proxies: measureProxies,
  users: measureUsers,
  transfers: measureTransfers,
  linphone: measureLinphone,
  messages: measureMessages,
  digits: measureDigits,
  lamps: measureLamps,
  'dynamic-dns': measureDynamicDns,
  scenarios: playScenarios,
} as const;
type CheckName = keyof typeof CHECKS;

const TONE_HZ = 440;
const TONE_SECONDS = 8;

const chosen = process.argv.slice(2).filter(argument => !argument.startsWith('--'));
const names = Object.keys(CHECKS) as CheckName[];

await runProgram({ withinSeconds: 900 }, async cleanup => {
  const unknown = chosen.find(name => !names.some(known => known === name));
  if (unknown) throw new PlainFailure(`expected ${names.join(', ')}, found ${unknown}`);
  requireProgram('baresip', 'baresip-core');
  requireProgram('sipp', 'sip-tester');
  requireProgram('kamailio', 'kamailio');
  requireProgram('linphonec', 'linphone-cli');
  const directory = temporaryDirectory(cleanup);
  const sound = join(directory, 'tone.wav');
  writeSound(sound, sine(TONE_HZ, TONE_SECONDS * SAMPLE_RATE, SAMPLE_RATE));

  const figures: Figure[] = [];
  for (const name of names) {
    if (chosen.length > 0 && !chosen.includes(name)) continue;
    const own = join(directory, name);
    mkdirSync(own);
    const site = { cleanup, directory: own, sound, toneHz: TONE_HZ };
    figures.push(...(await orMissed(name, CHECKS[name](site))));
  }
  return figures;
});

/** What else there is to see is seen where one check cannot go on. */
async function orMissed(name: CheckName, check: Promise<Figure[]>): Promise<Figure[]> {
  try {
    return await check;
  } catch (error) {
    if (!(error instanceof PlainFailure)) throw error;
    return [explained(exactly(0, `${name} could not go on`, 1, 'checks'), error.message)];
  }
}
