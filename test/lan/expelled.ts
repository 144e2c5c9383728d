/**
 * A private overlay on five hosts: somebody is expelled at the founder's phone, and then the power goes everywhere, before any
 * other phone has asked. It returns for all but the founder. Is it known to who was expelled, to who calls, and to who
 * was never there before?
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { asError } from '../../src/core/errors.js';
import { atMost, exactly, type Figure } from '../harness/figures.js';
import { PlainFailure, progress } from '../harness/program.js';
import type { Ringline, RinglineEvent } from '../harness/ringline.js';
import { Phone, READY_WITHIN_MS, type Site } from './site.js';

const OVERLAY = 'office';
const GIVE_UP_MS = 100_000;
/** As many as a ring of few phones comes to have. */
const SUPER_NODES = 3;
/** A phone asks 10 s after it has a ring, or is a super-node, and a minute later: several rings may have begun at once. */
const KNOWN_GOAL_MS = 90_000;

export async function expelled(site: Site): Promise<Figure[]> {
  const passphrase = join(site.directory, 'passphrase');
  writeFileSync(passphrase, 'correct horse battery\n');
  const [founder, bob, eve, dan, late] = [0, 1, 2, 3, 4].map(index => new Phone(site, index));
  if (!founder || !bob || !eve || !dan || !late) throw new Error('this check needs five hosts');
  const sealed = ['--passphrase-file', passphrase];
  await said(founder, 'created', 'user', 'create', founder.host.name);
  await said(founder, 'founded', 'overlay', 'create', OVERLAY, ...sealed);
  const keys = new Map<Phone, string>();
  for (const phone of [bob, eve, dan, late]) {
    const { name } = phone.host;
    await said(phone, 'created', 'user', 'create', name);
    const key = String((await said(phone, 'user', 'user', 'show')).userKey);
    const enrol = ['overlay', 'enrol', OVERLAY, name, key, '--super-node', ...sealed];
    const { text } = await said(founder, 'enrolled', ...enrol);
    await said(phone, 'joined', 'overlay', 'join', String(text));
    keys.set(phone, key);
  }

  const running = new Map<Phone, Ringline>();
  for (const phone of [founder, bob, eve, dan])
    running.set(phone, phone.command(...answering(phone)));
  // Those who began a ring each are one by then.
  for (const phone of [founder, bob, dan]) {
    await until(
      `eve calls ${phone.host.name}`,
      async () => (await call(eve, phone)) === 'connected',
    );
  }
  // What only the founder's phone held would be gone with it.
  const phones = [founder, bob, eve, dan];
  await until(`${SUPER_NODES} of them are one ring`, async () => {
    const told = await Promise.all(phones.map(phone => phone.status()));
    const members = told.flatMap(status => status?.overlay?.member ?? []);
    const areOne = members.every(({ phase, known }) => {
      return phase === 'member' && known === members.length;
    });
    return members.length >= SUPER_NODES && areOne;
  });
  const expelling = ['overlay', 'expel', OVERLAY, keys.get(bob) ?? '', ...sealed];
  const { inRing: told } = await said(founder, 'expelled', ...expelling);
  await Promise.all([...running.values()].map(killed));

  running.clear();
  for (const phone of [dan, bob, eve, late]) running.set(phone, phone.command(...answering(phone)));
  const took = await Promise.all([...running].map(each => known(...each)));
  const status = await bob.status();
  const after = [await call(eve, bob), await call(late, bob), await call(late, eve)];
  await Promise.all([...running.values()].map(each => each.stop()));
  return [
    exactly(1, 'expelled: the ring has the list when the command ends', Number(told === true), ''),
    exactly(
      4,
      'expelled: phones that know it, the founder being off',
      took.filter(Number.isFinite).length,
      '',
    ),
    atMost(
      KNOWN_GOAL_MS,
      'expelled: from their start until they know it, longest',
      Math.max(...took),
      'ms',
    ),
    exactly(
      1,
      'expelled: the phone of who was says so',
      Number(status?.overlay?.expelled === true),
      '',
    ),
    exactly(
      2,
      'expelled: who was is nobody to those who know',
      after.filter(end => end === 'NO_SUCH_NAME').length,
      '',
    ),
    exactly(1, 'expelled: others are called', Number(after[2] === 'connected'), ''),
  ];
}

/** One event of a command that ends. */
async function said(phone: Phone, event: string, ...args: string[]): Promise<RinglineEvent> {
  const command = phone.command(...args);
  const found = await command.heard(event, READY_WITHIN_MS);
  await command.child.ended;
  return found;
}

function answering({ host }: Phone): string[] {
  return ['answer', '--echo', '--name', host.name];
}

/** As a power cut would. */
async function killed({ child }: Ringline): Promise<void> {
  child.process.kill('SIGKILL');
  await child.ended;
}

/** From the start of a phone until it keeps the list, in ms; for ever where it never does. */
async function known(phone: Phone, { startedAt }: Ringline): Promise<number> {
  try {
    await until(`${phone.host.name} has heard of it`, async () => {
      return (await said(phone, 'overlay', 'overlay', 'show')).expelled === 1;
    });
    return performance.now() - startedAt;
  } catch (error) {
    progress(`lan: ${asError(error).message}`);
    return Number.POSITIVE_INFINITY;
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + GIVE_UP_MS;
  while (!(await holds())) {
    if (performance.now() > deadline)
      throw new PlainFailure(`not within ${GIVE_UP_MS} ms: ${what}`);
    await delay(200);
  }
}

/** What becomes of a call by the ring: `connected`, or why not. */
async function call(from: Phone, to: Phone): Promise<string> {
  const calling = from.command('call', `sip:${to.host.name}@${OVERLAY}`, '--seconds', '1');
  const { code } = await calling.heard('ended', GIVE_UP_MS);
  await calling.child.ended;
  return calling.events.some(({ event }) => event === 'connected') ? 'connected' : String(code);
}
