/**
 * Kamailio as an ordinary provider has it: registrar and proxy, both asking for a password; and before it,
 * where there is more than one hop, a proxy at the edge that passes everything on.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsIdentity } from '../../src/core/network.js';
import { type Child, startChild } from './child.js';
import { type Cleanup, PlainFailure } from './program.js';

/** Where Debian keeps its modules, below the folder of the architecture. */
const LIBRARIES = '/usr/lib';

export interface KamailioOptions {
  readonly cleanup: Cleanup;
  readonly directory: string;
  /** Of UDP and TCP. */
  readonly port: number;
  readonly tls?: { readonly port: number; readonly identity: TlsIdentity };
  /** An edge: the port of the Kamailio that everything goes to, by TCP. */
  readonly next?: number;
}

const COMMON_MODULES = ['tm', 'sl', 'rr', 'pv', 'maxfwd', 'textops', 'siputils'];

/** Who calls `user` must log in with this password. */
export function passwordOf(user: string): string {
  return `secret-${user}`;
}

/** Resolves when it answers. */
export async function startKamailio(options: KamailioOptions): Promise<Child> {
  const { cleanup, directory, port } = options;
  const file = join(directory, `kamailio-${port}.cfg`);
  writeFileSync(file, configuration(options));
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

function configuration(options: KamailioOptions): string {
  const { directory, port, tls, next } = options;
  const modules = [...COMMON_MODULES, ...(next ? ['path'] : ['usrloc', 'registrar', 'auth'])];
  return `#!KAMAILIO
debug=1
log_stderror=yes
children=2
tcp_children=2
listen=udp:127.0.0.1:${port}
listen=tcp:127.0.0.1:${port}
${next ? '' : 'alias="example.test"'}
mpath="${modulePath()}"
${modules.map(name => `loadmodule "${name}.so"`).join('\n')}
${tls ? tlsPart(directory, tls) : ''}
${next ? edgePart(next) : REGISTRAR_PART}
route[COMMON] {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
    sl_send_reply("404", "Not Here");
    exit;
  }
  t_check_trans();
}
`;
}

const REGISTRAR_PART = `
modparam("usrloc", "db_mode", 0)
modparam("registrar", "use_path", 1)
modparam("registrar", "path_mode", 0)

request_route {
  route(COMMON);
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

/** Who comes from the registrar is led by its Route; everybody else is led there. */
function edgePart(next: number): string {
  return `
request_route {
  route(COMMON);
  if (is_method("REGISTER")) {
    add_path();
  } else {
    record_route();
    if (is_present_hf("Route")) { loose_route(); t_relay(); exit; }
  }
  $du = "sip:127.0.0.1:${next};transport=tcp";
  t_relay();
}
`;
}

function tlsPart(directory: string, tls: NonNullable<KamailioOptions['tls']>): string {
  const { key, cert } = tls.identity;
  const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')];
  writeFileSync(keyFile, key);
  writeFileSync(certFile, cert);
  return `
enable_tls=yes
listen=tls:127.0.0.1:${tls.port}
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "private_key", "${keyFile}")
modparam("tls", "certificate", "${certFile}")
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
