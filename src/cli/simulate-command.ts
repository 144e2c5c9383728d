/** `ringline simulate`, as the command line has it. */
import { Command, Option } from 'commander';
import { CodedError } from '../core/errors.js';
import type { Finish } from './key-commands.js';
import type { SimulateFlags } from './simulate.js';

const SIMULATE_HELP = `
The members run the code that a super-node runs; only clock, network and chance are virtual. Hosts lie
on a plane, with round trips of 76 ms in the median. A hop is a member that was asked: where the owner
itself is asked first, that is one. A lookup has succeeded when the member it names owned the key when
it said so. Messages are weighed as signed REGISTERs: 830 octets, and 113 for each member named.

Invariants of the ring are checked as it runs: one ring, ordered, a live successor for each member, every
key has its copies, no wrong owner answers, each part has one owner. If one breaks, the exit status is 1
and the seed repeats it. With --shrink a small run is then looked for that still breaks it: shorter, and
with fewer members, records, lookups and events. It is printed as data, to be kept as a test
(src/simulation/README.md). Lost records and wrong lookups are shrunk too. Each step is a whole run: of a
large ring that takes minutes.

  $ ringline simulate --nodes 100,1000,10000 --lookups 20000 --chart hops.svg
  $ ringline simulate --nodes 10000 --routing binary     fingers as in the first Chord
  $ ringline simulate --crash 0.5                        half of all die at once; lookups begin with that
  $ ringline simulate --lifetime 42 --hours 2            everybody stays 42 minutes, in the mean
  $ ringline simulate --routing table --lifetime 174 --hours 2
  $ ringline simulate --routing auto --lifetime 42 --hours 1   a table, until it costs too much
  $ ringline simulate --hostile 0.1 --paths 6            a tenth of all deceives
`;

/** @param finish runs the command's work and sets the exit status */
export function simulateCommand(finish: Finish): Command {
  return new Command('simulate')
    .description(
      'Try the ring of super-nodes: thousands of them, on virtual time, in this process.',
    )
    .option('--nodes <n,...>', 'super-nodes; of several sizes each is tried', '1000')
    .option(
      '--lookups <n>',
      'lookups, each of a key by a member, both at random',
      number(1, 1e7),
      10_000,
    )
    .addOption(
      new Option('--routing <how>', 'whom a member knows beyond its neighbours')
        .choices(['table', 'base16', 'binary', 'auto'])
        .default('base16'),
    )
    .option(
      '--crash <fraction>',
      'this part of all crashes at once, before the lookups',
      number(0, 0.95),
    )
    .option(
      '--lifetime <minutes>',
      'members come and go: their mean session (with --hours)',
      number(0.1, 1e6),
    )
    .option(
      '--shape <k>',
      'sessions after Weibull with this shape (default: 1, exponential)',
      number(0.3, 10),
    )
    .option('--hours <h>', 'how long they come and go, in virtual time', number(0.01, 1000))
    .option(
      '--goodbye <fraction>',
      'this part of those who go says so (default: 0, all just vanish)',
      number(0, 1),
    )
    .option(
      '--cut <fraction>',
      'this part of all is cut off for two minutes; lookups begin ten minutes after that',
      number(0, 1),
    )
    .option(
      '--hostile <fraction>',
      'this part of all lies, is silent or denies what it holds',
      number(0, 0.9),
    )
    .option(
      '--paths <d>',
      'disjoint paths of each lookup (default: 1; 6 with --hostile)',
      number(1, 16),
    )
    .option('--loss <fraction>', 'this part of all messages is lost', number(0, 0.5))
    .option(
      '--keys <n>',
      'records stored at first, looked up, and counted at the end',
      number(0, 1e6),
    )
    .option('--recursive', 'lookups go from member to member, not back and forth')
    .option(
      '--seed <n>',
      'the same seed, the same run (default: by chance; it is printed)',
      number(0, 2 ** 53),
    )
    .option('--json', 'print one JSON object a line')
    .option('--chart <file.svg>', 'draw hops and times')
    .option('--shrink', 'if anything is broken: look for the smallest run that still breaks it')
    .addHelpText('after', SIMULATE_HELP)
    .action(async (flags: SimulateFlags & { readonly json?: boolean }) =>
      finish({ ...(flags.json && { json: true }) }, async output => {
        const { simulate } = await import('./simulate.js');
        return simulate(flags, output);
      }),
    );
}

function number(lowest: number, highest: number): (text: string) => number {
  return text => {
    const value = Number(text);
    if (text.trim() !== '' && value >= lowest && value <= highest) return value;
    throw new CodedError(
      'BAD_USAGE',
      `expected a number from ${lowest} to ${highest}, found "${text}"`,
    );
  };
}
