/** The entry of the media thread: commands in, results and events out. */
import { constants, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { SystemClock } from '../core/clock.js';
import { SystemRandom } from '../core/random.js';
import { SystemNetwork } from '../core/system-network.js';
import { DatagramBatch } from '../native/datagram-batch.js';
import { loadNative } from '../native/index.js';
import { NativeClock } from '../native/native-clock.js';
import type { MediaEvent } from './commands.js';
import { MediaCore } from './media-core.js';
import {
  errorData,
  type FromWorker,
  NO_REQUEST,
  type Told,
  type ToWorker,
} from './worker-messages.js';

const port = parentPort;
if (port) {
  raisePriority();
  serve(message => port.postMessage(message));
}

/** Linux gives each thread its own: voice goes before everything else this process does. */
function raisePriority(): void {
  try {
    setPriority(constants.priority.PRIORITY_HIGH);
  } catch {
    // Needs CAP_SYS_NICE; without it the clock is only later under load.
  }
}

function serve(post: (message: FromWorker) => void): void {
  let told: Told[] = [];
  const flush = () => {
    const messages = told;
    told = [];
    if (messages.length > 0) post({ type: 'told', messages });
  };
  const tell = (message: Told) => {
    if (told.push(message) === 1) setImmediate(flush);
  };
  const native = loadNative();
  const batch = native && new DatagramBatch(native);
  const core = new MediaCore({
    clock: native ? new NativeClock(native) : new SystemClock(),
    network: batch ?? new SystemNetwork(),
    random: new SystemRandom(),
    ...(batch ? { batch } : { defer: setImmediate }),
    onEvent: event => tell(eventMessage(event)),
  });
  port?.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'commands':
        for (const { request, command } of message.commands) {
          core.execute(command).then(
            result => request !== NO_REQUEST && tell({ type: 'done', request, result }),
            error => tell({ type: 'refused', request, error: errorData(error) }),
          );
        }
        break;
      case 'stop':
        void core.stop().finally(() => {
          flush();
          post({ type: 'stopped' });
          port.close();
        });
        break;
    }
  });
}

function eventMessage(event: MediaEvent): Told {
  switch (event.type) {
    case 'ended':
    case 'digit':
    case 'voice':
      return event;
    case 'failed':
      return { ...event, error: errorData(event.error) };
  }
}
