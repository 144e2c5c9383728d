/** Files that are there whole or not at all, and stay after a power cut once acknowledged. */
import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode } from '../core/errors.js';

/** Only the phone's own user may look: keys lie here. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** `NAME.PID.tmp`: a second process on the same directory never shares a temporary file. */
const TEMPORARY = /\.(\d+)\.tmp$/;

/** Writes beside the file, flushes, renames, and flushes the directory: the rename itself must last too. */
export async function writeFileDurably(path: string, text: string): Promise<void> {
  await makeDirectoryDurably(dirname(path));
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, 'w', FILE_MODE);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Resolves to false where there was no such file. */
export async function deleteFileDurably(path: string): Promise<boolean> {
  try {
    await unlink(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
  await syncDirectory(dirname(path));
  return true;
}

export async function makeDirectoryDurably(path: string): Promise<void> {
  const topmost = await mkdir(path, { recursive: true, mode: DIRECTORY_MODE });
  if (topmost === undefined) return;
  for (let made = path; made.length >= topmost.length; made = dirname(made)) {
    await syncDirectory(dirname(made));
  }
}

/** Removes what writers that were cut off have left in the directory and below. */
export async function sweepTemporaryFiles(directory: string): Promise<void> {
  for (const name of await readdir(directory, { recursive: true })) {
    const writer = TEMPORARY.exec(name)?.[1];
    if (writer !== undefined && !isRunning(Number(writer))) {
      await unlink(join(directory, name)).catch(() => undefined);
    }
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}
