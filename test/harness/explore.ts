/**
 * Walks a machine through every state it can reach, putting every event to it in each, and writes down
 * what happens as a table: `mode: events: what happens`. Between what may happen in different states of
 * that mode stands `|`; `->` leads to another mode. `-` stands before events at which nothing happens,
 * `!` before events that cannot come in that mode.
 */
import type { Test } from 'tap';

export interface Model<State, Event extends { readonly type: string }, Action> {
  /** Every kind of event: one that never comes is missing below. */
  readonly types: Readonly<Record<Event['type'], true>>;
  readonly starts: readonly State[];
  /** Every event there is, made for a state: several where it may come in several ways, none where it cannot. */
  readonly events: Readonly<Record<string, (state: State) => Event | readonly Event[] | undefined>>;
  copy(state: State): State;
  /** Changes the state. */
  step(state: State, event: Event): readonly Action[];
  /** States with the same key behave alike. */
  key(state: State): string;
  /** The line of the table a state belongs to. */
  mode(state: State): string;
  /** In the table; undefined for what it need not tell. */
  brief(action: Action): string | undefined;
  /** Throws where a step breaks a rule. */
  check?(step: Step<State, Event, Action>): void;
}

export interface Step<State, Event extends { readonly type: string }, Action> {
  readonly before: State;
  readonly name: string;
  readonly event: Event;
  readonly actions: readonly Action[];
  readonly after: State;
}

export interface Walk {
  readonly table: readonly string[];
  readonly states: number;
  readonly steps: number;
}

/** More are a mistake in the key. */
const MOST_STATES = 200_000;

interface Visited<State> {
  readonly state: State;
  readonly from: Visited<State> | undefined;
  readonly by: string;
}

/** Throws what a step throws, with the events that led there. */
export function explore<State, Event extends { readonly type: string }, Action>(
  model: Model<State, Event, Action>,
): Walk {
  const missing = new Set(Object.keys(model.types));
  const outcomes = new Map<string, Map<string, Set<string>>>();
  const seen = new Set<string>();
  const frontier: Visited<State>[] = [];
  const visit = (visited: Visited<State>) => {
    const key = model.key(visited.state);
    if (seen.has(key)) return;
    if (seen.size >= MOST_STATES) throw new Error(`more than ${MOST_STATES} states: ${key}`);
    seen.add(key);
    frontier.push(visited);
  };
  for (const state of model.starts) visit({ state, from: undefined, by: '' });
  let steps = 0;
  for (let visited = frontier.shift(); visited; visited = frontier.shift()) {
    const { state } = visited;
    const mode = model.mode(state);
    const ofMode = outcomes.get(mode) ?? new Map<string, Set<string>>();
    outcomes.set(mode, ofMode);
    for (const [name, make] of Object.entries(model.events)) {
      for (const event of [make(state) ?? []].flat() as readonly Event[]) {
        const after = model.copy(state);
        steps++;
        missing.delete(event.type);
        try {
          const actions = model.step(after, event);
          model.check?.({ before: state, name, event, actions, after });
          const told = ofMode.get(name) ?? new Set<string>();
          ofMode.set(name, told.add(outcome(model, mode, after, actions)));
          visit({ state: after, from: visited, by: name });
        } catch (error) {
          const path = [...pathTo(visited), name].join(', ');
          throw new Error(`${path}: ${error instanceof Error ? error.message : error}`, {
            cause: error,
          });
        }
      }
    }
  }
  if (missing.size > 0) throw new Error(`these events never came: ${[...missing].join(', ')}`);
  const names = Object.keys(model.events);
  const table = [...outcomes].flatMap(([mode, ofMode]) => linesOf(mode, ofMode, names));
  return { table, states: seen.size, steps };
}

function outcome<State, Event extends { readonly type: string }, Action>(
  model: Model<State, Event, Action>,
  mode: string,
  after: State,
  actions: readonly Action[],
): string {
  const next = model.mode(after);
  const did = actions.map(action => model.brief(action)).filter(text => text !== undefined);
  return [...(next === mode ? [] : [`-> ${next}`]), ...did].join(' ') || NOTHING;
}

const NOTHING = 'nothing';

function linesOf(mode: string, ofMode: Map<string, Set<string>>, names: string[]): string[] {
  const events = new Map<string, string[]>();
  const silent: string[] = [];
  const never: string[] = [];
  for (const name of names) {
    const told = [...(ofMode.get(name) ?? [])].sort().join(' | ');
    if (told === '') never.push(name);
    else if (told === NOTHING) silent.push(name);
    else events.set(told, [...(events.get(told) ?? []), name]);
  }
  const lines = [...events].map(([told, of]) => `${mode}: ${of.join(', ')}: ${told}`);
  if (silent.length > 0) lines.push(`${mode}: - ${silent.join(', ')}`);
  if (never.length > 0) lines.push(`${mode}: ! ${never.join(', ')}`);
  return lines;
}

function pathTo<State>(visited: Visited<State>): string[] {
  return visited.from ? [...pathTo(visited.from), visited.by] : [];
}

/** Fails where a walk went otherwise than the table says; `SHOW_TABLES=1` prints it as it went. */
export function sameTable(t: Test, { table, states, steps }: Walk, expected: string): void {
  t.comment(`${states} states, ${steps} steps`);
  if (process.env.SHOW_TABLES) console.error(`== ${t.name}\n${table.join('\n')}`);
  t.same(table, expected.trim().split('\n'));
}
