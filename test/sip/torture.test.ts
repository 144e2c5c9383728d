/** The 49 messages of RFC 4475, sent to a phone: what it answers to each. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { parseMessage } from '@sip-stack/parser';
import t from 'tap';
import { BOB, pair } from './pair.js';

/** Outside data, beside the project; the parser's own tests have cases of every kind in the tree. */
const FOLDER = '../shared/vectors/rfc4475';

/** `taken`: a call that reached the person (who refuses it with 480); `dropped`: no answer, as it must be. */
const EXPECTED: Record<string, number | 'taken' | 'dropped'> = {
  // §3.1.1 valid, odd
  // Within a dialog this phone knows nothing of.
  wsinv: 481,
  intmeth: 405,
  esc01: 'taken',
  escnull: 405,
  esc02: 405,
  lwsdisp: 200,
  longreq: 'taken',
  dblreq: 405,
  semiuri: 200,
  transports: 200,
  mpart01: 405,
  unreason: 'dropped',
  noreason: 'dropped',
  // §3.1.2 invalid
  badinv01: 400,
  clerr: 400,
  ncl: 400,
  scalar02: 400,
  scalarlg: 'dropped',
  quotbal: 400,
  ltgtruri: 400,
  lwsruri: 400,
  lwsstart: 400,
  trws: 400,
  escruri: 400,
  baddate: 'taken',
  regbadct: 400,
  badaspec: 400,
  baddn: 400,
  badvers: 505,
  mismatch01: 400,
  mismatch02: 400,
  bigcode: 'dropped',
  // §3.2 to §3.4
  badbranch: 400,
  insuf: 400,
  unkscm: 416,
  novelsc: 416,
  unksm2: 405,
  bext01: 420,
  invut: 415,
  regaut01: 405,
  multi01: 400,
  mcl01: 400,
  bcast: 'dropped',
  zeromf: 200,
  cparam01: 405,
  cparam02: 405,
  regescrt: 405,
  sdp01: 406,
  inv2543: 'taken',
};

const skip = existsSync(FOLDER) ? false : `no outside vectors at ${FOLDER}`;

t.test('a phone answers each torture message as RFC 4475 says', { skip }, async t => {
  const names = readdirSync(FOLDER).filter(name => name.endsWith('.dat'));
  t.equal(names.length, Object.keys(EXPECTED).length);
  for (const file of names) {
    const name = file.replace('.dat', '');
    const lab = await pair();
    let taken = false;
    lab.bob.onSession = session => {
      taken = true;
      session.reject(480);
    };
    const heard = await answers(lab, readFileSync(`${FOLDER}/${file}`));
    const outcome = taken && heard.at(-1) === 480 ? 'taken' : (heard.at(-1) ?? 'dropped');
    t.equal(outcome, EXPECTED[name], name);
  }
});

/** Statuses of the responses, wherever the message's Via would have them sent. */
async function answers(lab: Awaited<ReturnType<typeof pair>>, data: Uint8Array): Promise<number[]> {
  const stranger = await lab.network
    .host('10.0.0.9')
    .bindDatagram({ address: '10.0.0.9', port: 5060, trafficClass: 'default' });
  const statuses: number[] = [];
  const carry = lab.network.carry.bind(lab.network);
  lab.network.carry = (octets, from, to) => {
    if (from.address === BOB) {
      const message = parseMessage(octets.slice());
      if (message.kind === 'response' && message.status >= 200) statuses.push(message.status);
    }
    return carry(octets, from, to);
  };
  stranger.send(data, { address: BOB, port: 5060 });
  await lab.clock.advance(300);
  return statuses;
}
