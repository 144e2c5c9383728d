/** `ringline status`: the phone that runs on this machine. */
import { CodedError } from '../core/errors.js';
import { loadSettings } from '../runtime/config.js';
import type { Config } from '../runtime/config-settings.js';
import { phoneStatus } from '../runtime/control-client.js';
import type { CallStatus, PhoneStatus } from '../runtime/phone-status.js';
import type { UserStatus } from '../sip/server/sip-server.js';
import { EXIT } from './exit-codes.js';
import { formatTable, type Output } from './output.js';

export async function status(flags: Config, output: Output): Promise<number> {
  const { data } = await loadSettings(flags);
  const found = await phoneStatus(data);
  if (!found) {
    throw new CodedError('NOT_RUNNING', `no phone runs on this machine with its data in ${data}`, {
      remedy: 'Start one with `ringline run`, or give its directory with --data.',
    });
  }
  output.event({ event: 'status', ...found }, describe(found));
  return EXIT.ok;
}

function describe(status: PhoneStatus): string {
  const { sip } = status;
  const rows = [
    ['name', status.name],
    ['calls it takes at', status.reachableAt.join(', ') || `${status.listen} (no network)`],
    ['listens for', listening(status)],
    ['device', status.deviceId],
    [
      'running for',
      `${duration(status.upSeconds)} (start no. ${status.bootCount}, pid ${status.pid})`,
    ],
    ['calls are', status.attended ? 'answered' : 'left ringing (`ringline answer` takes them)'],
    ['overlay', describeOverlay(status)],
    ...keptForRing(status),
    ['new messages', String(status.newMessages)],
    ['in its room', String(status.roomMembers)],
    ...status.accounts.map(account => [account.aor, describeAccount(account)]),
    ...status.users.map(user => [`user ${user.name}`, describeDevices(user)]),
    ...status.watched.map(({ name, lamp }) => [`watches ${name}`, lamp]),
    ...status.watchers.map(watcher => [
      `watched by ${watcher.by}`,
      `${watcher.package}${watcher.resource ? ` of ${watcher.resource}` : ''} for ${duration(watcher.expiresInSeconds)}`,
    ]),
    ['phones seen', status.phones.join(', ') || 'none'],
    [
      'SIP messages',
      `${sip.received} in, ${sip.sent} out, ${sip.malformed} malformed, ${sip.sendErrors} not sent`,
    ],
    ['voice marked (DSCP)', status.dscp ? 'yes' : 'no (`ringline doctor` tells why)'],
    ['memory', `${status.residentMegabytes} MB`],
    ['version', status.version],
  ];
  if (status.calls.length === 0) return formatTable([...rows, ['calls', 'none']]);
  const calls = status.calls.map(call => [
    call.direction === 'incoming' ? 'from' : 'to',
    call.with,
    call.phase,
    call.codec ?? '',
    describeEncryption(call.encryption),
    describeQuality(call),
    call.seconds === undefined ? '' : duration(call.seconds),
  ]);
  return `${formatTable(rows)}\n\n${formatTable([['call', 'with', 'is', 'codec', 'encrypted', 'quality', 'for'], ...calls])}`;
}

/** `ringline, attached to 192.0.2.7:5061 for 2 min`. */
function describeOverlay({ overlay }: PhoneStatus): string {
  if (!overlay) return 'none';
  const { name, expelled } = overlay;
  return `${name}, ${placeIn(overlay)}${expelled ? '; its user was EXPELLED from it' : ''}`;
}

/** Nothing for who keeps nothing. */
function keptForRing({ overlay }: PhoneStatus): [string, string][] {
  const { records, bytes, failures } = overlay?.lasting ?? { records: 0, bytes: 0, failures: 0 };
  if (records + failures === 0) return [];
  const failed = failures > 0 ? `; ${failures} could NOT be written (the log says why)` : '';
  return [['keeps for the ring', `${records} on its card, ${Math.ceil(bytes / 1000)} kB${failed}`]];
}

function placeIn({
  member,
  superNode,
  attachedMs = 0,
  nodes,
}: NonNullable<PhoneStatus['overlay']>): string {
  if (member) {
    const others = member.known === undefined ? '' : ` among ${member.known}`;
    return `as super-node${others} with ${nodes} ${nodes === 1 ? 'node' : 'nodes'}`;
  }
  if (!superNode) return 'no super-node found yet';
  return `attached to ${superNode} for ${duration(Math.round(attachedMs / 1000))}`;
}

function describeAccount({
  phase,
  answer,
  server,
  contact,
}: PhoneStatus['accounts'][number]): string {
  if (server && contact) return `${phase} at ${server}, reached at ${contact}`;
  return answer ? `${phase} (${answer})` : phase;
}

function describeDevices({ devices }: UserStatus): string {
  const told = devices.map(
    ({ at, protocol, expiresInSeconds }) =>
      `${at}${protocol ? ` (${protocol})` : ''} for ${duration(expiresInSeconds)}`,
  );
  return told.length > 0 ? `registered from ${told.join(', ')}` : 'not registered';
}

/** `UDP and TCP at 0.0.0.0:5060, TLS at 0.0.0.0:5061`. */
function listening({ listening }: PhoneStatus): string {
  const places = [...new Set(listening.map(({ at }) => at))];
  return places
    .map(place => {
      const protocols = listening.filter(({ at }) => at === place).map(({ protocol }) => protocol);
      return `${protocols.join(' and ')} at ${place}`;
    })
    .join(', ');
}

/** `4.4 here, 4.3 there, 2% lost there`, of 5. */
function describeQuality({ mosHere, mosThere, lossThere }: CallStatus): string {
  const loss = Math.round(100 * (lossThere ?? 0));
  const parts = [
    mosHere === undefined ? '' : `${mosHere.toFixed(1)} here`,
    mosThere === undefined ? '' : `${mosThere.toFixed(1)} there`,
    loss > 0 ? `${loss}% lost there` : '',
  ];
  return parts.filter(part => part !== '').join(', ');
}

function describeEncryption(encryption: CallStatus['encryption']): string {
  if (!encryption) return 'no';
  return encryption.keysProtected ? 'yes' : 'yes, keys unprotected';
}

function duration(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  return (
    parts
      .filter(([count]) => count > 0)
      .slice(0, 2)
      .map(part => part.join(' '))
      .join(' ') || '0 s'
  );
}
