/** Files that are there whole or not at all, and stay after a power cut once acknowledged. */
import { randomBytes } from 'node:crypto';
import { constants, copyFile, link, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode } from '../core/errors.js';

/** Only the phone's own user may look: keys lie here. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** `NAME.PID.tmp`: a second process on the same directory never shares a temporary file. */
const TEMPORARY = /\.(\d+)\.tmp$/;

/** What link(2) says on FAT and its like. */
const WITHOUT_LINKS: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** Writes beside the file, flushes, renames, and flushes the directory: the rename itself must last too. */
export async function writeFileDurably(path: string, text: string): Promise<void> {
  await makeDirectoryDurably(dirname(path));
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await writeFlushed(temporary, text);
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await sync(dirname(path));
}

/** As `writeFileDurably`, where there is no such file; resolves to false where there is one. */
export async function addFileDurably(path: string, text: string): Promise<boolean> {
  await makeDirectoryDurably(dirname(path));
  // Several may add one file at once in one process too.
  const temporary = `${path}.${randomBytes(6).toString('hex')}.${process.pid}.tmp`;
  try {
    await writeFlushed(temporary, text);
    await linkExclusively(temporary, path);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    return false;
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
  await sync(dirname(path));
  return true;
}

/** A link never takes the place of a file, as a renamed one would. */
async function linkExclusively(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!WITHOUT_LINKS.includes(errorCode(error) ?? '')) throw error;
    await copyFile(from, to, constants.COPYFILE_EXCL);
    await sync(to);
  }
}

async function writeFlushed(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', FILE_MODE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Resolves to false where there was no such file. */
export async function deleteFileDurably(path: string): Promise<boolean> {
  try {
    await unlink(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
  await sync(dirname(path));
  return true;
}

export async function makeDirectoryDurably(path: string): Promise<void> {
  const topmost = await mkdir(path, { recursive: true, mode: DIRECTORY_MODE });
  if (topmost === undefined) return;
  for (let made = path; made.length >= topmost.length; made = dirname(made)) {
    await sync(dirname(made));
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

/** Of a file or a directory. */
async function sync(path: string): Promise<void> {
  const opened = await open(path, 'r');
  try {
    await opened.sync();
  } finally {
    await opened.close();
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
