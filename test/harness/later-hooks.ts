/** How a phone that is of a later version comes by its overlay: a module of the phone asks for one, and gets another. */
import type { ResolveHook } from 'node:module';

const PRESENT = new URL('../../src/overlay/overlay.js', import.meta.url).href;
const LATER = new URL('./later-overlay.js', import.meta.url).href;
const SOURCES = new URL('../../src/', import.meta.url).href;

export const resolve: ResolveHook = async (specifier, context, next) => {
  const found = await next(specifier, context);
  const isOfPhone = context.parentURL?.startsWith(SOURCES) ?? false;
  return found.url === PRESENT && isOfPhone ? { ...found, url: LATER } : found;
};
