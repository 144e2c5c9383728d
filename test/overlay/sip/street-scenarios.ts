/** What phones say to super-nodes, and these about phones: the second part of EXAMPLES.md. */
import { parseMessage, parseUri, type SipUri } from '@sip-stack/parser';
import { type CborValue, decodeCbor } from '../../../src/identity/cbor.js';
import { itemsOf } from '../../../src/identity/fields.js';
import { readBody } from '../../../src/overlay/sip/body.js';
import { signedText } from '../../../src/overlay/sip/signature.js';
import { authorizationFor, registration } from './ordinary-phone.js';
import { fenced, OVERLAY, type Scenario } from './scenario.js';
import { type House, PASSWORD, type Sent, Street, saidIn } from './street.js';

const [ADA, BOB, EVE, GUS, BEN] = [1, 2, 3, 4, 9].map(n => `192.0.2.${n}`) as [
  string,
  string,
  string,
  string,
  string,
];
/** Until what was begun has come to its end. */
const SETTLED_MS = 20_000;
/** A link is refreshed within so long, and a half. */
const REFRESH_MS = 300_000;

export async function streetScenarios(): Promise<Scenario[]> {
  return [
    await attaches(),
    await isSentElsewhere(),
    await isHandedOver(),
    await isTakenIn(),
    await detaches(),
    await ordinaryPhoneRegisters(),
  ];
}

async function attaches(): Promise<Scenario> {
  const street = new Street(21, OVERLAY);
  await superNode(street, 'ada', ADA);
  const before = begun(street);
  const eve = await street.house('eve', EVE, { role: 'never', bootstrap: [ADA] });
  await street.clock.advance(SETTLED_MS);
  await find(street, eve, 'ada');
  await find(street, eve, 'nobody');
  await street.clock.advance(1.5 * REFRESH_MS);
  return {
    ...(await end(street, before)),
    title: 'A phone attaches, publishes its name, asks for others, and stays',
    about:
      `Eve (3) has been told where ada (1) is, a super-node, and asks who is there (\`ping\`). She attaches with her records, ` +
      `and has ada publish them; she asks for \`sip:ada@${OVERLAY}\`, and for \`sip:nobody@${OVERLAY}\` (404). Some seconds later she asks ` +
      'who was expelled from the overlay (404: nobody), a minute later once more, and for her own name. Before half of ' +
      'what ada granted is over, more or less a fifth of that, she attaches again. In between each sends CRLF CRLF when ' +
      'the other was silent for 2 s, and gets CRLF back (RFC 5626 §4.4.1); those are no messages, and not shown.',
    notes: octets => [...signedNote(octets, 'attach'), ...recordNotes(octets, 'attach')],
  };
}

async function isSentElsewhere(): Promise<Scenario> {
  const street = new Street(22, OVERLAY);
  await superNode(street, 'ada', ADA);
  await street.house('gus', GUS, { role: 'never', bootstrap: [ADA] });
  await street.clock.advance(SETTLED_MS);
  const before = begun(street);
  await street.house('eve', EVE, { role: 'never', bootstrap: [GUS] });
  await street.clock.advance(2_000);
  return {
    ...(await end(street, before)),
    title: 'A phone asks one that is no super-node, and is sent to one',
    about:
      'All that eve (3) was told of is gus (4), a phone attached to ada (1). He is no member and says so (`NOT_MEMBER`). She ' +
      'attaches nevertheless, since he may know who is one, and he does. A super-node that has as many nodes as it ' +
      'takes, or is about to leave, answers the same: with those that have fewer.',
  };
}

async function isHandedOver(): Promise<Scenario> {
  const street = new Street(23, OVERLAY);
  const ada = await superNode(street, 'ada', ADA);
  await street.house('eve', EVE, { role: 'never', bootstrap: [ADA] });
  await street.clock.advance(SETTLED_MS);
  await superNode(street, 'bob', BOB, [ADA]);
  await street.clock.advance(SETTLED_MS);
  const before = begun(street);
  await ada.stop();
  await street.clock.advance(2_000);
  return {
    ...(await end(street, before)),
    title: 'A super-node leaves, and hands its node over',
    about:
      'Ada (1) takes her own name back: she owns its key herself, and sends a copy of the tombstone to bob (2). Then she ' +
      'hands bob what she knows of eve (3), a third-party registration, and tells eve to ' +
      'attach to him (`move`, a REFER, without a subscription: RFC 4488 is neither asked for nor needed). Eve ' +
      'attaches to bob, who has her records already. Last, ada leaves the ring.',
  };
}

async function isTakenIn(): Promise<Scenario> {
  const street = new Street(24, OVERLAY);
  const ada = await superNode(street, 'ada', ADA);
  const eve = await street.house('eve', EVE, { role: 'never', bootstrap: [ADA] });
  await street.clock.advance(SETTLED_MS);
  const bob = await superNode(street, 'bob', BOB, [ADA]);
  await street.clock.advance(SETTLED_MS);
  const before = begun(street);
  street.powerCut(ada);
  await street.until(() => eve.overlay.status?.superNode?.startsWith(bob.address) === true);
  await street.clock.advance(100);
  return {
    ...(await end(street, before)),
    title: 'A super-node dies, and its neighbour takes its node in',
    about:
      'The power of ada (1) goes. Eve (3), who attached before there was anybody else, notices after two pings (CRLF CRLF) ' +
      'without an answer and finds nobody where ada was; she knows of nobody else. Bob (2), her successor, has asked her in vain; ' +
      'he owns now what she owned, and the list of her nodes is in it (`../RULES.md`). Eve does what ' +
      'bob says: while she has no super-node she follows whoever takes her in.',
  };
}

async function detaches(): Promise<Scenario> {
  const street = new Street(25, OVERLAY);
  await superNode(street, 'ada', ADA);
  const eve = await street.house('eve', EVE, { role: 'never', bootstrap: [ADA] });
  await street.clock.advance(SETTLED_MS);
  const before = begun(street);
  await eve.stop();
  return {
    ...(await end(street, before)),
    title: 'A phone detaches',
    about:
      'Eve (3) is switched off. She takes her name back: a tombstone, published and told to ada (1) who kept her records. ' +
      'Then she says that she goes (`Expires: 0`), with the tombstone once more: who gets this sees that it is put.',
  };
}

async function ordinaryPhoneRegisters(): Promise<Scenario> {
  const street = new Street(26, OVERLAY);
  await superNode(street, 'ada', ADA);
  await superNode(street, 'bob', BOB, [ADA]);
  const phone = await street.ordinaryPhone(BEN);
  const before = begun(street);
  const ben = { user: 'ben', password: PASSWORD, address: BEN, registrar: BOB };
  const registrar = { address: BOB, port: 5060 };
  phone.onMessage = data => {
    const authorization = authorizationFor(data, ben);
    if (authorization !== undefined) phone.send(registration(ben, 2, authorization), registrar);
  };
  phone.send(registration(ben, 1), registrar);
  await street.clock.advance(2_000);
  const whole = await end(street, before);
  return {
    ...whole,
    steps: whole.steps.filter(({ name }) => /^(REGISTER|\d+|find|owner|store|stored)$/.test(name)),
    title: 'An ordinary phone registers, and is found by everybody',
    about:
      'Ben (9) is a phone that knows nothing of all this: it registers by UDP with bob (2), a super-node whose configuration has ' +
      'a user of that name. Bob vouches for it: a record of his own, under the key of ' +
      `\`sip:ben@${OVERLAY}\`, of kind \`vouched-binding\`, whose contact is bob, who passes calls on. It lives for 10 minutes, and bob puts it again ` +
      'for as long as ben is registered. Whose key it is keeps it: here ada (1), who sends bob a copy.',
    shown: ['store'],
    notes: octets => recordNotes(octets, 'store'),
  };
}

// ---- what happens in a street

async function superNode(
  street: Street,
  name: string,
  address: string,
  bootstrap: readonly string[] = [],
): Promise<House> {
  const house = await street.house(name, address, { role: 'always', bootstrap, users: ['ben'] });
  await street.until(() => house.overlay.status?.member?.phase === 'member');
  await street.clock.advance(SETTLED_MS);
  return house;
}

async function find(street: Street, house: House, name: string): Promise<void> {
  const uri = parseUri(`sip:${name}@${OVERLAY}`) as SipUri;
  await street.during(house.overlay.locate(uri, new AbortController().signal));
}

interface Begun {
  readonly start: number;
  readonly said: number;
}

function begun({ clock, sent }: Street): Begun {
  return { start: clock.now(), said: sent.length };
}

/** What was said since `before`, but for the upkeep of the ring. */
async function end(
  street: Street,
  { start, said: before }: Begun,
): Promise<Pick<Scenario, 'steps'>> {
  const said = street.sent.slice(before);
  await street.stop();
  const steps = said.map(sent => ({
    ms: sent.ms - start,
    from: placeOf(sent.from),
    to: placeOf(sent.to),
    ...saidIn(sent),
    octets: () => sent.octets,
  }));
  return { steps: steps.filter(({ name }) => !UPKEEP.includes(name)) };
}

/** What members say to each other whatever phones do. */
export const UPKEEP: readonly string[] = [
  ...['neighbours', 'links', 'notify', 'notified', 'compare', 'compared', 'membership'],
];

function placeOf({ address, port }: Sent['from']): string {
  return `${address}:${port}`;
}

// ---- what is to be said of it

/** What `DHT-Signature` is over. */
function signedNote(octets: Buffer, name: string): string[] {
  const sip = parseMessage(octets);
  if (sip.kind !== 'request' || nameIn(octets) !== name) return [];
  return [
    'What was signed, with the line `ringline said by its id 1` put before it:',
    fenced('', signedText(sip)),
  ];
}

/** What the values of its records say. */
function recordNotes(octets: Buffer, name: string): string[] {
  if (nameIn(octets) !== name) return [];
  const { records } = readBody(parseMessage(octets).body);
  const lines = records.flatMap(({ value }) => (value ? partsOf(value) : []));
  return lines.length === 0
    ? []
    : [
        'The value of the record, in the diagnostic notation of CBOR:',
        fenced('', lines.join('\n')),
      ];
}

function nameIn(octets: Buffer): string {
  return parseMessage(octets).headers.text('DHT-Message')?.split(';')[0] ?? '';
}

function partsOf(value: Uint8Array): string[] {
  return itemsOf(cbor(value)).map(record => {
    const [payload, signature] = itemsOf(cbor(record as Uint8Array));
    const items = itemsOf(cbor(payload as Uint8Array));
    const body = told(cbor(items.at(-1) as Uint8Array));
    const head = items.slice(0, -1).map(told).join(', ');
    return `<<[ <<[ ${head}, <<${body}>> ]>>, ${told(signature ?? null)} ]>>`;
  });
}

function cbor(octets: Uint8Array): CborValue {
  const decoded = decodeCbor(octets, { octets: 8_192, depth: 4, items: 64 });
  if (!decoded.ok) throw new Error(decoded.detail);
  return decoded.value;
}

/** RFC 8949 §8 */
function told(value: CborValue): string {
  if (value instanceof Uint8Array) return `h'${Buffer.from(value).toString('hex')}'`;
  if (Array.isArray(value)) return `[${value.map(told).join(', ')}]`;
  return JSON.stringify(value);
}
