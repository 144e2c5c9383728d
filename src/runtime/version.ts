/** What this program says of itself in SIP and in `status`. */
import { readFileSync } from 'node:fs';

/** From the project's package.json, three levels up from dist/src/runtime/ and from dist/bin/ringline/. */
export function programVersion(): string {
  const file = new URL('../../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}

/** For User-Agent and Server (RFC 3261 §20.41). */
export function productName(): string {
  return `Ringline/${programVersion()}`;
}
