/** Child process of wav.test.ts: records numbered samples until it is killed, and says which second is in the file. */
import { Recorder } from '../../src/media/recorder.js';

const FRAMES_PER_SECOND = 50;
const FRAME_SAMPLES = 160;

const [file = ''] = process.argv.slice(2);
const recorder = await Recorder.open({
  file,
  onError: error => {
    throw error;
  },
});
const frame = new Int16Array(FRAME_SAMPLES);
let sample = 0;
for (let second = 1; ; second++) {
  for (let i = 0; i < FRAMES_PER_SECOND; i++) {
    for (let at = 0; at < FRAME_SAMPLES; at++) frame[at] = sample++ % 30_000;
    recorder.consume(frame);
  }
  await recorder.settled();
  process.stdout.write(`${second}\n`);
}
