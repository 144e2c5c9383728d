/** The part of `ringline doctor` about ports and certificates. */
import { X509Certificate } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { formatEndpoint } from '../core/endpoint.js';
import type { Endpoint } from '../core/network.js';
import { SystemNetwork } from '../core/system-network.js';
import type { Settings } from '../runtime/config-settings.js';
import { phoneStatus } from '../runtime/control-client.js';
import type { PhoneStatus } from '../runtime/phone-status.js';
import type { SipProtocol } from '../sip/resolution/plan.js';
import { explain, type Finding } from './finding.js';

/** What others than the owner of a file may do with it: chmod(2). */
const MODE_OF_OTHERS = 0o077;

/** Whether each port is free, or taken by the phone that runs. */
export async function checkPorts({ listen, listenToo, data }: Settings): Promise<Finding[]> {
  const running = await phoneStatus(data).catch(() => undefined);
  const places = { UDP: listen, TCP: listen, ...listenToo };
  const checks = Object.entries(places).map(([protocol, endpoint]) =>
    checkPort(protocol as SipProtocol, endpoint, running),
  );
  return Promise.all(checks);
}

async function checkPort(
  protocol: SipProtocol,
  endpoint: Endpoint,
  running: PhoneStatus | undefined,
): Promise<Finding> {
  const check = `SIP over ${protocol}`;
  const at = formatEndpoint(endpoint);
  try {
    await tryPort(protocol, endpoint);
    const detail = endpoint.port === 0 ? 'takes any free port' : `${at} is free`;
    return { check, verdict: 'ok', detail };
  } catch (error) {
    if (running?.listening.some(place => place.protocol === protocol && place.at === at)) {
      return { check, verdict: 'ok', detail: `${at} is ${running.name}'s, which runs` };
    }
    // Without UDP or TCP there is no phone; all else it can do without.
    const needed = protocol === 'UDP' || protocol === 'TCP';
    return { check, verdict: needed ? 'fail' : 'warn', ...explain(error) };
  }
}

async function tryPort(protocol: SipProtocol, endpoint: Endpoint): Promise<void> {
  const network = new SystemNetwork();
  const opened =
    protocol === 'UDP'
      ? await network.bindDatagram({ ...endpoint, trafficClass: 'default' })
      : await network.listenStream({ ...endpoint, onConnection: stream => stream.destroy() });
  opened.close();
}

/** @param now in ms since 1970; undefined where the clock was never set */
export async function checkCertificate(
  { tls, listenToo }: Settings,
  now: number | undefined,
): Promise<Finding> {
  const check = 'certificate';
  const { files, identity } = tls;
  if (!listenToo.TLS && !listenToo.WSS) return { check, verdict: 'ok', detail: 'none is needed' };
  if (!files || !identity) return { check, verdict: 'ok', detail: 'its own, signed by itself' };
  const { mode } = await stat(files.key);
  if ((mode & MODE_OF_OTHERS) !== 0) {
    const detail = `others may read its key, ${files.key}`;
    return { check, verdict: 'warn', detail, remedy: `chmod 600 ${files.key}` };
  }
  const { validFrom, validTo } = new X509Certificate(identity.cert);
  const remedy = 'Others may refuse it: get a new one, and start the phone again.';
  if (now !== undefined && now > Date.parse(validTo)) {
    const detail = `${files.certificate} was good until ${validTo}`;
    return { check, verdict: 'warn', detail, remedy };
  }
  if (now !== undefined && now < Date.parse(validFrom)) {
    const detail = `${files.certificate} is good from ${validFrom}`;
    return { check, verdict: 'warn', detail, remedy };
  }
  return { check, verdict: 'ok', detail: `${files.certificate}, good until ${validTo}` };
}
