/**
 * Hosts without IPv4, each with the one address that IPv6 gives every link by itself: nobody has configured anything, and
 * nobody could. Do phones find, call and hear each other, by name on the LAN and by name of the ring?
 */
import { atMost, exactly, type Figure } from '../harness/figures.js';
import { progress } from '../harness/program.js';
import { everySample } from './long-call.js';
import { Phone, READY_WITHIN_MS, type Site } from './site.js';

const SECONDS = 5;
const REACHED_GOAL_MS = 5000;
const GIVE_UP_MS = 30_000;

export async function linkLocal(site: Site): Promise<Figure[]> {
  const [ada, bob, eve, dan] = site.hosts;
  if (!ada || !bob || !eve || !dan) throw new Error('this check needs four hosts');
  const check = async () => [...(await callByName(site)), ...(await callByRing(site))];
  return [ada, bob, eve, dan].reduce((work, host) => () => host.withoutIPv4(work), check)();
}

async function callByName(site: Site): Promise<Figure[]> {
  progress('lan: a call without IPv4');
  return everySample(site, 'a call without IPv4', SECONDS);
}

/** Three phones, one of them a super-node, and a fourth that calls them by the ring alone. */
async function callByRing(site: Site): Promise<Figure[]> {
  progress('lan: a ring without IPv4');
  const phones = [1, 2, 3].map(index => new Phone(site, index));
  const answering = phones.map(phone =>
    phone.command('answer', '--echo', '--name', phone.host.name),
  );
  await Promise.all(answering.map(running => running.heard('ready', READY_WITHIN_MS)));
  await Promise.all(phones.map(phone => phone.inRing(GIVE_UP_MS)));
  const caller = new Phone(site, 0);
  const took: number[] = [];
  let heard = 0;
  for (const { host } of phones) {
    const call = caller.command('call', `sip:${host.name}@ringline`, '--seconds', '1');
    const { at } = await call.heard('ringing', GIVE_UP_MS);
    took.push(at - call.startedAt);
    const { statistics } = await call.heard('ended', GIVE_UP_MS);
    heard += Number((statistics as { packetsReceived: number }).packetsReceived > 0);
    await call.child.ended;
  }
  await Promise.all(answering.map(running => running.stop()));
  return [
    exactly(
      phones.length,
      'without IPv4: phones called by names of the ring, and heard',
      heard,
      '',
    ),
    atMost(
      REACHED_GOAL_MS,
      'without IPv4: start of the caller to ringing, longest',
      Math.max(...took),
      'ms',
    ),
  ];
}
