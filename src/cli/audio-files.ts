/** Looks at the files of a command before anybody is called. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { CallAudioOptions } from '../calling/call-audio.js';
import { CodedError } from '../core/errors.js';

/** @throws {CodedError} `NO_SUCH_FILE`, `FILE_NOT_WRITABLE` */
export async function checkAudioFiles({ play, record }: CallAudioOptions): Promise<void> {
  if (play !== undefined && !(await allows(play, constants.R_OK))) {
    throw new CodedError(
      'NO_SUCH_FILE',
      `expected a WAV file to play, found none that can be read at ${play}`,
      {
        remedy: 'Check the path after --play.',
      },
    );
  }
  if (record === undefined) return;
  const writable = (await allows(record, constants.F_OK))
    ? await allows(record, constants.W_OK)
    : await allows(dirname(record), constants.W_OK);
  if (!writable) {
    throw new CodedError('FILE_NOT_WRITABLE', `${record} cannot be written`, {
      remedy: 'Check the path after --record: its directory must exist and be yours.',
    });
  }
}

async function allows(path: string, mode: number): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch {
    return false;
  }
}
