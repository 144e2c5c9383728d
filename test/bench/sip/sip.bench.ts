/**
 * What the SIP stack costs by itself, on virtual time and network: memory of an idle dialog and of a
 * registration, and how many whole calls a core sets up and ends.
 * Run by `make bench`: node --expose-gc dist/test/bench/sip/sip.bench.js [--json]
 */
import { parseMessage, type SipRequest } from '@sip-stack/parser';
import { newRegistrar, stepRegistrar } from '../../../src/sip/registrar/machine.js';
import type { SipSession } from '../../../src/sip/session/session.js';
import { median, plain, printFigures } from '../../harness/figures.js';
import { type Pair, pair } from '../../sip/pair.js';

const DIALOGS = 2000;
const REGISTRATIONS = 10_000;
const CALLS = 3000;
const RUNS = 5;

const { gc } = globalThis;
if (!gc) throw new Error('run with node --expose-gc');

function heapBytes(): number {
  gc?.();
  gc?.();
  return process.memoryUsage().heapUsed;
}

/** Sets up calls that both sides keep. */
async function talk(lab: Pair, calls: number): Promise<SipSession[]> {
  lab.bob.onSession = session => session.accept('v=0\r\n');
  const sessions = Array.from({ length: calls }, () => lab.call());
  await lab.clock.advance(40_000);
  return sessions;
}

async function bytesPerDialog(): Promise<number> {
  const lab = await pair();
  lab.network.trace.length = 0;
  const before = heapBytes();
  const sessions = await talk(lab, DIALOGS);
  lab.network.trace.length = 0;
  const after = heapBytes();
  if (!sessions.every(session => session.established)) throw new Error('not every call was set up');
  // Each call is a dialog at both ends.
  return (after - before) / (2 * DIALOGS);
}

/** Calls set up, answered, acknowledged and ended in a second of one core, both sides of them. */
async function callsPerSecond(): Promise<number> {
  const lab = await pair();
  const started = performance.now();
  const sessions = await talk(lab, CALLS);
  for (const session of sessions) session.hangUp();
  await lab.clock.advance(40_000);
  return CALLS / ((performance.now() - started) / 1000);
}

function registration(user: number): SipRequest {
  const lines = [
    'REGISTER sip:example.net SIP/2.0',
    `Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK${user}`,
    'Max-Forwards: 70',
    `From: <sip:user${user}@example.net>;tag=${user}`,
    `To: <sip:user${user}@example.net>`,
    `Call-ID: ${user}@192.0.2.7`,
    'CSeq: 1 REGISTER',
    `Contact: <sip:user${user}@192.0.2.7:5060>`,
    'Expires: 600',
    '\r\n',
  ];
  const message = parseMessage(Buffer.from(lines.join('\r\n')));
  if (message.kind !== 'request') throw new Error('expected a request');
  return message;
}

/** Registered one after the other, and all held: bytes of heap each, and REGISTERs a second. */
function registrations(): { bytesEach: number; perSecond: number } {
  const before = heapBytes();
  const state = newRegistrar();
  const flow = { protocol: 'UDP', endpoint: { address: '192.0.2.7', port: 5060 } } as const;
  const started = performance.now();
  for (let user = 0; user < REGISTRATIONS; user++) {
    const request = registration(user);
    const aor = `sip:user${user}@example.net`;
    const actions = stepRegistrar(state, {
      type: 'register',
      request,
      aor,
      flow,
      tag: 'x',
      serviceRoute: [],
      now: user,
    });
    const [answer] = actions.flatMap(action =>
      action.type === 'respond' ? [action.response] : [],
    );
    if (answer?.status !== 200) throw new Error(`a REGISTER was answered ${answer?.status}`);
  }
  const perSecond = REGISTRATIONS / ((performance.now() - started) / 1000);
  return { bytesEach: (heapBytes() - before) / state.size, perSecond };
}

async function repeated(measure: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let run = 0; run < RUNS; run++) values.push(await measure());
  return median(values);
}

const { bytesEach, perSecond } = registrations();
printFigures([
  plain('heap of an idle dialog, one side', await repeated(bytesPerDialog), 'bytes'),
  plain('whole calls, both sides on one core', await repeated(callsPerSecond), 'calls/s'),
  plain(`heap of one of ${REGISTRATIONS} registrations`, bytesEach, 'bytes'),
  plain('REGISTER read and granted', perSecond, 'requests/s'),
]);
