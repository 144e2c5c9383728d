/** The dialogs of a phone as a document: RFC 4235 §4. */
import { CodedError } from '../../core/errors.js';
import type { Content } from './package.js';
import { DIALOG } from './package.js';
import { readXml, XML_DECLARATION, type XmlElement, xmlElement } from './xml.js';

const NAMESPACE = 'urn:ietf:params:xml:ns:dialog-info';

/** §3.7.1. */
export type DialogStateName = 'trying' | 'proceeding' | 'early' | 'confirmed' | 'terminated';
const STATES: readonly DialogStateName[] = [
  'trying',
  'proceeding',
  'early',
  'confirmed',
  'terminated',
];

export interface DialogEntry {
  readonly id: string;
  readonly state: DialogStateName;
  /** Which end called, as this phone sees it; undefined where it does not say. */
  readonly direction: 'initiator' | 'recipient' | undefined;
}

export interface DialogInfo {
  /** Grows by one with each document of a subscription. */
  readonly version: number;
  /** Partial ones tell of changes only. */
  readonly state: 'full' | 'partial';
  /** Whose dialogs: a URI. */
  readonly entity: string;
  readonly dialogs: readonly DialogEntry[];
}

export function writeDialogInfo({ version, state, entity, dialogs }: DialogInfo): Content {
  const entries = dialogs.map(({ id, state, direction }) =>
    xmlElement('dialog', { id, direction }, xmlElement('state', {}, state)),
  );
  const root = xmlElement('dialog-info', { xmlns: NAMESPACE, version, state, entity }, ...entries);
  return { type: DIALOG.types[0] ?? '', body: Buffer.from(XML_DECLARATION + root) };
}

/** @throws {CodedError} `BAD_XML` */
export function readDialogInfo(body: Uint8Array): DialogInfo {
  const root = readXml(body);
  if (root.name !== 'dialog-info' || root.namespace !== NAMESPACE) {
    throw new CodedError('BAD_XML', `expected dialog-info of ${NAMESPACE}, found ${root.name}`);
  }
  const version = root.attributes.get('version') ?? '';
  if (!/^\d{1,10}$/.test(version)) {
    throw new CodedError('BAD_XML', `expected a version, found "${version}"`);
  }
  return {
    version: Number(version),
    state: root.attributes.get('state') === 'partial' ? 'partial' : 'full',
    entity: root.attributes.get('entity') ?? '',
    dialogs: root.children.filter(({ name }) => name === 'dialog').map(readDialog),
  };
}

function readDialog({ attributes, children }: XmlElement): DialogEntry {
  const text = children.find(({ name }) => name === 'state')?.text.toLowerCase();
  const state = STATES.find(name => name === text);
  const id = attributes.get('id');
  if (id === undefined || state === undefined) {
    throw new CodedError('BAD_XML', 'expected a dialog with an id and a state, found one without');
  }
  const direction = attributes.get('direction');
  const known = direction === 'initiator' || direction === 'recipient' ? direction : undefined;
  return { id, state, direction: known };
}

/** What a busy lamp shows. */
export type LampState = 'idle' | 'ringing' | 'busy' | 'unknown';

/** The dialogs of one phone, as the documents of one subscription tell them (§4.3). */
export class DialogTable {
  readonly #dialogs = new Map<string, DialogEntry>();
  #version = -1;

  /** @returns whether what was told is complete: else it has to be asked for whole, by a refresh */
  apply({ version, state, dialogs }: DialogInfo): boolean {
    if (version <= this.#version) return true;
    const whole = state === 'full' || version === this.#version + 1;
    this.#version = version;
    if (state === 'full') this.#dialogs.clear();
    for (const dialog of dialogs) {
      if (dialog.state === 'terminated') this.#dialogs.delete(dialog.id);
      else if (this.#dialogs.size < MAX_DIALOGS) this.#dialogs.set(dialog.id, dialog);
    }
    return whole;
  }

  /** A phone that rings can be helped out, whatever else it does: ringing goes before busy. */
  get lamp(): LampState {
    const dialogs = [...this.#dialogs.values()];
    const rings = ({ state, direction }: DialogEntry) =>
      direction !== 'initiator' && (state === 'early' || state === 'proceeding');
    if (dialogs.some(rings)) return 'ringing';
    return dialogs.length > 0 ? 'busy' : 'idle';
  }
}

/** Dialogs remembered of one phone. */
const MAX_DIALOGS = 200;
