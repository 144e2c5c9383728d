/** The messages in `corpus/`: ours, each in the spirit of one of RFC 4475, and more of every header field. */
import { readdirSync, readFileSync } from 'node:fs';

const FOLDER = new URL('../../../test/sip-parser/corpus/', import.meta.url);
const SUFFIX = '.sip';

export interface Seed {
  readonly name: string;
  readonly octets: Buffer;
}

export function corpus(): Seed[] {
  return readdirSync(FOLDER)
    .filter(file => file.endsWith(SUFFIX))
    .sort()
    .map(file => ({
      name: file.slice(0, -SUFFIX.length),
      octets: readFileSync(new URL(file, FOLDER)),
    }));
}
