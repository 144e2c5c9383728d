/** Presence as a document: RFC 3863, with the activities of RFC 4480 that lamps and lists show. */
import { CodedError } from '../../core/errors.js';
import { type Content, PRESENCE } from './package.js';
import { readXml, XML_DECLARATION, type XmlElement, xmlElement, xmlText } from './xml.js';

const NAMESPACE = 'urn:ietf:params:xml:ns:pidf';
const DATA_MODEL = 'urn:ietf:params:xml:ns:pidf:data-model'; // RFC 4479
const RPID = 'urn:ietf:params:xml:ns:pidf:rpid'; // RFC 4480

/** One way to reach somebody. */
export interface PresenceTuple {
  /** Letters, digits, `-`, `_` and `.`, beginning with a letter or `_`. */
  readonly id: string;
  readonly basic: 'open' | 'closed';
  /** A URI. */
  readonly contact?: string;
  readonly note?: string;
}

export interface Presence {
  /** Whose: a URI. */
  readonly entity: string;
  readonly tuples: readonly PresenceTuple[];
  /** Such as `on-the-phone`, `away`. */
  readonly activities: readonly string[];
  readonly note?: string;
}

/** Activities are element names: what is none is left out. */
const ACTIVITY = /^[a-z][a-z-]{0,30}$/;
const MAX_TUPLES = 20;
const MAX_ACTIVITIES = 10;
/** Characters of a note. */
const MAX_NOTE = 500;

export function writePidf({ entity, tuples, activities, note }: Presence): Content {
  const noteOf = (text: string | undefined) =>
    text === undefined ? '' : xmlElement('note', {}, xmlText(text));
  const written = tuples.map(({ id, basic, contact, note }) => {
    const reach = contact === undefined ? '' : xmlElement('contact', {}, xmlText(contact));
    const status = xmlElement('status', {}, xmlElement('basic', {}, basic));
    return xmlElement('tuple', { id }, status, reach, noteOf(note));
  });
  const known = activities.filter(name => ACTIVITY.test(name));
  const doing = known.map(name => xmlElement(`rpid:${name}`, {}));
  const person = xmlElement(
    'dm:person',
    { id: 'person' },
    xmlElement('rpid:activities', {}, ...doing),
  );
  const namespaces =
    known.length > 0
      ? { xmlns: NAMESPACE, 'xmlns:dm': DATA_MODEL, 'xmlns:rpid': RPID }
      : { xmlns: NAMESPACE };
  const root = xmlElement(
    'presence',
    { ...namespaces, entity },
    ...written,
    noteOf(note),
    known.length > 0 ? person : '',
  );
  return { type: PRESENCE.types[0] ?? '', body: Buffer.from(XML_DECLARATION + root) };
}

/** @throws {CodedError} `BAD_XML` */
export function readPidf(body: Uint8Array): Presence {
  const root = readXml(body);
  if (root.name !== 'presence' || root.namespace !== NAMESPACE) {
    throw new CodedError('BAD_XML', `expected presence of ${NAMESPACE}, found ${root.name}`);
  }
  const note = noteIn(root);
  const tuples = root.children.filter(({ name }) => name === 'tuple').slice(0, MAX_TUPLES);
  return {
    entity: root.attributes.get('entity') ?? '',
    tuples: tuples.map(readTuple),
    activities: root.children.flatMap(activitiesIn).slice(0, MAX_ACTIVITIES),
    ...(note !== undefined && { note }),
  };
}

function readTuple(tuple: XmlElement, index: number): PresenceTuple {
  const basic = childOf(childOf(tuple, 'status'), 'basic')?.text.toLowerCase();
  const contact = childOf(tuple, 'contact')?.text;
  const note = noteIn(tuple);
  return {
    id: tuple.attributes.get('id') ?? `t${index}`,
    basic: basic === 'open' ? 'open' : 'closed',
    ...(contact && { contact }),
    ...(note !== undefined && { note }),
  };
}

/** Of the person (RFC 4479), or within a tuple's status, where older phones put them. */
function activitiesIn(element: XmlElement): readonly string[] {
  if (element.name === 'activities') {
    return element.children.map(({ name }) => name).filter(name => ACTIVITY.test(name));
  }
  return element.children.flatMap(activitiesIn);
}

function noteIn(element: XmlElement): string | undefined {
  const text = childOf(element, 'note')?.text;
  return text ? text.slice(0, MAX_NOTE) : undefined;
}

function childOf(element: XmlElement | undefined, wanted: string): XmlElement | undefined {
  return element?.children.find(({ name }) => name === wanted);
}
