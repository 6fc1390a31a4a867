// The demo's story: what the product exists for, each step judged by what was really seen.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { holdsRelease, isAsSigned, rulesOf, verdictWords } from '../testing/device-words.ts';
import type { ShownDevice } from '../testing/device-words.ts';
import type { Step } from '../testing/play.ts';
import { flipByte, isRead } from '../testing/tamper.ts';
import { carried } from './carried-steps.ts';
import { FLOOR, givesFloors, keepDisk, restoredDisk } from './floor-steps.ts';
import { HEALTH_FILE, writeGolden } from './golden.ts';
import { illRelease } from './ill-release.ts';
import { WEIGHTS_BYTES, makeModelFolder, writeWeights } from './model-folder.ts';
import { refusal, spoiled } from './refusals.ts';
import { replayed } from './replay.ts';
import { runClassifier } from './run-model.ts';
import { SLOT } from './theatre.ts';
import type { Theatre } from './theatre.ts';

const only = (device: ShownDevice, ...rules: readonly string[]): boolean =>
  rulesOf(device).join() === rules.toSorted().join();

const holds =
  (release: string) =>
  (device: ShownDevice): boolean =>
    holdsRelease(device, SLOT, release);

interface Releases {
  one: string;
  two: string;
  three: string;
  misplaced: string;
}

export function steps(theatre: Theatre): Step[] {
  const { stage } = theatre;
  const releases: Releases = { one: '', two: '', three: '', misplaced: '' };
  let backup = Buffer.alloc(0);
  const model = (): string => join(theatre.modelFile, 'classifier.onnx');
  /** `large`: with 256 MiB of weights, so that measuring it takes its time. */
  const make = async (
    name: string,
    about: { readonly version: string; readonly securityVersion: number; readonly role?: string },
    large = false,
  ): Promise<string> => {
    const weights = large ? stage.path('weights.bin') : null;
    await makeModelFolder(stage.path('models', name), { seed: name, version: about.version, weights });
    await writeGolden(stage.path('models', name), stage.path('models', name));
    return theatre.makeRelease(name, { ...about, healthCheck: HEALTH_FILE });
  };
  const installed = async (id: string): Promise<{ ok: boolean; saw: string }> => {
    const ran = await theatre.upgrade(id);
    const device = await theatre.until('the release attested', (one) => holds(id)(one) && isAsSigned(one));
    return { ok: ran.code === 0, saw: `upgrade ended with ${ran.code}; ${verdictWords(device)}` };
  };
  return [
    {
      title: 'A fleet is made: keys, fleet.json, configuration of controller and broker',
      command: 'touchstone fleet init --out fleet',
      expected: 'root keys offline, two configurations, a fleet.json for the firmware',
      essential: true,
      play: async () => {
        await theatre.makeFleet(FLOOR);
        await theatre.startBroker();
        await theatre.startController();
        const fleet = JSON.parse(await readFile(stage.path('fleet', 'device', 'fleet.json'), 'utf8')) as {
          fleetId: string;
        };
        return { ok: true, saw: `fleet ${fleet.fleetId}; broker and controller run` };
      },
    },
    {
      title: 'A device with a TPM starts and asks to join; the operator approves it',
      command: 'touchstone agent … · touchstone device approve DEVICE',
      expected: 'pending until approved; its two keys proven to be of one TPM',
      essential: true,
      play: async () => {
        await theatre.powerOn();
        await theatre.controller.says(/asks to enrol/);
        const before = (await theatre.show()).state;
        await theatre.must('device', 'approve', theatre.deviceId, '--state', theatre.controllerState);
        await theatre.agent.says(/answering challenges/);
        const after = (await theatre.show()).state;
        return {
          ok: before === 'pending' && after === 'approved',
          saw: `${before}, then ${after}: ${theatre.deviceId}`,
        };
      },
    },
    givesFloors(theatre),
    {
      title:
        'The publisher signs release 1: an ONNX model and 256 MiB of weights; the floor key lets it raise the floor',
      command: 'touchstone release make MODEL --key … --out RELEASE · touchstone floor token …',
      expected: 'a model signature that any OpenSSF tool verifies, a passport, and a token for the TPMs of all devices',
      essential: true,
      play: async () => {
        await writeWeights(stage.path('weights.bin'), WEIGHTS_BYTES, 'touchstone demo');
        releases.one = await make('one', { version: '1.0.0', securityVersion: 1 }, true);
        await theatre.raisesFloor('one');
        await theatre.addRelease('one');
        const key = stage.path('fleet', 'publisher', 'publisher.pub.pem');
        const verified = await theatre.cli(
          'verify',
          stage.path('releases', 'one', 'model'),
          '--key',
          key,
          '--signature',
          stage.path('releases', 'one', 'model.sig'),
        );
        return {
          ok: verified.code === 0,
          saw: `release ${releases.one.slice(0, 12)}; touchstone verify ended with ${verified.code}`,
        };
      },
    },
    {
      title: 'The device installs it, measures it into its TPM and proves it',
      command: 'touchstone upgrade DEVICE --release ID',
      expected: 'warning: software trust only, everything else as expected',
      essential: true,
      play: async () => {
        const seen = await installed(releases.one);
        await keepDisk(theatre);
        return seen;
      },
    },
    {
      title: 'A program on the device asks first, then runs the model in a real ONNX runtime',
      command: `touchstone status ${SLOT} && inference`,
      expected: 'status 0, and three probabilities that add up to 1',
      play: async () => {
        const status = await theatre.cli('status', SLOT, '--state', theatre.deviceState);
        const numbers = await runClassifier(model(), [0.1, 0.2, 0.3, 0.4]);
        const sum = numbers.reduce((a, b) => a + b, 0);
        const shown = numbers.map((one) => one.toFixed(3)).join(', ');
        return { ok: status.code === 0 && Math.abs(sum - 1) < 1e-3, saw: `status ${status.code}; ${shown}` };
      },
    },
    {
      title: 'Somebody with root on the device changes one byte of the model',
      command: '(one bit of classifier.onnx)',
      expected: 'contraindicated, naming the file and both digests; the model may not be loaded',
      play: async () => {
        backup = await readFile(model());
        await flipByte(model());
        const device = await theatre.until('contraindicated', ({ verdict }) => verdict?.status === 'contraindicated');
        const finding = device.verdict?.findings.find((one) => one.rule === 'model-bytes');
        const digests = `${finding?.expected ?? ''} ${finding?.found ?? ''}`.match(/[0-9a-f]{64}/g) ?? [];
        const named = `${finding?.expected ?? ''}${finding?.found ?? ''}`.includes('classifier.onnx');
        const status = await theatre.cli('status', SLOT, '--state', theatre.deviceState);
        return {
          ok: named && new Set(digests).size === 2 && status.code === 1,
          saw: `${verdictWords(device)}; status ${status.code}`,
          more: finding === undefined ? [] : [`expected ${finding.expected}`, `found ${finding.found}`],
        };
      },
    },
    {
      title: 'The byte is put back: right now, but wrong earlier in this boot, and the TPM cannot forget',
      command: '(the file restored)',
      expected: 'warning: changed-since-boot',
      play: async () => {
        await rm(model());
        await writeFile(model(), backup);
        const device = await theatre.until('changed-since-boot', (one) =>
          only(one, 'changed-since-boot', 'tier-software'),
        );
        return { ok: device.verdict?.status === 'warning', saw: verdictWords(device) };
      },
    },
    {
      title: 'A signed upgrade: release 2, security version 2',
      command: 'touchstone release make … · touchstone floor token … · touchstone upgrade DEVICE --release ID',
      expected:
        'its golden cases pass, it is switched, measured and attested, and only then committed and the floor raised',
      play: async () => {
        releases.two = await make('two', { version: '2.0.0', securityVersion: 2 }, true);
        await theatre.raisesFloor('two');
        await theatre.addRelease('two');
        const ran = await theatre.upgrade(releases.two);
        const device = await theatre.until(
          'release 2 attested',
          (one) => holds(releases.two)(one) && one.verdict?.status === 'warning',
        );
        return {
          ok: ran.code === 0 && only(device, 'changed-since-boot', 'tier-software'),
          saw: `upgrade ended with ${ran.code}; ${verdictWords(device)}`,
        };
      },
    },
    refusal(theatre, () => releases.two, {
      title: 'An upgrade whose signatures were removed',
      rule: 'release-unsigned',
      id: () => releases.three,
      from: async () => {
        releases.three = await make('three', { version: '3.0.0', securityVersion: 2 });
        await theatre.addRelease('three');
        return spoiled(theatre, 'three', 'unsigned', async (dir) => {
          await rm(join(dir, 'model.sig'));
          await rm(join(dir, 'passport.json'));
        });
      },
    }),
    refusal(theatre, () => releases.two, {
      title: 'A signed upgrade in which one byte was changed on the way',
      rule: 'release-file-changed',
      id: () => releases.three,
      from: async () =>
        spoiled(theatre, 'three', 'tampered', async (dir) => flipByte(join(dir, 'model', 'classifier.onnx'))),
    }),
    refusal(theatre, () => releases.two, {
      title: 'An older release, still well signed: security version 1 over 2',
      rule: 'release-older',
      id: () => releases.one,
    }),
    refusal(theatre, () => releases.two, {
      title: 'A well signed release that was made for another place',
      rule: 'release-slot-role',
      id: () => releases.misplaced,
      from: async () => {
        releases.misplaced = await make('misplaced', { version: '2.1.0', securityVersion: 2, role: 'plate-reader' });
        await theatre.addRelease('misplaced');
        return stage.path('releases', 'misplaced');
      },
    }),
    illRelease(theatre, () => releases.two),
    {
      title: 'The owner of the broker sends evidence again that was accepted before',
      command: '(a recorded message, published once more)',
      expected: 'not accepted: the verdict and its number stay as they are',
      play: async () => replayed(theatre),
    },
    {
      title: 'The power is cut in the middle of a measurement: agent and TPM are killed',
      command: '(SIGKILL)',
      expected: 'back with one loadable signed model, and a log that explains the PCRs',
      play: async () => {
        const before = (await theatre.show()).verdict?.at ?? 0;
        const file = join(theatre.modelFile, 'weights.bin');
        const measuring = await isRead(theatre.agent.pid, file);
        await theatre.cutPower();
        await theatre.powerOn();
        const line = await theatre.agent.says(/agent \S+ of device \S+ started/);
        const device = await theatre.until(
          'attested again',
          (one) => isAsSigned(one) && (one.verdict?.at ?? 0) > before && holds(releases.two)(one),
        );
        const status = await theatre.cli('status', SLOT, '--state', theatre.deviceState);
        const why = /\((.*)\)/.exec(line)?.[1] ?? '';
        // How its clock went on is the TPM's word, and a software TPM's is worth little; that its agent was killed is certain.
        const explained = why.endsWith('; before: killed') && !why.startsWith('continued');
        return {
          ok: measuring && status.code === 0 && explained,
          saw: `${why}; ${verdictWords(device)}; status ${status.code}`,
        };
      },
    },
    restoredDisk(theatre, { one: () => releases.one, two: () => releases.two }),
    ...carried(theatre, async (name) => {
      const id = await make(name, { version: '4.0.0', securityVersion: 2 });
      await theatre.addRelease(name);
      return id;
    }),
  ];
}
