/** Messages with baresip, both ways. */
import { join } from 'node:path';
import { startBaresipCallee } from '../harness/baresip.js';
import { BaresipControl } from '../harness/baresip-control.js';
import { exactly, type Figure } from '../harness/figures.js';
import { progress } from '../harness/program.js';
import { Ringline } from '../harness/ringline.js';
import { freePort } from '../harness/udp.js';
import { IN_TIME_MS, type Site } from './site.js';

const OURS = 'Lunch at one?';
const THEIRS = 'Better at two.';

export async function measureMessages({ cleanup, directory, sound }: Site): Promise<Figure[]> {
  progress('interop: messages with baresip');
  const reader = { cleanup, data: join(directory, 'reader') };
  const phone = new Ringline(['run', '--name', 'reader', '--listen', '127.0.0.1:0'], reader);
  const { listen } = await phone.heard('ready', IN_TIME_MS);
  const [port, controlPort] = [await freePort(), await freePort()];
  const options = {
    cleanup,
    directory: join(directory, 'baresip'),
    port,
    codec: 'PCMU',
    sound,
    controlPort,
    contact: `sip:reader@${listen}`,
  } as const;
  const peer = await startBaresipCallee(options);
  const control = await BaresipControl.open(cleanup, controlPort);

  const writer = { cleanup, data: join(directory, 'writer') };
  const address = `sip:peer@127.0.0.1:${port}`;
  const wrote = new Ringline(['message', address, OURS, '--listen', '127.0.0.1:0'], writer);
  const status = Number(await wrote.child.ended);

  await control.command('message', THEIRS);
  const { text } = await phone.heard('message', IN_TIME_MS);
  await phone.stop();
  await peer.stop();
  return [
    exactly(0, 'message that baresip takes, exit status', status, ''),
    exactly(
      1,
      'message of baresip that arrived as it was written',
      text === THEIRS ? 1 : 0,
      'message',
    ),
  ];
}
