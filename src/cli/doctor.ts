/** `ringline doctor`: what a phone needs of this machine, and how to mend what is missing. */
import { createSocket } from 'node:dgram';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SystemClock, sleep } from '../core/clock.js';
import { formatEndpoint } from '../core/endpoint.js';
import { asError } from '../core/errors.js';
import { SystemNetwork } from '../core/system-network.js';
import { WorkerMediaEngine } from '../media/worker-engine.js';
import { nativeProblem } from '../native/index.js';
import { loadSettings } from '../runtime/config.js';
import type { Config, Settings } from '../runtime/config-settings.js';
import { checkCertificate, checkPorts } from './doctor-listening.js';
import { checkOverlay } from './doctor-overlay.js';
import { EXIT } from './exit-codes.js';
import { explain, type Finding } from './finding.js';
import type { Output } from './output.js';

/** LIBRARIES and engines promise this much. */
const OLDEST_NODE = 20;
/** A wall clock before this was never set. */
const EARLIEST_SENSIBLE = Date.UTC(2025, 0, 1);
const MDNS_GROUP = '224.0.0.251'; // RFC 6762 §3

const MARKS = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' } as const;

export async function doctor(
  flags: Config,
  configFile: string | undefined,
  output: Output,
): Promise<number> {
  let failed = false;
  const tell = (finding: Finding) => {
    const { check, verdict, detail, remedy } = finding;
    failed ||= verdict === 'fail';
    const mend = remedy === undefined ? '' : `\n        ${remedy}`;
    output.event({ event: 'check', ...finding }, `${MARKS[verdict]}  ${check}: ${detail}${mend}`);
  };
  tell(checkNode());
  const settings = await settingsOrFinding(flags, configFile);
  tell(settings.finding);
  if (settings.value) {
    tell(await checkData(settings.value));
    for (const finding of await checkPorts(settings.value)) tell(finding);
    tell(await checkCertificate(settings.value, sensibleTime()));
  }
  tell(checkAddresses());
  tell(await checkMulticast());
  for (const finding of settings.value ? await checkOverlay(settings.value) : []) tell(finding);
  tell(await checkMedia());
  tell(checkNative());
  tell(checkClock());
  output.event(
    { event: 'verdict', healthy: !failed },
    failed
      ? 'A phone cannot run here before what is marked FAIL is mended.'
      : 'A phone can run here.',
  );
  return failed ? EXIT.failed : EXIT.ok;
}

function checkNode(): Finding {
  const { node } = process.versions;
  const detail = `version ${node}`;
  if (Number(node.split('.')[0]) >= OLDEST_NODE) return { check: 'Node.js', verdict: 'ok', detail };
  const remedy = `Install Node.js ${OLDEST_NODE} or later.`;
  return { check: 'Node.js', verdict: 'fail', detail, remedy };
}

async function settingsOrFinding(
  flags: Config,
  configFile: string | undefined,
): Promise<{ value?: Settings; finding: Finding }> {
  const check = 'settings';
  try {
    const value = await loadSettings(flags, configFile);
    const detail = `${value.name} on ${formatEndpoint(value.listen)}`;
    return { value, finding: { check, verdict: 'ok', detail } };
  } catch (error) {
    return { finding: { check, verdict: 'fail', ...explain(error) } };
  }
}

async function checkData({ data }: Settings): Promise<Finding> {
  const check = 'data directory';
  // It is made where it is missing: then what it lies in has to be writable.
  for (let path = data; ; path = dirname(path)) {
    try {
      await access(path, constants.W_OK);
      return { check, verdict: 'ok', detail: data };
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (missing && dirname(path) !== path) continue;
      const remedy = 'Give another with --data, or make this one writable for you.';
      return { check, verdict: 'fail', detail: `${path} cannot be written`, remedy };
    }
  }
}

function checkAddresses(): Finding {
  const check = 'network';
  const outside = new SystemNetwork().addresses().filter(({ internal }) => !internal);
  if (outside.length > 0) {
    const detail = outside.map(({ name, address }) => `${name} ${address}`).join(', ');
    return { check, verdict: 'ok', detail };
  }
  const remedy =
    'Connect a cable or Wi-Fi. With no DHCP, `sudo avahi-autoipd eth0` gives an address by itself.';
  return { check, verdict: 'warn', detail: 'no address but loopback', remedy };
}

function checkMulticast(): Promise<Finding> {
  const check = 'finding others (mDNS)';
  const addresses = new SystemNetwork()
    .addresses()
    .filter(({ internal, family }) => !internal && family === 'IPv4');
  return new Promise(resolve => {
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    const done = (finding: Finding) => {
      socket.close();
      resolve(finding);
    };
    socket.on('error', error => {
      const remedy =
        'Another program holds UDP port 5353 for itself: stop it, or let it share the port.';
      done({ check, verdict: 'fail', detail: error.message, remedy });
    });
    socket.bind(5353, () => {
      try {
        for (const { address } of addresses) socket.addMembership(MDNS_GROUP, address);
        done({ check, verdict: 'ok', detail: `on ${addresses.length} address(es)` });
      } catch (error) {
        const remedy = 'Check that the interface is up and knows multicast (`ip link`).';
        done({ check, verdict: 'warn', detail: asError(error).message, remedy });
      }
    });
  });
}

/** A tone from one leg to another over loopback, through the real media thread. */
async function checkMedia(): Promise<Finding> {
  const check = 'media thread';
  const media = new WorkerMediaEngine();
  try {
    await media.start();
    const address = '127.0.0.1';
    const [from, to] = [await media.openLeg({ address }), await media.openLeg({ address })];
    const format = { name: 'PCMU', payloadType: 0 } as const;
    const towards = (port: number) => ({
      remote: { address, port },
      format,
      send: true,
      receive: true,
    });
    from.configure(towards(to.port));
    to.configure(towards(from.port));
    await sleepAwake(500);
    const { packetsReceived } = await to.statistics();
    if (packetsReceived > 0) return { check, verdict: 'ok', detail: 'voice passes over loopback' };
    return {
      check,
      verdict: 'fail',
      detail: 'no voice passes over loopback',
      remedy: 'Check the firewall.',
    };
  } catch (error) {
    return { check, verdict: 'fail', ...explain(error) };
  } finally {
    await media.stop();
  }
}

/** The clock's timers alone would not keep the process alive. */
async function sleepAwake(ms: number): Promise<void> {
  const alive = setTimeout(() => undefined, 2 * ms);
  await sleep(new SystemClock(), ms);
  clearTimeout(alive);
}

function checkNative(): Finding {
  const check = 'native addon';
  const problem = nativeProblem();
  if (problem === undefined) return { check, verdict: 'ok', detail: 'voice packets carry DSCP EF' };
  return { check, verdict: 'warn', detail: problem };
}

/** Undefined where the clock was never set. */
function sensibleTime(): number | undefined {
  const now = new SystemClock().wallTime();
  return now >= EARLIEST_SENSIBLE ? now : undefined;
}

function checkClock(): Finding {
  const check = 'clock';
  const detail = new Date(new SystemClock().wallTime()).toISOString();
  if (sensibleTime() !== undefined) return { check, verdict: 'ok', detail };
  const remedy = 'Calls work all the same; dates in logs are wrong until the clock is set.';
  return { check, verdict: 'warn', detail, remedy };
}
