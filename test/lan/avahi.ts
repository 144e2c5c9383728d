/** Phones and Avahi on one Ethernet: each sees what the other announces, and no name is used twice. */

import { Avahi, type AvahiSighting, comes } from '../harness/avahi.js';
import { atMost, exactly, type Figure, plain } from '../harness/figures.js';
import type { RinglineEvent } from '../harness/ringline.js';
import { Phone, READY_WITHIN_MS, type Site } from './site.js';

const SIP = '_sip._udp';
const SUPER_NODE = '_ringline._tcp';
/** It looks for others before it founds a ring. */
const SUPER_NODE_WITHIN_MS = 30_000;
/** A goodbye takes a second by rule (RFC 6762 §10.1). */
const GONE_GOAL_MS = 1500;
/** It announces itself to either at once. */
const BOTH_FAMILIES_GOAL_MS = 1000;
/** Looking for new addresses takes a quarter of a second at most, announcing one no time. */
const ADDRESS_GOAL_MS = 1000;

export async function avahi(site: Site): Promise<Figure[]> {
  const figures: Figure[] = [];
  const [ada, bob, eve, , gus] = site.hosts;
  if (!ada || !bob || !eve || !gus) throw new Error('this check needs five hosts');
  const other = await Avahi.start(site.cleanup, gus);
  const { seen, child: browsing } = other.browse(SIP);
  const said = (sign: string, name: string, family = 'IPv4') =>
    comes(
      seen,
      each => each.sign === sign && each.name === name && each.family === family,
      `avahi-browse to say ${sign} ${name}`,
    );

  const rings = other.browse(SUPER_NODE);
  const phone = new Phone(site, 1).configure('overlay: { role: always }\n').run();
  const named = await phone.heard('named', READY_WITHIN_MS);
  const found = await said('=', 'bob');
  figures.push(plain('named to resolved by Avahi', Math.max(0, found.at - named.at), 'ms'));
  const host = found.host ?? '';
  const isThere = fits(found) && (await other.addressOf(host, 4)) === bob.address;
  figures.push(exactly(1, 'Avahi has address, port and text of a phone', Number(isThere), ''));
  const overV6 = await said('=', 'bob', 'IPv6');
  const isLinkLocal = /^fe80:/.test(await other.addressOf(host, 6));
  figures.push(exactly(1, 'and over IPv6', Number(overV6.port === 5060 && isLinkLocal), ''));

  const publishing = other.publish('Reception Desk', SIP, 5060);
  const watching = new Phone(site, 0).command('who');
  const desk = (isWhole: (endpoints: string) => boolean, what: string) =>
    comes(
      watching.events,
      each => each.name === 'Reception Desk' && isWhole(reachedAt(each).join(' ')),
      `who to see ${what}`,
    );
  const first = await desk(() => true, 'it');
  // Avahi tells its IPv6 address to IPv6 alone, and the other to IPv4: which is heard first is chance.
  const whole = await desk(
    endpoints => endpoints.includes(`${gus.address}:5060`) && endpoints.includes('[fe80:'),
    'its addresses of both families',
  );
  const tookMs = whole.at - first.at;
  const announced = 'a phone sees what avahi-publish announces, the second address after the first';
  figures.push(atMost(BOTH_FAMILIES_GOAL_MS, announced, tookMs, 'ms'));
  await publishing.stop();
  await comes(watching.events, each => each.event === 'down', 'who to see it go');

  const taken = other.publish('eve', SIP, 5080);
  await said('=', 'eve');
  const third = new Phone(site, 2).run();
  const renamed = await third.heard('named', READY_WITHIN_MS);
  figures.push(
    exactly(
      1,
      'a phone named eve is eve-2 where Avahi has eve',
      Number(renamed.name === 'eve-2'),
      '',
    ),
  );
  const late = other.publish('bob', SIP, 5081);
  await said('=', 'bob #2');
  figures.push(exactly(1, 'Avahi takes another name where a phone has it', 1, ''));
  await Promise.all([taken.stop(), late.stop(), third.stop()]);

  figures.push(...(await superNodes(site, other, rings.seen, host)));
  await rings.child.stop();

  const before = bob.address;
  const address = bob.otherAddress;
  const changing = performance.now();
  await bob.setAddress(address);
  const changed = await comes(
    watching.events,
    each => each.name === 'bob' && reachedAt(each).includes(`${address}:5060`),
    'who to see the new address',
  );
  figures.push(
    atMost(ADDRESS_GOAL_MS, 'a new address is known to others', changed.at - changing, 'ms'),
  );
  await bob.setAddress(before);

  const stopping = performance.now();
  await phone.stop();
  const gone = await comes(
    seen,
    each => each.sign === '-' && each.name === 'bob' && each.at > stopping,
    'avahi-browse to say it is gone',
  );
  figures.push(
    atMost(GONE_GOAL_MS, 'a phone that stops is gone from Avahi', gone.at - stopping, 'ms'),
  );
  await Promise.all([watching.stop(), browsing.stop()]);
  return figures;
}

/** A super-node of ours is seen by Avahi, and one that Avahi announces by ours; SLP tells of ours too. */
async function superNodes(
  site: Site,
  other: Avahi,
  seen: AvahiSighting[],
  host: string,
): Promise<Figure[]> {
  const [ada, bob, , , gus] = site.hosts;
  if (!ada || !bob || !gus) throw new Error('this check needs five hosts');
  const ours = await comes(
    seen,
    each => each.sign === '=' && each.host === host,
    'avahi-browse to see the super-node',
    SUPER_NODE_WITHIN_MS,
  );
  const isRight = ours.port === 5061 && ours.text.includes('"overlay=ringline"');
  const nodeId = 'a1b2'.repeat(10);
  const texts = ['txtvers=1', 'overlay=ringline', `node=${nodeId}`];
  const publishing = other.publish('A Ring', SUPER_NODE, 5077, texts);
  const finding = new Phone(site, 0).command('overlay', 'find', '--seconds', '20');
  const found = (source: string, endpoint: string) =>
    comes(
      finding.events,
      each => each.source === source && each.endpoint === endpoint,
      `${endpoint} by ${source}`,
    );
  const theirs = await found('mdns', `${gus.address}:5077`);
  await comes(finding.events, each => `${each.endpoint}` === `${bob.address}:5061`, 'our own');
  await Promise.all([publishing.stop(), finding.stop()]);
  return [
    exactly(1, 'Avahi has a super-node of ours, with its overlay', Number(isRight), ''),
    exactly(1, 'one that Avahi announces is found', Number(theirs.nodeId === nodeId), ''),
  ];
}

function fits({ port, text, host }: AvahiSighting): boolean {
  const isRight = port === 5060 && text.includes('"txtvers=1"');
  return isRight && /^ringline-[0-9a-z]+\.local$/.test(host ?? '');
}

function reachedAt({ endpoints }: RinglineEvent): readonly unknown[] {
  return Array.isArray(endpoints) ? endpoints : [];
}
