/** Kamailio as an ordinary provider has it: registrar and proxy, both asking for a password. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, startChild } from './child.js';
import { type Cleanup, PlainFailure } from './program.js';

/** Where Debian keeps its modules, below the folder of the architecture. */
const LIBRARIES = '/usr/lib';

export interface KamailioOptions {
  readonly cleanup: Cleanup;
  readonly directory: string;
  readonly port: number;
}

/** Who calls `user` must log in with this password. */
export function passwordOf(user: string): string {
  return `secret-${user}`;
}

/** Resolves when it answers. */
export async function startKamailio({ cleanup, directory, port }: KamailioOptions): Promise<Child> {
  const file = join(directory, 'kamailio.cfg');
  writeFileSync(file, configuration(port));
  const child = startChild(cleanup, ['kamailio', '-f', file, '-DD', '-E', '-m', '64']);
  for (let waited = 0; waited < 50; waited++) {
    if (/children/i.test(child.output()) || child.output().includes('Listening on')) break;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  if (child.process.exitCode !== null) {
    throw new PlainFailure(`kamailio did not start:\n${child.output().slice(-2000)}`);
  }
  return child;
}

function configuration(port: number): string {
  const modules = [
    'tm',
    'sl',
    'rr',
    'pv',
    'maxfwd',
    'textops',
    'usrloc',
    'registrar',
    'auth',
    'siputils',
  ];
  return `#!KAMAILIO
debug=1
log_stderror=yes
children=2
listen=udp:127.0.0.1:${port}
alias="example.test"
mpath="${modulePath()}"
${modules.map(name => `loadmodule "${name}.so"`).join('\n')}
modparam("usrloc", "db_mode", 0)

request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
    sl_send_reply("404", "Not Here");
    exit;
  }
  t_check_trans();
  if (is_method("REGISTER")) {
    if (!pv_www_authenticate("$td", "secret-$fU", "0")) { www_challenge("$td", "1"); exit; }
    save("location");
    exit;
  }
  if (!pv_proxy_authenticate("$fd", "secret-$fU", "0")) { proxy_challenge("$fd", "1"); exit; }
  consume_credentials();
  record_route();
  if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
  t_relay();
}
`;
}

function modulePath(): string {
  for (const folder of readdirSync(LIBRARIES)) {
    const path = join(LIBRARIES, folder, 'kamailio', 'modules');
    try {
      if (readdirSync(path).includes('tm.so')) return `${path}/`;
    } catch {
      // Another library's folder.
    }
  }
  throw new PlainFailure('kamailio has no modules; install it with: sudo apt install kamailio');
}
