/** `ringline message`: sends text to somebody. */
import { CodedError } from '../core/errors.js';
import { loadSettings } from '../runtime/config.js';
import type { Config } from '../runtime/config-settings.js';
import { EXIT, exitCodeOfEnd } from './exit-codes.js';
import type { Output } from './output.js';
import { ownPhoneTarget } from './own-phone.js';
import { withPassingPhone } from './passing-phone.js';

export async function message(
  who: string,
  text: string,
  flags: Config,
  configFile: string | undefined,
  output: Output,
): Promise<number> {
  const settings = await loadSettings(flags, configFile);
  const target = await ownPhoneTarget(who, settings.data);
  return withPassingPhone(settings, flags, async (telephone, stop) => {
    stop.addEventListener('abort', () => void telephone.messages.stop());
    const end = await telephone.messages.send(target, text);
    const fields = { event: 'sent', to: who };
    if (!end) {
      output.event(fields, `${who} has the message.`);
      return EXIT.ok;
    }
    output.failure(
      { ...fields, event: 'failed', ...end },
      new CodedError(end.code, end.message, end),
    );
    return end.code === 'HUNG_UP' ? EXIT.failed : exitCodeOfEnd(end.code);
  });
}
