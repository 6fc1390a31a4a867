// A release comes over the web to a whole device with a real TPM and broker, and its power is cut in the middle of it.
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { makeModelFolder, writeWeights } from '../../src/demo/model-folder.ts';
import { SLOT } from '../../src/demo/theatre.ts';
import type { Theatre } from '../../src/demo/theatre.ts';
import type { Stage } from '../../src/testing/stage.ts';
import { WebServer } from '../transfer/web-server.ts';
import { changeProfile, enrolledTheatre } from '../support/enrolled-theatre.ts';

const MIB = 1024 * 1024;
const WEIGHTS = 'model/weights.bin';

let stage: Stage;
let theatre: Theatre;

beforeAll(async () => {
  ({ stage, theatre } = await enrolledTheatre(async (made) =>
    changeProfile(made, (profile) => ({ ...profile, transfer: { plainHttp: true } })),
  ));
}, 120_000);
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test(
  'a transfer is seen, outlives a power cut, and is gone on from without a second command',
  { timeout: 120_000 },
  async () => {
    await writeWeights(stage.path('weights.bin'), 40 * MIB, 'web');
    await makeModelFolder(stage.path('models', 'web'), {
      seed: 'web',
      version: '1.0.0',
      weights: stage.path('weights.bin'),
    });
    const id = await theatre.makeRelease('web', { version: '1.0.0', securityVersion: 1 });
    await theatre.addRelease('web');
    await using server = await WebServer.start(stage.path('releases', 'web'));
    server.trick = (path, request, response, body) => {
      if (path !== WEIGHTS || request.method !== 'GET' || body === null) return false;
      // As much as a checkpoint needs, and then nothing more.
      response.writeHead(200, { 'content-length': body.length });
      response.write(body.subarray(0, 24 * MIB));
      return true;
    };
    const ended = theatre.upgrade(id, server.url);
    await theatre.agent.says(/fetching release .*: 50 %/);
    await vi.waitFor(async () => {
      const status = await theatre.cli('status', SLOT, '--state', theatre.deviceState, '--json');
      expect(JSON.parse(status.stdout)).toMatchObject({ transfer: { slot: SLOT, release: id } });
    }, 20_000);
    // Nothing else waits for it.
    await theatre.until('the device answers while it fetches', ({ verdict }) => verdict !== null);
    server.trick = () => false;
    server.asked.length = 0;
    await theatre.cutPower();
    await theatre.powerOn();
    const ran = await ended;
    expect(JSON.parse(ran.stdout)).toMatchObject({ upgrades: [{ end: 'attested', release: id }] });
    const gets = server.asked.filter((one) => one.startsWith(`GET ${WEIGHTS}`));
    expect(gets).toEqual([expect.stringMatching(/bytes=[1-9]\d{6,}-$/)]);
    expect(await readFile(`${theatre.deviceState}/slots/${SLOT}/${WEIGHTS}`)).toEqual(
      await readFile(stage.path('weights.bin')),
    );
  },
);
