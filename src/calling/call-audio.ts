/** What a call without a handset says and keeps: a file played, a file recorded, an echo. */
import type { MediaEngine, MediaNode, Player } from '../media/engine.js';
import type { Call } from './call.js';

export interface CallAudioOptions {
  /** Send back what is heard. */
  readonly echo?: boolean;
  /** WAV file to play to the other side, once. */
  readonly play?: string;
  /** What is played is cleaned: noise is taken away, and speech brought to the usual level. */
  readonly clean?: boolean;
  /** WAV file to write what is heard to. */
  readonly record?: string;
}

export interface CallAudio {
  /** Resolves when the file has been played; never where there is none. */
  readonly played: Promise<void>;
  /** Completes the recording. */
  close(): Promise<void>;
}

/**
 * Joins files and echo to a call that has media. Throws, with nothing left open, as
 * `openPlayer` and `openRecorder` do.
 *
 * @param ear hears the call in place of a recorder, and stays open
 */
export async function attachAudio(
  media: MediaEngine,
  call: Call,
  { echo, play, record, clean }: CallAudioOptions,
  ear?: MediaNode,
): Promise<CallAudio> {
  const { leg } = call;
  const nodes: MediaNode[] = [];
  const close = async () => {
    for (const node of nodes.splice(0)) await node.close();
  };
  if (!leg) return { played: never, close };
  try {
    if (ear) media.connect(leg, ear);
    else if (record !== undefined) {
      const recorder = await media.openRecorder({ file: record });
      nodes.push(recorder);
      media.connect(leg, recorder);
    }
    let player: Player | undefined;
    if (play !== undefined) {
      player = await media.openPlayer({ file: play });
      nodes.push(player);
      if (clean) await media.process(player, { noiseSuppression: true, gainControl: true });
      media.connect(player, leg);
    }
    if (echo) media.connect(leg, leg);
    return { played: player?.ended ?? never, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const never = new Promise<void>(() => undefined);
