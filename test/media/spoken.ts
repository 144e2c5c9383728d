/** Speech, made by espeak-ng when it is wanted. */
import { spawnSync } from 'node:child_process';
import { createResampler } from '../../src/media/resampler.js';

/** Men and women, slow and fast, in languages with other rhythms. */
const READERS: readonly (readonly string[])[] = [
  ['-v', 'en+m3', '-s', '150'],
  ['-v', 'en+f2', '-s', '170'],
  ['-v', 'de+m7', '-s', '140'],
  ['-v', 'en+f4', '-s', '190'],
  ['-v', 'fr+m1', '-s', '160'],
  ['-v', 'es+f5', '-s', '165'],
];
const TEXTS: readonly string[] = [
  'The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It is easy to tell the depth of a well.',
  'These days a chicken leg is a rare dish. Rice is often served in round bowls. The juice of lemons makes fine punch.',
  'Der Nordwind und die Sonne stritten, wer von ihnen der stärkere sei. Da kam ein Wanderer des Weges in einem warmen Mantel.',
  'The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage. Four hours of steady work faced us.',
  'La bise et le soleil se disputaient, chacun assurant qu’il était le plus fort. Ils ont vu un voyageur qui avançait.',
  'El viento norte y el sol discutían por saber quién era el más fuerte, cuando pasó un viajero envuelto en ancha capa.',
];
const WAV_HEADER_OCTETS = 44;
const ESPEAK_RATE = 22_050; // Hz

/** So many seconds at `sampleRate` Hz; undefined on a machine without espeak-ng. */
export async function spoken(seconds: number, sampleRate: number): Promise<Int16Array | undefined> {
  const wanted = seconds * sampleRate;
  const speech = new Int16Array(wanted);
  for (let at = 0, reader = 0; at < wanted; reader++) {
    const args = READERS[reader % READERS.length]!;
    const text = TEXTS[reader % TEXTS.length]!;
    const { status, stdout } = spawnSync('espeak-ng', [...args, '--stdout', text], {
      maxBuffer: 2 ** 25,
    });
    if (status !== 0) return undefined;
    const samples = new Int16Array(
      stdout.buffer.slice(
        stdout.byteOffset + WAV_HEADER_OCTETS,
        stdout.byteOffset + (stdout.length & ~1),
      ),
    );
    const resampler = await createResampler(ESPEAK_RATE, sampleRate);
    const converted = resampler.process(samples).subarray(0, wanted - at);
    speech.set(converted, at);
    at += converted.length;
  }
  return speech;
}
