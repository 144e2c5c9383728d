/**
 * What running phones say to each other, captured on the Ethernet: is it SIP, do our readers take all of it, and has it the
 * shape of src/overlay/sip/EXAMPLES.md?
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startChild } from '../harness/child.js';
import { exactly, explained, type Figure } from '../harness/figures.js';
import { type Captured, LinkCapture } from '../harness/link-capture.js';
import { PlainFailure, progress } from '../harness/program.js';
import { Phone, type Site } from './site.js';
import { fieldsMissing, refusals, shapeMissing, type Talk } from './wire-shape.js';

const REGISTRANT = fileURLToPath(new URL('./registrant.js', import.meta.url));
const [README = '', EXAMPLES = ''] = ['README', 'EXAMPLES'].map(page =>
  readFileSync(`src/overlay/sip/${page}.md`, 'utf8'),
);
const PASSWORD = 'what-ben-says';
/** To join, attach, register: generous, since the machine may be slow. */
const WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 50;

export async function wire(site: Site): Promise<Figure[]> {
  const capture = await LinkCapture.start(site.lan, site.cleanup, site.directory);
  const talks = await talkOf(site, capture);
  progress('lan: what they said is read');
  const { messages, malformed } = await capture.read();
  const shapes = talks.map(talk => {
    const missing = talk.takes.map(roles => shapeMissing(EXAMPLES, README, talk, roles, messages));
    return {
      title: talk.title,
      missing: missing.find(lines => lines.length === 0) ?? missing[0] ?? [],
    };
  });
  const alike = shapes.filter(({ missing }) => missing.length === 0).length;
  const refused = refusals('ringline', messages);
  const fields = fieldsMissing(EXAMPLES, messages, UNSEEN);
  return [
    explained(
      exactly(0, 'packets that Wireshark calls malformed', malformed.length, ''),
      malformed.join('\n'),
    ),
    explained(
      exactly(0, 'messages of the ring that our readers refuse', refused.length, ''),
      refused.join('\n'),
    ),
    explained(
      exactly(talks.length, 'conversations in the shape of EXAMPLES.md', alike, ''),
      shapes.flatMap(({ title, missing }) => missing.map(line => `${title}: ${line}`)).join('\n'),
    ),
    explained(
      exactly(
        fields.kinds,
        'kinds of messages with the fields of EXAMPLES.md',
        fields.kinds - fields.missing.length,
        '',
      ),
      [...fields.missing, ...toldOf(messages)].join('\n'),
    ),
  ];
}

/** What a ring of two does not need, or only where chance wants it. */
const UNSEEN = ['closer', 'fetch', 'merge'];

/** Everything the examples are of happens once. */
async function talkOf(site: Site, capture: LinkCapture): Promise<Talk[]> {
  const phone = (index: number, overlay: object, users: readonly object[] = []) =>
    new Phone(site, index, capture.logsSecrets).configure(JSON.stringify({ users, overlay }));
  const users = [{ name: 'ben', password: PASSWORD }];
  const [ada, bob] = [phone(0, { role: 'always' }, users), phone(1, { role: 'always' }, users)];
  const [eve, gus] = [phone(2, { role: 'never' }), phone(3, { role: 'never' })];
  const bootstrap = [gus.host.address];
  // Of two one is sent on before it hears of bob by other means.
  const late = [5, 6].map(index => phone(index, { role: 'never', bootstrap }));
  const benAt = site.hosts[4]!.address;

  progress('lan: a super-node, and two phones that attach to it');
  const runningAda = await ada.ready();
  await until('ada is a member', async () => (await overlayOf(ada))?.member !== undefined);
  const begun = Date.now();
  const [runningEve, runningGus] = await Promise.all([eve.ready(), gus.ready()]);
  for (const node of [eve, gus]) await attached(node, ada);
  const call = eve.command('call', 'sip:ada@ringline');
  await call.heard('ringing', WITHIN_MS);
  await call.stop();

  progress('lan: another joins it, and an ordinary phone registers');
  const joining = Date.now();
  const runningBob = await bob.ready();
  await until('bob is a member', async () => (await overlayOf(bob))?.member?.known === 2);
  // Of two members each holds everything.
  await until(
    'bob has been handed all',
    async () => (await recordsAt(bob)) >= (await recordsAt(ada)),
  );
  const registering = Date.now();
  const held = await recordsAt(bob);
  const ben = [REGISTRANT, 'ben', PASSWORD, benAt, ada.host.address];
  const registrant = startChild(site.cleanup, [...site.hosts[4]!.enter, process.execPath, ...ben]);
  const ended = await registrant.ended;
  if (ended !== 0) throw new PlainFailure(`ben did not register: ${registrant.output()}`);
  await until('bob holds where ben is', async () => (await recordsAt(bob)) > held);

  progress('lan: the first leaves');
  const leaving = Date.now();
  await runningAda.stop();
  for (const node of [eve, gus]) await attached(node, bob);
  const sent = Date.now();
  const runningLate = await Promise.all(late.map(each => each.ready()));
  for (const node of late) await attached(node, bob);
  const detaching = Date.now();
  await runningEve.stop();
  await Promise.all([runningBob, runningGus, ...runningLate].map(running => running.stop()));
  const over = Date.now();

  const at = (of: Phone) => of.host.address;
  return [
    {
      title: 'A phone attaches, publishes its name, asks for others, and stays',
      takes: [{ 3: at(eve), 1: at(ada) }],
      between: [begun, joining],
    },
    {
      title: 'A member joins, is told of, and is handed what is its own to keep',
      takes: [{ 3: at(bob), 2: at(ada) }],
      between: [joining, leaving],
      // What members say on and on comes later there, or not at all.
      firstMs: 1_000,
      // Of what is put meanwhile, a copy may come before the offer of what was there.
      without: ['store'],
    },
    {
      title: 'An ordinary phone registers, and is found by everybody',
      takes: [{ 9: benAt, 2: at(ada), 1: at(bob) }],
      between: [registering, sent],
    },
    {
      title: 'A super-node leaves, and hands its node over',
      takes: [{ 1: at(ada), 2: at(bob), 3: at(eve) }],
      between: [leaving, sent],
      // Whose the key of ada's name is, is chance.
      without: ['find', 'store'],
    },
    {
      title: 'A phone asks one that is no super-node, and is sent to one',
      takes: late.map(each => ({ 3: at(each), 4: at(gus), 1: at(bob) })),
      between: [sent, over],
    },
    {
      title: 'A phone detaches',
      takes: [{ 3: at(eve), 1: at(bob) }],
      between: [detaching, over],
    },
  ];
}

async function overlayOf(phone: Phone) {
  return (await phone.status())?.overlay;
}

async function recordsAt(phone: Phone): Promise<number> {
  return (await overlayOf(phone))?.member?.records ?? 0;
}

async function attached(node: Phone, superNode: Phone): Promise<void> {
  await until(`${node.host.name} is attached to ${superNode.host.name}`, async () => {
    return (await overlayOf(node))?.superNode?.startsWith(`${superNode.host.address}:`) === true;
  });
}

function toldOf(messages: readonly Captured[]): string[] {
  return messages.map(({ at, from, to, octets }) => {
    return `${Math.round(at)} ${from} ${to} ${octets.toString('latin1').split('\r\n', 1)[0]}`;
  });
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const last = performance.now() + WITHIN_MS; !(await holds()); ) {
    if (performance.now() > last) throw new PlainFailure(`not within ${WITHIN_MS} ms: ${what}`);
    await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
