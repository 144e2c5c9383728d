/** Dialling without an `@`: the echo test and the room of the phone that runs on this machine. */
import { MEETING_ROOM } from '../conference/meeting-room.js';
import { CodedError } from '../core/errors.js';
import { phoneStatus } from '../runtime/control-client.js';
import { ECHO_TEST } from '../services/echo-test.js';

/**
 * `*43` is this machine's own echo test; everything else stays as it was dialled.
 *
 * @throws {CodedError} `NOT_RUNNING`
 */
export async function ownPhoneTarget(who: string, dataDirectory: string): Promise<string> {
  if (who !== ECHO_TEST && who !== MEETING_ROOM) return who;
  const status = await phoneStatus(dataDirectory);
  if (!status) {
    throw new CodedError('NOT_RUNNING', `no phone runs on this machine to have a ${who}`, {
      remedy: `Start one with \`ringline run\`, or call another's: ${who}@NAME.`,
    });
  }
  return `${who}@${status.listen.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace('[::]:', '[::1]:')}`;
}
