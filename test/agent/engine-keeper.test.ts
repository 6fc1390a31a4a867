// Which engine is believed, and when one is made again: by this log, by what the controller has seen, and never by the disk alone.
import { beforeEach, describe, expect, test } from 'vitest';
import { EngineKeeper } from '../../src/agent/engine-keeper.ts';
import type { CompiledEngine } from '../../src/agent/engine-maker.ts';
import type { LoggedEngine } from '../../src/agent/log-reader.ts';
import type { EngineEvent } from '../../src/cel/events.ts';
import type { Reason } from '../../src/gate/settle.ts';
import type { SlotProfile } from '../../src/profile/profile.ts';
import type { SignedRelease } from '../../src/release/open.ts';
import { sha256, slotProfile } from '../measure/slots.ts';

const slot: SlotProfile = { ...slotProfile(), engine: { command: ['/opt/runtime/compile'] } };
const RUNTIME = sha256('runtime');

function release(name: string): SignedRelease {
  return { id: sha256(name).toString('hex'), statement: { digest: sha256(`statement of ${name}`) } } as SignedRelease;
}
const [A, B] = [release('a'), release('b')];

/** A device that may start again and again: its disk, its log, and a compiler that ends when it is told. */
class Device {
  readonly disk = new Map<string, Buffer>();
  kept: Buffer | null = null;
  log: EngineEvent[] = [];
  readonly said: string[] = [];
  readonly discarded: string[] = [];
  compilations: { readonly id: string; readonly signal: AbortSignal; end(made: string | Reason): void }[] = [];
  now = 0;
  runtime = RUNTIME;
  #work: Promise<void> = Promise.resolve();

  start(): EngineKeeper {
    const last = new Map<string, LoggedEngine>();
    for (const [i, event] of this.log.entries()) last.set(event.slot, { event, record: i + 1 });
    return new EngineKeeper({
      work: {
        compile: async (_slot, id, signal) => {
          const result = Promise.withResolvers<CompiledEngine | Reason>();
          this.compilations.push({
            id,
            signal,
            end: (made) => {
              const folder = typeof made === 'string' ? made : '';
              result.resolve(
                typeof made === 'string'
                  ? { folder, files: folder, engine: sha256(made), compiler: this.runtime }
                  : made,
              );
            },
          });
          return result.promise;
        },
        measure: async (id) => this.disk.get(id) ?? null,
        place: async (id, _slot, from) => void this.disk.set(id, sha256(from)),
        remove: async (id) => void this.disk.delete(id),
        discard: async (folder) => void this.discarded.push(folder),
      },
      journal: { get: async () => this.kept, put: async (_key, value) => void (this.kept = value) },
      log: { write: () => undefined },
      runtime: this.runtime,
      last,
      record: async (event) => this.log.push(event),
      soon: (work) => {
        this.#work = this.#work.then(work);
      },
      monotonic: () => this.now,
      ended: async (_slot, record) => void this.said.push(record === null ? 'failed' : `record ${record}`),
    });
  }

  async end(made: string | Reason): Promise<void> {
    this.compilations.shift()?.end(made);
    await new Promise(setImmediate);
    await this.#work;
  }

  get events(): string[] {
    return this.log.map(({ cause, engine }) => `${cause} ${engine === null ? 'none' : 'an engine'}`);
  }
}

let device: Device;
let keeper: EngineKeeper;
beforeEach(() => {
  device = new Device();
  keeper = device.start();
});

/** A slot that holds A with its engine, which the controller has seen. */
async function madeAndSeen(): Promise<void> {
  await keeper.look(slot, A, false);
  await device.end('one');
  await keeper.heard(device.log.length);
}
const reboot = (): void => {
  device.log = [];
  keeper = device.start();
};

describe('an engine', () => {
  test('is made when there is none, bound to what it was made from and by', async () => {
    await keeper.look(slot, A, false);
    expect(keeper.lack(slot)).toMatchObject({ altered: false });
    const ready = keeper.ready('main');
    await device.end('one');
    expect(await ready).toBeNull();
    expect(keeper.lack(slot)).toBeNull();
    expect(device.log).toEqual([
      {
        v: 1,
        type: 'engine',
        slot: 'main',
        cause: 'compiled',
        statement: A.statement.digest,
        compiler: RUNTIME,
        engine: sha256('one'),
      },
    ]);
    expect(device.said).toEqual(['record 1']);
    expect(await keeper.look(slot, A, false)).toBeNull();
  });

  test('is believed after a boot only when the controller has seen it made', async () => {
    await keeper.look(slot, A, false);
    await device.end('one');
    await keeper.heard(0);
    reboot();
    await keeper.look(slot, A, false);
    expect([device.compilations.length, device.disk.size]).toEqual([1, 0]);
    await device.end('two');
    await keeper.heard(1);
    reboot();
    expect(await keeper.look(slot, A, false)).toBe(1);
    expect([device.compilations.length, device.events]).toEqual([0, ['measured an engine']]);
    expect(keeper.lack(slot)).toBeNull();
  });

  test('is believed by another start in the same log, and then kept', async () => {
    await keeper.look(slot, A, false);
    await device.end('one');
    keeper = device.start();
    expect(await keeper.look(slot, A, false)).toBeNull();
    expect(device.compilations).toHaveLength(0);
    await keeper.heard(1);
    reboot();
    await keeper.look(slot, A, false);
    expect(device.compilations).toHaveLength(0);
  });

  test('that was swapped is told, stays until another is there, and is told once', async () => {
    await madeAndSeen();
    device.disk.set(A.id, sha256('evil'));
    expect(await keeper.look(slot, A, false)).toBe(2);
    expect(keeper.lack(slot)).toMatchObject({ altered: true });
    expect(await keeper.look(slot, A, false)).toBeNull();
    await device.end('two');
    expect(device.events).toEqual(['compiled an engine', 'measured an engine', 'compiled an engine']);
    expect(device.disk.get(A.id)).toEqual(sha256('two'));
  });

  test('that was swapped is told, and thrown away at once where somebody asks for another', async () => {
    await madeAndSeen();
    device.disk.set(A.id, sha256('evil'));
    expect(await keeper.look(slot, A, true)).toBe(3);
    expect(device.events).toEqual(['compiled an engine', 'measured an engine', 'measured none']);
    expect([device.disk.size, keeper.lack(slot)?.altered]).toEqual([0, false]);
  });

  test('that was swapped together with the memory of it is told as it is: the controller knows better', async () => {
    await madeAndSeen();
    const kept = device.kept ?? Buffer.alloc(0);
    const at = kept.indexOf(sha256('one'));
    sha256('evil').copy(kept, at);
    device.disk.set(A.id, sha256('evil'));
    reboot();
    expect(await keeper.look(slot, A, false)).toBe(1);
    expect(device.log[0]).toMatchObject({ cause: 'measured', engine: sha256('evil') });
  });

  test.each([Buffer.alloc(0), Buffer.from('80'), Buffer.from([0xff, 0xff])])(
    'is made again where the memory of it is damaged',
    async (kept) => {
      await madeAndSeen();
      device.kept = kept;
      reboot();
      await keeper.look(slot, A, false);
      expect(device.compilations).toHaveLength(1);
    },
  );

  test('of another runtime is thrown away, and that is told in its log', async () => {
    await madeAndSeen();
    device.runtime = sha256('newer runtime');
    keeper = device.start();
    expect(await keeper.look(slot, A, false)).toBe(2);
    expect([device.events, device.disk.size]).toEqual([['compiled an engine', 'measured none'], 0]);
    await device.end('two');
    expect(await keeper.look(slot, A, false)).toBeNull();
    expect(keeper.lack(slot)).toBeNull();
  });

  test('of a slot that holds something else by then is thrown away', async () => {
    await keeper.look(slot, A, false);
    const ready = keeper.ready('main');
    const [first] = device.compilations;
    await keeper.look(slot, B, false);
    expect(first?.signal.aborted).toBe(true);
    await device.end('of a');
    expect(await ready).toMatchObject({ rule: 'engine-compile' });
    expect([device.discarded, device.log]).toEqual([['of a'], []]);
    await device.end('of b');
    expect(device.disk.get(B.id)).toEqual(sha256('of b'));
    // And of one whose model was altered meanwhile.
    await keeper.look(slot, A, false);
    await keeper.look(slot, null, false);
    await device.end('of a');
    expect(device.disk.has(A.id)).toBe(false);
  });

  test('of the release before is believed after a roll-back', async () => {
    await madeAndSeen();
    await keeper.look(slot, B, false);
    await device.end('of b');
    await keeper.heard(device.log.length);
    reboot();
    await keeper.look(slot, A, false);
    expect([device.compilations.length, keeper.lack(slot)]).toEqual([0, null]);
  });

  test('that cannot be made is not tried at every look, but when its release is installed again, or later', async () => {
    const reason = { rule: 'engine-compile', detail: 'no such operator' };
    await keeper.look(slot, A, false);
    await device.end(reason);
    expect([device.said, keeper.lack(slot), await keeper.ready('main')]).toEqual([
      ['failed'],
      { why: 'no such operator', altered: false },
      reason,
    ]);
    await keeper.look(slot, A, false);
    expect(device.compilations).toHaveLength(0);
    await keeper.look(slot, A, true);
    expect(device.compilations).toHaveLength(1);
    await device.end(reason);
    device.now = 3_600_001;
    await keeper.look(slot, A, false);
    expect(device.compilations).toHaveLength(1);
  });

  test('is nothing to a slot whose profile asks for none', async () => {
    const plain = slotProfile();
    expect([await keeper.look(plain, A, true), keeper.lack(plain), device.compilations.length]).toEqual([
      null,
      null,
      0,
    ]);
  });
});
