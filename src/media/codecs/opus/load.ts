/** Which libopus: the system's where the native addon finds one, else WebAssembly. */
import type { OpusLibrary } from './library.js';
import { nativeOpus } from './native-library.js';
import { loadWasmOpus } from './wasm-library.js';

export async function loadOpus(): Promise<OpusLibrary> {
  return nativeOpus() ?? loadWasmOpus();
}
