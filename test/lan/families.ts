/**
 * Hosts with IPv4 and IPv6, with IPv6 alone and with IPv4 alone on one Ethernet, nothing configured but what each speaks: are
 * they one ring? Everybody calls everybody by names that only the ring knows.
 */
import { exactly, explained, type Figure, plain } from '../harness/figures.js';
import type { Host } from '../harness/lan.js';
import { progress } from '../harness/program.js';
import type { Ringline } from '../harness/ringline.js';
import { Phone, READY_WITHIN_MS, type Site } from './site.js';

/** From the start of all to a ring that has everybody: generous, since rings that meet take their time. */
const WITHIN_MS = 45_000;
/** Of one call, with the phone that dials started for it. */
const CALL_WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 250;

type Kind = 'both' | 'IPv6' | 'IPv4';

interface Resident {
  readonly phone: Phone;
  readonly kind: Kind;
}

export async function families(site: Site): Promise<Figure[]> {
  const [, , , dan, gus, fay] = site.hosts as Host[];
  if (!dan || !gus || !fay) throw new Error('this check needs six hosts');
  const check = async () => [...(await allKinds(site)), ...(await ledByIPv6(site))];
  return dan.withoutIPv4(() => gus.withoutIPv4(() => fay.withoutIPv6(check)));
}

/** One of each kind alone is there first, each with a ring of its own: these can never be neighbours in one. */
async function allKinds(site: Site): Promise<Figure[]> {
  progress('lan: a ring of IPv4 and one of IPv6, and then hosts that have both');
  const kinds: readonly Kind[] = ['both', 'both', 'both', 'IPv6', 'IPv6', 'IPv4'];
  const all = kinds.map((kind, index): Resident => ({ phone: new Phone(site, index), kind }));
  const first = await started(all.slice(4));
  const before = await outOfReach(all.slice(4));
  const later = await started(all.slice(0, 4));
  const since = performance.now();
  while ((await outOfReach(all)) > 0 && performance.now() < since + WITHIN_MS) {
    await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS));
  }
  const tookMs = performance.now() - since;
  const figures = await callAll('mixed hosts', all);
  const left = await outOfReach(all);
  await Promise.all([...first, ...later].map(each => each.stop()));
  return [
    exactly(1, 'mixed hosts: pairs of super-nodes without a kind in common at first', before, ''),
    exactly(0, 'mixed hosts: such pairs in the end', left, ''),
    plain('mixed hosts: all attached to the end of the last such pair', tookMs, 'ms'),
    ...figures,
  ];
}

/** Pairs of super-nodes that no link can lead between. */
async function outOfReach(all: readonly Resident[]): Promise<number> {
  const roles = await rolesOf(all);
  const of = (wanted: Kind) =>
    roles.filter(({ kind, isSuperNode }) => kind === wanted && isSuperNode).length;
  return of('IPv4') * of('IPv6');
}

/** A host with IPv6 alone is a super-node before anybody else is there. */
async function ledByIPv6(site: Site): Promise<Figure[]> {
  progress('lan: a ring that began with a host of IPv6 alone');
  const [dan, ...others] = [3, 0, 1, 4].map((index): Resident => {
    return { phone: new Phone(site, index), kind: index < 3 ? 'both' : 'IPv6' };
  }) as [Resident, ...Resident[]];
  dan.phone.configure(JSON.stringify({ overlay: { role: 'always' } }));
  const first = await started([dan]);
  const rest = await started(others);
  const figures = await callAll('led by IPv6', [dan, ...others]);
  const [role] = await rolesOf([dan]);
  await Promise.all([...first, ...rest].map(each => each.stop()));
  return [
    ...figures,
    exactly(1, 'led by IPv6: it is a super-node all the while', Number(role?.isSuperNode), ''),
  ];
}

/** Until each is a member, or attached to one. */
async function started(all: readonly Resident[]): Promise<Ringline[]> {
  const running = all.map(({ phone }) =>
    phone.command('answer', '--echo', '--name', phone.host.name),
  );
  await Promise.all(running.map(each => each.heard('ready', READY_WITHIN_MS)));
  await Promise.all(all.map(({ phone }) => phone.inRing(WITHIN_MS)));
  return running;
}

async function rolesOf(all: readonly Resident[]) {
  return Promise.all(
    all.map(async ({ phone, kind }) => {
      const status = await phone.status();
      return { kind, isSuperNode: status?.overlay?.role === 'super-node' };
    }),
  );
}

interface Outcome {
  readonly who: string;
  readonly heard: boolean;
  readonly told: string;
  readonly tookMs: number;
  readonly attempts: number;
}

/** Each calls each other, as many at once as there are, nobody being called twice at a time. */
async function callAll(what: string, all: readonly Resident[]): Promise<Figure[]> {
  const possible: Outcome[] = [];
  const impossible: Outcome[] = [];
  for (let step = 1; step < all.length; step++) {
    await Promise.all(
      all.map(async (from, index) => {
        const to = all[(index + step) % all.length]!;
        if (shareKind(from, to)) possible.push(await called(from, to));
        else impossible.push(await called(from, to));
      }),
    );
  }
  const failed = possible.filter(({ heard }) => !heard);
  const told = impossible.filter(({ heard, told }) => !heard && told.includes('alone'));
  return [
    explained(
      exactly(
        possible.length,
        `${what}: calls by names of the ring, and heard`,
        possible.length - failed.length,
        '',
      ),
      failed.map(({ who, told }) => `${who}: ${told}`).join('; '),
    ),
    plain(
      `${what}: of these, dialled again`,
      possible.filter(each => each.attempts > 1).length,
      '',
    ),
    plain(
      `${what}: start of the caller to ringing, longest`,
      Math.max(...possible.map(({ tookMs }) => tookMs)),
      'ms',
    ),
    ...(impossible.length === 0
      ? []
      : [
          exactly(
            impossible.length,
            `${what}: calls from IPv4 alone to IPv6 alone and back that say so`,
            told.length,
            '',
          ),
        ]),
  ];
}

function shareKind(one: Resident, other: Resident): boolean {
  return one.kind === other.kind || one.kind === 'both' || other.kind === 'both';
}

/** Rings that have just met may not know a name yet: it is dialled again, as people do. */
async function called(from: Resident, to: Resident): Promise<Outcome> {
  const who = `${from.phone.host.name} to ${to.phone.host.name}`;
  const until = performance.now() + CALL_WITHIN_MS;
  for (let attempts = 1; ; attempts++) {
    const call = from.phone.command(
      'call',
      `sip:${to.phone.host.name}@ringline`,
      '--seconds',
      '0.3',
    );
    const { code, message, statistics } = await call.heard('ended', CALL_WITHIN_MS);
    await call.child.ended;
    const ringing = call.events.find(({ event }) => event === 'ringing');
    const { packetsReceived = 0 } = (statistics ?? {}) as { packetsReceived?: number };
    const tookMs = (ringing?.at ?? Number.POSITIVE_INFINITY) - call.startedAt;
    const outcome = {
      who,
      heard: packetsReceived > 0,
      told: `${code} ${message}`,
      tookMs,
      attempts,
    };
    if (code !== 'NO_SUCH_NAME' || performance.now() > until) return outcome;
  }
}
