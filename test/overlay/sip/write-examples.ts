/** Writes src/overlay/sip/EXAMPLES.md anew: `node dist/test/overlay/sip/write-examples.js`, in the root of the sources. */
import { writeFile } from 'node:fs/promises';
import { ringScenarios } from './capture.js';
import { written } from './scenario.js';
import { streetScenarios } from './street-scenarios.js';

await writeFile(
  'src/overlay/sip/EXAMPLES.md',
  written([...ringScenarios(), ...(await streetScenarios())]),
);
