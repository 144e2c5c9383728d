/** A store of one small file per record: `identity/device` lies in `DIRECTORY/identity/device.json`. */
import { constants, readFileSync, renameSync } from 'node:fs';
import { access, readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CodedError, errorCode } from '../core/errors.js';
import {
  addFileDurably,
  deleteFileDurably,
  makeDirectoryDurably,
  sweepTemporaryFiles,
  writeFileDurably,
} from './atomic-file.js';
import { Coalescer } from './coalescer.js';
import { checkKey } from './key.js';
import { decodeRecord, encodeRecord, RECORD_FORMAT } from './record.js';
import type { Storable, Store } from './store.js';

const EXTENSION = '.json';

/** Appended to the name of a record that cannot be read; it is kept for whoever wants to mend it. */
const DAMAGED = '.damaged';

export interface FileStoreOptions {
  /** Made on opening where it does not exist. */
  readonly directory: string;
  /** Told of each damaged record that was set aside (`STORE_DAMAGED`); the phone goes on without it. */
  readonly onDamage: (problem: CodedError) => void;
}

type Change = { readonly kind: 'write'; readonly text: string } | { readonly kind: 'delete' };

export class FileStore implements Store {
  readonly #directory: string;
  readonly #onDamage: (problem: CodedError) => void;
  readonly #changes = new Coalescer<Change>((key, change) => this.#apply(key, change));
  #open = true;

  private constructor(options: FileStoreOptions) {
    this.#directory = options.directory;
    this.#onDamage = options.onDamage;
  }

  /** Throws `CodedError` `STORE_READ_ONLY`, `STORE_FULL`, `STORE_FORBIDDEN` or `STORE_FAILED`. */
  static async open(options: FileStoreOptions): Promise<FileStore> {
    const directory = resolve(options.directory);
    try {
      await makeDirectoryDurably(directory);
      await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
      await sweepTemporaryFiles(directory);
    } catch (error) {
      throw storeFailure(error, directory);
    }
    return new FileStore({ ...options, directory });
  }

  async get<T extends Storable>(key: string): Promise<T | undefined> {
    this.#check(key);
    await this.#changes.settled(key);
    const text = await this.#read(key);
    if (text === undefined) return undefined;
    const record = decodeRecord(text);
    switch (record.kind) {
      case 'whole':
        return record.value as T;
      case 'newer':
        throw new CodedError(
          'STORE_TOO_NEW',
          `${this.#path(key)} was written by a newer version: expected format ${RECORD_FORMAT}, found ${record.format}`,
          { remedy: 'Install that version again, or choose another data directory.' },
        );
      case 'damaged':
        this.#setAside(key, text, record.reason);
        return undefined;
    }
  }

  async set(key: string, value: Storable): Promise<void> {
    this.#check(key);
    await this.#changes.submit(key, { kind: 'write', text: encodeRecord(value) });
  }

  async add(key: string, value: Storable): Promise<boolean> {
    this.#check(key);
    const text = encodeRecord(value);
    await this.#changes.settled(key);
    const path = this.#path(key);
    try {
      return await addFileDurably(path, text);
    } catch (error) {
      throw storeFailure(error, path);
    }
  }

  async delete(key: string): Promise<void> {
    this.#check(key);
    await this.#changes.submit(key, { kind: 'delete' });
  }

  async keys(prefix = ''): Promise<string[]> {
    this.#checkOpen();
    await this.#changes.allSettled();
    const names = await readdir(this.#directory, { recursive: true });
    return names
      .filter(name => name.endsWith(EXTENSION))
      .map(name => name.slice(0, -EXTENSION.length))
      .filter(key => key.startsWith(prefix))
      .sort();
  }

  async close(): Promise<void> {
    this.#open = false;
    await this.#changes.allSettled();
  }

  async #apply(key: string, change: Change): Promise<void> {
    const path = this.#path(key);
    try {
      if (change.kind === 'delete') await deleteFileDurably(path);
      // Reading costs nothing; each write wears the card.
      else if ((await this.#read(key)) !== change.text) await writeFileDurably(path, change.text);
    } catch (error) {
      throw storeFailure(error, path);
    }
  }

  async #read(key: string): Promise<string | undefined> {
    try {
      return await readFile(this.#path(key), 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw storeFailure(error, this.#path(key));
    }
  }

  #setAside(key: string, damagedText: string, reason: string): void {
    const path = this.#path(key);
    try {
      // In one turn of the event loop, so that no value written meanwhile is moved away.
      if (!this.#changes.isBusy(key) && readFileSync(path, 'utf8') === damagedText) {
        renameSync(path, path + DAMAGED);
      }
    } catch {
      // On a read-only card it stays where it is; the phone runs without it all the same.
    }
    this.#onDamage(
      new CodedError('STORE_DAMAGED', `${path} cannot be read: ${reason}`, {
        remedy: `It was set aside as ${path}${DAMAGED}; what it held starts afresh.`,
      }),
    );
  }

  #path(key: string): string {
    return join(this.#directory, key + EXTENSION);
  }

  #check(key: string): void {
    this.#checkOpen();
    checkKey(key);
  }

  #checkOpen(): void {
    if (!this.#open) throw new CodedError('STORE_CLOSED', 'the store is closed');
  }
}

function storeFailure(error: unknown, path: string): CodedError {
  if (error instanceof CodedError) return error;
  switch (errorCode(error)) {
    case 'EROFS':
      return new CodedError('STORE_READ_ONLY', `${path} lies on a read-only file system`, {
        cause: error,
        remedy:
          'Mount it writable, or choose another data directory. A worn-out SD card turns read-only for good.',
      });
    case 'ENOSPC':
    case 'EDQUOT':
      return new CodedError('STORE_FULL', `no space is left to write ${path}`, {
        cause: error,
        remedy: 'Free some space, or choose another data directory.',
      });
    case 'EACCES':
    case 'EPERM':
      return new CodedError('STORE_FORBIDDEN', `this user may not write ${path}`, {
        cause: error,
        remedy: 'Give the directory to this user (chown), or choose another data directory.',
      });
    case 'EEXIST':
    case 'ENOTDIR':
      return new CodedError(
        'STORE_FAILED',
        `expected a directory, found a file at or above ${path}`,
        {
          cause: error,
          remedy: 'Choose another data directory.',
        },
      );
    default: {
      const found = error instanceof Error ? error.message : String(error);
      return new CodedError('STORE_FAILED', `${path} could not be read or written: ${found}`, {
        cause: error,
        remedy: 'Check the card or disk.',
      });
    }
  }
}
