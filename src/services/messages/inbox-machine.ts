/**
 * The messages a phone keeps until somebody has seen them (RFC 3428 §7). Pure; the driver is `inbox.ts`.
 * A message is stored before it is acknowledged, and shown once however often it comes.
 */

export interface TextMessage {
  /** Counts up, over restarts too. */
  readonly id: number;
  /** The sender's address, as text. */
  readonly from: string;
  /** The sender as a person would call them. */
  readonly name: string;
  readonly text: string;
  /** By the wall clock, in ms since 1970: to be shown, never relied on. */
  readonly receivedAt: number;
  /** The same for each copy of a message: its Call-ID, CSeq and sender. */
  readonly key: string;
  /** The address it was sent from. */
  readonly source: string;
}

export interface InboxLimits {
  /** Messages kept, seen and unseen. */
  readonly messages: number;
  /** Unseen ones that came from one address: nobody fills the inbox alone. */
  readonly perSource: number;
  /** Keys of messages that are gone, by which copies are known still. */
  readonly remembered: number;
}

export const DEFAULT_INBOX_LIMITS: InboxLimits = {
  messages: 200,
  perSource: 100,
  remembered: 500,
};

interface Entry {
  readonly message: TextMessage;
  stored: boolean;
  /** Requests that are answered when it is stored. */
  waiting: number[];
}

export interface InboxState {
  readonly limits: InboxLimits;
  /** By ID, the oldest first. */
  readonly entries: Map<number, Entry>;
  /** Keys of messages that are gone, the oldest first. */
  readonly gone: Set<string>;
  /** IDs up to this one have been seen. */
  seenTo: number;
  lastId: number;
}

export type InboxEvent =
  | {
      readonly type: 'received';
      readonly message: Omit<TextMessage, 'id'>;
      /** By which the request is answered. */
      readonly token: number;
    }
  | { readonly type: 'stored'; readonly id: number }
  | { readonly type: 'not-stored'; readonly id: number }
  /** Somebody has seen all messages up to this one. */
  | { readonly type: 'seen'; readonly id: number };

export type InboxAction =
  /** `stored` or `not-stored` follows. */
  | { readonly type: 'store'; readonly message: TextMessage }
  | { readonly type: 'drop'; readonly id: number }
  | { readonly type: 'keep-seen'; readonly id: number }
  /** 200: it is kept; 480: there is no room for it before others are seen; 500: it could not be kept. */
  | { readonly type: 'respond'; readonly token: number; readonly status: 200 | 480 | 500 }
  | { readonly type: 'tell'; readonly message: TextMessage };

/** @param kept the oldest first */
export function newInbox(
  limits: InboxLimits = DEFAULT_INBOX_LIMITS,
  kept: readonly TextMessage[] = [],
  seenTo = 0,
): InboxState {
  const entries = new Map<number, Entry>();
  for (const message of kept) entries.set(message.id, { message, stored: true, waiting: [] });
  const lastId = Math.max(seenTo, kept.at(-1)?.id ?? 0);
  return { limits, entries, gone: new Set(), seenTo, lastId };
}

/** Messages that nobody has seen, the oldest first. */
export function unseen({ entries, seenTo }: InboxState): TextMessage[] {
  return [...entries.values()]
    .filter(({ message, stored }) => stored && message.id > seenTo)
    .map(({ message }) => message);
}

export function stepInbox(state: InboxState, event: InboxEvent): InboxAction[] {
  switch (event.type) {
    case 'received':
      return received(state, event.message, event.token);
    case 'stored': {
      const entry = state.entries.get(event.id);
      if (!entry || entry.stored) return [];
      entry.stored = true;
      return [...answer(entry, 200), { type: 'tell', message: entry.message }];
    }
    case 'not-stored': {
      const entry = state.entries.get(event.id);
      if (!entry || entry.stored) return [];
      state.entries.delete(event.id);
      return answer(entry, 500);
    }
    case 'seen': {
      // One that is still being stored cannot have been seen; better a later one is shown twice.
      const unstored = [...state.entries.values()].find(({ stored }) => !stored)?.message.id;
      const id = Math.min(event.id, state.lastId, (unstored ?? Infinity) - 1);
      if (id <= state.seenTo) return [];
      state.seenTo = id;
      return [{ type: 'keep-seen', id }];
    }
  }
}

function received(
  state: InboxState,
  message: Omit<TextMessage, 'id'>,
  token: number,
): InboxAction[] {
  const { entries, gone, limits } = state;
  const known = [...entries.values()].find(entry => entry.message.key === message.key);
  if (gone.has(message.key) || known?.stored) return [{ type: 'respond', token, status: 200 }];
  if (known) {
    known.waiting.push(token);
    return [];
  }
  const actions: InboxAction[] = [];
  const ofSource = [...entries.values()].filter(
    entry => entry.message.source === message.source && entry.message.id > state.seenTo,
  );
  if (ofSource.length >= limits.perSource) return [{ type: 'respond', token, status: 480 }];
  if (entries.size >= limits.messages) {
    const oldest = [...entries.values()].find(entry => entry.stored);
    // What nobody has seen yet gives way to nothing.
    if (!oldest || oldest.message.id > state.seenTo) {
      return [{ type: 'respond', token, status: 480 }];
    }
    entries.delete(oldest.message.id);
    remember(state, oldest.message.key);
    actions.push({ type: 'drop', id: oldest.message.id });
  }
  state.lastId++;
  const entry = { message: { ...message, id: state.lastId }, stored: false, waiting: [token] };
  entries.set(state.lastId, entry);
  return [...actions, { type: 'store', message: entry.message }];
}

function remember({ gone, limits }: InboxState, key: string): void {
  gone.add(key);
  for (const old of gone) {
    if (gone.size <= limits.remembered) return;
    gone.delete(old);
  }
}

function answer(entry: Entry, status: 200 | 500): InboxAction[] {
  const { waiting } = entry;
  entry.waiting = [];
  return waiting.map(token => ({ type: 'respond', token, status }));
}
