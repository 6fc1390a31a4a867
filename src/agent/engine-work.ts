// What the keeper of engines has done for it on this device.
import { removeTree } from '../files/durable.ts';
import { measureEngine, placeEngine, removeEngine } from './engine-folder.ts';
import type { EngineWork } from './engine-keeper.ts';
import type { MakerParts } from './engine-maker.ts';

export function engineWork(parts: MakerParts): EngineWork {
  const { stateDir } = parts;
  return {
    compile: async (slot, id, unwanted) => {
      // Rarely, and what starts programs is not small.
      const { compileEngine } = await import('./engine-maker.ts');
      return compileEngine(slot, id, { ...parts, signal: AbortSignal.any([parts.signal, unwanted]) });
    },
    measure: async (id, slot) => measureEngine(stateDir, id, slot, parts),
    place: async (id, slot, from) => placeEngine(stateDir, id, slot, from),
    remove: async (id, slot) => removeEngine(stateDir, id, slot),
    discard: async (folder) => removeTree(folder),
  };
}
