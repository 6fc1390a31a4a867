// STATE/bundle.sock: where what was carried here is handed to the running agent, by its own user alone.
import { v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';

/** Name of the socket in the state directory. */
export const BUNDLE_SOCKET = 'bundle.sock';

/** What is asked; the bytes of a bundle, or of a signed result, follow. */
export type BundleAsk =
  | { readonly v: 1; readonly do: 'bundle'; readonly when: 'decided' | 'trial' }
  | { readonly v: 1; readonly do: 'result' };

export const bundleAskShape: Shape<BundleAsk> = v.variant('do', [
  v.strictObject({ v: v.literal(1), do: v.literal('bundle'), when: v.picklist(['decided', 'trial']) }),
  v.strictObject({ v: v.literal(1), do: v.literal('result') }),
]);
