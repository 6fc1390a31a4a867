// Engines that a device compiles for itself, on a whole device with a real TPM and broker: made, believed, swapped, cut off and thrown away.
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeModelFolder } from '../../src/demo/model-folder.ts';
import { SLOT } from '../../src/demo/theatre.ts';
import type { Theatre } from '../../src/demo/theatre.ts';
import type { Stage } from '../../src/testing/stage.ts';
import { changeProfile, enrolledTheatre } from '../support/enrolled-theatre.ts';

let stage: Stage;
let theatre: Theatre;
const files = { hold: '', broken: '', ill: '', made: '' };

const put = async (path: string): Promise<void> => writeFile(path, '');
const remove = async (path: string): Promise<void> => rm(path, { force: true });

async function release(name: string): Promise<string> {
  await makeModelFolder(stage.path('models', name), { seed: name, version: '1.0.0', weights: null });
  const id = await theatre.makeRelease(name, { version: '1.0.0', securityVersion: 1 });
  await theatre.addRelease(name);
  return id;
}

/** How often the runtime was asked to compile. */
const compilations = async (): Promise<number> => (await readFile(files.made, 'utf8').catch(() => '')).length;

/** What a consumer opens. */
const engine = (): string => join(theatre.deviceState, 'slots', SLOT, 'engines', SLOT, 'plan');

async function writeCompiler(version: string): Promise<void> {
  // It waits while there is a file `hold`, fails while there is one `broken`, says a lot, and makes something of the model's bytes.
  const script = `#!/bin/sh
set -e
printf x >>${files.made}
while [ -e ${files.hold} ]; do sleep 0.05; done
[ ! -e ${files.broken} ] || { echo 'no such operator' >&2; exit 3; }
head -c 400000 /dev/zero
echo ${version} >"$TOUCHSTONE_ENGINE/plan"
cat "$TOUCHSTONE_MODEL/classifier.onnx" >>"$TOUCHSTONE_ENGINE/plan"
mkdir "$TOUCHSTONE_ENGINE/timing"
echo cache >"$TOUCHSTONE_ENGINE/timing/cache"
`;
  await writeFile(stage.path('runtime', 'compile'), script);
  await chmod(stage.path('runtime', 'compile'), 0o755);
}

beforeAll(async () => {
  ({ stage, theatre } = await enrolledTheatre(async (made) => {
    ({ stage } = made);
    await mkdir(stage.path('runtime'));
    for (const name of Object.keys(files) as (keyof typeof files)[]) files[name] = stage.path(name);
    await writeCompiler('compiler 1');
    const compiled = {
      engine: { command: [stage.path('runtime', 'compile')], seconds: 600 },
      healthCommand: ['/bin/sh', '-c', `[ -s "$TOUCHSTONE_ENGINE/plan" ] && [ ! -e ${files.ill} ]`],
    };
    await changeProfile(made, (profile) => ({
      ...profile,
      slots: profile.slots.map((slot) => ({ ...slot, ...compiled })),
      runtime: stage.path('runtime'),
      leaseSeconds: 900,
    }));
  }));
}, 120_000);
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

async function status(): Promise<{ code: number | null; text: string }> {
  const ran = await theatre.cli('status', SLOT, '--state', theatre.deviceState, '--json');
  return { code: ran.code, text: ran.stdout };
}

/** The verdict on the slot has exactly these rules beside its software TPM. */
async function verdictHas(...rules: string[]): Promise<void> {
  await theatre.until(`the controller finds ${rules.join(', ') || 'nothing'}`, ({ verdict }) => {
    const found = verdict?.findings.map(({ rule }) => rule).filter((rule) => rule !== 'tier-software');
    return found !== undefined && found.toSorted().join() === rules.toSorted().join();
  });
}

async function swap(): Promise<void> {
  await chmod(engine(), 0o644);
  await writeFile(engine(), 'a plan with a back door');
}

let first = '';

describe('an engine', () => {
  test('is made in the trial, before the health check and the controller’s word', { timeout: 120_000 }, async () => {
    first = await release('one');
    await put(files.hold);
    const ended = theatre.upgrade(first);
    await theatre.agent.says(/compiling an engine/);
    expect(await status()).toMatchObject({
      code: 1,
      text: expect.stringContaining('its engine is being compiled') as string,
    });
    await remove(files.hold);
    const ran = await ended;
    expect([ran.code, ran.stdout]).toEqual([0, expect.stringContaining('"attested"')]);
    await verdictHas();
    expect((await status()).code).toBe(0);
    expect(await readFile(engine(), 'utf8')).toMatch(/^compiler 1/);
    expect((await stat(engine())).mode & 0o777).toBe(0o444);
    expect(await compilations()).toBe(1);
  });

  test(
    'that the controller has seen is believed after a power cut, and not made again',
    { timeout: 120_000 },
    async () => {
      await theatre.cutPower();
      await theatre.powerOn();
      await theatre.until('it attests again', ({ verdict }) => verdict?.status === 'warning');
      await verdictHas();
      expect([(await status()).code, await compilations()]).toEqual([0, 1]);
    },
  );

  test('that is swapped is found, by device and controller, and made again', { timeout: 120_000 }, async () => {
    await put(files.hold);
    await swap();
    await verdictHas('engine-bytes');
    expect(await status()).toMatchObject({ code: 1, text: expect.stringContaining('not what was compiled') as string });
    await remove(files.hold);
    await verdictHas('changed-since-boot');
    expect((await status()).code).toBe(0);
    expect(await readFile(engine(), 'utf8')).toMatch(/^compiler 1/);
  });

  test('that is swapped while the device is off is found, and made again', { timeout: 120_000 }, async () => {
    await theatre.cutPower();
    await swap();
    await put(files.hold);
    await theatre.powerOn();
    await verdictHas('engine-bytes');
    expect((await status()).code).toBe(1);
    await remove(files.hold);
    await verdictHas('changed-since-boot');
    expect((await status()).code).toBe(0);
  });

  test('is made again by another runtime', { timeout: 120_000 }, async () => {
    await theatre.cutPower();
    await writeCompiler('compiler 2');
    const before = await compilations();
    await theatre.powerOn();
    await theatre.agent.says(/engine \w+ was compiled/);
    await verdictHas();
    expect(await readFile(engine(), 'utf8')).toMatch(/^compiler 2/);
    expect(await compilations()).toBe(before + 1);
  });

  test('survives that the power is cut while it is made', { timeout: 120_000 }, async () => {
    const id = await release('two');
    await put(files.hold);
    const ended = theatre.upgrade(id);
    await theatre.agent.says(/compiling an engine/, { from: theatre.agent.lines.length });
    await theatre.cutPower();
    await remove(files.hold);
    await theatre.powerOn();
    const ran = await ended;
    expect([ran.code, ran.stderr]).toEqual([0, '']);
    await verdictHas();
    expect(await readFile(engine(), 'utf8')).toMatch(/^compiler 2/);
    first = id;
  });

  test(
    'of a release that was rolled back is gone, and that of the one before is as it was',
    { timeout: 120_000 },
    async () => {
      const before = await readFile(engine());
      const id = await release('three');
      const count = await compilations();
      await put(files.ill);
      const ran = await theatre.upgrade(id);
      expect([ran.code, ran.stdout]).toEqual([1, expect.stringContaining('health-command')]);
      await verdictHas();
      expect(await readFile(engine())).toEqual(before);
      expect(await compilations()).toBe(count + 1);
      await expect(stat(join(theatre.deviceState, 'releases', id))).rejects.toThrow('ENOENT');
      expect((await status()).code).toBe(0);
    },
  );

  test('that cannot be made ends a trial with the compiler’s own words', { timeout: 120_000 }, async () => {
    await remove(files.ill);
    const id = await release('four');
    await put(files.broken);
    const ran = await theatre.upgrade(id);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain('engine-compile');
    expect(ran.stdout).toContain('exit code 3: no such operator');
    expect((await status()).code).toBe(0);
  });

  test(
    'that cannot be made again stops its slot, until its release is installed once more',
    { timeout: 120_000 },
    async () => {
      await swap();
      await theatre.agent.says(/no engine could be made/, { from: theatre.agent.lines.length });
      expect(await status()).toMatchObject({ code: 1, text: expect.stringContaining('no such operator') as string });
      await remove(files.broken);
      const from = theatre.agent.lines.length;
      expect((await theatre.upgrade(first)).code).toBe(0);
      await theatre.agent.says(/engine \w+ was compiled/, { from });
      await theatre.agent.says(/slot detector ready/, { from });
      await verdictHas('changed-since-boot');
      expect((await status()).code).toBe(0);
    },
  );
});
