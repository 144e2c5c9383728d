/** `ringline refer`: has another phone call somebody. */
import { CodedError } from '../core/errors.js';
import { loadSettings } from '../runtime/config.js';
import type { Config } from '../runtime/config-settings.js';
import { EXIT, exitCodeOfEnd } from './exit-codes.js';
import type { Output } from './output.js';
import { withPassingPhone } from './passing-phone.js';

export async function refer(
  phone: string,
  who: string,
  flags: Config,
  configFile: string | undefined,
  output: Output,
): Promise<number> {
  const settings = await loadSettings(flags, configFile);
  return withPassingPhone(settings, flags, async (telephone, stop) => {
    // Whoever asked need not stay: the call is the other phone's.
    const stopped = new Promise<undefined>(resolve => {
      stop.addEventListener('abort', () => resolve(undefined));
    });
    const asked = telephone.referrals.ask(phone, who, status =>
      output.event({ event: 'progress', phone, status }, `${phone} calls ${who}: ${status}.`),
    );
    const end = await Promise.race([asked, stopped]);
    const fields = { phone, to: who };
    if (!end) {
      const text = stop.aborted ? undefined : `${phone} talks with ${who}.`;
      output.event({ event: stop.aborted ? 'left' : 'connected', ...fields }, text);
      return EXIT.ok;
    }
    const error = new CodedError(end.code, end.message, end);
    output.failure({ event: 'failed', ...fields, ...end }, error);
    return exitCodeOfEnd(end.code);
  });
}
