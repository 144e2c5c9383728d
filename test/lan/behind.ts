/**
 * An ordinary SIP phone behind two super-nodes: it is called, and calls, by names that only the ring knows; and one of
 * the two dies.
 */
import { join } from 'node:path';
import { numbered } from '../../src/calling/auto-answer.js';
import { ANSWERS_WITHIN_MS } from '../../src/sip/server/challenges.js';
import { type BaresipOptions, recordingsOf, startBaresipCallee } from '../harness/baresip.js';
import { BaresipControl } from '../harness/baresip-control.js';
import { type Child, requireProgram } from '../harness/child.js';
import { atMost, exactly, explained, type Figure, plain } from '../harness/figures.js';
import { PlainFailure, progress } from '../harness/program.js';
import type { Ringline, RinglineEvent } from '../harness/ringline.js';
import { readSound, recordedSeconds, SAMPLE_RATE, writeSound } from '../harness/sound.js';
import { accountOf, pitchHz, steadyPart } from '../harness/tones.js';
import { sine } from '../media/signal.js';
import { Phone, READY_WITHIN_MS, type Site } from './site.js';

const PASSWORD = 'what-ben-says';
const CONTROL_PORT = 4444;
/** In Hz: what the ordinary phone says, and what phones of ours say. */
const [BEN_HZ, OURS_HZ] = [440, 660];
const SOUND_SECONDS = 30;
const TALK_SECONDS = 4;
const TOLERANCE_HZ = 2;
/** To join, to register, to publish: generous, since the machine may be slow. */
const WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 250;
/** Of a call, from dialling to answered, with the phone that dials started for it. */
const CALLED_GOAL_MS = 10_000;

interface Street {
  readonly site: Site;
  /** Super-nodes with the same users. */
  readonly ada: Phone;
  readonly bob: Phone;
  /** Attached to bob, and never a super-node. Its user is nina. */
  readonly eve: Phone;
  readonly ourSound: string;
  /** The recording of the call that eve answered last, each asked for once. */
  heardByEve(): string;
  readonly figures: Figure[];
}

export async function behind(site: Site): Promise<Figure[]> {
  requireProgram('baresip', 'baresip-core');
  const ourSound = join(site.directory, 'behind-ours.wav');
  const benSound = join(site.directory, 'behind-ben.wav');
  writeSound(ourSound, sine(OURS_HZ, SOUND_SECONDS * SAMPLE_RATE, SAMPLE_RATE));
  writeSound(benSound, sine(BEN_HZ, SOUND_SECONDS * SAMPLE_RATE, SAMPLE_RATE));
  const [ada, bob, eve] = [new Phone(site, 0), new Phone(site, 1), new Phone(site, 2)];
  let answered = 0;
  const heardByEve = () => numbered(heardIn(site), ++answered);
  const street: Street = { site, ada, bob, eve, ourSound, heardByEve, figures: [] };
  const { figures } = street;

  progress('lan: two super-nodes, and a phone attached to one of them');
  const running = await openStreet(street);
  const ben: BaresipOptions = {
    cleanup: site.cleanup,
    directory: join(site.directory, 'baresip-ben'),
    host: site.hosts[3]!,
    port: 5060,
    codec: 'PCMU',
    sound: benSound,
    controlPort: CONTROL_PORT,
    account: [ada, bob].map(({ host }) => {
      return { address: `ben@${host.address}`, password: PASSWORD, isProxy: true };
    }),
  };
  progress('lan: an ordinary phone registers at both');
  const baresip = await registerAtBoth(street, ben);
  progress('lan: it is called, and calls, by names of the ring');
  const control = BaresipControl.openAt(site.cleanup, site.hosts[3]!.enter, CONTROL_PORT);
  const since = performance.now();
  await until('somebody is told where ben is', async () => (await callBen(street, 1)) === 0);
  await hungUp(ben.directory);
  figures.push(plain('registered to called by name', performance.now() - since, 'ms'));

  await calledByName(street, ben, 'ben is called by name');
  await callsByName(street, control, ada, 'eve@ringline', 'ben calls eve@ringline');
  await callsByName(street, control, ada, 'nina', "ben calls nina, eve's user, by that alone");

  const { detail } = await checkedBy(eve, 'calling by the overlay');
  const isTold = detail === `attached to ${bob.host.address}:5061 in "ringline"`;
  figures.push(exactly(1, 'its doctor says where a phone is attached', Number(isTold), ''));

  progress('lan: the super-node that ben calls through is killed');
  const killed = performance.now();
  running.ada.child.process.kill('SIGKILL');
  await running.ada.child.ended;
  const again = await calledByName(street, ben, 'killed, and ben is called');
  figures.push(atMost(CALLED_GOAL_MS, 'killed to ben answering', again - killed, 'ms'));
  await callsByName(street, control, bob, 'eve@ringline', 'killed, and ben calls by the other');
  await callsByName(street, control, bob, 'nina', 'the same, nina');
  await Promise.all([baresip, running.bob.child, running.eve.child].map(child => child.stop()));
  return figures;
}

function heardIn({ directory }: Site): string {
  return join(directory, 'behind-eve.wav');
}

/** Ada and bob speak for one user, so that what both say of ben is no clash. */
async function openStreet({ ada, bob, eve, ourSound, site }: Street) {
  const users = ['ben', 'anna'].map(name => ({ name, password: PASSWORD }));
  const certified = async () => {
    const { text } = await said(ada, 'certified', 'user', 'certify', await deviceKeyOf(bob));
    await said(bob, 'accepted', 'user', 'accept', String(text));
  };
  await said(ada, 'created', 'user', 'create', 'house');
  await certified();
  await said(eve, 'created', 'user', 'create', 'nina');
  for (const phone of [ada, bob])
    phone.configure(JSON.stringify({ users, overlay: { role: 'always' } }));
  eve.configure(JSON.stringify({ overlay: { role: 'never' } }));

  const runningBob = await bob.ready();
  const answer = ['answer', '--name', 'eve', '--play', ourSound, '--record', heardIn(site)];
  const runningEve = eve.command(...answer);
  await runningEve.heard('ready', READY_WITHIN_MS);
  const overlayOf = async (phone: Phone) => (await statusOf(phone)).overlay;
  await until('eve is attached', async () => {
    const { superNode } = overlayIn(await overlayOf(eve));
    return typeof superNode === 'string' && superNode.startsWith(bob.host.address);
  });
  const runningAda = await ada.ready();
  await until('both are members', async () => {
    const known = await Promise.all([ada, bob].map(overlayOf));
    return known.every(overlay => overlayIn(overlay).known === 2);
  });
  return { ada: runningAda, bob: runningBob, eve: runningEve };
}

/** One that does not know SHA-256 is asked for MD5 alone when it comes again. */
async function registerAtBoth({ ada, bob }: Street, ben: BaresipOptions): Promise<Child> {
  const isRegistered = async (phone: Phone) => {
    const { users } = await statusOf(phone);
    const user = Array.isArray(users) ? users.find(({ name }) => name === 'ben') : undefined;
    return Number(user?.devices?.length ?? 0);
  };
  const first = await startBaresipCallee(ben);
  await until(
    'baresip was answered',
    async () => (first.output().match(ANSWERED) ?? []).length > 1,
  );
  let child = first;
  if (!/200 OK/.test(first.output())) {
    await first.stop();
    await new Promise(resolve => setTimeout(resolve, ANSWERS_WITHIN_MS));
    child = await startBaresipCallee(ben);
  }
  await until('ben is registered at both', async () => {
    const counts = await Promise.all([ada, bob].map(isRegistered));
    return counts.every(count => count === 1);
  });
  return child;
}

/** As baresip tells it: registered, or not. */
const ANSWERED = /200 OK|reg: /g;

/** A phone of ours calls ben; both hear the other. @returns when he had answered */
async function calledByName(street: Street, ben: BaresipOptions, what: string): Promise<number> {
  const { site, eve, ourSound, figures } = street;
  const before = recordingsOf(ben.directory).length;
  const heard = join(site.directory, `behind-${before}-by-eve.wav`);
  const files = ['--play', ourSound, '--record', heard, '--seconds', String(TALK_SECONDS)];
  const dialled = performance.now();
  const call = eve.command('call', 'sip:ben@ringline', '--codec', 'pcmu', ...files);
  const { at } = await call.heard('connected', WITHIN_MS);
  await call.child.ended;
  await hungUp(ben.directory);
  const rang = recordingsOf(ben.directory).length - before;
  figures.push(
    atMost(CALLED_GOAL_MS, `${what}: dialled to answered`, at - dialled, 'ms'),
    exactly(1, `${what}: though registered twice, rang`, rang, 'times'),
    toned(`${what}, hears the caller`, recordingsOf(ben.directory).slice(before), OURS_HZ),
    toned(`${what}, is heard`, [heard], BEN_HZ),
  );
  return at;
}

async function callBen({ eve }: Street, seconds: number): Promise<number> {
  const call = eve.command('call', 'sip:ben@ringline', '--seconds', String(seconds));
  return Number(await call.child.ended);
}

/** Ben has heard of the end of every call, which he had by either registration or by both. */
async function hungUp(directory: string): Promise<void> {
  await until('ben has heard of the end', async () =>
    recordingsOf(directory).every(recording => recordedSeconds(recording).complete),
  );
}

/** Ben calls somebody, through one of his two super-nodes; both hear the other. */
async function callsByName(
  street: Street,
  control: BaresipControl,
  through: Phone,
  who: string,
  what: string,
): Promise<void> {
  const { site, figures } = street;
  const directory = join(site.directory, 'baresip-ben');
  const before = recordingsOf(directory).length;
  await control.command('uafind', `sip:ben@${through.host.address}`);
  control.forget();
  const dialled = performance.now();
  await control.command('dial', who.includes('@') ? `sip:${who}` : who);
  await control.heard('CALL_ESTABLISHED', WITHIN_MS);
  const took = performance.now() - dialled;
  await new Promise(resolve => setTimeout(resolve, TALK_SECONDS * 1000));
  await control.command('hangup');
  await control.heard('CALL_CLOSED', WITHIN_MS);
  figures.push(
    atMost(CALLED_GOAL_MS, `${what}: dialled to answered`, took, 'ms'),
    toned(`${what}, and hears`, recordingsOf(directory).slice(before), OURS_HZ),
    toned(`${what}, and is heard`, [street.heardByEve()], BEN_HZ),
  );
}

/** Whether the tone is in one of the recordings, and nothing else is. */
function toned(name: string, recordings: readonly string[], hz: number): Figure {
  const sounds = recordings.map(readSound);
  const heard = sounds.some(sound => {
    const steady = steadyPart(sound, SAMPLE_RATE);
    return steady.length >= SAMPLE_RATE && Math.abs(pitchHz(steady) - hz) <= TOLERANCE_HZ;
  });
  const account = sounds.map(sound => accountOf(sound, [BEN_HZ, OURS_HZ])).join('\n');
  return explained(exactly(1, `${name} at ${hz} Hz`, Number(heard), ''), account);
}

async function deviceKeyOf(phone: Phone): Promise<string> {
  return String((await said(phone, 'user', 'user', 'show')).deviceKey);
}

async function checkedBy(phone: Phone, check: string): Promise<Partial<RinglineEvent>> {
  const command = phone.command('doctor');
  await command.heard('verdict', WITHIN_MS);
  return command.events.find(event => event.check === check) ?? {};
}

async function statusOf(phone: Phone): Promise<RinglineEvent> {
  return said(phone, 'status', 'status');
}

/** What a command that comes to its end has said. */
async function said(phone: Phone, event: string, ...args: string[]): Promise<RinglineEvent> {
  const command: Ringline = phone.command(...args);
  const found = await command.heard(event, WITHIN_MS);
  await command.child.ended;
  return found;
}

function overlayIn(status: unknown): { superNode?: unknown; known?: unknown } {
  if (typeof status !== 'object' || status === null) return {};
  const superNode = 'superNode' in status ? status.superNode : undefined;
  const member = 'member' in status ? status.member : undefined;
  const isMember = typeof member === 'object' && member !== null;
  return { superNode, known: isMember && 'known' in member ? member.known : undefined };
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const last = performance.now() + WITHIN_MS; !(await holds()); ) {
    if (performance.now() > last) throw new PlainFailure(`not within ${WITHIN_MS} ms: ${what}`);
    await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
