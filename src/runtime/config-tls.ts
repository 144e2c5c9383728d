/** The part of the configuration that names PEM files: they are read with it, so that an error has its place. */
import { resolve } from 'node:path';
import { asError, CodedError, errorCode } from '../core/errors.js';
import { readAuthorities, readTlsIdentity } from '../identity/tls-files.js';
import type { PortChoice } from './config-listen.js';
import type { TlsChoices } from './tls-policy.js';

/** As the file has it. */
export interface RawTls {
  readonly port?: PortChoice;
  readonly certificate?: string;
  readonly key?: string;
  readonly authorities?: string;
  readonly trust?: 'authorities' | 'anybody';
}

/** Something is wrong with what stands under a key of `tls`. */
export class TlsMistake extends CodedError {
  constructor(
    readonly key: keyof RawTls,
    cause: unknown,
  ) {
    const remedy = cause instanceof CodedError ? cause.remedy : undefined;
    super('BAD_CONFIG', asError(cause).message, { cause, ...(remedy !== undefined && { remedy }) });
  }
}

/**
 * @param directory where relative paths start
 * @throws {TlsMistake}
 */
export async function readTlsChoices(tls: RawTls, directory: string): Promise<TlsChoices> {
  const { certificate, key, authorities, trust } = tls;
  return {
    ...(certificate !== undefined &&
      key !== undefined &&
      (await readOwn(resolve(directory, certificate), resolve(directory, key)))),
    ...(authorities !== undefined && {
      authorities: await readOthers(resolve(directory, authorities)),
    }),
    ...(trust !== undefined && { trust }),
  };
}

async function readOwn(certificate: string, key: string): Promise<TlsChoices> {
  const files = { certificate, key };
  try {
    return { files, identity: await readTlsIdentity(files) };
  } catch (error) {
    throw new TlsMistake(errorCode(error) === 'BAD_TLS_KEY' ? 'key' : 'certificate', error);
  }
}

async function readOthers(path: string): Promise<readonly string[]> {
  try {
    return await readAuthorities(path);
  } catch (error) {
    throw new TlsMistake('authorities', error);
  }
}
