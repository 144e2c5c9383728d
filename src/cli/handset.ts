/** The keys of a handset as commands: for the phone that runs here, and for a call while it lasts. */
import { createInterface } from 'node:readline';
import type { Handset } from '../calling/handset.js';
import { type HandsetKey, parseHandsetKey } from '../calling/handset-key.js';
import { CodedError } from '../core/errors.js';
import { loadSettings } from '../runtime/config.js';
import type { Config } from '../runtime/config-settings.js';
import { askPhone } from '../runtime/control-client.js';
import { EXIT } from './exit-codes.js';
import type { Output } from './output.js';

/** `ringline hold` and the like: presses a key at the phone that runs here. */
export async function press(flags: Config, pressed: HandsetKey, output: Output): Promise<number> {
  const { data } = await loadSettings(flags);
  const session = await askPhone(data, { method: 'press', pressed });
  if (!session) {
    throw new CodedError('NOT_RUNNING', `no phone runs on this machine with its data in ${data}`, {
      remedy: 'Start one with `ringline run`, or give its directory with --data.',
    });
  }
  for await (const event of session.events) {
    if (event.event === 'error') throw new CodedError(event.code, event.message, event);
    if (event.event === 'done') tellDone(pressed, event.with, output);
  }
  return EXIT.ok;
}

/** Keys from standard input, a line each, one after the other; ended by the function it answers. */
export function pressLines(handset: Handset, output: Output): () => void {
  const lines = createInterface({ input: process.stdin });
  let before = Promise.resolve();
  lines.on('line', line => {
    if (line.trim() === '') return;
    before = before.then(async () => {
      try {
        const pressed = parseHandsetKey(line);
        tellDone(pressed, (await handset.press(pressed)).target, output);
      } catch (error) {
        output.error(error);
      }
    });
  });
  return () => {
    lines.close();
    process.stdin.destroy();
  };
}

function tellDone(pressed: HandsetKey, who: string, output: Output): void {
  output.event({ event: 'done', key: pressed.key, with: who }, sentence(pressed, who));
}

function sentence(pressed: HandsetKey, who: string): string {
  switch (pressed.key) {
    case 'hold':
      return `${who} waits.`;
    case 'resume':
      return `${who} is heard again.`;
    case 'consult':
      return `Connected with ${who}; \`transfer\` joins the two, \`hangup\` and \`resume\` go back.`;
    case 'transfer':
      return `${who} has been passed on.`;
    case 'digits':
      return `${pressed.digits} was pressed, for ${who}.`;
    case 'hangup':
      return `The call with ${who} is over.`;
  }
}
