/** Knot DNS: a name server that takes signed updates of one zone. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, requireProgram, run, startChild } from './child.js';
import { type Cleanup, PlainFailure } from './program.js';
import { freePort } from './udp.js';

export const KEY_NAME = 'phone.home.test';
/** May change nothing. */
export const POWERLESS_KEY_NAME = 'reader.home.test';
export const KEY_SECRET = Buffer.from('a secret of thirty-two octets ..').toString('base64');
export const ZONE = 'home.test';

export interface Knot {
  readonly port: number;
  readonly child: Child;
  /** `SRV`, `A` … of a name, as kdig prints them. */
  records(name: string, type: string): Promise<string[]>;
}

export async function startKnot(cleanup: Cleanup, directory: string): Promise<Knot> {
  requireProgram('knotd', 'knot');
  requireProgram('kdig', 'knot-dnsutils');
  const port = await freePort();
  const file = join(directory, 'knot.conf');
  const key = (id: string) => `  - id: ${id}
    algorithm: hmac-sha256
    secret: "${KEY_SECRET}"`;
  writeFileSync(
    file,
    `server:
  rundir: "${directory}"
  listen: 127.0.0.1@${port}
log:
  - target: stderr
    any: info
database:
  storage: "${directory}"
key:
${key(KEY_NAME)}
${key(POWERLESS_KEY_NAME)}
acl:
  - id: may-update
    key: ${KEY_NAME}
    action: update
zone:
  - domain: ${ZONE}
    storage: "${directory}"
    file: zone
    acl: may-update
`,
  );
  writeFileSync(
    join(directory, 'zone'),
    `$ORIGIN ${ZONE}.\n@ 60 SOA ns admin 1 3600 600 86400 60\n@ 60 NS ns\nns 60 A 127.0.0.1\n`,
  );
  const child = startChild(cleanup, ['knotd', '-c', file]);
  for (let waited = 0; !child.output().includes('server started'); waited++) {
    if (waited > 100 || child.process.exitCode !== null)
      throw new PlainFailure(`knotd does not start:\n${child.output()}`);
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  const records = async (name: string, type: string) => {
    const output = await run(['kdig', '@127.0.0.1', '-p', String(port), '+short', name, type]);
    return output.split('\n').filter(line => line !== '');
  };
  return { port, child, records };
}
